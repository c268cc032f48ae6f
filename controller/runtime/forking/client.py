"""The conductor's side of its fork server: begins it, asks it for children, and begins it again when it ends.

A server whose code is no longer the newest gets a successor, and stays until its last child has ended, for nobody
else can be told how. Whatever it cannot do can be started as any program is: `ForkRefused`.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import anyio
import structlog

from controller.kit.backoff import Backoff
from controller.kit.clock import Clock
from controller.kit.threads import BlockingExecutor, Threads
from controller.runtime.forking.running_server import RunningServer, ServerLost

_log = structlog.get_logger(__name__)
SETTLED_SECONDS = 10.0
AGAIN = Backoff(first=1.0, factor=2.0, limit=60.0, jitter=0.0)
# An interpreter reads these when it starts, and OpenSSL when it is loaded: a fork would never see others.
_READ_AT_START = ("PYTHON", "LD_", "MALLOC_", "GLIBC_", "OPENSSL_")
_ALWAYS_SAFE = {"PYTHONSAFEPATH": "1"}
Reap = Callable[[], int | None]


class ForkRefused(Exception):
    """There is no such child; it may be started in another way."""


@dataclass(frozen=True)
class ForkOrder:
    """A child to fork: `module` is one whose `main` it calls, `walls` what `Walls.text` says, empty for none."""

    module: str
    arguments: tuple[str, ...]
    env: Mapping[str, str]
    walls: str = ""


class ForkServer:
    """`modules` are loaded before the first fork; `env` is what the server is started with. Called from several
    threads, which wait for each other.
    """

    def __init__(self, modules: Sequence[str], env: Mapping[str, str], clock: Clock) -> None:
        self._modules, self._env, self._clock = tuple(modules), dict(env), clock
        self._threads: BlockingExecutor = Threads(1)
        self._lock = threading.RLock()
        self._running: RunningServer | None = None
        self._failures, self._began_at, self._retry_at = 0, 0.0, 0.0
        self._closed = False

    async def run(self) -> None:
        """Keep one running until cancelled. Children stay."""
        try:
            while True:
                await self._watch_one()
        finally:
            self.close()

    def can_fork(self, env: Mapping[str, str]) -> bool:
        """Whether a fork is as good as a start in that environment."""
        known = {**self._env, **_ALWAYS_SAFE}
        return all(known.get(name) == text for name, text in env.items() if name.startswith(_READ_AT_START))

    def fork(self, order: ForkOrder, gate: int, log: int, sockets: Sequence[int] = ()) -> tuple[int, Reap]:
        """The pid of a child that waits for a line at `gate`, and how to learn its end. `sockets`: descriptors it
        gets, as its numbers from FIRST_INHERITED on. Raises ForkRefused.
        """
        descriptors = (gate, log, *sockets)
        with self._lock:
            answer = self._ask(order, descriptors)
            if answer.get("outdated"):
                _log.info("the code has changed; another fork server is begun")
                self._retire()
                answer = self._ask(order, descriptors)
            if "pid" not in answer:
                raise ForkRefused(str(answer.get("refused", "the code changes while it is loaded")))
            running, pid = self._begun(), int(answer["pid"])
            running.children.add(pid)
        # Not under our lock: while another server loads, the end of a child must be heard of, not waited for.
        return pid, lambda: running.reap(pid)

    def close(self) -> None:
        """End it for good. Children stay."""
        with self._lock:
            self._closed = True
            if self._running is not None:
                self._running.end()
            self._running = None

    async def _watch_one(self) -> None:
        try:
            pidfd = await self._threads.run(lambda: self._begun().open_pidfd())
        except (ForkRefused, OSError):
            await anyio.sleep(max(self._retry_at - self._clock.monotonic(), 0.05))
            return
        try:
            await anyio.wait_readable(pidfd)
        finally:
            os.close(pidfd)

    def _ask(self, order: ForkOrder, descriptors: Sequence[int]) -> dict[str, Any]:
        try:
            return self._begun().ask(asdict(order), descriptors)
        except ServerLost as lost:
            raise ForkRefused(str(lost)) from lost

    def _begun(self) -> RunningServer:
        """The one that runs, begun anew when there is none. Raises ForkRefused."""
        with self._lock:
            if self._running is not None and (ended := self._running.ended):
                self._running.end()
                self._running = None
                self._note_end(f"it ended ({ended})", lasted=self._clock.monotonic() - self._began_at)
            if self._running is None:
                self._running = self._begin()
            return self._running

    def _begin(self) -> RunningServer:
        if self._closed or self._clock.monotonic() < self._retry_at:
            raise ForkRefused("there is no fork server now")
        self._began_at = self._clock.monotonic()
        try:
            return RunningServer.begin(self._modules, self._env)
        except (ServerLost, OSError) as lost:
            self._note_end(f"it does not start: {lost}", lasted=0.0)
            raise ForkRefused(f"the fork server does not start: {lost}") from lost

    def _note_end(self, because: str, *, lasted: float) -> None:
        """Begun again at once, unless it did not last: services start without it meanwhile, and slower."""
        self._failures = 0 if lasted >= SETTLED_SECONDS else self._failures + 1
        pause = AGAIN.delay(self._failures, random.Random(0)) if self._failures else 0.0  # noqa: S311 - no jitter
        self._retry_at = self._clock.monotonic() + pause
        _log.warning("the fork server is begun again", because=because, in_seconds=pause)

    def _retire(self) -> None:
        if self._running is not None:
            self._running.retire()
        self._running = None
