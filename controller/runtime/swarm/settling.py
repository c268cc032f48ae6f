"""Makes a Swarm service what its workload wants, or puts it back; with as few calls as that takes.

A new revision that does not get Ready is rolled back by Swarm itself. So that nobody fights that, now or after a
restart of the conductor, the old spec is marked with the revision that is about to be tried, before it is tried:
Swarm restores the old spec with that mark. Changing a mark restarts no task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.runtime.driver import DriverError, Workload
from controller.runtime.swarm import naming
from controller.runtime.swarm.docker_door import Docker, NotThere, Taken
from controller.runtime.swarm.drifting import differences
from controller.runtime.swarm.naming import Cloud

Service = Mapping[str, Any]
_ROLLED_BACK = ("rollback_started", "rollback_completed", "rollback_paused")


@dataclass(frozen=True)
class Settled:
    """`changed`: paths that were corrected, `missing` when it was made. `failed`: the revision rolled back from."""

    changed: tuple[str, ...] = ()
    failed: str = ""


class Settler:
    """Makes and updates; never looks by itself unless a name is taken."""

    def __init__(self, docker: Docker, cloud: Cloud) -> None:
        self._docker, self._cloud = docker, cloud

    async def settle(self, workload: Workload, wanted: dict[str, Any], there: Service | None) -> Settled:
        """`there` is the Swarm service as last seen. Raises OutOfDate when it has changed since, NameTaken."""
        if there is None:
            return await self._make(workload, wanted)
        failed = rolled_back(there)
        if failed and failed == workload.revision:
            wanted = _only_scaled(wanted, there)
        changed = differences(wanted, there["Spec"])
        if not changed:
            return Settled(failed=failed)
        await self._update(there, wanted, workload)
        return Settled(tuple(changed), failed)

    async def _make(self, workload: Workload, wanted: dict[str, Any]) -> Settled:
        try:
            await self._docker.ask(lambda api: api.create_service(**arguments(wanted)))
        except Taken:
            there = await self._ours(workload, wanted["Name"])
            return await self.settle(workload, wanted, there)
        return Settled(("missing",))

    async def _ours(self, workload: Workload, name: str) -> Service | None:
        """Raises DriverError when the service of that name is a stranger's."""
        try:
            there: Service = await self._docker.ask(lambda api: api.inspect_service(name))
        except NotThere:
            return None
        marks = there["Spec"].get("Labels") or {}
        if marks.get(naming.CLOUD) != self._cloud.name or naming.key_in(marks) != workload.key:
            advice = f"remove it, or give {workload.key.name} another name"
            message = f"a Swarm service {name} exists that is not ours; {advice}"
            raise DriverError(message, reason="NameTaken", retryable=False)
        return there

    async def _update(self, there: Service, wanted: dict[str, Any], workload: Workload) -> None:
        id_, version, spec = there["ID"], there["Version"]["Index"], there["Spec"]
        if _is_rollout(spec, wanted):
            marked = {**spec, "Labels": {**(spec.get("Labels") or {}), naming.TRYING: workload.revision}}
            await self._docker.ask(lambda api: api.update_service(id_, version, **arguments(marked)))
            version = (await self._docker.ask(lambda api: api.inspect_service(id_)))["Version"]["Index"]
        wanted["TaskTemplate"]["ForceUpdate"] = spec["TaskTemplate"].get("ForceUpdate", 0)
        await self._docker.ask(lambda api: api.update_service(id_, version, **arguments(wanted)))


def rolled_back(there: Service) -> str:
    """The revision that was tried and did not get Ready; empty when the last one tried stands."""
    marks = there["Spec"].get("Labels") or {}
    tried = str(marks.get(naming.TRYING, ""))
    state = (there.get("UpdateStatus") or {}).get("State", "")
    return tried if tried and tried != marks.get(naming.REVISION) and state in _ROLLED_BACK else ""


def _is_rollout(spec: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    marks = spec.get("Labels") or {}
    return bool(marks.get(naming.REVISION) != wanted["Labels"][naming.REVISION])


def _only_scaled(wanted: Mapping[str, Any], there: Service) -> dict[str, Any]:
    """What serves goes on as it is, in the number that is wanted."""
    kept = there["Spec"]
    return {**wanted, "TaskTemplate": kept["TaskTemplate"], "Labels": kept["Labels"]}


def arguments(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """As the docker SDK names them."""
    named = {
        "task_template": wanted["TaskTemplate"],
        "name": wanted["Name"],
        "labels": wanted["Labels"],
        "mode": wanted["Mode"],
        "update_config": wanted.get("UpdateConfig"),
        "rollback_config": wanted.get("RollbackConfig"),
        "endpoint_spec": wanted.get("EndpointSpec"),
    }
    return {name: value for name, value in named.items() if value is not None}
