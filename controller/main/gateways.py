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
from threading import Lock

import anyio
import structlog

from controller.kit.backoff import Backoff
from controller.kit.clock import Clock
from controller.kit.libraries import library_path
from controller.kit.listening import CannotListen, open_listeners
from controller.kit.threads import BlockingExecutor
from controller.kit.version import commit, version
from controller.main.gateway_records import GRACE_SECONDS, GatewayRecord, read_gateways, write_gateways
from controller.main.settings import Settings
from controller.runtime.driver import Limits
from controller.runtime.process.crash_backoff import CrashBackoff
from controller.runtime.process.processes import Process, boot_id, signal_leader
from controller.runtime.process.spawning import INHERITED, Launch, SpawnFailed, spawn

log = structlog.get_logger("conductor")
BACKLOG = 2048
_BACKOFF = Backoff(first=0.5, factor=2.0, limit=10.0)


def default_count() -> int:
    """One core is left to the conductor."""
    return max(1, len(os.sched_getaffinity(0)) - 1)


class Gateways:
    """Keeps as many gateways as the settings say, until it is told to stop."""

    def __init__(self, settings: Settings, clock: Clock, rng: random.Random, threads: BlockingExecutor) -> None:
        self._settings, self._clock, self._rng, self._threads = settings, clock, rng, threads
        self._numbers = range(settings.gateways or default_count())
        self._records: dict[int, GatewayRecord] = {}
        self._processes: dict[int, Process] = {}
        self._listeners: dict[int, list[socket.socket]] = {}
        self._remembering = Lock()
        self._stopping = False

    def open(self) -> None:
        """Adopt those that live, and listen where there is none. Raises CannotListen."""
        found = read_gateways(self._settings.home)
        fitting = {number: each for number, each in found.items() if number in self._numbers and self._is_ours(each)}
        for number, record in fitting.items():
            self._adopt(number, record)
        for number in self._numbers:
            if number not in self._processes:
                self._listen(number)
        for record in found.values():
            if record not in self._records.values():
                log.info("a gateway that was started otherwise makes room", pid=record.pid)
                signal_leader(record.pid, signal.SIGTERM)

    async def run(self) -> None:
        """Start them, and again when they end, until cancelled or stopped."""
        async with anyio.create_task_group() as group:
            for number in self._numbers:
                group.start_soon(self._keep, number)

    def stop(self) -> None:
        """Have them take nothing more, finish what is under way, and end."""
        self._stopping = True
        for number in tuple(self._listeners):
            self._close(number)
        for process in self._processes.values():
            process.signal_leader(signal.SIGTERM)

    async def wait_stopped(self) -> None:
        """Until the last one has ended; one that takes too long is killed."""
        with anyio.move_on_after(GRACE_SECONDS) as patience:
            await self._all_ended()
        if patience.cancelled_caught:
            for process in self._processes.values():
                process.signal(signal.SIGKILL)
            await self._all_ended()
        write_gateways(self._settings.home, {})

    async def _all_ended(self) -> None:
        for process in self._processes.values():
            await process.wait()

    async def _keep(self, number: int) -> None:
        backoff = CrashBackoff(_BACKOFF, self._clock, self._rng)
        while not self._stopping:
            why = "" if number in self._processes else await self._start(number)
            if process := self._processes.get(number):
                backoff.note_ready()
                why = str(await process.wait())
                self._processes.pop(number).close()
            if self._stopping:
                return
            backoff.note_not_ready()
            pause = backoff.next_delay()
            log.warning("a gateway is started again", number=number, because=why, after_seconds=round(pause, 1))
            await anyio.sleep(pause)

    async def _start(self, number: int) -> str:
        """Why it could not be started; empty when it was."""
        try:
            if number not in self._listeners:  # of one that was adopted
                self._listen(number)
            launch = self._launch(number)
            process, _ = await self._threads.run(lambda: spawn(launch, lambda *born: self._remember(number, *born)))
        except (SpawnFailed, CannotListen) as refused:
            return str(refused)
        self._processes[number] = process
        return ""

    def _adopt(self, number: int, record: GatewayRecord) -> None:
        try:
            self._processes[number] = Process(record.pid)
        except ProcessLookupError:
            return
        self._records[number] = record
        log.info("a gateway goes on", number=number, pid=record.pid)

    def _listen(self, number: int) -> None:
        """Raises CannotListen."""
        self._listeners[number] = open_listeners(self._settings.host, self._settings.port, BACKLOG, shared=True)

    def _close(self, number: int) -> None:
        for each in self._listeners.pop(number):
            each.close()

    def _remember(self, number: int, pid: int, ticks: int) -> None:
        with self._remembering:  # each start has a thread of its own
            self._records[number] = GatewayRecord(
                pid, ticks, boot_id(), self._settings.port, self._command, _program()
            )
            write_gateways(self._settings.home, self._records)

    def _launch(self, number: int) -> Launch:
        sockets = tuple(each.fileno() for each in self._listeners[number])
        given = {name: os.environ[name] for name in INHERITED if name in os.environ} | library_path()
        command = (*self._command, "--number", str(number), "--sockets", str(len(sockets)))
        return Launch(f"gateway-{number}", command, given, log=None, data=None, limits=Limits(), sockets=sockets)

    @property
    def _command(self) -> tuple[str, ...]:
        settings = self._settings
        where = ("--home", str(settings.home), "--host", settings.host, "--port", str(settings.port))
        told = {"--otlp-endpoint": settings.otlp_endpoint, "--services-path": settings.services_path}
        more = (word for name, value in told.items() if value for word in (name, value))
        return (sys.executable, "-P", "-m", "api.gateway", *where, "--log-level", settings.log_level, *more)

    def _is_ours(self, record: GatewayRecord) -> bool:
        return record.command == self._command and record.program == _program()


def _program() -> str:
    return f"{version()} {commit()}".strip()
