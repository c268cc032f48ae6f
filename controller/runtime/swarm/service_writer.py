"""Writes a Swarm service as its workload wants it, or restores it; with as few calls as that takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from controller.docker.client import DockerClient, NameConflict, NotFound
from controller.runtime.driver import DriverError, Workload
from controller.runtime.swarm import naming
from controller.runtime.swarm.adoption import volumes_of
from controller.runtime.swarm.naming import Cloud
from controller.runtime.swarm.update_plan import PlanContext, Service, Spec, UpdatePlan, plan_update
from crds.conditions import Reason
from crds.meta import ObjectKey

MISSING = "missing"


class ServiceWriter:
    """Makes and updates; never looks by itself unless a name is taken."""

    def __init__(self, docker: DockerClient, cloud: Cloud) -> None:
        self._docker, self._cloud = docker, cloud

    async def write(
        self, workload: Workload, wanted: dict[str, Any], there: Service | None, around: PlanContext
    ) -> UpdatePlan:
        """`there` is the Swarm service as last seen. Raises OutOfDate when it has changed since, NameConflict."""
        if there is None:
            return await self._create(workload, wanted, around)
        plan = plan_update(wanted, there, around)
        if plan.spec is not None:
            await self._update(there, plan.first, plan.spec)
        return plan

    async def adopt(self, name: str, key: ObjectKey) -> None:
        """Marks somebody else's Swarm service as that workload; no task restarts. Raises DriverError."""
        there: Service = await self._docker.ask(lambda api: api.inspect_service(name))
        marks = dict(there["Spec"].get("Labels") or {})
        if naming.CLOUD in marks:
            raise DriverError(
                f"the Swarm service {name} belongs to a cloud already", reason=Reason.NAME_CONFLICT, retryable=False
            )
        marks |= naming.labels(self._cloud, key, "") | {naming.ADOPTED: naming.ANY_REVISION}
        if volumes := volumes_of(there):
            marks[naming.VOLUMES] = json.dumps(volumes, sort_keys=True)
        await self._update(there, None, {**there["Spec"], "Labels": marks})

    async def force_update(self, there: Service) -> None:
        """Recreate all its copies, one after the other."""
        template = there["Spec"]["TaskTemplate"]
        again = {**template, "ForceUpdate": template.get("ForceUpdate", 0) + 1}
        spec = {**there["Spec"], "TaskTemplate": again}
        id_, version = there["ID"], there["Version"]["Index"]
        await self._docker.ask(lambda api: api.update_service(id_, version, **arguments(spec)))

    async def _create(self, workload: Workload, wanted: dict[str, Any], around: PlanContext) -> UpdatePlan:
        try:
            await self._docker.ask(lambda api: api.create_service(**arguments(wanted)))
        except NameConflict:
            there = await self._inspect_ours(workload, wanted["Name"])
            return await self.write(workload, wanted, there, around)
        return UpdatePlan(wanted, (MISSING,))

    async def _inspect_ours(self, workload: Workload, name: str) -> Service | None:
        """Raises DriverError when the service of that name is a stranger's."""
        try:
            there: Service = await self._docker.ask(lambda api: api.inspect_service(name))
        except NotFound:
            return None
        marks = there["Spec"].get("Labels") or {}
        if marks.get(naming.CLOUD) != self._cloud.name or naming.key_in(marks) != workload.key:
            advice = f"remove it, or give {workload.key.name} another name"
            message = f"a Swarm service {name} exists that is not ours; {advice}"
            raise DriverError(message, reason=Reason.NAME_CONFLICT, retryable=False)
        return there

    async def _update(self, there: Service, first: Spec | None, spec: Spec) -> None:
        id_, version = there["ID"], there["Version"]["Index"]
        if first is not None:
            await self._docker.ask(lambda api: api.update_service(id_, version, **arguments(first)))
            version = (await self._docker.ask(lambda api: api.inspect_service(id_)))["Version"]["Index"]
        forced = there["Spec"]["TaskTemplate"].get("ForceUpdate", 0)
        whole = {**spec, "TaskTemplate": {**spec["TaskTemplate"], "ForceUpdate": forced}}
        await self._docker.ask(lambda api: api.update_service(id_, version, **arguments(whole)))


def arguments(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as the docker SDK names them."""
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
