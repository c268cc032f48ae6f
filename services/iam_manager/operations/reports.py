"""IAM operations that report: the credential report, and which policies give a service."""

from __future__ import annotations

import csv
import io
from typing import Any

from crds.kinds.iam import IAM_POLICY, IAM_USER, IamUser
from services.iam_manager.directory import Directory
from services.iam_manager.operations.access_keys import AccessKeyOperations
from services.iam_manager.operations.simulation import SimulationOperations
from services.iam_manager.views import user_arn
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.aws.policy import NamedPolicy
from services.sdk.resources import Clock

Json = dict[str, Any]
_KEYS = 2
_BEGIN = ("user", "arn", "user_creation_time")
# Passwords and second factors are the cloud's own: IAM knows nothing of them.
_NOT_OURS = (
    "password_enabled",
    "password_last_used",
    "password_last_changed",
    "password_next_rotation",
    "mfa_active",
)
_OF_KEY = ("active", "last_rotated", "last_used_date", "last_used_region", "last_used_service")
_END = ("cert_1_active", "cert_1_last_rotated", "cert_2_active", "cert_2_last_rotated")
COLUMNS = (
    *_BEGIN,
    *_NOT_OURS,
    *(f"access_key_{number}_{each}" for number in range(1, _KEYS + 1) for each in _OF_KEY),
    *_END,
)


class ReportOperations:
    """One declared method per operation."""

    def __init__(
        self, directory: Directory, keys: AccessKeyOperations, simulation: SimulationOperations, clock: Clock
    ) -> None:
        self._directory, self._keys, self._simulation, self._clock = directory, keys, simulation, clock

    @operation("GenerateCredentialReport", permission=("list", IAM_USER), understands=())
    async def generate_credential_report(self, call: RequestContext, request: Json) -> Json:
        """It is made when it is read."""
        await self._directory.allow(call)
        return {"State": "COMPLETE"}

    @operation("GetCredentialReport", permission=("list", IAM_USER), understands=())
    async def get_credential_report(self, call: RequestContext, request: Json) -> Json:
        await self._directory.allow(call)
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        for user in await self._directory.users(call):
            writer.writerow(await self._row(call, user))
        return {"Content": out.getvalue().encode(), "ReportFormat": "text/csv", "GeneratedTime": self._clock.now()}

    @operation(
        "ListPoliciesGrantingServiceAccess",
        permission=("list", IAM_POLICY),
        understands=("Arn", "ServiceNamespaces"),
    )
    async def list_policies_granting_service_access(self, call: RequestContext, request: Json) -> Json:
        await self._directory.allow(call)
        named = await self._simulation.policies_of(call, request["Arn"])
        rows = [
            {"ServiceNamespace": service, "Policies": [_granting(each) for each in named if _gives(each, service)]}
            for service in request["ServiceNamespaces"]
        ]
        return {"PoliciesGrantingServiceAccess": rows, "IsTruncated": False}

    async def _row(self, call: RequestContext, user: IamUser) -> list[str]:
        made = user.metadata.creation_timestamp
        begin = [user.spec.user_name, user_arn(call.account, user), made.isoformat() if made else "N/A"]
        keys = await self._keys.of(call, user.metadata.name)
        shown = [_key_columns(each) for each in [*keys[:_KEYS], *[None] * (_KEYS - len(keys))]]
        of_keys = [text for each in shown for text in each]
        return [*begin, *["not_supported"] * len(_NOT_OURS), *of_keys, "false", "N/A", "false", "N/A"]


def _key_columns(key: Json | None) -> list[str]:
    if key is None:
        return ["false", "N/A", "N/A", "N/A", "N/A"]
    used = key.get("lastUsedAt") or "N/A"
    active = "true" if key["state"] == "Active" else "false"
    return [active, key.get("createdAt") or "N/A", used, "N/A", key.get("lastUsedService") or "N/A"]


def _gives(named: NamedPolicy, service: str) -> bool:
    """Whether a statement allows an action of that service, under whatever conditions."""
    begin = f"{service.lower()}:"
    for statement in named.policy.statements:
        if statement.effect != "Allow":
            continue
        texts = [each.lower() for each in statement.actions.texts]
        named_here = any(each == "*" or each.startswith(begin) for each in texts)
        wholly = any(each in ("*", f"{begin}*") for each in texts)
        if named_here if not statement.not_actions else not wholly:
            return True
    return False


def _granting(named: NamedPolicy) -> Json:
    if named.name.startswith("arn:"):
        return {"PolicyName": named.name.rpartition("/")[2], "PolicyType": "MANAGED", "PolicyArn": named.name}
    return {"PolicyName": named.name, "PolicyType": "INLINE"}
