"""Brings events to the targets of the rules that want them: written down in one transaction, and then called."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from services.schedule_manager.events.directory import EventDirectory
from services.schedule_manager.events.patterns import Event, parse_pattern
from services.schedule_manager.events.planning import planned_for_events
from services.schedule_manager.schedule_store import Firing, Planned, Published, ScheduleStore
from services.sdk.aws.operations import RequestContext
from services.sdk.resources import BlockingExecutor

_APART = 1e-6
"""Seconds between events that arrive at once: so they have an order."""


class Arrived(NamedTuple):
    """An event, and the name of the bus that it is put on."""

    bus: str
    id: str
    body: Mapping[str, Any]


class EntryFault(NamedTuple):
    """Why an event is not put on its bus."""

    code: str
    message: str


THROTTLED = EntryFault(
    "ThrottlingException", "Too many events wait for a target of a rule that wants this one; put it again later."
)


class Routing:
    """One per process. `wake`: tells the engine that there is something to call."""

    def __init__(
        self,
        directory: EventDirectory,
        store: ScheduleStore,
        threads: BlockingExecutor,
        wake: Callable[[], None],
    ) -> None:
        self._directory, self._store, self._threads, self._wake = directory, store, threads, wake
        self._last = 0.0

    async def route(self, call: RequestContext, events: Sequence[Arrived], now: datetime) -> dict[str, EntryFault]:
        """Durable when it returns. Those that are refused, by their ids; they went to no target."""
        await self._directory.rules.synced.wait()
        wanted = [each for event in events for each in self._published(call, event, now)]
        if not wanted:
            return {}
        return await self._threads.run(lambda: self._write(wanted))

    def _write(self, wanted: Sequence[tuple[str, Published]]) -> dict[str, EntryFault]:
        full = self._store.full({each.plan.uid for _, each in wanted})
        refused = {id: THROTTLED for id, each in wanted if each.plan.uid in full}
        self._store.publish([each for id, each in wanted if id not in refused])
        self._wake()
        return refused

    def _published(self, call: RequestContext, arrived: Arrived, now: datetime) -> Iterator[tuple[str, Published]]:
        """What the event is for whom, with its id."""
        event, text = Event(arrived.body), orjson.dumps(arrived.body).decode()
        self._last = at = max(now.timestamp(), self._last + _APART)
        for rule in self._directory.rules_of(call, arrived.bus):
            pattern = rule.spec.event_pattern
            if not rule.spec.enabled or not pattern or not parse_pattern(pattern).matches(event):
                continue
            for target in rule.spec.targets:
                plan = planned_for_events(rule, target, now)
                yield arrived.id, Published(plan, _firing(plan, arrived.id, at), text)


def _firing(plan: Planned, event: str, at: float) -> Firing:
    """Always of the same id for one event and target."""
    return Firing(hashlib.sha256(f"{plan.uid}\x00{event}".encode()).hexdigest()[:32], plan.uid, at, at, 0, at)
