"""Keeps each Swarm service what its workload wants: made, put back, spread, made anew when it hangs.

Works on what was seen last; only a difference costs a call. One workload is never written by two at once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import chain

import anyio
import structlog

from controller.kit.clock import Clock
from controller.runtime.driver import DriverError, RuntimeEvent, Workload
from controller.runtime.swarm.deciding import Circumstances, Decision
from controller.runtime.swarm.docker_door import Docker, NotThere, OutOfDate
from controller.runtime.swarm.looking import Look, look
from controller.runtime.swarm.naming import Cloud
from controller.runtime.swarm.preparing import Preparer
from controller.runtime.swarm.readiness import Readiness
from controller.runtime.swarm.rebalancing import (
    MOVES_AT_ONCE,
    Move,
    is_hopeless,
    is_over,
    load_of,
    moved,
    next_move,
)
from controller.runtime.swarm.seeing import Task, serves, worker_name
from controller.runtime.swarm.settling import MISSING, Settler
from controller.runtime.swarm.stack import StackRemoval
from controller.runtime.swarm.wedging import AGAIN_SECONDS, wedged
from controller.runtime.swarm.wishing import wish
from crds.meta import ObjectKey

TRIES = 3
_UNCHANGED = Move("unchanged", 0)
_log = structlog.get_logger("swarm")


class Keeper:
    """`tell` passes news on, `hint` has a workload looked at soon."""

    def __init__(
        self,
        docker: Docker,
        cloud: Cloud,
        clock: Clock,
        tell: Callable[[RuntimeEvent], None],
        hint: Callable[[ObjectKey], None],
        encrypted: Callable[[], bool | None] = lambda: False,
    ) -> None:
        self._docker, self._cloud, self._clock, self._tell, self._hint = docker, cloud, clock, tell, hint
        self._preparer, self._settler = Preparer(docker, cloud, encrypted), Settler(docker, cloud)
        self._readiness = Readiness()
        self.wishes: dict[ObjectKey, Workload] = {}
        self.locks: defaultdict[ObjectKey, anyio.Lock] = defaultdict(anyio.Lock)
        self._settled: dict[ObjectKey, tuple[Workload, Decision]] = {}
        self._written_at: dict[ObjectKey, float] = {}
        self._stack_removal = StackRemoval(docker, cloud, clock)
        self._unwedged_at: dict[ObjectKey, float] = {}
        self._closed = False

    async def want(self, workload: Workload, seen: Look) -> None:
        """No call when it is so already. What was made and is missing from a stack is put right by looking again, for
        the stack may be on its way out. Raises DriverError; RolledBack when that revision was tried in vain."""
        if self._closed:
            return  # told to stop: that nothing is written any more is no trouble to warn of
        self.wishes[workload.key] = workload
        known = self._settled.get(workload.key)
        missing = workload.key not in seen.services
        if known is None or known[0] != workload or (missing and not self._stack_removal.is_possible):
            known = workload, await self._settle(workload, seen)
        if known[1].failed:
            raise DriverError(_rolled_back(known[1]), reason="RolledBack", retryable=False)

    async def adopt(self, name: str, key: ObjectKey) -> None:
        """That Swarm service is this workload from now on. Raises DriverError."""
        async with self.locks[key]:
            await self._settler.adopt(name, key)

    def drop(self, key: ObjectKey) -> None:
        """It is not wanted any more."""
        for kept in (self.wishes, self._settled, self._written_at, self._unwedged_at):
            kept.pop(key, None)

    async def clean_up(self, key: ObjectKey, *, last: bool) -> None:
        """After it is gone: what was made for it alone. `last`: nothing of its namespace is left."""
        await self._preparer.clean_up(key, last=last)
        self.locks.pop(key, None)

    def close(self) -> None:
        """From now on nothing is made or corrected."""
        self._closed = True

    def wants_work_in(self) -> float:
        """Seconds until a machine that has just become ready may want some; infinite when there is none."""
        return self._readiness.settles_in(self._clock.monotonic())

    def on_their_way(self, seen: Look) -> list[ObjectKey]:
        """What no event will tell of."""
        return [
            key
            for key, workload in self.wishes.items()
            if not seen.is_at_rest(key, workload) or Move.read(seen.marks(key)) is not None
        ]

    async def put_right(self, keys: Sequence[ObjectKey], seen: Look, *, began: float, everything: bool) -> None:
        """What cannot be put right is the reconciler's to report: its own `apply` meets the same refusal.

        `began`: when that was looked at; `everything`: all was, so machines can be compared.
        """
        self._readiness.note(seen.nodes, self._clock.monotonic())
        load = load_of(chain.from_iterable(seen.tasks.values()), seen.nodes) if everything else None
        for key in () if self._closed else keys:
            workload = self.wishes.get(key)
            known = self._settled.get(key)
            if self._written_at.get(key, float("-inf")) < began:
                self._written_at.pop(key, None)
            if workload is None or known is None or known[0] != workload or key in self._written_at:
                continue  # it is being applied, or was while we looked
            try:
                await self._put_right(workload, known[1], seen, load)
            except DriverError as refused:
                _log.info("not put right yet", workload=str(key), because=str(refused))
            except Exception:
                _log.exception("our own mistake, met while looking", workload=str(key))

    async def _put_right(self, workload: Workload, before: Decision, seen: Look, load: Counter[str] | None) -> None:
        if await self._leaves_with_its_stack(workload.key, seen):
            return
        decision = await self._settle(workload, seen)
        self._tell_settled(workload, before, decision)
        if decision.changed or decision.postponed:
            return
        if (move := Move.read(seen.marks(workload.key))) is not None:
            await self._end(move, workload, seen)
        elif load is not None and not decision.failed:
            await self._begin_a_move(workload, seen, load)
        await self._unwedge(workload, seen)

    async def _leaves_with_its_stack(self, key: ObjectKey, seen: Look) -> bool:
        if key in seen.services:
            self._stack_removal.found(key)
            return False
        return await self._stack_removal.takes(key)

    async def _settle(self, workload: Workload, seen: Look, move: Move | None = _UNCHANGED) -> Decision:
        """Make or correct the Swarm service. Raises DriverError."""
        key = workload.key
        async with self.locks[key]:
            if key in self._written_at:  # what was seen last is what was there before
                seen = seen.updated(key, await look(self._docker, self._cloud, key))
            for attempt in range(TRIES):
                around = await self._preparer.surroundings(workload, seen)
                going = Move.read(seen.marks(key)) if move is _UNCHANGED else move
                wanted = moved(wish(self._cloud, workload, around), going)
                try:
                    decision = await self._settler.settle(
                        workload, wanted, seen.services.get(key), self._circumstances(key, seen)
                    )
                    break
                except (OutOfDate, NotThere):
                    if attempt == TRIES - 1:
                        raise
                    self._preparer.ask_again()
                    seen = seen.updated(key, await look(self._docker, self._cloud, key))
            self._settled[key] = workload, decision
            if decision.changed:
                self._written_at[key] = self._clock.monotonic()
        if decision.changed:
            self._hint(key)
            await self._preparer.remove_unused(key, around)
        return decision

    def _circumstances(self, key: ObjectKey, seen: Look) -> Circumstances:
        def neighbours() -> list[Task]:
            return [task for other, tasks in seen.tasks.items() if other != key for task in tasks]

        return Circumstances(seen.tasks.get(key, ()), neighbours, self._clock.now())

    async def _begin_a_move(self, workload: Workload, seen: Look, load: Counter[str]) -> None:
        key = workload.key
        if not seen.is_at_rest(key, workload):
            return
        around = await self._preparer.surroundings(workload, seen)
        fit = self._readiness.settled(seen.nodes, self._clock.monotonic()) - set(around.avoid)
        move = next_move(workload, seen.tasks.get(key, ()), seen.nodes, fit, load, self._clock.now())
        if move is None or self._moves(seen) >= MOVES_AT_ONCE:
            return
        await self._settle(workload, seen, move)
        if move.away:
            load[move.away] -= 1
            load[min(fit - {move.away}, key=lambda node: load[node])] += 1

    def _moves(self, seen: Look) -> int:
        """How many are under way."""
        return sum(Move.read(seen.marks(each)) is not None for each in self.wishes)

    async def _end(self, move: Move, workload: Workload, seen: Look) -> None:
        tasks = seen.tasks.get(workload.key, ())
        arrived = is_over(move, workload, tasks, seen.nodes)
        if not arrived and not is_hopeless(move, workload, tasks, self._clock.now()):
            return
        decision = await self._settle(workload, seen, None)
        if arrived and decision.changed:
            seconds = self._clock.now().timestamp() - move.began
            places = sorted(worker_name(seen.nodes[each["NodeID"]]) for each in tasks if serves(each, seen.nodes))
            text = f"a copy moved to a machine that had less to do, in {seconds:.0f} s; now on {', '.join(places)}"
            self._tell(RuntimeEvent(workload.key, workload.uid, "Rebalanced", text))

    async def _unwedge(self, workload: Workload, seen: Look) -> None:
        key, now = workload.key, self._clock.monotonic()
        found, there = wedged(seen.tasks.get(key, ()), seen.nodes, self._clock.now()), seen.services.get(key)
        recent = now - self._unwedged_at.get(key, float("-inf")) < AGAIN_SECONDS
        if found is None or there is None or recent or workload.mode == "job":
            return
        self._unwedged_at[key] = now
        async with self.locks[key]:
            await self._settler.force(there)
            self._written_at[key] = now
        self._hint(key)
        task, waited = found
        place = worker_name(seen.nodes[task["NodeID"]])
        text = f"a copy on {place} was {task['Status']['State']} for {waited:.0f} s; all are made anew, one by one"
        self._tell(RuntimeEvent(key, workload.uid, "TaskWedged", text, warning=True))

    def _tell_settled(self, workload: Workload, before: Decision, decision: Decision) -> None:
        if decision.failed and decision.failed != before.failed:
            self._tell(RuntimeEvent(workload.key, workload.uid, "RolledBack", _rolled_back(decision), warning=True))
        elif decision.resumed:
            text = "a machine went away during the update; the update goes on"
            self._tell(RuntimeEvent(workload.key, workload.uid, "UpdateResumed", text))
        elif not before.postponed and not decision.failed:
            self._tell_corrected(workload, decision.changed)

    def _tell_corrected(self, workload: Workload, corrected: Sequence[str]) -> None:
        # Where copies may run follows the workers, and the labels follow that: nobody did anything by hand.
        by_hand = [each for each in corrected if not each.startswith(("TaskTemplate.Placement", "Labels"))]
        if by_hand:
            what = "removed by hand" if by_hand == [MISSING] else f"changed by hand ({', '.join(by_hand)})"
            message = f"its Swarm service was {what}; put back"
            self._tell(RuntimeEvent(workload.key, workload.uid, "DriftCorrected", message, warning=True))


def _rolled_back(decision: Decision) -> str:
    said = f": {decision.because}" if decision.because else ""
    return f"revision {decision.failed} did not get ready and was rolled back{said}; the one before serves on"
