"""What this gateway answered is told to the conductor: many requests in one message, soon after each.

While the conductor is away, reports wait, up to a number; when more would be lost, what changes something is refused,
as the audit log promises. The conductor writes the log; nothing is kept on disk here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import structlog

from api.asgi import Scope
from api.audit.notes import notes_of
from api.auth.principal import Principal
from api.channel.reports import MOST_BYTES, audit_line, counts_line
from api.gateway.events import Event
from crds.errors import Unavailable

log = structlog.get_logger("gateway")
MOST_WAITING, MOST_AT_ONCE = 20_000, 1_000
EVERY_SECONDS, AGAIN_SECONDS = 0.1, 1.0
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
T = TypeVar("T")
Deliver = Callable[[bytes], Awaitable[None]]


class Reporter:
    """Stands for audit log, metrics, traffic and key uses. `deliver` raises what went wrong, and is tried again."""

    keeps_bodies = False

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._lines: deque[bytes] = deque()
        self._counted: list[tuple[str, str, int, float | None]] = []
        self._traffic: list[tuple[str, str, int, float]] = []
        self._used: dict[tuple[str, str], None] = {}
        self._events: list[tuple[str, str, str, float]] = []
        self._wanted: dict[str, None] = {}
        self._there, self._is_awake = anyio.Event(), False
        self.lost = 0

    def check(self, scope: Scope) -> None:
        """Raises Unavailable for a change that could not be noted."""
        if len(self._lines) >= MOST_WAITING and scope["method"] not in _READS:
            raise Unavailable("what is done here cannot be noted: the conductor is away", retry_after=5)

    def note(
        self, scope: Scope, who: Principal | None, code: int, request_id: str, stage: str = "ResponseComplete"
    ) -> None:
        """One request was answered, or has begun to be."""
        if len(self._lines) < MOST_WAITING:
            self._lines.append(audit_line(scope, notes_of(scope), who, code, request_id, stage))
            if not self._is_awake:
                self._wake()
        else:
            self.lost += 1

    def count(self, handler: str, method: str, code: int, seconds: float | None) -> None:
        """For the metrics. `seconds` None for one that goes on."""
        self._keep(self._counted, (handler, method, code, seconds))

    def traffic(self, asker: str, service: str, code: int, seconds: float) -> None:
        """For the map."""
        self._keep(self._traffic, (asker, service, code, seconds))

    def event(self, event: Event, subject: str, instance: str = "", seconds: float = 0.0) -> None:
        """Something the gateway did beside answering."""
        self._keep(self._events, (event, subject, instance, seconds))

    def used(self, access_key_id: str, service: str) -> None:
        """An access key signed a request to that service."""
        self._used[access_key_id, service] = None
        if not self._is_awake:
            self._wake()

    def wanted(self, service: str) -> None:
        """Somebody waits for that service, or is being answered by it."""
        self._wanted[service] = None
        if not self._is_awake:
            self._wake()

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            await self._there.wait()
            await anyio.sleep(EVERY_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Deliver what waits. What cannot be delivered waits on."""
        while self._lines or self._counted or self._traffic or self._used or self._events or self._wanted:
            lines, counted, traffic = self._next_lines(), self._counted[:MOST_AT_ONCE], self._traffic[:MOST_AT_ONCE]
            used, events, wanted = list(self._used), self._events[:MOST_AT_ONCE], list(self._wanted)
            try:
                await self._deliver(b"\n".join([counts_line(counted, traffic, used, events, wanted), *lines]))
            except Exception as failed:
                log.warning("reports wait: the conductor takes none", waiting=len(self._lines), because=str(failed))
                await anyio.sleep(AGAIN_SECONDS)
                return
            for _ in lines:
                self._lines.popleft()
            del self._counted[: len(counted)], self._traffic[: len(traffic)], self._events[: len(events)]
            for each in used:
                self._used.pop(each, None)
            for name in wanted:
                self._wanted.pop(name, None)
        self._there, self._is_awake = anyio.Event(), False

    def _next_lines(self) -> list[bytes]:
        """As many as the conductor takes at once."""
        lines: list[bytes] = []
        left = MOST_BYTES // 2
        for line in self._lines:
            left -= len(line)
            if lines and (left < 0 or len(lines) >= MOST_AT_ONCE):
                break
            lines.append(line)
        return lines

    def _keep(self, waiting: list[T], one: T) -> None:
        if len(waiting) >= MOST_WAITING:
            self.lost += 1
            return
        waiting.append(one)
        if not self._is_awake:
            self._wake()

    def _wake(self) -> None:
        self._is_awake = True
        self._there.set()


class Counts:
    """The metrics of the chain of requests, told by a `Reporter`."""

    def __init__(self, reporter: Reporter) -> None:
        self.note = reporter.count


class TrafficCounts:
    """The traffic of the gateway, told by a `Reporter`."""

    def __init__(self, reporter: Reporter) -> None:
        self.note = reporter.traffic


class EventCounts:
    """What the gateway does beside answering, told by a `Reporter`."""

    def __init__(self, reporter: Reporter) -> None:
        self.note = reporter.event
