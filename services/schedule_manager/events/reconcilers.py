"""The reconcilers: the times of an EventRule go into the store; both kinds are told their ARNs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from services.schedule_manager.conditions import ScheduleReason
from services.schedule_manager.events.directory import arn_of_bus, arn_of_rule
from services.schedule_manager.events.kinds import EVENT_BUS, EVENT_RULE, EventBus, EventRule
from services.schedule_manager.events.planning import planned_for_times, timed_uids
from services.schedule_manager.events.plans import time_uid
from services.schedule_manager.planning import keeps_its_times, read_spec
from services.schedule_manager.schedule_store import ScheduleStore
from services.sdk.reconcile import AlsoWatch, Outcome, World, done
from services.sdk.resources import BlockingExecutor


class RuleReconciler:
    """`wake`: tells the engine that something may be due sooner."""

    kind = EVENT_RULE
    finalizer: str | None = None
    also_watch: Sequence[AlsoWatch[Any]] = ()

    def __init__(self, store: ScheduleStore, threads: BlockingExecutor, wake: Callable[[], None]) -> None:
        self._store, self._threads, self._wake = store, threads, wake

    async def reconcile(self, resource: EventRule, world: World) -> Outcome:
        resource.status.arn = arn_of_rule(resource)
        if await self._threads.run(lambda: self._plan(resource, world)):
            self._wake()
        return done(reason=ScheduleReason.WAITING if resource.spec.enabled else ScheduleReason.DISABLED)

    async def finalize(self, resource: EventRule, world: World) -> Outcome:
        return done()

    def _plan(self, rule: EventRule, world: World) -> bool:
        """How its times stand, written down where it is news; those of targets that are no more are forgotten.
        Returns whether there was news.
        """
        wanted = dict(timed_uids(rule))
        known = self._store.uids_below(time_uid(rule.metadata.uid or "", ""))
        if gone := known - set(wanted):
            self._store.forget(*gone)
        is_news = False
        for uid, target in wanted.items():
            before = self._store.planned(uid)
            if before is not None and before.generation == rule.metadata.generation:
                continue
            plan = planned_for_times(rule, uid, target, world.clock.now(), before)
            keeps = keeps_its_times(read_spec(plan.spec), before)
            self._store.plan(plan, withdraw=plan.due is None and not keeps)
            is_news = True
        return is_news


class BusReconciler:
    """A bus is there once it is written down."""

    kind = EVENT_BUS
    finalizer: str | None = None
    also_watch: Sequence[AlsoWatch[Any]] = ()

    async def reconcile(self, resource: EventBus, world: World) -> Outcome:
        resource.status.arn = arn_of_bus(resource)
        return done()

    async def finalize(self, resource: EventBus, world: World) -> Outcome:
        return done()
