"""One leader at a time, in virtual time: whoever dies, hangs, loses the conductor or has a wrong clock."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from controller.kit.clock import LoopClock
from crds.errors import Unavailable
from crds.kinds.lease import LEASE, LeaseSpec
from services.sdk.leader_election import LeaderElection
from services.sdk.testing import FakeConductor, MemoryResources, fake_context, virtual_time


class Candidates:
    """Instances of one service. `leading`: those that work now; never two (`together` says when there were)."""

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.resources = MemoryResources(self.clock)
        self.leading: list[str] = []
        self.history: list[str] = []
        self.together: list[str] = []

    def candidate(self, name: str, resources: Any = None, clock: Any = None, retry: float = 2.0) -> LeaderElection:
        conductor = FakeConductor(clock or self.clock)
        with tempfile.TemporaryDirectory() as folder:
            context = fake_context("notes_manager", Path(folder), conductor, resources or self.resources)
        context.name = name
        return LeaderElection(context, "sweeper", retry_seconds=retry, rng=random.Random(1))

    def work_of(self, name: str) -> Callable[[], Any]:
        async def work() -> None:
            self.together += [f"{name} beside {each}" for each in self.leading]
            self.leading.append(name)
            self.history.append(name)
            try:
                await anyio.sleep_forever()
            finally:
                self.leading.remove(name)

        return work

    @asynccontextmanager
    async def running(self, *elections: tuple[str, LeaderElection]) -> Any:
        async with anyio.create_task_group() as tasks:
            for name, election in elections:
                tasks.start_soon(election.run, self.work_of(name))
            yield tasks
            tasks.cancel_scope.cancel()
        assert not self.together


class Flaky:
    """Resources that cannot be reached while `away`."""

    def __init__(self, inner: MemoryResources) -> None:
        self._inner, self.away = inner, False

    def __getattr__(self, name: str) -> Any:
        if self.away:
            raise Unavailable("the conductor is away")
        return getattr(self._inner, name)


@virtual_time
async def test_one_leads_and_the_lease_says_who() -> None:
    house = Candidates()
    a, b = house.candidate("a"), house.candidate("b")
    async with house.running(("a", a), ("b", b)):
        await anyio.sleep(60)
        assert house.history == ["a"] and a.is_leader and not b.is_leader
        lease = await house.resources.get(LEASE, "notes-manager-sweeper")
        assert lease.spec.holder_identity == a.identity and lease.spec.lease_duration_seconds == 15
        assert lease.spec.renew_time is not None and lease.spec.acquire_time is not None
        assert lease.spec.renew_time > lease.spec.acquire_time
        assert house.clock.now() - lease.spec.renew_time < timedelta(seconds=3)
    assert not house.leading and not a.is_leader


@virtual_time
async def test_who_stops_gives_it_back_and_the_next_begins_at_once() -> None:
    house = Candidates()
    a, b = house.candidate("a"), house.candidate("b")
    async with house.running(("b", b)) as tasks:
        await anyio.sleep(0.1)
        async with house.running(("a", a)):
            await anyio.sleep(30)
        tasks.cancel_scope.cancel()
    async with house.running(("a", a)):
        await anyio.sleep(3)
        assert house.history == ["b", "a"] and a.term == 1


@virtual_time
async def test_who_dies_is_followed_when_the_lease_has_run_out() -> None:
    house = Candidates()
    spec = LeaseSpec(holder_identity="dead", lease_duration_seconds=15, lease_transitions=4)
    await house.resources.create(LEASE, LEASE.new("notes-manager-sweeper", namespace="default", spec=spec))
    a = house.candidate("a")
    async with house.running(("a", a)):
        await anyio.sleep(14.9)
        assert not house.history
        await anyio.sleep(3)
        assert house.history == ["a"] and a.term == 5


@virtual_time
async def test_who_loses_the_conductor_stops_before_another_one_may_begin() -> None:
    house = Candidates()
    flaky = Flaky(house.resources)
    a, b = house.candidate("a", flaky), house.candidate("b")
    async with house.running(("a", a), ("b", b)):
        await anyio.sleep(30)
        flaky.away, began = True, anyio.current_time()
        while house.leading == ["a"]:  # noqa: ASYNC110 - virtual time
            await anyio.sleep(0.1)
        stopped = anyio.current_time() - began
        while not house.leading:  # noqa: ASYNC110 - virtual time
            await anyio.sleep(0.1)
        assert stopped <= 10.2 and anyio.current_time() - began >= 12.9
        flaky.away = False
        await anyio.sleep(120)
    assert house.history == ["a", "b"]


@virtual_time
async def test_a_renewal_counts_from_its_beginning_however_late_the_answer_comes() -> None:
    house = Candidates()

    class Slow(Flaky):
        async def replace(self, kind: Any, resource: Any) -> Any:
            written = await self._inner.replace(kind, resource)
            await anyio.sleep(7.9)
            self.away = True
            return written

    a, b = house.candidate("a", Slow(house.resources)), house.candidate("b", retry=0.1)
    async with house.running(("a", a), ("b", b)):
        await anyio.sleep(60)
    assert house.history[:2] == ["a", "b"], "and never both at once"


@virtual_time
async def test_a_wrong_clock_takes_nothing_from_anybody() -> None:
    house = Candidates()

    class Wrong(LoopClock):
        def now(self) -> Any:
            return super().now() + timedelta(days=400)

    a, b = house.candidate("a"), house.candidate("b", clock=Wrong())
    async with house.running(("a", a), ("b", b)):
        await anyio.sleep(120)
    assert house.history == ["a"]


@virtual_time
async def test_work_that_fails_is_begun_again() -> None:
    house, tries = Candidates(), 0

    async def fails() -> None:
        nonlocal tries
        tries += 1
        raise RuntimeError("broken")

    with anyio.move_on_after(20):
        await house.candidate("a").run(fails)
    assert 5 <= tries <= 11


@virtual_time
async def test_periods_that_could_give_two_leaders_are_refused() -> None:
    house = Candidates()
    with tempfile.TemporaryDirectory() as folder:
        context = fake_context("notes_manager", Path(folder), FakeConductor(house.clock), house.resources)
    with pytest.raises(ValueError, match="must hold"):
        LeaderElection(context, "x", lease_seconds=10, renew_seconds=10)
