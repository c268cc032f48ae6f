"""Snapshots of what is ours in a Swarm: of everything, or of one workload."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from controller.docker.client import DockerClient
from controller.runtime.driver import ObservedInstance, Workload
from controller.runtime.swarm import naming
from controller.runtime.swarm.naming import Cloud
from controller.runtime.swarm.tasks import ENDED, WANTED, Task, instances, is_lost, serves
from crds.meta import ObjectKey

_MOVING = ("updating", "rollback_started")


@dataclass(frozen=True)
class SwarmSnapshot:
    """Services and tasks by key, nodes by id; `reached`: networks the conductor is in."""

    services: Mapping[ObjectKey, Mapping[str, Any]] = field(default_factory=dict)
    tasks: Mapping[ObjectKey, Sequence[Task]] = field(default_factory=dict)
    nodes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    reached: tuple[str, ...] = ()

    def instances(self, key: ObjectKey) -> list[ObservedInstance]:
        """Copies of that workload, in the order of their numbers."""
        return instances(
            key,
            self._current(key),
            self.nodes,
            self.reached,
            numbered=self.is_numbered(key),
            unmarked=self.marks(key).get(naming.ADOPTED, ""),
        )

    def is_numbered(self, key: ObjectKey) -> bool:
        """Whether its copies have numbers; those of a daemon go by their machine."""
        service = self.services.get(key)
        return service is None or "Global" not in service["Spec"]["Mode"]

    def uid(self, key: ObjectKey) -> str:
        """Uid of the Service it was made for; empty when there is none."""
        return self.marks(key).get(naming.UID, "")

    def service_name(self, key: ObjectKey) -> str:
        """Name of the Swarm service of that workload; empty when there is none."""
        return str(self.services.get(key, {}).get("Spec", {}).get("Name", ""))

    def marks(self, key: ObjectKey) -> Mapping[str, str]:
        """The labels of its Swarm service."""
        return dict(self.services.get(key, {}).get("Spec", {}).get("Labels") or {})

    def _current(self, key: ObjectKey) -> Sequence[Task]:
        """Its tasks; of a job, those of its last run."""
        tasks, run = self.tasks.get(key, ()), self.services.get(key, {}).get("JobStatus")
        if run is None:
            return tasks
        return [each for each in tasks if _run(each) == run.get("JobIteration", {}).get("Index", 0)]

    def updated(self, key: ObjectKey, newer: SwarmSnapshot) -> SwarmSnapshot:
        """This snapshot with a newer one of one workload laid over it."""
        services = {each: found for each, found in self.services.items() if each != key}
        tasks = {each: found for each, found in self.tasks.items() if each != key}
        return SwarmSnapshot(
            services | dict(newer.services), tasks | dict(newer.tasks), newer.nodes or self.nodes, self.reached
        )

    def without(self, key: ObjectKey) -> SwarmSnapshot:
        """The snapshot as if that workload had never been."""
        return self.updated(key, SwarmSnapshot())

    def is_stable(self, key: ObjectKey, workload: Workload) -> bool:
        """Whether nothing about it is on its way: as many copies as wanted, all where they should be."""
        there, tasks = self.services.get(key), self._current(key)
        if there is None or (there.get("UpdateStatus") or {}).get("State") in _MOVING:
            return False
        wanted = [each for each in tasks if each["DesiredState"] in WANTED]
        if not all(serves(each, self.nodes) or each["Status"]["State"] == "complete" for each in wanted):
            return False
        leaving = [each for each in tasks if each["Status"]["State"] == "running" and each not in wanted]
        # A machine that is away tells nothing of what it still runs, until it is back: an event tells that.
        if any(not is_lost(each, self.nodes) for each in leaving):
            return False
        return workload.mode != "replicated" or len(wanted) == workload.replicas

    def has_live_tasks(self, key: ObjectKey) -> bool:
        """Whether any copy of it still runs, or may, on a machine that is there. What has ended is only history."""
        tasks = self.tasks.get(key, ())
        return any(each["Status"]["State"] not in ENDED and not is_lost(each, self.nodes) for each in tasks)

    @property
    def keys(self) -> list[ObjectKey]:
        """Keys of every workload that has a service or a copy that runs."""
        return sorted({*self.services, *(key for key in self.tasks if self.has_live_tasks(key))})


async def take_snapshot(docker: DockerClient, cloud: Cloud, key: ObjectKey | None = None) -> SwarmSnapshot:
    """Take a snapshot of all, or of one workload (then without nodes: events announce those). Raises DriverError."""
    label = [f"{naming.CLOUD}={cloud.name}"]
    if key is not None:
        label += [f"{naming.NAMESPACE}={key.namespace}", f"{naming.NAME}={key.name}"]

    def ask(api: Any) -> tuple[list[Any], list[Any], list[Any]]:
        services, tasks = api.services({"label": label}), api.tasks({"label": label})
        # Tasks that were there before their service was adopted carry no label of ours.
        if adopted := [each["ID"] for each in services if naming.ADOPTED in each["Spec"]["Labels"]]:
            tasks = [*tasks, *api.tasks({"service": adopted})]
        return services, tasks, [] if key else api.nodes()

    services, tasks, nodes = await docker.ask(ask)
    owned = {owner: each for each in services if (owner := naming.key_in(each["Spec"]["Labels"])) is not None}
    return SwarmSnapshot(
        services=owned,
        tasks=_by_owner(tasks, {each["ID"]: owner for owner, each in owned.items()}),
        nodes={each["ID"]: each for each in nodes},
        reached=cloud.reached,
    )


def _by_owner(tasks: Sequence[Task], owners: Mapping[str, ObjectKey]) -> dict[ObjectKey, list[Task]]:
    """`owners`: of Swarm services that are there, by id. What is left of others is known by its own labels."""
    grouped: defaultdict[ObjectKey, dict[str, Task]] = defaultdict(dict)
    for task in tasks:
        labels = task["Spec"].get("ContainerSpec", {}).get("Labels") or {}
        owner = owners.get(task.get("ServiceID", "")) or naming.key_in(labels)
        if owner is not None:
            grouped[owner][task["ID"]] = task
    return {owner: list(found.values()) for owner, found in grouped.items()}


def _run(task: Task) -> int:
    """Index of the job iteration this task belongs to."""
    return int((task.get("JobIteration") or {}).get("Index", 0))
