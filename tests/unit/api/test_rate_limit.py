"""How much one identity may ask, to the exact second."""

import pytest
from unit.api.components import Hands, House

from api.auth.principal import MASTERS, SERVICES, WORKERS, Principal
from api.rate_limit import RateLimiter
from crds.errors import TooManyRequests

ADA, BOB = Principal("ada", frozenset()), Principal("bob", frozenset())


def test_a_burst_then_the_rate():
    clock = Hands()
    limits = RateLimiter(clock, per_second=10, watches=1)
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
    limits, root = RateLimiter(Hands(), per_second=1, watches=0), Principal("root", frozenset({MASTERS}))
    for _ in range(100):
        limits.admit(root)
    with limits.watching(root):
        pass


@pytest.mark.parametrize("group", [SERVICES, WORKERS])
def test_services_and_workers_may_ask_much_but_not_without_end(group: str) -> None:
    limits, somebody = RateLimiter(Hands(), per_second=1, watches=1), Principal("system:x", frozenset({group}))
    for _ in range(40):
        limits.admit(somebody)
    with pytest.raises(TooManyRequests):
        limits.admit(somebody)


def test_watches_are_given_back():
    limits = RateLimiter(Hands(), per_second=1, watches=1)
    with limits.watching(ADA), pytest.raises(TooManyRequests), limits.watching(ADA):
        pass
    with limits.watching(ADA):
        pass


@pytest.mark.anyio
@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/namespaces?watch=1",
        "/api/v1/namespaces?%77atch=true",
        "/api/v1/namespaces?limit=1&watch=TRUE",
        "/api/v1/namespaces/default/pods/web-0/log?follow=true",
        "/logs/default/web?follow=1",
    ],
)
async def test_whatever_goes_on_is_counted_however_it_is_written(house: House, path: str) -> None:
    house.conductor._limits = RateLimiter(house.clock, per_second=1000, watches=0)
    somebody = Principal("ada", frozenset({"aerekos:admin"}))
    await house.add_user("ada", "admin")
    async with house.client(house.bearer(somebody)) as client:
        refused = await client.get(path)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
        assert (await client.get("/api/v1/namespaces?watch=false")).status_code == 200
