"""Keeps each Swarm service what its workload wants: created, restored, spread, recreated when it hangs.

Works on what was seen last; only a difference costs a call. One workload is never written by two at once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import chain

import anyio
import structlog

from controller.docker.client import DockerClient, NotFound, VersionConflict
from controller.kit.clock import Clock
from controller.runtime.driver import DriverError, RuntimeEvent, Workload
from controller.runtime.swarm.dependencies import DependencyProvisioner
from controller.runtime.swarm.naming import Cloud
from controller.runtime.swarm.node_readiness import NodeReadiness
from controller.runtime.swarm.rebalancing import (
    MOVES_AT_ONCE,
    Move,
    is_hopeless,
    is_over,
    load_of,
    moved,
    next_move,
)
from controller.runtime.swarm.service_spec import service_spec
from controller.runtime.swarm.service_writer import MISSING, ServiceWriter
from controller.runtime.swarm.snapshot import SwarmSnapshot, take_snapshot
from controller.runtime.swarm.stack import StackRemoval
from controller.runtime.swarm.stuck_tasks import AGAIN_SECONDS, stuck_task
from controller.runtime.swarm.tasks import Task, serves, worker_name
from controller.runtime.swarm.update_plan import PlanContext, UpdatePlan
from crds.conditions import Reason
from crds.event_reasons import EventReason
from crds.meta import ObjectKey

TRIES = 3
_UNCHANGED = Move("unchanged", 0)
_log = structlog.get_logger("swarm")


class SwarmServiceController:
    """Applies workloads, corrects drift. `emit` passes events on, `request_refresh` has a workload observed soon."""

    def __init__(
        self,
        docker: DockerClient,
        cloud: Cloud,
        clock: Clock,
        emit: Callable[[RuntimeEvent], None],
        request_refresh: Callable[[ObjectKey], None],
        encrypted: Callable[[], bool | None] = lambda: False,
    ) -> None:
        self._docker, self._cloud, self._clock, self._emit, self._request_refresh = (
            docker,
            cloud,
            clock,
            emit,
            request_refresh,
        )
        self._provisioner, self._writer = (
            DependencyProvisioner(docker, cloud, encrypted),
            ServiceWriter(docker, cloud),
        )
        self._readiness = NodeReadiness()
        self.desired: dict[ObjectKey, Workload] = {}
        self.locks: defaultdict[ObjectKey, anyio.Lock] = defaultdict(anyio.Lock)
        self._plans: dict[ObjectKey, tuple[Workload, UpdatePlan]] = {}
        self._written_at: dict[ObjectKey, float] = {}
        self._stack_removal = StackRemoval(docker, cloud, clock)
        self._recreated_at: dict[ObjectKey, float] = {}
        self._closed = False

    async def apply(self, workload: Workload, seen: SwarmSnapshot) -> None:
        """Apply a workload; no call when it is so already. What was made and is missing from a stack is restored by
        the next pass, for the stack may be on its way out. Raises DriverError; RolledBack when that revision was
        tried in vain.
        """
        if self._closed:
            return  # told to stop: that nothing is written any more is no trouble to warn of
        self.desired[workload.key] = workload
        known = self._plans.get(workload.key)
        missing = workload.key not in seen.services
        if known is None or known[0] != workload or (missing and not self._stack_removal.is_possible):
            known = workload, await self._write(workload, seen)
        if known[1].failed:
            raise DriverError(_rolled_back(known[1]), reason=Reason.ROLLED_BACK, retryable=False)

    async def adopt(self, name: str, key: ObjectKey) -> None:
        """Take that Swarm service for this workload from now on. Raises DriverError."""
        async with self.locks[key]:
            await self._writer.adopt(name, key)

    def drop(self, key: ObjectKey) -> None:
        """Forget a workload that is not wanted any more."""
        for kept in (self.desired, self._plans, self._written_at, self._recreated_at):
            kept.pop(key, None)

    async def clean_up(self, key: ObjectKey, *, last: bool) -> None:
        """Remove what was made for a workload alone, after it is gone. `last`: nothing of its namespace is left."""
        await self._provisioner.clean_up(key, last=last)
        self.locks.pop(key, None)

    def close(self) -> None:
        """Make and correct nothing from now on."""
        self._closed = True

    def seconds_until_rebalance(self) -> float:
        """Seconds until a machine that has just become ready may want some; infinite when there is none."""
        return self._readiness.seconds_until_settled(self._clock.monotonic())

    def in_transition(self, seen: SwarmSnapshot) -> list[ObjectKey]:
        """Workloads on their way to something, which no event will announce."""
        return [
            key
            for key, workload in self.desired.items()
            if not seen.is_stable(key, workload) or Move.read(seen.marks(key)) is not None
        ]

    async def correct_drift(
        self, keys: Sequence[ObjectKey], seen: SwarmSnapshot, *, began: float, everything: bool
    ) -> None:
        """Correct these workloads. What cannot be corrected is the reconciler's to report: its own `apply` meets the
        same refusal.

        `began`: when that was looked at; `everything`: all was, so machines can be compared.
        """
        self._readiness.observe(seen.nodes, self._clock.monotonic())
        load = load_of(chain.from_iterable(seen.tasks.values()), seen.nodes) if everything else None
        for key in () if self._closed else keys:
            workload = self.desired.get(key)
            known = self._plans.get(key)
            if self._written_at.get(key, float("-inf")) < began:
                self._written_at.pop(key, None)
            if workload is None or known is None or known[0] != workload or key in self._written_at:
                continue  # it is being applied, or was while we looked
            try:
                await self._correct(workload, known[1], seen, load)
            except DriverError as refused:
                _log.info("not put right yet", workload=str(key), because=str(refused))
            except Exception:
                _log.exception("our own mistake, met while looking", workload=str(key))

    async def _correct(
        self, workload: Workload, before: UpdatePlan, seen: SwarmSnapshot, load: Counter[str] | None
    ) -> None:
        if await self._leaves_with_its_stack(workload.key, seen):
            return
        plan = await self._write(workload, seen)
        self._emit_plan(workload, before, plan)
        if plan.changed or plan.postponed:
            return
        if (move := Move.read(seen.marks(workload.key))) is not None:
            await self._end_move(move, workload, seen)
        elif load is not None and not plan.failed:
            await self._begin_move(workload, seen, load)
        await self._recreate_stuck(workload, seen)

    async def _leaves_with_its_stack(self, key: ObjectKey, seen: SwarmSnapshot) -> bool:
        if key in seen.services:
            self._stack_removal.found(key)
            return False
        return await self._stack_removal.may_take(key)

    async def _write(self, workload: Workload, seen: SwarmSnapshot, move: Move | None = _UNCHANGED) -> UpdatePlan:
        """Make or correct the Swarm service. Raises DriverError."""
        key = workload.key
        async with self.locks[key]:
            if key in self._written_at:  # what was seen last is what was there before
                seen = seen.updated(key, await take_snapshot(self._docker, self._cloud, key))
            for attempt in range(TRIES):
                around = await self._provisioner.dependencies(workload, seen)
                going = Move.read(seen.marks(key)) if move is _UNCHANGED else move
                wanted = moved(service_spec(self._cloud, workload, around), going)
                try:
                    plan = await self._writer.write(
                        workload, wanted, seen.services.get(key), self._plan_context(key, seen)
                    )
                    break
                except (VersionConflict, NotFound):
                    if attempt == TRIES - 1:
                        raise
                    self._provisioner.forget_known()
                    seen = seen.updated(key, await take_snapshot(self._docker, self._cloud, key))
            self._plans[key] = workload, plan
            if plan.changed:
                self._written_at[key] = self._clock.monotonic()
        if plan.changed:
            self._request_refresh(key)
            await self._provisioner.remove_unused(key, around)
        return plan

    def _plan_context(self, key: ObjectKey, seen: SwarmSnapshot) -> PlanContext:
        def neighbours() -> list[Task]:
            return [task for other, tasks in seen.tasks.items() if other != key for task in tasks]

        return PlanContext(seen.tasks.get(key, ()), neighbours, self._clock.now())

    async def _begin_move(self, workload: Workload, seen: SwarmSnapshot, load: Counter[str]) -> None:
        key = workload.key
        if not seen.is_stable(key, workload):
            return
        around = await self._provisioner.dependencies(workload, seen)
        fit = self._readiness.settled(seen.nodes, self._clock.monotonic()) - set(around.avoid)
        move = next_move(workload, seen.tasks.get(key, ()), seen.nodes, fit, load, self._clock.now())
        if move is None or self._moves(seen) >= MOVES_AT_ONCE:
            return
        await self._write(workload, seen, move)
        if move.away:
            load[move.away] -= 1
            load[min(fit - {move.away}, key=lambda node: load[node])] += 1

    def _moves(self, seen: SwarmSnapshot) -> int:
        """How many are under way."""
        return sum(Move.read(seen.marks(each)) is not None for each in self.desired)

    async def _end_move(self, move: Move, workload: Workload, seen: SwarmSnapshot) -> None:
        tasks = seen.tasks.get(workload.key, ())
        arrived = is_over(move, workload, tasks, seen.nodes)
        if not arrived and not is_hopeless(move, workload, tasks, self._clock.now()):
            return
        plan = await self._write(workload, seen, None)
        if arrived and plan.changed:
            seconds = self._clock.now().timestamp() - move.began
            places = sorted(worker_name(seen.nodes[each["NodeID"]]) for each in tasks if serves(each, seen.nodes))
            text = f"a copy moved to a machine that had less to do, in {seconds:.0f} s; now on {', '.join(places)}"
            self._emit(RuntimeEvent(workload.key, workload.uid, EventReason.REBALANCED, text))

    async def _recreate_stuck(self, workload: Workload, seen: SwarmSnapshot) -> None:
        key, now = workload.key, self._clock.monotonic()
        found, there = stuck_task(seen.tasks.get(key, ()), seen.nodes, self._clock.now()), seen.services.get(key)
        recent = now - self._recreated_at.get(key, float("-inf")) < AGAIN_SECONDS
        if found is None or there is None or recent or workload.mode == "job":
            return
        self._recreated_at[key] = now
        async with self.locks[key]:
            await self._writer.force_update(there)
            self._written_at[key] = now
        self._request_refresh(key)
        task, waited = found
        place = worker_name(seen.nodes[task["NodeID"]])
        text = f"a copy on {place} was {task['Status']['State']} for {waited:.0f} s; all are made anew, one by one"
        self._emit(RuntimeEvent(key, workload.uid, EventReason.TASK_STUCK, text, warning=True))

    def _emit_plan(self, workload: Workload, before: UpdatePlan, plan: UpdatePlan) -> None:
        if plan.failed and plan.failed != before.failed:
            self._emit(
                RuntimeEvent(workload.key, workload.uid, EventReason.ROLLED_BACK, _rolled_back(plan), warning=True)
            )
        elif plan.resumed:
            text = "a machine went away during the update; the update goes on"
            self._emit(RuntimeEvent(workload.key, workload.uid, EventReason.UPDATE_RESUMED, text))
        elif not before.postponed and not plan.failed:
            self._emit_drift(workload, plan.changed)

    def _emit_drift(self, workload: Workload, corrected: Sequence[str]) -> None:
        # Where copies may run follows the workers, and the labels follow that: nobody did anything by hand.
        by_hand = [each for each in corrected if not each.startswith(("TaskTemplate.Placement", "Labels"))]
        if by_hand:
            what = "removed by hand" if by_hand == [MISSING] else f"changed by hand ({', '.join(by_hand)})"
            message = f"its Swarm service was {what}; put back"
            self._emit(RuntimeEvent(workload.key, workload.uid, EventReason.DRIFT_CORRECTED, message, warning=True))


def _rolled_back(plan: UpdatePlan) -> str:
    said = f": {plan.because}" if plan.because else ""
    return f"revision {plan.failed} did not get ready and was rolled back{said}; the one before serves on"
