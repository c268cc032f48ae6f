"""What an agent does about containers of ours: exact times, with a daemon and a conductor that may be away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from agent.errors import Unreachable
from agent.swarm.container_watcher import GATHER_SECONDS, RECONNECT_SECONDS, ContainerWatcher
from controller.docker.local_engine import UNHEALTHY, ContainerEvent
from controller.kit.clock import LoopClock
from controller.runtime.driver import DriverError
from crds.kinds.service import SERVICE

pytestmark = pytest.mark.anyio
WEB, API = SERVICE.key("web", "default"), SERVICE.key("api", "shop")


class Daemon:
    """Happens what the test says; `slow` seconds for each kill."""

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.told: Callable[[ContainerEvent], None] | None = None
        self.killed: list[tuple[float, str]] = []
        self.followed: list[float] = []
        self.sick: list[ContainerEvent] = []
        self.slow, self.refuses, self.ended = 0.0, False, anyio.Event()

    async def follow(self, told: Callable[[ContainerEvent], None]) -> None:
        self.followed.append(self.clock.elapsed)
        if self.refuses:
            raise DriverError("no daemon")
        self.told, self.ended = told, anyio.Event()
        await self.ended.wait()

    async def unhealthy(self) -> list[ContainerEvent]:
        return self.sick

    async def kill(self, container: str) -> bool:
        await anyio.sleep(self.slow)
        if container == "stubborn":
            raise DriverError("it will not die")
        self.killed.append((round(self.clock.elapsed, 3), container))
        return container != "gone"

    def happens(self, key: Any, what: str, container: str = "c1") -> None:
        assert self.told is not None
        self.told(ContainerEvent(key, container, what))


class House:
    """An agent's part that follows containers, running."""

    def __init__(self) -> None:
        self.daemon = Daemon()
        self.posted: list[tuple[float, list[str]]] = []
        self.away = 0.0

    async def tell(self, path: str, body: dict[str, Any]) -> None:
        assert path == "/agents/container-events"
        if self.away:
            await anyio.sleep(self.away)
            raise Unreachable("away")
        names = [f"{each['namespace']}/{each['name']}" for each in body["services"]]
        self.posted.append((round(self.daemon.clock.elapsed, 3), names))

    async def run(self, story: Callable[[], Any]) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ContainerWatcher(self.daemon, self.tell).run)
            await anyio.sleep(0.001)
            await story()
            tasks.cancel_scope.cancel()


@pytest.fixture
async def house() -> House:
    return House()


async def test_a_burst_is_told_once_after_a_moment(house: House) -> None:
    async def story() -> None:
        for what in ("start", "die", "start"):
            house.daemon.happens(WEB, what)
            await anyio.sleep(0.01)
        house.daemon.happens(API, "die")
        await anyio.sleep(10)

    await house.run(story)
    assert house.posted == [(round(0.001 + GATHER_SECONDS, 3), ["default/web", "shop/api"])]


async def test_one_that_fails_its_health_check_is_killed_at_once(house: House) -> None:
    async def story() -> None:
        house.daemon.happens(WEB, "health_status: healthy", "fine")
        house.daemon.happens(WEB, UNHEALTHY, "hangs")
        await anyio.sleep(1)

    await house.run(story)
    assert house.daemon.killed == [(0.001, "hangs")]


async def test_a_conductor_that_is_away_delays_no_killing(house: House) -> None:
    house.away = 6.0

    async def story() -> None:
        house.daemon.happens(WEB, "start")
        await anyio.sleep(1)
        house.daemon.happens(WEB, UNHEALTHY, "hangs")
        await anyio.sleep(20)

    await house.run(story)
    assert house.daemon.killed == [(1.001, "hangs")] and not house.posted


async def test_a_daemon_that_hangs_delays_no_news(house: House) -> None:
    house.daemon.slow = 5.0

    async def story() -> None:
        house.daemon.happens(WEB, UNHEALTHY, "hangs")
        await anyio.sleep(0.1)
        house.daemon.happens(API, "die")
        await anyio.sleep(0.1)

    await house.run(story)
    assert [names for _, names in house.posted] == [["default/web"], ["shop/api"]]


async def test_what_cannot_be_killed_holds_up_nobody(house: House) -> None:
    async def story() -> None:
        for container in ("stubborn", "gone", "hangs"):
            house.daemon.happens(WEB, UNHEALTHY, container)
        await anyio.sleep(1)

    await house.run(story)
    assert [each for _, each in house.daemon.killed] == ["gone", "hangs"]


async def test_a_daemon_that_restarts_is_followed_again_for_ever(house: House) -> None:
    """And what began to hang while nobody listened is found."""

    async def story() -> None:
        house.daemon.refuses = True
        house.daemon.ended.set()
        await anyio.sleep(99.5 * RECONNECT_SECONDS)
        house.daemon.refuses = False
        house.daemon.sick = [ContainerEvent(WEB, "hung long ago", UNHEALTHY)]
        await anyio.sleep(RECONNECT_SECONDS + GATHER_SECONDS)

    await house.run(story)
    assert len(house.daemon.followed) == 101
    assert "hung long ago" in [each for _, each in house.daemon.killed]
    assert house.posted[-1][1] == ["default/web"]


async def test_a_crowd_that_hangs_is_left_to_swarm(house: House) -> None:
    house.daemon.slow = 5.0

    async def story() -> None:
        for number in range(1000):
            house.daemon.happens(WEB, UNHEALTHY, f"c{number}")
        await anyio.sleep(10_000)

    await house.run(story)
    assert 100 <= len(house.daemon.killed) <= 101
