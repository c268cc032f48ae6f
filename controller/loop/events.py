"""Tells people what happened, as Kubernetes Events: best effort, never in the way.

`tell` only notes; one task writes. The same news about the same resource raises a count instead of a new Event.
Events are swept away after an hour by one `EventSweeper` per cloud.
"""

from __future__ import annotations

import hashlib
import random
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

import anyio
import structlog

from controller.kit.clock import Clock
from controller.resources.client import Resources
from crds.errors import ApiError, NotFound
from crds.kind import Manifest
from crds.kinds.event import EVENT, Event, EventSeries, EventSource, ObjectReference
from crds.model import rfc3339, rfc3339_micro

_log = structlog.get_logger(__name__)
EVENT_LIFE_SECONDS = 3600.0
_REMEMBERED = 2000
_LONGEST_NAME = 253


@dataclass(frozen=True, slots=True)
class News:
    """What makes two events the same one."""

    uid: str
    reason: str
    message: str
    warning: bool


@dataclass(slots=True)
class _Waiting:
    """Not written yet. `count` times since the last write."""

    about: ObjectReference
    first: datetime
    last: datetime
    count: int = 1


@dataclass(slots=True)
class _Told:
    """Written. The Event's place and its count so far."""

    namespace: str
    name: str
    count: int
    last: datetime


class EventTeller:
    """`limit`: distinct news that may wait; more are dropped. `window`: seconds in which the same news is counted."""

    def __init__(
        self, resources: Resources, clock: Clock, component: str, *, limit: int = 500, window: float = 600.0
    ) -> None:
        self._resources, self._clock, self._component = resources, clock, component
        self._limit, self._window = limit, timedelta(seconds=window)
        self._waiting: OrderedDict[News, _Waiting] = OrderedDict()
        self._told: OrderedDict[News, _Told] = OrderedDict()
        self._something = anyio.Event()
        self.dropped = 0

    def tell(self, about: Manifest, reason: str, message: str, *, warning: bool = False) -> None:
        """Never waits and never fails."""
        news = News(about.metadata.uid or about.metadata.name, reason, message, warning)
        now = self._clock.now()
        if waiting := self._waiting.get(news):
            waiting.count, waiting.last = waiting.count + 1, now
        elif len(self._waiting) >= self._limit:
            self.dropped += 1
        else:
            self._waiting[news] = _Waiting(_reference(about), now, now)
            self._something.set()

    async def run(self) -> None:
        """Write what was told, until cancelled. What cannot be written is dropped."""
        while True:
            while self._waiting:
                news, waiting = self._waiting.popitem(last=False)
                await self._write(news, waiting)
            self._something = anyio.Event()
            await self._something.wait()

    async def _write(self, news: News, waiting: _Waiting) -> None:
        try:
            if not await self._raise_count(news, waiting):
                await self._create(news, waiting)
        except (ApiError, OSError) as error:
            self.dropped += 1
            _log.debug("event not written", reason=news.reason, because=str(error))
        except Exception:
            self.dropped += 1
            _log.exception("event not written", reason=news.reason)

    async def _raise_count(self, news: News, waiting: _Waiting) -> bool:
        """Whether the same news was told within the window, and is still there."""
        told = self._told.get(news)
        if told is None or waiting.last - told.last > self._window:
            return False
        count = told.count + waiting.count
        try:
            series = {"count": count, "lastObservedTime": rfc3339_micro(waiting.last)}
            patch = {"count": count, "lastTimestamp": rfc3339(waiting.last), "series": series}
            await self._resources.patch(EVENT, told.name, patch, told.namespace)
        except NotFound:
            del self._told[news]
            return False
        told.count, told.last = count, waiting.last
        self._told.move_to_end(news)
        return True

    async def _create(self, news: News, waiting: _Waiting) -> None:
        namespace = waiting.about.namespace or "default"
        event: Event = EVENT.new(
            _name(news, waiting),
            namespace=namespace,
            involved_object=waiting.about,
            reason=news.reason,
            message=news.message,
            type="Warning" if news.warning else "Normal",
            source=EventSource(component=self._component),
            reporting_component=self._component,
            first_timestamp=waiting.first,
            last_timestamp=waiting.last,
            count=waiting.count,
            # What happens within one second keeps its order by these two.
            event_time=waiting.first,
            series=_series(waiting),
        )
        await self._resources.create(EVENT, event)
        self._told[news] = _Told(namespace, event.metadata.name, waiting.count, waiting.last)
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)


class EventSweeper:
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
        """Until cancelled. Never raises: what could not be swept is swept next time."""
        while True:
            await anyio.sleep(self._pause * (0.9 + 0.2 * self._rng.random()))
            try:
                await self.sweep()
            except (ApiError, OSError) as error:
                _log.warning("events not swept", because=str(error))

    async def sweep(self) -> int:
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


def _series(waiting: _Waiting) -> EventSeries | None:
    if waiting.count < 2:
        return None
    return EventSeries(count=waiting.count, last_observed_time=waiting.last)


def _reference(about: Manifest) -> ObjectReference:
    meta = about.metadata
    return ObjectReference(
        kind=about.kind,
        api_version=about.api_version,
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        resource_version=meta.resource_version,
    )


def _name(news: News, waiting: _Waiting) -> str:
    """`<object>.<hash>`; the time is in the hash, so the same news an hour later gets its own name."""
    told = "\0".join((news.uid, news.reason, news.message, str(news.warning), waiting.first.isoformat()))
    digest = hashlib.sha256(told.encode()).hexdigest()[:16]
    return f"{(waiting.about.name or 'unnamed')[: _LONGEST_NAME - 17]}.{digest}"
