"""One look at everything of ours in a Swarm, and what two looks in a row say happened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from controller.runtime.driver import InstanceSeen, News, Workload
from controller.runtime.swarm import naming
from controller.runtime.swarm.docker_door import Docker
from controller.runtime.swarm.naming import Cloud
from controller.runtime.swarm.seeing import ENDED, Task, error_in, instances
from crds.meta import ObjectKey

_MOVING = ("updating", "rollback_started")


@dataclass(frozen=True)
class Look:
    """Services and tasks by key, nodes by id; `reached`: networks the conductor is in."""

    services: Mapping[ObjectKey, Mapping[str, Any]] = field(default_factory=dict)
    tasks: Mapping[ObjectKey, Sequence[Task]] = field(default_factory=dict)
    nodes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    reached: tuple[str, ...] = ()

    def instances(self, key: ObjectKey) -> list[InstanceSeen]:
        """Copies of that workload, in the order of their numbers."""
        service = self.services.get(key)
        numbered = service is None or "Global" not in service["Spec"]["Mode"]
        return instances(key, self.tasks.get(key, ()), self.nodes, self.reached, numbered=numbered)

    def updated(self, key: ObjectKey, newer: Look) -> Look:
        """With what a look at one workload has found."""
        services = {each: found for each, found in self.services.items() if each != key}
        tasks = {each: found for each, found in self.tasks.items() if each != key}
        return Look(services | dict(newer.services), tasks | dict(newer.tasks), newer.nodes, self.reached)

    def without(self, key: ObjectKey) -> Look:
        """As if that workload had never been."""
        return self.updated(key, Look(nodes=self.nodes))

    def is_at_rest(self, key: ObjectKey, workload: Workload) -> bool:
        """Whether nothing about it is on its way: as many copies as wanted, all where they should be."""
        there, tasks = self.services.get(key), self.tasks.get(key, ())
        if there is None or (there.get("UpdateStatus") or {}).get("State") in _MOVING:
            return False
        wanted = [each for each in tasks if each["DesiredState"] in ("running", "ready", "complete")]
        if any(each["Status"]["State"] not in ("running", "complete") for each in wanted):
            return False
        leaving = [each for each in tasks if each["Status"]["State"] == "running" and each not in wanted]
        return not leaving and (workload.mode != "replicated" or len(wanted) == workload.replicas)

    def lives(self, key: ObjectKey) -> bool:
        """Whether any copy of it still runs, or may. What has ended is only history."""
        return any(each["Status"]["State"] not in ENDED for each in self.tasks.get(key, ()))

    @property
    def keys(self) -> list[ObjectKey]:
        """Of every workload that has a service or a copy that runs."""
        return sorted({*self.services, *(key for key in self.tasks if self.lives(key))})


async def look(docker: Docker, cloud: Cloud, key: ObjectKey | None = None) -> Look:
    """At one workload or at all. Raises DriverError."""
    label = [f"{naming.CLOUD}={cloud.name}"]
    if key is not None:
        label += [f"{naming.NAMESPACE}={key.namespace}", f"{naming.NAME}={key.name}"]

    def ask(api: Any) -> tuple[list[Any], list[Any], list[Any]]:
        return api.services({"label": label}), api.tasks({"label": label}), api.nodes()

    services, tasks, nodes = await docker.ask(ask)
    grouped: defaultdict[ObjectKey, list[Task]] = defaultdict(list)
    for task in tasks:
        owner = naming.key_in(task["Spec"].get("ContainerSpec", {}).get("Labels") or {})
        if owner is not None:
            grouped[owner].append(task)
    owned = {naming.key_in(each["Spec"]["Labels"]): each for each in services}
    return Look(
        services={owner: each for owner, each in owned.items() if owner is not None},
        tasks=grouped,
        nodes={each["ID"]: each for each in nodes},
        reached=cloud.reached,
    )


class Teller:
    """Remembers the last look. `at` readings are the caller's, in seconds."""

    def __init__(self) -> None:
        self._last: Look | None = None
        self._down_since: dict[tuple[ObjectKey, str], float] = {}

    def news(self, now: Look, at: float) -> Iterator[News]:
        """What happened since the last look. The first one only teaches what is there."""
        before, self._last = self._last, now
        for key in sorted({*before.keys, *now.keys}) if before else ():
            yield from self._about(key, before or now, now, at)

    def _about(self, key: ObjectKey, before: Look, now: Look, at: float) -> Iterator[News]:
        if before.tasks.get(key) == now.tasks.get(key) and before.nodes == now.nodes:
            return
        uid = _uid(now, key) or _uid(before, key)
        known = {task["ID"] for task in before.tasks.get(key, ()) if _died(task)}
        dead = set()
        for task in now.tasks.get(key, ()):
            if _died(task) and task["ID"] not in known:
                name = naming.instance_name(key, task.get("Slot", 0))
                dead.add(name)
                yield News(key, uid, "Died", f"{name}: {error_in(task) or 'ended'}", warning=True)
        were = {each.name: each for each in before.instances(key)}
        are = now.instances(key)
        for each in are:
            # One that died and is back already was Ready in both looks.
            if each.name in dead and each.name in were and were[each.name].ready:
                self._down_since.setdefault((key, each.name), at)
            yield from self._about_one(key, uid, were.get(each.name), each, at)
        for name in were.keys() - {each.name for each in are}:
            self._down_since.pop((key, name), None)
            yield News(key, uid, "Stopped", f"{name} is gone")

    def _about_one(
        self, key: ObjectKey, uid: str, was: InstanceSeen | None, is_: InstanceSeen, at: float
    ) -> Iterator[News]:
        spot = (key, is_.name)
        if was is not None and _same(was, is_) and spot not in self._down_since:
            return
        if not is_.ready:
            if was is not None and was.ready:
                self._down_since[spot] = at
            if was is None or not _same(was, is_):
                yield News(key, uid, is_.phase, f"{is_.name} is {is_.phase}{_because(is_)}")
        elif spot in self._down_since:
            gap = at - self._down_since.pop(spot)
            took = f"after {gap:.2f} s" if gap else "before anybody looked"
            yield News(key, uid, "Recovered", f"{is_.name} serves again {took}, on {is_.worker}")
        else:
            yield News(key, uid, "Ready", f"{is_.name} is ready on {is_.worker}")


def _same(was: InstanceSeen, is_: InstanceSeen) -> bool:
    return (was.phase, was.revision, was.worker, was.restarts) == (is_.phase, is_.revision, is_.worker, is_.restarts)


def _died(task: Task) -> bool:
    return task["Status"]["State"] in ("failed", "rejected")


def _because(seen: InstanceSeen) -> str:
    return f": {seen.message}" if seen.message else ""


def _uid(seen: Look, key: ObjectKey) -> str:
    service = seen.services.get(key)
    return str(service["Spec"]["Labels"].get(naming.UID, "")) if service else ""
