"""Records what happened as Kubernetes Events, for people: best effort, never in the way.

`record` only takes note; one task writes. The same news about the same resource raises a count instead of a new
Event. Events are swept away after an hour by one `EventExpirer` per cloud.
"""

from __future__ import annotations

import hashlib
import random
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

import anyio
import structlog

from controller.client.protocol import Resources
from controller.kit.clock import Clock
from crds.errors import ApiError, NotFound
from crds.kind import KubeObject
from crds.kinds.event import EVENT, Event, EventSeries, EventSource, ObjectReference
from crds.model import rfc3339, rfc3339_micro

_log = structlog.get_logger(__name__)
EVENT_LIFE_SECONDS = 3600.0
_REMEMBERED = 2000
_LONGEST_NAME = 253


@dataclass(frozen=True, slots=True)
class EventKey:
    """Identity of an event: two with the same key are counted as one."""

    uid: str
    reason: str
    message: str
    warning: bool


@dataclass(slots=True)
class _Pending:
    """An event that is not written yet. `count` times since the last write."""

    about: ObjectReference
    first: datetime
    last: datetime
    count: int = 1


@dataclass(slots=True)
class _Recorded:
    """An event that is written: where, and its count so far."""

    namespace: str
    name: str
    count: int
    last: datetime


class EventRecorder:
    """`limit`: distinct news that may wait; more are dropped. `window`: seconds in which the same news is counted."""

    def __init__(
        self, resources: Resources, clock: Clock, component: str, *, limit: int = 500, window: float = 600.0
    ) -> None:
        self._resources, self._clock, self._component = resources, clock, component
        self._limit, self._window = limit, timedelta(seconds=window)
        self._pending: OrderedDict[EventKey, _Pending] = OrderedDict()
        self._recorded: OrderedDict[EventKey, _Recorded] = OrderedDict()
        self._has_pending = anyio.Event()
        self.dropped = 0

    def record(self, about: KubeObject, reason: str, message: str, *, warning: bool = False) -> None:
        """Never waits and never fails."""
        key = EventKey(about.metadata.uid or about.metadata.name, reason, message, warning)
        now = self._clock.now()
        if pending := self._pending.get(key):
            pending.count, pending.last = pending.count + 1, now
        elif len(self._pending) >= self._limit:
            self.dropped += 1
        else:
            self._pending[key] = _Pending(_reference(about), now, now)
            self._has_pending.set()

    async def run(self) -> None:
        """Write what was recorded, until cancelled. What cannot be written is dropped."""
        while True:
            while self._pending:
                key, pending = self._pending.popitem(last=False)
                await self._write(key, pending)
            self._has_pending = anyio.Event()
            await self._has_pending.wait()

    async def _write(self, key: EventKey, pending: _Pending) -> None:
        try:
            if not await self._raise_count(key, pending):
                await self._create(key, pending)
        except (ApiError, OSError) as error:
            self.dropped += 1
            _log.debug("event not written", reason=key.reason, because=str(error))
        except Exception:
            self.dropped += 1
            _log.exception("event not written", reason=key.reason)

    async def _raise_count(self, key: EventKey, pending: _Pending) -> bool:
        """Whether the same news was recorded within the window, and is still there."""
        recorded = self._recorded.get(key)
        if recorded is None or pending.last - recorded.last > self._window:
            return False
        count = recorded.count + pending.count
        try:
            series = {"count": count, "lastObservedTime": rfc3339_micro(pending.last)}
            patch = {"count": count, "lastTimestamp": rfc3339(pending.last), "series": series}
            await self._resources.patch(EVENT, recorded.name, patch, recorded.namespace)
        except NotFound:
            del self._recorded[key]
            return False
        recorded.count, recorded.last = count, pending.last
        self._recorded.move_to_end(key)
        return True

    async def _create(self, key: EventKey, pending: _Pending) -> None:
        namespace = pending.about.namespace or "default"
        event: Event = EVENT.new(
            _name(key, pending),
            namespace=namespace,
            involved_object=pending.about,
            reason=key.reason,
            message=key.message,
            type="Warning" if key.warning else "Normal",
            source=EventSource(component=self._component),
            reporting_component=self._component,
            first_timestamp=pending.first,
            last_timestamp=pending.last,
            count=pending.count,
            # What happens within one second keeps its order by these two.
            event_time=pending.first,
            series=_series(pending),
        )
        await self._resources.create(EVENT, event)
        self._recorded[key] = _Recorded(namespace, event.metadata.name, pending.count, pending.last)
        if len(self._recorded) > _REMEMBERED:
            self._recorded.popitem(last=False)


class EventExpirer:
    """Deletes events that were last seen more than `life` seconds ago; looks every `pause` seconds (jittered)."""

    def __init__(
        self,
        resources: Resources,
        clock: Clock,
        rng: random.Random,
        *,
        life: float = EVENT_LIFE_SECONDS,
        pause: float = 300.0,
    ) -> None:
        self._resources, self._clock, self._rng = resources, clock, rng
        self._life, self._pause = timedelta(seconds=life), pause

    async def run(self) -> None:
        """Sweep expired events until cancelled. Never raises: what could not be swept is swept next time."""
        while True:
            await anyio.sleep(self._pause * (0.9 + 0.2 * self._rng.random()))
            try:
                await self.delete_expired()
            except (ApiError, OSError) as error:
                _log.warning("events not swept", because=str(error))

    async def delete_expired(self) -> int:
        """How many were deleted. Raises ApiError when listing or deleting fails."""
        oldest, swept = self._clock.now() - self._life, 0
        for event in (await self._resources.list(EVENT)).items:
            meta = event.metadata
            seen_at = event.last_timestamp or event.event_time or meta.creation_timestamp
            if seen_at is None or seen_at > oldest:
                continue
            try:
                await self._resources.delete(EVENT, meta.name, meta.namespace, uid=meta.uid)
                swept += 1
            except NotFound:
                continue
        return swept


def _series(pending: _Pending) -> EventSeries | None:
    if pending.count < 2:
        return None
    return EventSeries(count=pending.count, last_observed_time=pending.last)


def _reference(about: KubeObject) -> ObjectReference:
    meta = about.metadata
    return ObjectReference(
        kind=about.kind,
        api_version=about.api_version,
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        resource_version=meta.resource_version,
    )


def _name(key: EventKey, pending: _Pending) -> str:
    """`<object>.<hash>`; the time is in the hash, so the same news an hour later gets its own name."""
    recorded = "\0".join((key.uid, key.reason, key.message, str(key.warning), pending.first.isoformat()))
    digest = hashlib.sha256(recorded.encode()).hexdigest()[:16]
    return f"{(pending.about.name or 'unnamed')[: _LONGEST_NAME - 17]}.{digest}"
