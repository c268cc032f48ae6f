"""What follows from a schedule and the time: when it is due next, what of the past is made up for. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice, takewhile

from crds.meta import ObjectMeta
from services.schedule_manager.events.plans import PlannedSpec
from services.schedule_manager.expressions import At, Timing, parse_expression, time_zone
from services.schedule_manager.kinds import RetryPolicy, Schedule, ScheduleSpec
from services.schedule_manager.schedule_store import Firing, Planned

PRECISION = timedelta(seconds=60)
"""How late a call may be and still count as made when it was due."""
MOST_MADE_UP = 1000
"""Of the due times that passed, how many are made up for at most."""
_INSTANT = timedelta(microseconds=1)


def timing_of(spec: ScheduleSpec, made: datetime) -> Timing:
    """Raises ExpressionFault."""
    return Timing(
        parse_expression(spec.expression),
        time_zone(spec.timezone),
        spec.start_date or made,
        spec.start_date,
        spec.end_date,
    )


def planned(schedule: Schedule, now: datetime, before: Planned | None) -> Planned:
    """How that schedule stands from now on, given how it stood before.

    A new one is due from its making on, also if that was noticed late. One that changed goes on from the last time it
    was due where its times are the same, else from now; what was to be once and is less than a minute past still is.
    """
    return planned_as(schedule.metadata.uid or "", schedule.metadata, schedule.spec, now, before)


def planned_as(uid: str, meta: ObjectMeta, spec: ScheduleSpec, now: datetime, before: Planned | None) -> Planned:
    """As `planned`, for what a resource of another kind wants."""
    made = meta.creation_timestamp or now
    due = timing_of(spec, made).next(_begin(spec, made, now, before)) if spec.enabled else None
    return Planned(
        uid,
        meta.generation or 0,
        meta.namespace or "",
        spec.model_dump_json(by_alias=True),
        made.timestamp(),
        None if due is None else due.timestamp(),
    )


def keeps_its_times(spec: ScheduleSpec, before: Planned | None) -> bool:
    """Whether it is to be called when it was to be before it changed: what was due then still is."""
    if before is None or not spec.enabled:
        return False
    try:
        return _times(read_spec(before.spec)) == _times(spec)
    except ValueError:  # it was set aside: what cannot be read keeps nobody from saying it anew
        return False


def _begin(spec: ScheduleSpec, made: datetime, now: datetime, before: Planned | None) -> datetime:
    if before is None:
        return made - _INSTANT
    if keeps_its_times(spec, before):
        return now if before.due is None else moment(before.due) - _INSTANT
    return now - PRECISION if isinstance(parse_expression(spec.expression), At) else now


def _times(spec: ScheduleSpec) -> tuple[object, ...]:
    return spec.expression, spec.timezone, spec.start_date, spec.end_date


def moved_on(plan: Planned, now: datetime) -> tuple[list[Firing], Planned]:
    """The firings of a schedule that is due, and how it stands after them."""
    assert plan.due is not None
    spec = read_spec(plan.spec)
    timing, due = timing_of(spec, moment(plan.made)), moment(plan.due)
    times = list(_made_up(spec, timing, due, now))
    following = timing.next(times[-1])
    firings = [_firing(plan.uid, spec, each) for each in times if not _is_missed(spec, each, now)]
    return firings, plan._replace(due=None if following is None else following.timestamp())


def firing_id(uid: str, due: datetime) -> str:
    """What a firing is called wherever it arrives, however often it is tried."""
    return hashlib.sha256(f"{uid}\x00{int(due.timestamp())}".encode()).hexdigest()[:32]


def firing_by_hand(uid: str, request: str, now: datetime) -> Firing:
    """One beside the times of its schedule, due now; `request`: the id of whatever asked for it."""
    at = now.timestamp()
    id = hashlib.sha256(f"{uid}\x00{request}\x00by hand".encode()).hexdigest()[:32]
    return Firing(id, uid, at, at, 0, at)


def fires_at(uid: str, due: datetime, window_minutes: int | None) -> datetime:
    """When a schedule is called that is due then: within its window, always at the same moment of it."""
    if window_minutes is None:
        return due
    seconds = window_minutes * 60
    return due + timedelta(seconds=int(firing_id(uid, due)[:12], 16) % seconds)


def upcoming(spec: ScheduleSpec, made: datetime, after: datetime) -> Iterator[datetime]:
    """The times it is due after that moment."""
    return timing_of(spec, made).times(after)


def retries_of(spec: ScheduleSpec) -> RetryPolicy:
    return spec.target.retry_policy or RetryPolicy()


@lru_cache(maxsize=32)
def read_spec(text: str) -> PlannedSpec:
    """As it was written, perhaps by a newer version. Shared: do not change it."""
    return PlannedSpec.model_validate_json(text, extra="ignore", by_alias=True, by_name=False)


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _made_up(spec: ScheduleSpec, timing: Timing, due: datetime, now: datetime) -> Iterator[datetime]:
    """The due times until now that count: the latest of them, or all."""
    if spec.missed_runs != "All":
        yield timing.latest(due, now)
        return
    yield due
    yield from takewhile(lambda each: each <= now, islice(timing.times(due), MOST_MADE_UP - 1))


def _is_missed(spec: ScheduleSpec, due: datetime, now: datetime) -> bool:
    late = now - due - timedelta(minutes=spec.flexible_window_minutes or 0)
    if spec.missed_runs == "None":
        return late > PRECISION
    return late > timedelta(seconds=retries_of(spec).maximum_event_age_seconds)


def _firing(uid: str, spec: ScheduleSpec, due: datetime) -> Firing:
    fires = fires_at(uid, due, spec.flexible_window_minutes).timestamp()
    return Firing(firing_id(uid, due), uid, due.timestamp(), fires, 0, fires)
