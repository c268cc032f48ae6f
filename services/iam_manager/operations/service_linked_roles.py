"""IAM operations about roles that are linked to a service of AWS: made, and deleted, by its name."""

from __future__ import annotations

import json
from typing import Any

from crds.kinds.iam import IAM_ROLE, IamRoleSpec
from services.iam_manager import errors
from services.iam_manager.directory import Directory
from services.iam_manager.views import created_role
from services.sdk.aws.iam_names import AWS_MANAGED
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.aws.service_linked_roles import LINKED_ROLES, POLICY_PATH

Json = dict[str, Any]


class ServiceLinkedRoleOperations:
    """One declared method per operation."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    @operation(
        "CreateServiceLinkedRole",
        permission=("create", IAM_ROLE),
        understands=("AWSServiceName", "Description", "CustomSuffix"),
    )
    async def create_service_linked_role(self, call: RequestContext, request: Json) -> Json:
        spec = _spec(request)
        name = spec.role_name
        await self._directory.allow(call, name)
        if await self._directory.find(IAM_ROLE, call, name) is not None:
            raise errors.invalid(
                f"Service role name {name} has been taken in this account, please try a different suffix."
            )
        return {"Role": created_role(call.account, await self._directory.create(IAM_ROLE, call, name, spec))}

    @operation("DeleteServiceLinkedRole", permission=("delete", IAM_ROLE), understands=("RoleName",))
    async def delete_service_linked_role(self, call: RequestContext, request: Json) -> Json:
        await self._directory.allow(call, request["RoleName"])
        role = await self._directory.one(IAM_ROLE, call, request["RoleName"])
        if not role.spec.linked_service:
            raise errors.invalid(f"{role.spec.role_name} is not linked to a service; use DeleteRole.")
        await self._directory.delete(IAM_ROLE, call, role)
        return {"DeletionTaskId": f"task{role.spec.path}{role.spec.role_name}/{role.metadata.uid}"}

    @operation("GetServiceLinkedRoleDeletionStatus", permission=("list", IAM_ROLE), understands=("DeletionTaskId",))
    async def get_service_linked_role_deletion_status(self, call: RequestContext, request: Json) -> Json:
        """It was deleted before its task was named."""
        await self._directory.allow(call)
        parts = request["DeletionTaskId"].split("/")
        if len(parts) < 5 or parts[0] != "task":
            raise errors.no_entity(f"Deletion task {request['DeletionTaskId']} cannot be found.")
        return {"Status": "SUCCEEDED"}


def _spec(request: Json) -> IamRoleSpec:
    """The role of that service. Raises InvalidInput."""
    service, suffix = request["AWSServiceName"], request.get("CustomSuffix") or ""
    known = LINKED_ROLES.get(service)
    if known is None:
        raise errors.invalid(f"Service {service} has no service-linked role here; make a role that trusts it.")
    if suffix and not known.takes_suffix:
        raise errors.invalid(f"Custom suffix is not allowed for {service}")
    trusted = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return IamRoleSpec(
        role_name=f"{known.name}_{suffix}" if suffix else known.name,
        trust=json.dumps({"Version": "2012-10-17", "Statement": [trusted]}),
        path=f"/{POLICY_PATH}{service}/",
        description=request.get("Description") or "",
        attached=[f"{AWS_MANAGED}{POLICY_PATH}{known.policy}"],
        linked_service=service,
    )
