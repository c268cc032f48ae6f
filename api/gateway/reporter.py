"""What this gateway answered is told to the conductor: many requests in one message, soon after each.

While the conductor is away, reports wait, up to a number; when more would be lost, what changes something is refused,
as the audit log promises. The conductor writes the log; nothing is kept on disk here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import orjson
import structlog

from api.asgi import Scope
from api.audit.notes import notes_of
from api.auth.principal import Principal
from api.channel.reports import audit_fields
from crds.errors import Unavailable

log = structlog.get_logger("gateway")
MOST_WAITING, MOST_AT_ONCE = 20_000, 2_000
EVERY_SECONDS, AGAIN_SECONDS = 0.1, 1.0
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
Deliver = Callable[[bytes], Awaitable[None]]


class Reporter:
    """Stands for audit log, metrics, traffic and key uses. `deliver` raises what went wrong, and is tried again."""

    keeps_bodies = False

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._waiting: deque[bytes] = deque()
        self._there = anyio.Event()
        self.lost = 0

    def check(self, scope: Scope) -> None:
        """Raises Unavailable for a change that could not be noted."""
        if len(self._waiting) >= MOST_WAITING and scope["method"] not in _READS:
            raise Unavailable("what is done here cannot be noted: the conductor is away", retry_after=5)

    def note(
        self, scope: Scope, who: Principal | None, code: int, request_id: str, stage: str = "ResponseComplete"
    ) -> None:
        """One request was answered, or has begun to be."""
        audit = audit_fields(scope, notes_of(scope), who)
        self._add({"audit": audit, "code": code, "seconds": 0, "requestId": request_id, "stage": stage})

    def count(self, handler: str, method: str, code: int, seconds: float | None) -> None:
        """For the metrics. `seconds` None for one that goes on."""
        watched = seconds is None
        told = {"handler": handler, "method": method, "code": code, "seconds": seconds or 0, "watched": watched}
        self._add(told)

    def traffic(self, asker: str, service: str, code: int, seconds: float) -> None:
        """For the map."""
        self._add({"traffic": [asker, service], "code": code, "seconds": seconds})

    def used(self, access_key_id: str, service: str) -> None:
        """An access key signed a request to that service."""
        self._add({"used": [access_key_id, service], "code": 0, "seconds": 0})

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            await self._there.wait()
            await anyio.sleep(EVERY_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Deliver what waits. What cannot be delivered waits on."""
        while self._waiting:
            batch = [self._waiting[number] for number in range(min(len(self._waiting), MOST_AT_ONCE))]
            try:
                await self._deliver(b"\n".join(batch))
            except Exception as failed:
                log.warning("reports wait: the conductor takes none", waiting=len(self._waiting), because=str(failed))
                await anyio.sleep(AGAIN_SECONDS)
                return
            for _ in batch:
                self._waiting.popleft()
        self._there = anyio.Event()

    def _add(self, report: dict[str, Any]) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self.lost += 1
            return
        self._waiting.append(orjson.dumps(report))
        self._there.set()


class Counts:
    """The metrics of the chain of requests, told by a `Reporter`."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def note(self, handler: str, method: str, code: int, seconds: float | None) -> None:
        self._reporter.count(handler, method, code, seconds)


class TrafficCounts:
    """The traffic of the gateway, told by a `Reporter`."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def note(self, asker: str, service: str, code: int, seconds: float) -> None:
        self._reporter.traffic(asker, service, code, seconds)
