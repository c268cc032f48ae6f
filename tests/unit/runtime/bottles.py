"""A machine in a bottle: children that end when told, answers on demand, virtual time."""

from __future__ import annotations

import random
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio

from controller.kit.clock import LoopClock
from controller.kit.threads import Inline
from controller.runtime.driver import ObservedInstance, RuntimeEvent, Workload
from controller.runtime.process.driver import ProcessDriver
from controller.runtime.process.process_host import Child
from controller.runtime.process.processes import Exit
from controller.runtime.process.spawning import SpawnFailed
from controller.runtime.process.state_files import InstanceRecord
from crds.meta import ObjectKey
from crds.probes import Probe

KEY = ObjectKey("aerekos.cloud", "services", "default", "web")


class FakeChild:
    """Obeys SIGTERM unless `stubborn`; always SIGKILL."""

    def __init__(self, pid: int, *, stubborn: bool = False) -> None:
        self.pid, self.stubborn, self.signals = pid, stubborn, []  # type: ignore[var-annotated]
        self._ended, self._exit = anyio.Event(), Exit()

    def end(self, exit: Exit) -> None:
        self._exit = exit
        self._ended.set()

    async def wait(self) -> Exit:
        await self._ended.wait()
        return self._exit

    def signal(self, number: int) -> None:
        self.signals.append(number)
        if number == signal.SIGKILL or (number == signal.SIGTERM and not self.stubborn):
            self.end(Exit(signal=number))

    def signal_leader(self, number: int) -> None:
        self.signals.append(("leader", number))
        if not self.stubborn and number != signal.SIGHUP:
            self.end(Exit(code=0))

    def close(self) -> None:
        pass


class FakeMachine:
    """Remembers when it was asked to start what."""

    def __init__(self, clock: LoopClock) -> None:
        self.clock, self.children, self.started_at = clock, {}, []  # type: ignore[var-annotated]
        self.left: list[tuple[InstanceRecord, Child]] = []
        self.discarded: list[str] = []
        self.unreadable: list[str] = []
        self.stubborn = self.fails = self.full = False
        self.put: dict[str, dict[str, bytes]] = {}
        self.lacks_walls = self.lets_in = ""

    async def spawn(self, wish: Workload, instance: str, port: int, now: datetime) -> tuple[Child, int, str]:
        self.started_at.append(self.clock.elapsed)
        if self.fails:
            raise SpawnFailed("no such command")
        child = FakeChild(len(self.started_at), stubborn=self.stubborn)
        self.children[instance] = child
        return child, 4000 + len(self.started_at), ""

    def end_unreadable(self) -> Sequence[str]:
        return self.unreadable

    def adopt(self) -> list[tuple[InstanceRecord, Child]]:
        return self.left

    def release(self, port: int) -> None:
        pass

    def socket(self, instance: str) -> str:
        return ""

    def discard(self, instance: str) -> None:
        self.discarded.append(instance)

    async def forget(self, key: ObjectKey) -> None:
        pass

    def env(self, wish: Workload, instance: str, port: int) -> dict[str, str]:
        return {}

    async def inside(
        self, wish: Workload, instance: str, port: int, command: Sequence[str], *, terminal: bool = False
    ) -> Sequence[str]:
        return ("as", instance, *command)

    def ports(self, wish: Workload, instance: str, port: int) -> Mapping[int, int]:
        return {each.port: port + number for number, each in enumerate(wish.ports)}

    async def exposed(self, wish: Workload, instance: str, port: int) -> str:
        return self.lets_in

    async def put_live_files(self, wish: Workload, instance: str) -> bool:
        if self.full:
            raise OSError("no space left")
        before, self.put[instance] = self.put.get(instance), {each.path: each.content for each in wish.files}
        return before != self.put[instance]

    async def refuses_programs(self) -> str:
        return self.lacks_walls

    async def lacks(self) -> Sequence[str]:
        return ()


class FakeProber:
    """Answers `answer` for each kind of question, and remembers when it was asked."""

    def __init__(self, clock: LoopClock) -> None:
        self.clock = clock
        self.answers: dict[str, str | None] = {}
        self.asked_at: dict[str, list[float]] = {}

    async def ask(self, probe: Probe, address: str, env: Mapping[str, str]) -> str | None:
        path = probe.http_get.path if probe.http_get else ""
        self.asked_at.setdefault(path, []).append(round(self.clock.elapsed, 6))
        return self.answers.get(path)

    async def forget(self, probe: Probe, address: str) -> None:
        pass


class Bottle:
    """What a test holds in its hands."""

    def __init__(self, home: Path) -> None:
        self.clock = LoopClock()
        self.machine, self.prober = FakeMachine(self.clock), FakeProber(self.clock)
        self.told: list[tuple[float, RuntimeEvent]] = []
        self.driver = ProcessDriver(
            home,
            worker="here",
            clock=self.clock,
            rng=random.Random(7),
            host=self.machine,
            prober=self.prober,
            rotate_every_seconds=1e9,
            threads=Inline(),  # time that jumps waits for no thread
        )
        self.driver.on_event(lambda news: self.told.append((round(self.clock.elapsed, 3), news)))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            await tasks.start(self._run)
            yield
            tasks.cancel_scope.cancel()

    async def _run(self, *, task_status: Any) -> None:
        await self.driver.run(task_status=task_status)

    async def seen(self) -> list[ObservedInstance]:
        return list(await self.driver.observe(KEY))

    def when(self, reason: str) -> list[float]:
        return [at for at, news in self.told if news.reason == reason]
