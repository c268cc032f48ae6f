"""Which instance a request goes to: the least busy one that does not fail, and never none because some fail."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from unit.api.components import House

from api.gateway.load_balancer import EJECT_AFTER_FAILURES, EJECT_SECONDS, FORGET_SECONDS, LONGEST_EJECTION_SECONDS
from api.gateway.retry_budget import ALWAYS_PER_SECOND, MOST_SAVED, RetryBudget
from crds.errors import NotFound, Unavailable

pytestmark = pytest.mark.anyio
A, B, C, D = (f"127.0.0.1:100{n}" for n in range(1, 5))


def first(house: House, times: int = 12) -> set[str]:
    return {house.balancer.candidates("web")[0] for _ in range(times)}


def fail(house: House, address: str, times: int = EJECT_AFTER_FAILURES) -> None:
    house.balancer.candidates("web")  # who fails was chosen before
    for _ in range(times):
        house.balancer.record_failure(address)


async def test_ready_instances_take_turns(house: House) -> None:
    await house.add_service("web", A, B, C)
    assert Counter(house.balancer.candidates("web")[0] for _ in range(30)) == {A: 10, B: 10, C: 10}
    assert sorted(house.balancer.candidates("web")) == [A, B, C]


async def test_the_one_with_the_fewest_requests_under_way_is_first(house: House) -> None:
    await house.add_service("web", A, B, C)
    house.balancer.active.update({A: 5, B: 1, C: 3})
    assert all(house.balancer.candidates("web") == [B, C, A] for _ in range(6))
    rng, busy = random.Random(1), house.balancer.active
    for _ in range(300):  # whatever ends when, all have about the same
        chosen = house.balancer.candidates("web")[0]
        busy[chosen] = busy.get(chosen, 0) + 1
        done = rng.choice([A, B, C])
        busy[done] = max(busy.get(done, 0) - 1, 0)
    assert max(busy.values()) - min(busy.values()) <= 5


async def test_an_instance_that_is_not_ready_gets_nothing(house: House) -> None:
    await house.add_service("web", A, unready=(B,))
    assert all(house.balancer.candidates("web") == [A] for _ in range(5))
    await house.add_service("web", A, B)
    assert sorted(house.balancer.candidates("web")) == [A, B]


async def test_nobody_ready_is_worth_another_try_and_no_service_is_not(house: House) -> None:
    await house.add_service("web", unready=(A,))
    with pytest.raises(Unavailable) as later:
        house.balancer.candidates("web")
    assert later.value.retry_after == 1
    with pytest.raises(NotFound):
        house.balancer.candidates("other")


async def test_three_failures_in_a_row_eject_an_instance_for_a_while(house: House) -> None:
    await house.add_service("web", A, B)
    fail(house, A, EJECT_AFTER_FAILURES - 1)
    assert first(house) == {A, B}
    house.balancer.record_success(A)
    fail(house, A, EJECT_AFTER_FAILURES - 1)
    assert first(house) == {A, B}
    fail(house, A, 1)
    assert first(house) == {B}
    assert A in house.balancer.candidates("web")  # the last resort, when everybody fails
    house.clock.forward(EJECT_SECONDS)
    assert first(house) == {A, B}


async def test_each_ejection_lasts_longer_up_to_a_bound_and_good_times_are_remembered_too(house: House) -> None:
    await house.add_service("web", A, B)
    lasted: list[float] = []
    fail(house, A, EJECT_AFTER_FAILURES - 1)
    for _ in range(8):
        fail(house, A, 1)
        seconds = 0.0
        while first(house) == {B}:
            house.clock.forward(1.0)
            seconds += 1.0
        lasted.append(seconds)
    assert lasted == [2, 4, 8, 16, 32, LONGEST_EJECTION_SECONDS, LONGEST_EJECTION_SECONDS, LONGEST_EJECTION_SECONDS]
    house.clock.forward(FORGET_SECONDS)
    fail(house, A, 1)
    house.clock.forward(EJECT_SECONDS)
    assert first(house) == {A, B}


async def test_never_more_than_half_are_ejected(house: House) -> None:
    await house.add_service("web", A, B, C, D)
    for address in (A, B, C, D):
        fail(house, address)
    assert first(house) == {C, D}
    await house.add_service("web", A)
    fail(house, A, 10)
    assert house.balancer.candidates("web") == [A]


async def test_what_is_remembered_goes_with_the_instance_and_stays_with_the_others(house: House) -> None:
    await house.add_service("web", A, B)
    fail(house, A)
    await house.add_service("web", A, B, C)
    assert first(house) == {B, C}
    await house.add_service("web", C, B)
    assert first(house) == {B, C}
    await house.add_service("web", A, B)
    assert first(house) == {A, B}, "another instance that was given the address has not failed"
    assert house.balancer.instance_at(A) == "web-0"
    assert set(house.balancer._hosts) == {A, B}, "addresses come and go, and nothing is kept of them"


async def test_of_many_only_some_are_compared(house: House) -> None:
    many = [f"127.0.0.1:{port}" for port in range(2000, 2040)]
    await house.add_service("web", *many)
    assert first(house, 40) == set(many)
    for address in many[:20]:
        fail(house, address)
    assert first(house, 120) >= set(many[20:])
    chosen = Counter(house.balancer.candidates("web")[0] for _ in range(400))
    assert sum(chosen[address] for address in many[20:]) > 200


def test_retries_are_a_fifth_of_requests_and_a_few_besides() -> None:
    now = [0.0]
    budget = RetryBudget(lambda: now[0])

    def spent() -> int:
        count = 0
        while budget.spend("web"):
            count += 1
        return count

    always = int(ALWAYS_PER_SECOND * 2)
    assert spent() == always
    for _ in range(100):
        budget.earn("web")
    assert 19 <= spent() <= 20
    for _ in range(10_000):
        budget.earn("web")
    assert spent() == MOST_SAVED
    assert not budget.spend("web")
    now[0] += 1.0
    assert spent() == ALWAYS_PER_SECOND
    assert budget.spend("other"), "each service has its own"
