"""Differences between two snapshots in a row, as events: for the loop, and for people, who read them as Events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from controller.runtime.driver import ObservedInstance, RuntimeEvent
from controller.runtime.swarm.snapshot import SwarmSnapshot
from controller.runtime.swarm.tasks import Task, copy_name, error_in, moment
from crds.event_reasons import EventReason
from crds.meta import ObjectKey
from crds.phases import InstancePhase

REASONS = {
    InstancePhase.PENDING: EventReason.STARTING,
    InstancePhase.STARTING: EventReason.STARTING,
    InstancePhase.RUNNING: EventReason.RUNNING,
    InstancePhase.READY: EventReason.READY,
    InstancePhase.CRASH_LOOP_BACK_OFF: EventReason.BACK_OFF,
    InstancePhase.STOPPING: EventReason.STOPPING,
    InstancePhase.FAILED: EventReason.FAILED,
    InstancePhase.COMPLETED: EventReason.COMPLETED,
}
"""What is reported of an instance that came to be in that phase."""


@dataclass(frozen=True, slots=True)
class Outage:
    """One copy does not serve. `revision`: what it ran until then; another one is a rollout, no recovery."""

    since: datetime
    revision: str


class EventDiffer:
    """Remembers the last snapshot, and since when which copy has been down."""

    def __init__(self) -> None:
        self._last: SwarmSnapshot | None = None
        self._down: dict[tuple[ObjectKey, str], Outage] = {}

    def events(self, now: SwarmSnapshot, at: datetime) -> Iterator[RuntimeEvent]:
        """Events since the last snapshot. The first one only teaches what is there."""
        before, self._last = self._last, now
        if before is None:
            return
        moved = before.nodes != now.nodes
        for key in sorted({*before.keys, *now.keys}):
            if moved or before.tasks.get(key) != now.tasks.get(key):
                yield from self._about(key, before, now, at)

    def _about(
        self, key: ObjectKey, before: SwarmSnapshot, now: SwarmSnapshot, at: datetime
    ) -> Iterator[RuntimeEvent]:
        uid = now.uid(key) or before.uid(key)
        were = {each.name: each for each in before.instances(key)}
        dead = _deaths(key, before, now)
        for name, task in dead:
            yield RuntimeEvent(
                key, uid, EventReason.TASK_FAILED, f"{name}: {error_in(task) or 'ended'}", warning=True
            )
            # One that died and is back already was Ready in both snapshots.
            if name in were and were[name].ready:
                self._note_down(key, were[name], moment(task["Status"].get("Timestamp")) or at)
        are = now.instances(key)
        for each in are:
            yield from self._about_one(key, uid, were.get(each.name), each, at)
        for name in were.keys() - {each.name for each in are}:
            self._down.pop((key, name), None)
            yield RuntimeEvent(key, uid, EventReason.STOPPED, f"{name} is gone")

    def _about_one(
        self, key: ObjectKey, uid: str, was: ObservedInstance | None, is_: ObservedInstance, at: datetime
    ) -> Iterator[RuntimeEvent]:
        if not is_.ready:
            if was is not None and was.ready:
                self._note_down(key, was, at)
            if was is None or not _same(was, is_):
                yield RuntimeEvent(key, uid, REASONS[is_.phase], f"{is_.name} is {is_.phase}{_because(is_)}")
            return
        outage = self._down.pop((key, is_.name), None)
        if outage is not None and outage.revision == is_.revision:
            gap = max(((is_.started_at or at) - outage.since).total_seconds(), 0.0)
            yield RuntimeEvent(
                key, uid, EventReason.RECOVERED, f"{is_.name} serves again after {gap:.2f} s, on {is_.worker}"
            )
        elif outage is not None or was is None or not _same(was, is_):
            yield RuntimeEvent(key, uid, EventReason.READY, f"{is_.name} is ready on {is_.worker}")

    def _note_down(self, key: ObjectKey, was: ObservedInstance, since: datetime) -> None:
        self._down.setdefault((key, was.name), Outage(since, was.revision))


def _deaths(key: ObjectKey, before: SwarmSnapshot, now: SwarmSnapshot) -> list[tuple[str, Task]]:
    """The copies that failed since, by name; one may have done so several times."""
    known = {task["ID"] for task in before.tasks.get(key, ()) if _died(task)}
    dead = [task for task in now.tasks.get(key, ()) if _died(task) and task["ID"] not in known]
    return [(copy_name(key, task, now.nodes, numbered=now.is_numbered(key)), task) for task in dead]


def _same(was: ObservedInstance, is_: ObservedInstance) -> bool:
    return (was.phase, was.revision, was.worker, was.restarts) == (is_.phase, is_.revision, is_.worker, is_.restarts)


def _died(task: Task) -> bool:
    return task["Status"]["State"] in ("failed", "rejected")


def _because(seen: ObservedInstance) -> str:
    return f": {seen.message}" if seen.message else ""
