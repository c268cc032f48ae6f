"""Brings events to the targets of the rules that want them: written down in one transaction, and then called."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from services.schedule_manager.events.directory import MOST_RULES, EventDirectory
from services.schedule_manager.events.kinds import EventRule
from services.schedule_manager.events.patterns import Budget, BudgetFault, Event, parse_pattern
from services.schedule_manager.events.planning import planned_for_events
from services.schedule_manager.schedule_store import Firing, Planned, Published, ScheduleStore, Waiting
from services.sdk.aws.operations import RequestContext
from services.sdk.resources import BlockingExecutor

_APART = 1e-6
"""Seconds between events that arrive at once: so they have an order."""


class Arrived(NamedTuple):
    """An event, also as it is written down (JSON), and the name of the bus that it is put on."""

    bus: str
    id: str
    body: Mapping[str, Any]
    text: str


class EntryFault(NamedTuple):
    """Why an event is not put on its bus."""

    code: str
    message: str


THROTTLED = EntryFault(
    "ThrottlingException", "Too many events wait for a target of a rule that wants this one; put it again later."
)
NO_ROOM = EntryFault(
    "ThrottlingException", "Too many bytes of events wait for the targets of rules; put it again later."
)
TOO_MANY_RULES = EntryFault("InvalidArgument", f"The bus has more than {MOST_RULES} rules; delete some of them.")


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
        rules = {bus: list(self._directory.rules_of(call, bus)) for bus in {each.bus for each in events}}
        if not any(rules.values()):
            return {}
        refused = await self._threads.run(lambda: self._written(rules, events, now))
        self._wake()
        return refused

    async def fits(self, pattern: str, body: Mapping[str, Any]) -> bool:
        """Whether a rule of that pattern would want the event. Raises PatternFault, BudgetFault."""
        return await self._threads.run(lambda: parse_pattern(pattern).matches(Event(body)))

    def _written(
        self, rules: Mapping[str, Sequence[EventRule]], events: Sequence[Arrived], now: datetime
    ) -> dict[str, EntryFault]:
        refused = {each.id: TOO_MANY_RULES for each in events if len(rules[each.bus]) > MOST_RULES}
        read = {bus: _read(found, now) for bus, found in rules.items() if len(found) <= MOST_RULES}
        wanted, budget = list[Published](), Budget()
        for event in (each for each in events if each.bus in read):
            try:
                wanted += self._published(read[event.bus], event, now, budget)
            except BudgetFault as fault:
                refused[event.id] = EntryFault("InvalidArgument", f"Parameter Detail is not valid. Reason: {fault}.")
        return refused | (self._write(wanted) if wanted else {})

    def _write(self, wanted: Sequence[Published]) -> dict[str, EntryFault]:
        full = self._store.full({each.plan.uid for each in wanted})
        refused = {each.event.id: THROTTLED for each in wanted if each.plan.uid in full}
        taken = [each for each in wanted if each.event.id not in refused]
        if not self._store.has_room(wanted[0].event.namespace, taken):
            return {each.event.id: NO_ROOM for each in wanted}
        self._store.publish(taken)
        return refused

    def _published(
        self, rules: Sequence[_Wanting], arrived: Arrived, now: datetime, budget: Budget
    ) -> list[Published]:
        """What the event is for whom. Raises BudgetFault."""
        event = Event(arrived.body, budget)
        self._last = at = max(now.timestamp(), self._last + _APART)
        plans = [plan for rule in rules if rule.pattern.matches(event) for plan in rule.plans]
        return [
            Published(plan, _firing(plan, arrived.id, at), Waiting(arrived.id, plan.namespace, arrived.text))
            for plan in plans
        ]


class _Wanting:
    """A rule that wants events."""

    def __init__(self, rule: EventRule, now: datetime) -> None:
        self._rule, self._now = rule, now
        self.pattern = parse_pattern(rule.spec.event_pattern)

    @cached_property
    def plans(self) -> list[Planned]:
        """Of its targets: the same for all events of a request, and made only where one fits."""
        return [planned_for_events(self._rule, each, self._now) for each in self._rule.spec.targets]


def _read(rules: Sequence[EventRule], now: datetime) -> list[_Wanting]:
    """Those that want events at all."""
    return [_Wanting(each, now) for each in rules if each.spec.enabled and each.spec.event_pattern]


def _firing(plan: Planned, event: str, at: float) -> Firing:
    """Always of the same id for one event and target."""
    return Firing(hashlib.sha256(f"{plan.uid}\x00{event}".encode()).hexdigest()[:32], plan.uid, at, at, 0, at)
