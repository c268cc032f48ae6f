"""IAM's policy simulator: what the evaluator would say, and which statement decides."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from crds.kinds.iam import IAM_GROUP, IAM_POLICY, IAM_ROLE, IamRole, IamUser
from services.iam_manager import errors
from services.iam_manager.directory import Directory
from services.iam_manager.policy_store import Holder, PolicyStore
from services.iam_manager.views import role_arn, user_arn
from services.sdk.aws.iam_names import name_in, unique_id
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.aws.policy import (
    Context,
    Decision,
    NamedPolicy,
    Outcome,
    Policies,
    PolicyError,
    Request,
    Requester,
    Source,
    evaluate,
    parse_policy,
)
from services.sdk.aws.policy.variables import Variable, template_of

Json = dict[str, Any]
_COMMON = (
    "PolicyInputList",
    "PermissionsBoundaryPolicyInputList",
    "ActionNames",
    "ResourceArns",
    "ResourcePolicy",
    "ResourceOwner",
    "CallerArn",
    "ContextEntries",
)


class SimulationOperations:
    """One declared method per operation."""

    def __init__(self, directory: Directory, policies: PolicyStore) -> None:
        self._directory, self._policies = directory, policies

    @operation("SimulateCustomPolicy", permission=("list", IAM_POLICY), understands=_COMMON)
    async def simulate_custom_policy(self, call: RequestContext, request: Json) -> Json:
        await self._directory.allow(call)
        requester = _caller(request) or Requester("user", f"arn:aws:iam::{call.account}:user/simulated", call.account)
        return _simulated(request, requester, _given(request.get("PolicyInputList")), None)

    @operation("SimulatePrincipalPolicy", permission=("list", IAM_POLICY), understands=("PolicySourceArn", *_COMMON))
    async def simulate_principal_policy(self, call: RequestContext, request: Json) -> Json:
        await self._directory.allow(call)
        arn = request["PolicySourceArn"]
        holder, requester = await self._source(call, arn)
        own = [*await self._of(call, holder), *_given(request.get("PolicyInputList"))]
        boundary = None
        if isinstance(holder, IamUser | IamRole) and holder.spec.boundary:
            document = await self._policies.document(call, holder.spec.boundary)
            boundary = _compiled(holder.spec.boundary, document or _NOTHING)
        return _simulated(request, _caller(request) or requester, own, boundary)

    @operation("GetContextKeysForCustomPolicy", permission=("list", IAM_POLICY), understands=("PolicyInputList",))
    async def get_context_keys_for_custom_policy(self, call: RequestContext, request: Json) -> Json:
        await self._directory.allow(call)
        return {"ContextKeyNames": _keys_of(_given(request["PolicyInputList"]))}

    @operation(
        "GetContextKeysForPrincipalPolicy",
        permission=("list", IAM_POLICY),
        understands=("PolicySourceArn", "PolicyInputList"),
    )
    async def get_context_keys_for_principal_policy(self, call: RequestContext, request: Json) -> Json:
        await self._directory.allow(call)
        holder, _ = await self._source(call, request["PolicySourceArn"])
        return {"ContextKeyNames": _keys_of([*await self._of(call, holder), *_given(request.get("PolicyInputList"))])}

    async def policies_of(self, call: RequestContext, arn: str) -> list[NamedPolicy]:
        """All policies of the user, group or role of that ARN. Raises NoSuchEntity."""
        holder, _ = await self._source(call, arn)
        return await self._of(call, holder)

    async def _source(self, call: RequestContext, arn: str) -> tuple[Holder, Requester]:
        if name := name_in(arn, call.account, "user"):
            user = await self._directory.user(call, name)
            ids = (unique_id("AIDA", user.metadata.uid or ""),)
            return user, Requester("user", user_arn(call.account, user), call.account, ids=ids)
        if name := name_in(arn, call.account, "role"):
            role = await self._directory.one(IAM_ROLE, call, name)
            named = role_arn(call.account, role)
            return role, Requester("session", named, call.account, behind=named)
        if name := name_in(arn, call.account, "group"):
            group = await self._directory.one(IAM_GROUP, call, name)
            return group, Requester("user", arn, call.account)
        raise errors.invalid(f"Invalid Entity Arn: {arn} does not clearly define entity type and name.")

    async def _of(self, call: RequestContext, holder: Holder) -> list[NamedPolicy]:
        """All policies of an identity: its own by name, those attached by their ARN, and those of its groups."""
        found = [_compiled(name, each) for name, each in holder.spec.inline.items()]
        for arn in holder.spec.attached:
            document = await self._policies.document(call, arn)
            if document is not None:
                found.append(_compiled(arn, document))
        if isinstance(holder, IamUser):
            for name in holder.spec.groups:
                group = await self._directory.find(IAM_GROUP, call, name)
                found += await self._of(call, group) if group else []
        return found


_NOTHING = '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}'


def _simulated(
    request: Json, requester: Requester, identity: Sequence[NamedPolicy], boundary: NamedPolicy | None
) -> Json:
    given = _given(request.get("PermissionsBoundaryPolicyInputList"), "PermissionsBoundaryPolicyInputList")
    bound = given[0] if given else boundary
    resource = request.get("ResourcePolicy")
    policies = Policies(
        identity=identity, boundary=bound, resource=_compiled("ResourcePolicy", resource) if resource else None
    )
    context = Context({each["ContextKeyName"]: each.get("ContextKeyValues") or () for each in _entries(request)})
    needed = [*identity, *([bound] if bound else []), *([policies.resource] if policies.resource else [])]
    missing = [each for each in _keys_of(needed) if each.lower() not in context]
    owner = (request.get("ResourceOwner") or "").split(":")
    account = owner[4] if len(owner) > 4 else owner[0]
    rows = []
    for action in request["ActionNames"]:
        for arn in request.get("ResourceArns") or ["*"]:
            asked = Request(requester, action, arn, context, account)
            row = _row(asked, evaluate(asked, policies), policies, missing)
            rows.append(
                {**row, "ResourceSpecificResults": [_of_resource(row)] if request.get("ResourceArns") else []}
            )
    return {"EvaluationResults": rows, "IsTruncated": False}


def _row(asked: Request, decision: Decision, policies: Policies, missing: list[str]) -> Json:
    row: Json = {
        "EvalActionName": asked.action,
        "EvalResourceName": asked.resource,
        "EvalDecision": str(decision.outcome),
        "MatchedStatements": _matched(decision),
        "MissingContextValues": missing,
        "EvalDecisionDetails": {},
        "OrganizationsDecisionDetail": {"AllowedByOrganizations": True},  # one cloud is no organization
    }
    if policies.boundary is not None:
        blocked = decision.source is Source.BOUNDARY and decision.outcome is not Outcome.ALLOWED
        row["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": not blocked}
    return row


def _of_resource(row: Json) -> Json:
    """The same once more, as a result for one of the resources that were named."""
    shared = ("MatchedStatements", "MissingContextValues", "PermissionsBoundaryDecisionDetail")
    named = {"EvalResourceName": row["EvalResourceName"], "EvalResourceDecision": row["EvalDecision"]}
    return named | {name: row[name] for name in shared if name in row}


_TYPES = {Source.RESOURCE: "resource", Source.BOUNDARY: "IAM Policy", Source.IDENTITY: "IAM Policy"}


def _matched(decision: Decision) -> list[Json]:
    if decision.match is None:
        return []
    kind = _TYPES.get(decision.match.source, "none")
    name = decision.match.policy
    return [
        {"SourcePolicyId": name.rpartition("/")[2] if name.startswith("arn:") else name, "SourcePolicyType": kind}
    ]


def _entries(request: Json) -> Iterable[Json]:
    return request.get("ContextEntries") or ()


def _caller(request: Json) -> Requester | None:
    arn = request.get("CallerArn")
    if not arn:
        return None
    parts = arn.split(":", 5)
    if len(parts) != 6 or not parts[5].startswith("user/"):
        raise errors.invalid(f"{arn} is no ARN of a user.")
    return Requester("user", arn, parts[4])


def _given(documents: Iterable[str] | None, name: str = "PolicyInputList") -> list[NamedPolicy]:
    return [_compiled(f"{name}.{index}", each) for index, each in enumerate(documents or (), 1)]


def _compiled(name: str, document: str) -> NamedPolicy:
    try:
        return NamedPolicy(name, parse_policy(document))
    except PolicyError as wrong:
        raise errors.invalid(f"{name}: {wrong.message}") from wrong


def _keys_of(policies: Iterable[NamedPolicy]) -> list[str]:
    """The condition keys that these policies look at, as they write them."""
    found = {key.lower(): key for each in policies for key in _keys_in(json.loads(each.policy.document))}
    return sorted(found.values())


def _keys_in(value: Any, inside: str = "") -> Iterator[str]:
    if isinstance(value, str):
        yield from (each.key for each in template_of(value).parts if isinstance(each, Variable))
    elif isinstance(value, list):
        for each in value:
            yield from _keys_in(each, inside)
    elif isinstance(value, dict):
        for name, each in value.items():
            if inside == "operator":
                yield name
            yield from _keys_in(each, {"Condition": "Condition", "": ""}.get(name, _NEXT.get(inside, "")))


_NEXT = {"Condition": "operator"}
