"""Losing a Swarm and coming back, under a virtual clock; the real thing is in tests/swarm/test_agent.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from agent.conductor_client import ConductorClient
from agent.errors import AgentError, CannotJoin
from agent.settings import Settings
from agent.swarm import join
from agent.swarm.membership import AGENT_SERVICE, LEAVER, REJOIN_AFTER_SECONDS, Membership
from controller.docker.node_info import SwarmNodeInfo
from controller.kit.clock import LoopClock
from controller.runtime.driver import DriverError

pytestmark = pytest.mark.anyio
IN = SwarmNodeInfo("n1", "10.0.0.2", "active", False, ("10.0.0.1:2377",), "20.10.24", "/var/lib/docker")
OUT = replace(IN, node_id="", address="", state="inactive", managers=())
LOOK = 5.0


class Beside:
    """The daemon: whether an agent of the Swarm runs here, and what was started beside it."""

    def __init__(self) -> None:
        self.is_task, self.refuses = True, False
        self.started: list[tuple[str, str, list[str]]] = []

    async def run_beside(self, name: str, task_of: str, command: Sequence[str]) -> bool:
        if self.refuses:
            raise DriverError("no daemon")
        if self.is_task:
            self.started.append((name, task_of, list(command)))
        return self.is_task


class House:
    """A membership that is shown a place each five seconds."""

    def __init__(self, home: Path) -> None:
        self.clock, self.docker, self.home = LoopClock(), Beside(), home
        self.place = IN
        self.joined: list[float] = []
        self.refusal: Exception | None = None
        self.membership = self.made()

    def made(self) -> Membership:
        settings = Settings("oak", self.home, ("https://a",))
        return Membership(settings, self.docker, self.clock, self.join)  # type: ignore[arg-type]

    async def join(self, urls: Sequence[str]) -> None:
        assert list(urls) == ["https://a"]
        self.joined.append(self.clock.elapsed)
        if self.refusal is not None:
            raise self.refusal
        self.place = IN

    async def run(self, *steps: tuple[float, SwarmNodeInfo]) -> None:
        """From then on, the place is that one; the last step's seconds are the rest of the time."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.membership.run, ConductorClient(["https://a"], self.clock))
            for seconds, place in steps:
                self.place = place
                until = self.clock.elapsed + seconds
                while self.clock.elapsed < until:
                    self.membership.observe(self.place)
                    await anyio.sleep(LOOK)
            tasks.cancel_scope.cancel()


@pytest.fixture
async def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def test_who_lost_its_swarm_joins_again_after_some_patience(house: House) -> None:
    await house.run((60, IN), (100, OUT))
    assert house.joined == [60 + REJOIN_AFTER_SECONDS]


@pytest.mark.parametrize("state", ["error", "pending", "locked", "inactive"])
async def test_every_state_but_active_is_a_loss(house: House, state: str) -> None:
    await house.run((5, IN), (40, replace(OUT, state=state)))
    assert len(house.joined) == 1


async def test_a_daemon_that_only_restarts_is_left_alone(house: House) -> None:
    restarting = replace(IN, state="pending")
    await house.run(
        (10, IN), (REJOIN_AFTER_SECONDS - 5, restarting), (20, IN), (REJOIN_AFTER_SECONDS - 5, restarting), (60, IN)
    )
    assert not house.joined


async def test_a_machine_that_never_was_in_the_swarm_is_not_made_to_join(house: House) -> None:
    await house.run((1000, OUT))
    assert not house.joined


async def test_a_restarted_agent_remembers_that_it_was(house: House) -> None:
    await house.run((10, IN))
    house.membership = house.made()
    await house.run((40, OUT))
    assert len(house.joined) == 1


@pytest.mark.parametrize("refusal", [AgentError("away"), CannotJoin("no manager"), DriverError("Docker hangs")])
async def test_a_try_that_fails_is_repeated_with_the_same_patience(house: House, refusal: Exception) -> None:
    house.refusal = refusal
    await house.run((5, IN), (100, OUT))
    assert house.joined == [35, 65, 95]


async def test_a_manager_is_never_made_to_leave(house: House) -> None:
    """Its store is the Swarm: a person decides."""
    await house.run((5, replace(IN, manager=True)), (300, OUT))
    assert not house.joined


async def test_word_to_leave_starts_something_that_outlives_the_agent(house: House) -> None:
    house.docker.refuses = True
    house.membership.request_leave()
    await house.run((5, IN))
    assert not house.membership.is_leaving, "it is said only when it is true"
    house.docker.refuses = False
    for _ in range(3):  # the conductor says it with every beat
        house.membership.request_leave()
    await house.run((5, IN))
    assert house.membership.is_leaving
    assert house.docker.started == [(LEAVER, AGENT_SERVICE, ["aerekos-agent", "leave", "--when-empty"])]
    await house.run((100, OUT))
    assert not house.joined, "who was told to leave does not come back"


async def test_an_agent_outside_the_swarm_leaves_by_itself_and_ends(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.docker.is_task = False
    left = []

    async def leave(settings: Settings, *, when_empty: bool, say: object) -> None:
        left.append(when_empty)

    monkeypatch.setattr(join, "leave", leave)
    house.membership.request_leave()
    with pytest.raises(ExceptionGroup) as ended:
        await house.run((5, IN))
    assert ended.group_contains(CannotJoin, match="has left the cloud") and left == [True]
