"""The `swarm` driver: observe, apply, forget for services that are Swarm services.

Swarm keeps the copies running; this driver keeps the Swarm services what they should be. It answers from what it saw
last. What somebody changed, scaled or removed by hand is put back. Ending it leaves everything running, to be adopted
by the next conductor.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import anyio
import anyio.abc
import structlog

from controller.kit.clock import Clock
from controller.runtime.driver import DriverError, InstanceSeen, News, Workload
from controller.runtime.swarm import naming
from controller.runtime.swarm.docker_door import Docker, NotThere, OutOfDate
from controller.runtime.swarm.drifting import differences
from controller.runtime.swarm.logs import read_logs
from controller.runtime.swarm.looking import Look, Teller, look
from controller.runtime.swarm.preparing import Preparer
from controller.runtime.swarm.rebalancing import NODE_SETTLES_SECONDS, ready_nodes, wants_a_move
from controller.runtime.swarm.seeing import Task, error_of
from controller.runtime.swarm.settling import Settled, Settler, arguments
from controller.runtime.swarm.watching import Watch, keep_heartbeat
from controller.runtime.swarm.wedging import AGAIN_SECONDS, wedged
from controller.runtime.swarm.wishing import wish
from crds.meta import ObjectKey

TRIES = 3
_log = structlog.get_logger("swarm")


class SwarmDriver:
    """One per cloud; several clouds may share a Swarm under different names.

    `stack`: the Docker stack whose part everything made becomes; `control_network`: its network with the conductor.
    """

    name = "swarm"

    def __init__(
        self, docker: Docker, clock: Clock, *, cloud: str = "aerekos", stack: str = "", control_network: str = ""
    ) -> None:
        self._docker, self._clock = docker, clock
        self._cloud = naming.Cloud(cloud, stack, control_network)
        self._preparer, self._settler = Preparer(docker, self._cloud), Settler(docker, self._cloud)
        self._listeners: list[Callable[[News], None]] = []
        self._wishes: dict[ObjectKey, Workload] = {}
        self._settled: dict[ObjectKey, tuple[Workload, Settled]] = {}
        self._surplus: set[ObjectKey] = set()
        self._locks: defaultdict[ObjectKey, anyio.Lock] = defaultdict(anyio.Lock)
        self._teller = Teller()
        self._seen: Look | None = None
        self._ready_since: dict[str, float] = {}
        self._unwedged_at: dict[ObjectKey, float] = {}
        self._watch = Watch(docker, self._named)
        self._lost: DriverError | None = None

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Watch until cancelled. A daemon that is away is asked again and again."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._watch.follow)
            group.start_soon(keep_heartbeat, self._docker)
            task_status.started()
            while True:
                where = self._watch.take()
                await self._look(where)
                await self._watch.next(in_motion=self._lost is not None or self._is_in_motion())

    async def observe(self, key: ObjectKey) -> Sequence[InstanceSeen]:
        """As last seen. Raises DriverError while Swarm cannot be asked."""
        return (await self._known_look()).instances(key)

    async def apply(self, workload: Workload) -> None:
        """Costs no call when nothing is to be done. Raises DriverError: NeedsImage, NameTaken, NoSuchWorker,
        RolledBack, NotASwarmManager, RuntimeUnreachable.
        """
        if not workload.image:
            message = f"{workload.key.name} names no image: a Swarm runs containers only"
            raise DriverError(message, reason="NeedsImage", retryable=False)
        self._wishes[workload.key] = workload
        seen = await self._known_look()
        known = self._settled.get(workload.key)
        if known is None or known[0] != workload or workload.key not in seen.services:
            await self._settle(workload, seen)
        self._refuse_rolled_back(workload)

    def hint(self, key: ObjectKey) -> None:
        """An agent saw something happen to one of its containers."""
        self._watch.hint(key)

    async def forget(self, key: ObjectKey) -> bool:
        """Remove it. True when no copy is left, also none that still stops."""
        for kept in (self._wishes, self._settled, self._unwedged_at):
            kept.pop(key, None)
        self._surplus.discard(key)
        async with self._locks[key]:
            seen = await look(self._docker, self._cloud, key)
            if key in seen.services:
                id_ = seen.services[key]["ID"]
                await self._docker.ask(lambda api: api.remove_service(id_))
            if key in seen.services or seen.lives(key):
                self._watch.hint(key)
                return False
        self._seen = self._seen.without(key) if self._seen else None
        await self._preparer.clean_up(key, last=not await self._neighbours(key))
        return True

    async def known(self) -> Sequence[ObjectKey]:
        """Every workload with a Swarm service or a task that carries our label."""
        return (await look(self._docker, self._cloud)).keys

    def on_news(self, listener: Callable[[News], None]) -> None:
        """All listeners hear all news, in order of subscription."""
        self._listeners.append(listener)

    async def logs(self, key: ObjectKey, instance: str | None, *, tail: int) -> Sequence[str]:
        """From the machines the copies run on; lines of a machine that is away are missing."""
        return await read_logs(self._docker, naming.swarm_name(self._cloud, key), key, instance, tail)

    async def _known_look(self) -> Look:
        """Raises DriverError while the daemon cannot be asked."""
        if self._lost is not None:
            raise self._lost
        if self._seen is None:
            self._seen = await look(self._docker, self._cloud)
        return self._seen

    async def _neighbours(self, key: ObjectKey) -> bool:
        return any(each.namespace == key.namespace for each in await self.known())

    def _named(self, swarm_name: str) -> ObjectKey | None:
        """The workload whose Swarm service has that name."""
        return next((key for key in self._wishes if naming.swarm_name(self._cloud, key) == swarm_name), None)

    async def _settle(self, workload: Workload, seen: Look) -> Settled:
        """Make or correct the Swarm service; what was corrected. Raises DriverError."""
        key = workload.key
        async with self._locks[key]:
            for attempt in range(TRIES):
                around = await self._preparer.surroundings(workload, seen)
                wanted = wish(self._cloud, self._with_surplus(workload), around)
                try:
                    settled = await self._settler.settle(workload, wanted, seen.services.get(key))
                    break
                except (OutOfDate, NotThere):
                    if attempt == TRIES - 1:
                        raise
                    seen = await look(self._docker, self._cloud, key)
            self._settled[key] = workload, settled
        if settled.changed:
            self._watch.hint(key)
            await self._preparer.remove_unused(key, around)
        return settled

    def _with_surplus(self, workload: Workload) -> Workload:
        return replace(workload, replicas=workload.replicas + 1) if workload.key in self._surplus else workload

    def _refuse_rolled_back(self, workload: Workload) -> None:
        known = self._settled.get(workload.key)
        if known is None or known[1].failed != workload.revision or self._seen is None:
            return
        said = error_of(self._seen.tasks.get(workload.key, ()), workload.revision)
        message = f"revision {workload.revision} did not get ready and was rolled back{f': {said}' if said else ''}"
        raise DriverError(f"{message}; the one before serves on", reason="RolledBack", retryable=False)

    async def _look(self, where: frozenset[ObjectKey] | None) -> None:
        """At the workloads named, or at all. Then put right what is not as wished."""
        try:
            if where is None or self._seen is None:
                now = await look(self._docker, self._cloud)
            else:
                now = self._seen
                for key in where:
                    now = now.updated(key, await look(self._docker, self._cloud, key))
        except DriverError as lost:
            self._note_lost(lost)
            return
        self._lost, self._seen = None, now
        self._note_ready_nodes(now)
        for news in self._teller.news(now, self._clock.monotonic()):
            self._tell(news)
        for key in sorted(where) if where is not None else list(self._wishes):
            await self._put_right(key, now)

    async def _put_right(self, key: ObjectKey, seen: Look) -> None:
        """What cannot be put right is the reconciler's to report: its own `apply` meets the same refusal."""
        workload = self._wishes.get(key)
        if workload is None or key not in self._settled:
            return
        try:
            await self._correct(workload, seen)
            await self._rebalance(workload, seen)
            await self._unwedge(workload, seen)
        except DriverError as refused:
            _log.info("not put right yet", workload=str(key), because=str(refused))
        except Exception:
            _log.exception("our own mistake, met while looking", workload=str(key))

    async def _correct(self, workload: Workload, seen: Look) -> None:
        """Reality is compared with the last wish; only a difference costs a call."""
        there = seen.services.get(workload.key)
        if there is not None:
            around = await self._preparer.surroundings(workload, seen)
            if not differences(wish(self._cloud, self._with_surplus(workload), around), there["Spec"]):
                self._settled[workload.key] = workload, Settled()
                return
        before = self._settled[workload.key][1]
        settled = await self._settle(workload, seen)
        if settled.failed and settled.failed != before.failed:
            self._tell_rolled_back(workload, settled.failed, seen)
        elif settled.changed and not settled.failed:
            self._tell_corrected(workload, settled.changed)

    async def _rebalance(self, workload: Workload, seen: Look) -> None:
        """One copy of a workload moves at a time; a conductor that dies in between leaves one copy too many, which
        the next one takes away.
        """
        key, replicas = workload.key, workload.replicas
        if workload.mode != "replicated" or replicas < 2 or self._settled[key][1].failed:
            return
        tasks = seen.tasks.get(key, ())
        if key in self._surplus:
            if sum(each["Status"]["State"] == each["DesiredState"] == "running" for each in tasks) > replicas:
                self._surplus.discard(key)
                await self._settle(workload, seen)
                self._tell(
                    News(
                        key,
                        workload.uid,
                        "Rebalanced",
                        f"a copy moved to a machine that had fewer{_places(seen, tasks)}",
                    )
                )
            return
        around = await self._preparer.surroundings(workload, seen)
        fit = ready_nodes(seen.nodes, self._ready_since, self._clock.monotonic()) - set(around.avoid)
        if wants_a_move(tasks, fit, replicas):
            self._surplus.add(key)
            await self._settle(workload, seen)

    async def _unwedge(self, workload: Workload, seen: Look) -> None:
        key, now = workload.key, self._clock.monotonic()
        found = wedged(seen.tasks.get(key, ()), seen.nodes, self._clock.now())
        if found is None or now - self._unwedged_at.get(key, -AGAIN_SECONDS) < AGAIN_SECONDS:
            return
        self._unwedged_at[key] = now
        task, waited = found
        there = seen.services[key]
        spec = {**there["Spec"], "TaskTemplate": dict(there["Spec"]["TaskTemplate"])}
        spec["TaskTemplate"]["ForceUpdate"] = spec["TaskTemplate"].get("ForceUpdate", 0) + 1
        id_, version = there["ID"], there["Version"]["Index"]
        await self._docker.ask(lambda api: api.update_service(id_, version, **arguments(spec)))
        state = task["Status"]["State"]
        text = f"a copy was {state} for {waited:.0f} s; made anew"
        self._tell(News(key, workload.uid, "TaskWedged", text, warning=True))

    def _is_in_motion(self) -> bool:
        """Whether something is on its way that no event will tell of."""
        seen = self._seen
        if seen is None or self._surplus:
            return True
        now = self._clock.monotonic()
        # A machine that came back is looked at once more when it has been ready for a while: it may want work.
        returning = any(now - since <= NODE_SETTLES_SECONDS + 1 for since in self._ready_since.values())
        return returning or any(not seen.is_at_rest(key, workload) for key, workload in self._wishes.items())

    def _note_ready_nodes(self, seen: Look) -> None:
        ready = {id_ for id_, node in seen.nodes.items() if node["Status"]["State"] == "ready"}
        # Those of the first look have been ready for who knows how long.
        now = self._clock.monotonic() if self._ready_since else float("-inf")
        self._ready_since = {id_: self._ready_since.get(id_, now) for id_ in ready}

    def _tell_rolled_back(self, workload: Workload, failed: str, seen: Look) -> None:
        said = error_of(seen.tasks.get(workload.key, ()), failed)
        message = f"revision {failed} did not get ready and was rolled back{f': {said}' if said else ''}"
        self._tell(News(workload.key, workload.uid, "RolledBack", message, warning=True))

    def _tell_corrected(self, workload: Workload, corrected: Sequence[str]) -> None:
        # Where copies may run follows the workers, and the labels follow that: nobody did anything by hand.
        by_hand = [each for each in corrected if not each.startswith(("TaskTemplate.Placement", "Labels"))]
        if by_hand:
            what = "removed by hand" if by_hand == ["missing"] else f"changed by hand ({', '.join(by_hand)})"
            message = f"its Swarm service was {what}; put back"
            self._tell(News(workload.key, workload.uid, "DriftCorrected", message, warning=True))

    def _note_lost(self, lost: DriverError) -> None:
        """Told once per outage, to everything we keep."""
        if self._lost is None:
            for key, workload in self._wishes.items():
                self._tell(News(key, workload.uid, "RuntimeUnreachable", str(lost), warning=True))
        self._lost = lost

    def _tell(self, news: News) -> None:
        for listener in self._listeners:
            listener(news)


def _places(seen: Look, tasks: Sequence[Task]) -> str:
    names = sorted(_hostname(seen.nodes.get(each.get("NodeID", ""), {})) for each in tasks
                   if each["DesiredState"] == "running")  # fmt: skip
    return f" (copies on {', '.join(names)})"


def _hostname(node: Mapping[str, Any]) -> str:
    return str(node.get("Description", {}).get("Hostname", "?"))
