"""Which instance a request goes to: ready ones in turn, those that failed last."""

from __future__ import annotations

from collections import Counter

import pytest
from unit.api.components import House

from api.gateway.load_balancer import OPEN_SECONDS
from crds.errors import NotFound, Unavailable

pytestmark = pytest.mark.anyio
A, B, C = "127.0.0.1:1001", "127.0.0.1:1002", "127.0.0.1:1003"


async def test_ready_instances_take_turns(house: House) -> None:
    await house.add_service("web", A, B, C)
    assert Counter(house.balancer.candidates("web")[0] for _ in range(30)) == {A: 10, B: 10, C: 10}
    assert sorted(house.balancer.candidates("web")) == [A, B, C]


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


async def test_three_failures_in_a_row_give_an_instance_a_rest(house: House) -> None:
    await house.add_service("web", A, B)
    for _ in range(2):
        house.balancer.record_failure(A)
    assert {house.balancer.candidates("web")[0] for _ in range(4)} == {A, B}
    house.balancer.record_failure(A)
    assert {house.balancer.candidates("web")[0] for _ in range(4)} == {B}
    assert A in house.balancer.candidates("web")  # the last resort, when everybody fails
    house.clock.forward(OPEN_SECONDS)
    assert {house.balancer.candidates("web")[0] for _ in range(4)} == {A, B}


async def test_after_its_rest_one_failure_is_enough_and_one_success_forgives(house: House) -> None:
    await house.add_service("web", A, B)
    for _ in range(3):
        house.balancer.record_failure(A)
    house.clock.forward(OPEN_SECONDS)
    house.balancer.record_failure(A)
    assert {house.balancer.candidates("web")[0] for _ in range(4)} == {B}
    house.balancer.record_success(A)
    house.balancer.record_failure(A)
    assert {house.balancer.candidates("web")[0] for _ in range(4)} == {A, B}
