"""The gateways of this machine: processes beside the conductor, started and healed by it, adopted by the next one.

The conductor opens the sockets they listen on and keeps them: clients of a gateway that was killed wait in the kernel
until the next one takes them, and are not refused. It has none of those it adopted, and opens new ones when they end.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import sys
from dataclasses import dataclass
from functools import partial
from threading import Lock

import anyio
import structlog
from anyio.abc import TaskGroup

from api.gateway.hand_over import LEAVING, READY
from controller.kit.backoff import Backoff
from controller.kit.clock import Clock
from controller.kit.listening import FIRST_INHERITED, CannotListen, open_listeners
from controller.kit.threads import BlockingExecutor
from controller.kit.version import commit, version
from controller.main.gateway_records import GRACE_SECONDS, GatewayRecord, read_gateways, write_gateways
from controller.main.settings import Settings
from controller.runtime.driver import Limits
from controller.runtime.process.crash_backoff import CrashBackoff
from controller.runtime.process.processes import Process, boot_id
from controller.runtime.process.spawning import Launch, SpawnFailed, inherited_environment, spawn

log = structlog.get_logger("conductor")
BACKLOG = 2048
HUNG_SECONDS = 20.0
_BACKOFF = Backoff(first=0.5, factor=2.0, limit=10.0)


def default_count() -> int:
    """One core is left to the conductor."""
    return max(1, len(os.sched_getaffinity(0)) - 1)


@dataclass(slots=True)
class _Running:
    """`status`: where it writes to how it is; -1 for one that was adopted. `ready`: it was, so it can hang."""

    process: Process
    status: int = -1
    ready: bool = False


class Gateways:
    """Keeps as many gateways as the settings say, until it is told to stop."""

    def __init__(self, settings: Settings, clock: Clock, rng: random.Random, threads: BlockingExecutor) -> None:
        self._settings, self._clock, self._rng, self._threads = settings, clock, rng, threads
        self._numbers = range(settings.gateways or default_count())
        self._running: dict[int, _Running] = {}
        self._leaving: list[_Running] = []
        """Those that go as soon as there is another one."""
        self._listeners: dict[int, list[socket.socket]] = {}
        self._records: list[GatewayRecord] = []
        self._remembering = Lock()
        self._opened = self._stopping = False

    def open(self) -> None:
        """Adopt those that live, and listen where there is none; what is open stays so. Raises CannotListen."""
        if self._opened:
            return
        self._records = read_gateways(self._settings.home)
        for record in reversed(self._records):
            self._adopt(record)
        for number in self._numbers:
            if number not in self._running:
                self._listen(number)
        self._opened = True

    async def run(self) -> None:
        """Start them, and again when they end, until cancelled or stopped. After the first, it may be run again."""
        async with anyio.create_task_group() as group:
            for leaving in tuple(self._leaving):
                group.start_soon(self._see_off, leaving)
            for number in self._numbers:
                group.start_soon(self._keep, number, group)

    def stop(self) -> None:
        """Have them take nothing more, finish what is under way, and end."""
        self._stopping = True
        for number in tuple(self._listeners):
            self._close(number)
        for each in self._all:
            each.process.signal_leader(signal.SIGTERM)

    async def wait_stopped(self) -> None:
        """Until the last one has ended; one that takes too long is killed. `run` must have ended."""
        with anyio.move_on_after(GRACE_SECONDS) as patience:
            await self._all_ended()
        if patience.cancelled_caught:
            for each in self._all:
                each.process.signal(signal.SIGKILL)
            await self._all_ended()
        write_gateways(self._settings.home, [])

    @property
    def _all(self) -> list[_Running]:
        return [*self._leaving, *self._running.values()]

    async def _all_ended(self) -> None:
        for number, running in tuple(self._running.items()):
            await running.process.wait()
            self._running.pop(number).process.close()
        while self._leaving:
            await self._leaving[0].process.wait()
            self._leaving.pop(0).process.close()

    async def _keep(self, number: int, group: TaskGroup) -> None:
        backoff = CrashBackoff(_BACKOFF, self._clock, self._rng)
        while not self._stopping:
            why = "" if number in self._running else await self._start(number)
            if running := self._running.get(number):
                backoff.note_ready()
                why = await self._watch(number, running, group)
                backoff.note_not_ready()
            if why and not self._stopping:
                pause = backoff.next_delay()
                log.warning("a gateway is started again", number=number, because=why, after_seconds=round(pause, 1))
                await anyio.sleep(pause)

    async def _watch(self, number: int, running: _Running, group: TaskGroup) -> str:
        """Why it ended; empty when it lives, and wants another one to take over."""
        while running.status >= 0:
            with anyio.move_on_after(HUNG_SECONDS if running.ready else None) as patience:
                await anyio.wait_readable(running.status)
            if patience.cancelled_caught:
                running.process.signal(signal.SIGKILL)
                await self._ended(number)
                return f"it gave no sign of life for {HUNG_SECONDS:g} s"
            told = os.read(running.status, 64)
            if READY in told:
                running.ready = True
                self._relieve()
            if LEAVING in told or not told:
                os.close(running.status)
                running.status = -1
            if LEAVING in told:
                log.info("a gateway asks for another one to take over", number=number, pid=running.process.pid)
                self._leaving.append(self._running.pop(number))
                group.start_soon(self._see_off, running)
                return ""
        return await self._ended(number)

    async def _ended(self, number: int) -> str:
        running = self._running[number]
        ended = await running.process.wait()
        if running.status >= 0:
            os.close(running.status)
        self._running.pop(number).process.close()
        return str(ended)

    def _relieve(self) -> None:
        for each in self._leaving:
            each.process.signal_leader(signal.SIGUSR1)

    async def _see_off(self, leaving: _Running) -> None:
        await leaving.process.wait()
        self._leaving.remove(leaving)
        leaving.process.close()

    async def _start(self, number: int) -> str:
        """Why it could not be started; empty when it was."""
        status, given = os.pipe()
        try:
            if number not in self._listeners:  # of one that was adopted
                self._listen(number)
            launch = self._launch(number, given)
            self._running[number] = await self._threads.run(lambda: self._spawn(number, launch, status))
        except (SpawnFailed, CannotListen) as refused:
            os.close(status)
            return str(refused)
        finally:
            os.close(given)
        return ""

    def _spawn(self, number: int, launch: Launch, status: int) -> _Running:
        """In a thread. Raises SpawnFailed."""
        process, _ = spawn(launch, partial(self._remember, number))
        return _Running(process, status)

    def _remember(self, number: int, pid: int, ticks: int) -> None:
        """On disk stands which process it is, before it may do anything."""
        where = (pid, ticks, boot_id(), self._settings.port)
        with self._remembering:
            self._records.append(GatewayRecord(number, *where, self._command, _program()))
            self._records = [each for each in self._records if each.alive]
            write_gateways(self._settings.home, self._records)

    def _adopt(self, record: GatewayRecord) -> None:
        try:
            found = _Running(Process(record.pid))
        except ProcessLookupError:
            return
        fits = record.command == self._command and record.program == _program()
        if fits and record.number in self._numbers and record.number not in self._running:
            log.info("a gateway goes on", number=record.number, pid=record.pid)
            self._running[record.number] = found
        else:
            log.info("a gateway that was started otherwise makes room", pid=record.pid)
            self._leaving.append(found)

    def _listen(self, number: int) -> None:
        """Raises CannotListen."""
        self._listeners[number] = open_listeners(self._settings.host, self._settings.port, BACKLOG, shared=True)

    def _close(self, number: int) -> None:
        for each in self._listeners.pop(number):
            each.close()

    def _launch(self, number: int, status: int) -> Launch:
        sockets = tuple(each.fileno() for each in self._listeners[number])
        handed = ("--sockets", str(len(sockets)), "--status", str(FIRST_INHERITED + len(sockets)))
        command, passed = (*self._command, "--number", str(number), *handed), (*sockets, status)
        return Launch(
            f"gateway-{number}",
            command,
            inherited_environment(),
            log=None,
            data=None,
            limits=Limits(),
            sockets=passed,
        )

    @property
    def _command(self) -> tuple[str, ...]:
        settings = self._settings
        where = ("--home", str(settings.home), "--host", settings.host, "--port", str(settings.port))
        told = {"--otlp-endpoint": settings.otlp_endpoint, "--services-path": settings.services_path}
        told["--content-port"] = str(settings.content_port or "")
        more = (word for name, value in told.items() if value for word in (name, value))
        return (sys.executable, "-P", "-m", "api.gateway", *where, "--log-level", settings.log_level, *more)


def _program() -> str:
    return f"{version()} {commit()}".strip()
