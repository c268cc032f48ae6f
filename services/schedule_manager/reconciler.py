"""The reconcilers: a Schedule's times go into the store; a ScheduleGroup takes its schedules along when it goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

from crds.errors import Conflict, NotFound
from services.schedule_manager.conditions import ScheduleReason
from services.schedule_manager.expressions import TIME_ZONE_DATA
from services.schedule_manager.kinds import KEEPER, SCHEDULE, SCHEDULE_GROUP, Schedule, ScheduleGroup
from services.schedule_manager.names import DEFAULT_REGION, group_arn, schedule_arn
from services.schedule_manager.planning import keeps_its_times, planned
from services.schedule_manager.schedule_store import Planned, ScheduleStore
from services.sdk.aws.accounts import account_of
from services.sdk.reconcile import AlsoWatch, Outcome, World, again, done
from services.sdk.resources import BlockingExecutor, Resources

_SOON_SECONDS = 0.2


class ScheduleReconciler:
    """`wake`: tells the engine that something may be due sooner."""

    kind = SCHEDULE
    finalizer: str | None = None
    also_watch: Sequence[AlsoWatch[Any]] = ()

    def __init__(self, store: ScheduleStore, threads: BlockingExecutor, wake: Callable[[], None]) -> None:
        self._store, self._threads, self._wake = store, threads, wake

    async def reconcile(self, resource: Schedule, world: World) -> Outcome:
        plan, is_news = await self._threads.run(lambda: self._planned(resource, world))
        if is_news:
            self._wake()
        status, name = resource.status, resource.metadata.name
        spec, account = resource.spec, account_of(resource.metadata.namespace or "")
        arn = schedule_arn(spec.region, account, spec.group, spec.schedule_name or name)
        status.arn, status.time_zone_data = arn, TIME_ZONE_DATA
        if not spec.enabled:
            return done(reason=ScheduleReason.DISABLED)
        if plan.due is None:
            if not await self._threads.run(lambda: self._store.has_firings(plan.uid)):
                await delete_completed(resource, plan, world.resources)
            return done(reason=ScheduleReason.COMPLETED)
        return done(reason=ScheduleReason.WAITING)

    async def finalize(self, resource: Schedule, world: World) -> Outcome:
        return done()

    def _planned(self, resource: Schedule, world: World) -> tuple[Planned, bool]:
        """How it stands, and whether it was news, and so was written down."""
        meta = resource.metadata
        before = self._store.planned(meta.uid or "")
        if before is not None and before.generation == meta.generation:
            return before, False
        plan = planned(resource, world.clock.now(), before)
        self._store.plan(plan, withdraw=plan.due is None and not keeps_its_times(resource.spec, before))
        return plan, True


class GroupReconciler:
    """Deletes what is in a group, before the group goes."""

    kind = SCHEDULE_GROUP
    finalizer: str | None = KEEPER
    also_watch: Sequence[AlsoWatch[Any]] = ()

    async def reconcile(self, resource: ScheduleGroup, world: World) -> Outcome:
        meta, spec = resource.metadata, resource.spec
        resource.status.arn = group_arn(spec.region, account_of(meta.namespace or ""), spec.group_name or meta.name)
        return done()

    async def finalize(self, resource: ScheduleGroup, world: World) -> Outcome:
        namespace = resource.metadata.namespace
        groups = (await world.resources.list(SCHEDULE_GROUP, namespace)).items
        listing = await world.resources.list(SCHEDULE, namespace)
        left = [each for each in listing.items if group_of(each, groups) == resource.metadata.name]
        for each in left:
            with suppress(NotFound):
                await world.resources.delete(
                    SCHEDULE, each.metadata.name, each.metadata.namespace, uid=each.metadata.uid
                )
        if not left:
            return done()
        return again(_SOON_SECONDS, f"{len(left)} schedules go first", reason=ScheduleReason.EMPTYING)


def group_of(schedule: Schedule, groups: Iterable[ScheduleGroup]) -> str | None:
    """What its group is called as a resource: that of its region, else one that is seen in all."""
    wanted = schedule.spec.group
    named = {
        each.spec.region: each.metadata.name
        for each in groups
        if (each.spec.group_name or each.metadata.name) == wanted
    }
    return named.get(schedule.spec.region or DEFAULT_REGION) or named.get("")


async def delete_completed(schedule: Schedule, plan: Planned, resources: Resources) -> None:
    """Where it says so, and still is what that plan was made of: in the very moment it goes."""
    found, meta = schedule, schedule.metadata
    with suppress(NotFound):
        while _goes_with(found, plan):
            version = found.metadata.resource_version
            try:
                await resources.delete(SCHEDULE, meta.name, meta.namespace, uid=meta.uid, resource_version=version)
                return
            except Conflict:
                found = await resources.get(SCHEDULE, meta.name, meta.namespace)


def _goes_with(schedule: Schedule, plan: Planned) -> bool:
    """Whether it is to go once that plan is over. One that is disabled, or has new times since, is not over."""
    meta, spec = schedule.metadata, schedule.spec
    is_same = (meta.uid, meta.generation) == (plan.uid, plan.generation)
    return is_same and spec.enabled and spec.action_after_completion == "Delete"
