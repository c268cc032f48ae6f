"""Token buckets: never more than rate and burst allow, whoever asks, and no more of them than there may be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.edge import token_buckets
from api.edge.token_buckets import BURST_SECONDS, TokenBuckets


class Now:
    """A clock a test moves."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


@given(st.integers(1, 50), st.lists(st.floats(0, 3, allow_nan=False), min_size=1, max_size=80))
def test_no_stretch_of_time_admits_more_than_rate_and_burst(rate: int, pauses: list[float]) -> None:
    now = Now()
    buckets = TokenBuckets(rate, now)
    admitted: list[float] = []
    for pause in pauses:
        now.at += pause
        verdict = buckets.take("x")
        if verdict.admitted:
            admitted.append(now.at)
        else:
            assert (int(verdict.left), verdict.retry_after >= 1) == (0, True)
        assert 0 <= verdict.left <= verdict.most
    for first in range(len(admitted)):
        count, seconds = len(admitted) - first, admitted[-1] - admitted[first]
        assert count <= rate * (seconds + BURST_SECONDS) + 1e-6


@given(st.integers(1, 50))
def test_who_waits_as_told_is_admitted(rate: int) -> None:
    now = Now()
    buckets = TokenBuckets(rate, now)
    while (verdict := buckets.take("x")).admitted:
        pass
    now.at += verdict.retry_after
    assert buckets.take("x").admitted
    now.at += verdict.reset
    assert buckets.take("x").left == pytest.approx(verdict.most - 1)


def test_there_are_no_more_buckets_than_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_buckets, "MOST_BUCKETS", 100)
    now = Now()
    buckets = TokenBuckets(1, now)
    for number in range(1000):
        buckets.take(f"address {number}")
        assert len(buckets) <= 100
    now.at += BURST_SECONDS
    for number in range(101):
        buckets.take(f"later {number}")
    assert len(buckets) <= 100
    assert int(buckets.take("later 100").left) == 0, "those who ask now keep their bucket"


def test_another_rate_counts_from_now_on() -> None:
    now = Now()
    buckets = TokenBuckets(10, now)
    assert buckets.take("x").most == 20
    buckets.per_second = 1
    assert buckets.take("x").most == 2
    assert [buckets.take("x").admitted for _ in range(2)] == [True, False]
