"""How much one identity may ask, to the exact second."""

import pytest
from unit.api.house import Hands

from api.auth.principal import MASTERS, Principal
from api.limits import Limits
from crds.errors import TooManyRequests

ADA, BOB = Principal("ada", frozenset()), Principal("bob", frozenset())


def test_a_burst_then_the_rate():
    clock = Hands()
    limits = Limits(clock, per_second=10, watches=1)
    for _ in range(20):
        limits.admit(ADA)
    with pytest.raises(TooManyRequests) as refused:
        limits.admit(ADA)
    assert refused.value.retry_after == 1
    limits.admit(BOB)
    clock.forward(1.0)
    for _ in range(10):
        limits.admit(ADA)
    with pytest.raises(TooManyRequests):
        limits.admit(ADA)


def test_the_house_itself_is_not_limited():
    limits, root = Limits(Hands(), per_second=1, watches=0), Principal("root", frozenset({MASTERS}))
    for _ in range(100):
        limits.admit(root)
    with limits.watching(root):
        pass


def test_watches_are_given_back():
    limits = Limits(Hands(), per_second=1, watches=1)
    with limits.watching(ADA), pytest.raises(TooManyRequests), limits.watching(ADA):
        pass
    with limits.watching(ADA):
        pass
