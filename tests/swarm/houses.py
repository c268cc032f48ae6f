"""A swarm driver that runs, and what it told; for tests that act as the loop does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
from swarm.node import PATIENCE_SECONDS

from controller.docker.client import DockerClient
from controller.kit.clock import SystemClock
from controller.runtime.driver import DriverError, ObservedInstance, RuntimeEvent, Workload
from controller.runtime.swarm import SwarmDriver
from crds.meta import ObjectKey
from crds.probes import Exec, Probe, Probes

KEY = ObjectKey("aerekos.cloud", "services", "default", "web")
SCRIPT = 'echo serving as $SAYS; echo $SAYS > /www/index.html; exec httpd -f -p "$PORT" -h /www'


def workload(image: str, says: str = "one", replicas: int = 1, **more: object) -> Workload:
    """A web server that says one word."""
    # Asked by hand: the wget of Debian's static busybox crashes outside Debian.
    asking = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 1 127.0.0.1 $PORT | grep -q 200"
    question = Exec(command=["sh", "-c", asking])
    probe = Probe(exec=question, period_seconds=0.3, timeout_seconds=1, failure_threshold=2)
    made: dict[str, object] = {
        "key": KEY,
        "uid": "uid-web",
        "revision": says,
        "replicas": replicas,
        "image": image,
        "command": ("sh", "-c", SCRIPT),
        "env": {"PORT": "{port}", "SAYS": says},
        "probes": Probes(liveness=probe),
        "stop_grace_seconds": 1.0,
    }
    return Workload(**{**made, **more})  # type: ignore[arg-type]


class House:
    """`until` applies again whenever there is news, as the loop does."""

    def __init__(self, driver: SwarmDriver, docker: DockerClient) -> None:
        self.driver, self.docker = driver, docker
        self.told: list[RuntimeEvent] = []
        self._changed = anyio.Event()
        driver.on_event(self._hear)

    def _hear(self, news: RuntimeEvent) -> None:
        self.told.append(news)
        self._changed.set()

    @property
    def reasons(self) -> list[str]:
        return [news.reason for news in self.told]

    async def until(
        self, wanted: Workload, holds: Callable[[list[ObservedInstance]], bool]
    ) -> list[ObservedInstance]:
        seen: list[ObservedInstance] = []
        with anyio.move_on_after(PATIENCE_SECONDS):
            while True:
                await self.driver.apply(wanted)
                seen = list(await self.driver.observe(wanted.key))
                if holds(seen):
                    return seen
                self._changed = anyio.Event()
                with anyio.move_on_after(0.3):
                    await self._changed.wait()
        raise AssertionError(f"not within {PATIENCE_SECONDS:g} s; seen: {seen}; told: {self.told}")

    async def seen(self, holds: Callable[[list[ObservedInstance]], bool]) -> list[ObservedInstance]:
        """Until it holds, without applying anything."""
        with anyio.fail_after(PATIENCE_SECONDS):
            while not holds(seen := list(await self.driver.observe(KEY))):  # noqa: ASYNC110 not all is news
                await anyio.sleep(0.1)
        return seen

    async def refused(self, wanted: Workload, reason: str) -> str:
        """Applies as the loop does until it is refused for that reason; what the refusal says."""
        with anyio.fail_after(PATIENCE_SECONDS):
            while True:
                try:
                    await self.driver.apply(wanted)
                except DriverError as refused:
                    if refused.reason == reason:
                        return str(refused)
                self._changed = anyio.Event()
                with anyio.move_on_after(0.3):
                    await self._changed.wait()

    async def told_of(self, reason: str) -> RuntimeEvent:
        with anyio.fail_after(PATIENCE_SECONDS):
            while reason not in self.reasons:
                self._changed = anyio.Event()
                await self._changed.wait()
        return next(news for news in self.told if news.reason == reason)

    async def gone(self, key: ObjectKey = KEY) -> None:
        with anyio.fail_after(PATIENCE_SECONDS):
            while not await self.driver.remove(key):  # noqa: ASYNC110 a forgotten thing tells no news
                await anyio.sleep(0.1)


@asynccontextmanager
async def running(url: str, *, leave: bool = False, keys: tuple[ObjectKey, ...] = (KEY,)) -> AsyncIterator[House]:
    docker = DockerClient(url)
    driver = SwarmDriver(docker, SystemClock())
    async with anyio.create_task_group() as group:
        await group.start(driver.run)
        house = House(driver, docker)
        try:
            yield house
        finally:
            with anyio.CancelScope(shield=True):
                for key in () if leave else keys:
                    await house.gone(key)
            group.cancel_scope.cancel()


def all_ready(count: int, revision: str = "one") -> Callable[[list[ObservedInstance]], bool]:
    return lambda seen: len(seen) == count and all(each.ready and each.revision == revision for each in seen)
