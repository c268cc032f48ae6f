"""IAM operations about managed policies and their versions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crds.kinds.iam import IAM_POLICY, IamPolicy, IamPolicySpec, IamPolicyVersion
from services.iam_manager import errors
from services.iam_manager.directory import Directory
from services.iam_manager.managed_policies import SINCE, managed_view
from services.iam_manager.pages import PAGED, page
from services.iam_manager.policy_store import Holder, PolicyStore, Usage
from services.iam_manager.tagging import given_tags, tag_page, with_tags, without_tags
from services.iam_manager.views import policy_arn, policy_view, written
from services.sdk.aws.iam_names import unique_id
from services.sdk.aws.managed_policies import DOCUMENTS
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.aws.policy import PolicyError, check_identity
from services.sdk.resources import Clock

Json = dict[str, Any]
MOST_VERSIONS = 5
_HAS_VERSIONS = (
    "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The "
    "default version is deleted with the policy."
)
_TOO_MANY_VERSIONS = (
    f"A managed policy can have up to {MOST_VERSIONS} versions. Before you create a new version, you must delete an "
    "existing version."
)
LONGEST_MANAGED = 6144


class PolicyOperations:
    """One declared method per operation."""

    def __init__(self, directory: Directory, policies: PolicyStore, clock: Clock) -> None:
        self._directory, self._policies, self._clock = directory, policies, clock

    @operation(
        "CreatePolicy",
        permission=("create", IAM_POLICY),
        understands=("PolicyName", "Path", "PolicyDocument", "Description", "Tags"),
    )
    async def create_policy(self, call: RequestContext, request: Json) -> Json:
        version = IamPolicyVersion(
            number=1, document=checked(request["PolicyDocument"]), created_at=self._clock.now().replace(microsecond=0)
        )
        spec = IamPolicySpec(
            policy_name=request["PolicyName"],
            path=request.get("Path") or "/",
            description=request.get("Description") or "",
            versions=[version],
            tags=given_tags(request),
        )
        made = await self._directory.create(IAM_POLICY, call, spec.policy_name, spec)
        return {"Policy": policy_view(call.account, made, 0, 0)}

    @operation("GetPolicy", permission=("get", IAM_POLICY), understands=("PolicyArn",))
    async def get_policy(self, call: RequestContext, request: Json) -> Json:
        arn = request["PolicyArn"]
        await self._directory.allow(call, arn.rpartition("/")[2])
        usage = await self._policies.usage(call, arn)
        if arn in DOCUMENTS:
            return {"Policy": managed_view(arn, usage.attachments, usage.bounded)}
        return {"Policy": self._shown(call, await self._policies.one(call, arn), usage)}

    @operation(
        "ListPolicies",
        permission=("list", IAM_POLICY),
        understands=("Scope", "OnlyAttached", "PathPrefix", "PolicyUsageFilter", *PAGED),
    )
    async def list_policies(self, call: RequestContext, request: Json) -> Json:
        await self._directory.allow(call)
        scope, rows = request.get("Scope") or "All", []
        if scope in ("All", "Local"):
            for policy in await self._directory.all(IAM_POLICY, call):
                usage = await self._policies.usage(call, policy_arn(call.account, policy))
                rows.append(self._shown(call, policy, usage))
        if scope in ("All", "AWS"):
            for arn in DOCUMENTS:
                usage = await self._policies.usage(call, arn)
                rows.append(managed_view(arn, usage.attachments, usage.bounded))
        wanted = [each for each in rows if _is_wanted(each, request)]
        return page(call, request, "Policies", wanted, lambda each: str(each["PolicyName"]), _listed)

    @operation("DeletePolicy", permission=("delete", IAM_POLICY), understands=("PolicyArn",))
    async def delete_policy(self, call: RequestContext, request: Json) -> None:
        arn = request["PolicyArn"]
        await self._directory.allow(call, arn.rpartition("/")[2])
        policy = await self._policies.one(call, arn)
        usage = await self._policies.usage(call, arn)
        if usage.attachments or usage.bounded:
            raise errors.in_use("Cannot delete a policy attached to entities.")
        if len(policy.spec.versions) > 1:
            raise errors.in_use(_HAS_VERSIONS)
        await self._directory.delete(IAM_POLICY, call, policy)

    @operation(
        "CreatePolicyVersion",
        permission=("patch", IAM_POLICY),
        understands=("PolicyArn", "PolicyDocument", "SetAsDefault"),
    )
    async def create_policy_version(self, call: RequestContext, request: Json) -> Json:
        document = checked(request["PolicyDocument"])
        found = await self._named(call, request)
        now = self._clock.now().replace(microsecond=0)

        def change(policy: IamPolicy) -> None:
            if len(policy.spec.versions) >= MOST_VERSIONS:
                raise errors.limit(_TOO_MANY_VERSIONS)
            policy.spec.last_version += 1
            version = IamPolicyVersion(number=policy.spec.last_version, document=document, created_at=now)
            policy.spec.versions = [*policy.spec.versions, version]
            if request.get("SetAsDefault"):
                policy.spec.default_version = version.number

        changed = await self._directory.change(IAM_POLICY, call, found.spec.policy_name, change)
        made = changed.spec.versions[-1]
        return {"PolicyVersion": _version(changed, made)}

    @operation("GetPolicyVersion", permission=("get", IAM_POLICY), understands=("PolicyArn", "VersionId"))
    async def get_policy_version(self, call: RequestContext, request: Json) -> Json:
        arn, wanted = request["PolicyArn"], request["VersionId"]
        await self._directory.allow(call, arn.rpartition("/")[2])
        if arn in DOCUMENTS and wanted == "v1":
            shown = {"VersionId": "v1", "IsDefaultVersion": True, "CreateDate": SINCE}
            return {"PolicyVersion": {"Document": written(DOCUMENTS[arn]), **shown}}
        policy = await self._policies.find(call, arn)
        if policy is None:
            raise errors.no_entity(f"Policy {arn} was not found.")
        version = _find(policy, wanted)
        return {"PolicyVersion": {"Document": written(version.document), **_version(policy, version)}}

    @operation("ListPolicyVersions", permission=("get", IAM_POLICY), understands=("PolicyArn", *PAGED))
    async def list_policy_versions(self, call: RequestContext, request: Json) -> Json:
        arn = request["PolicyArn"]
        await self._directory.allow(call, arn.rpartition("/")[2])
        if arn in DOCUMENTS:
            row = {"VersionId": "v1", "IsDefaultVersion": True, "CreateDate": SINCE}
            return {"Versions": [row], "IsTruncated": False}
        policy = await self._policies.one(call, arn)
        rows = sorted(policy.spec.versions, key=lambda each: -each.number)
        return page(
            call,
            request,
            "Versions",
            rows,
            lambda each: f"{10**9 - each.number}",
            lambda each: _version(policy, each),
        )

    @operation("DeletePolicyVersion", permission=("patch", IAM_POLICY), understands=("PolicyArn", "VersionId"))
    async def delete_policy_version(self, call: RequestContext, request: Json) -> None:
        found = await self._named(call, request)

        def change(policy: IamPolicy) -> None:
            version = _find(policy, request["VersionId"])
            if version.number == policy.spec.default_version:
                raise errors.in_use("Cannot delete the default version of a policy.")
            policy.spec.versions = [each for each in policy.spec.versions if each.number != version.number]

        await self._directory.change(IAM_POLICY, call, found.spec.policy_name, change)

    @operation("SetDefaultPolicyVersion", permission=("patch", IAM_POLICY), understands=("PolicyArn", "VersionId"))
    async def set_default_policy_version(self, call: RequestContext, request: Json) -> None:
        found = await self._named(call, request)

        def change(policy: IamPolicy) -> None:
            policy.spec.default_version = _find(policy, request["VersionId"]).number

        await self._directory.change(IAM_POLICY, call, found.spec.policy_name, change)

    @operation("TagPolicy", permission=("patch", IAM_POLICY), understands=("PolicyArn", "Tags"))
    async def tag_policy(self, call: RequestContext, request: Json) -> None:
        found = await self._named(call, request)
        await self._directory.change(IAM_POLICY, call, found.spec.policy_name, with_tags(request))

    @operation("UntagPolicy", permission=("patch", IAM_POLICY), understands=("PolicyArn", "TagKeys"))
    async def untag_policy(self, call: RequestContext, request: Json) -> None:
        found = await self._named(call, request)
        await self._directory.change(IAM_POLICY, call, found.spec.policy_name, without_tags(request))

    @operation("ListPolicyTags", permission=("get", IAM_POLICY), understands=("PolicyArn", *PAGED))
    async def list_policy_tags(self, call: RequestContext, request: Json) -> Json:
        await self._directory.allow(call, request["PolicyArn"].rpartition("/")[2])
        if request["PolicyArn"] in DOCUMENTS:
            return tag_page(call, request, {})
        return tag_page(call, request, (await self._policies.one(call, request["PolicyArn"])).spec.tags)

    @operation(
        "ListEntitiesForPolicy",
        permission=("get", IAM_POLICY),
        understands=("PolicyArn", "EntityFilter", "PathPrefix", "PolicyUsageFilter"),
    )
    async def list_entities_for_policy(self, call: RequestContext, request: Json) -> Json:
        arn = request["PolicyArn"]
        await self._directory.allow(call, arn.rpartition("/")[2])
        await self._policies.require(call, arn)
        usage, wanted = await self._policies.usage(call, arn), request.get("EntityFilter")
        path = request.get("PathPrefix") or "/"
        found: Json = {"IsTruncated": False}
        groups: list[tuple[str, str, Sequence[Holder]]] = [
            ("User", "AIDA", usage.users),
            ("Group", "AGPA", usage.groups),
            ("Role", "AROA", usage.roles),
        ]
        for noun, prefix, holders in groups:
            rows = [each for each in holders if wanted in (None, noun) and each.spec.path.startswith(path)]
            found[f"Policy{noun}s"] = [
                {f"{noun}Name": _name_of(each), f"{noun}Id": unique_id(prefix, each.metadata.uid or "")}
                for each in rows
            ]
        return found

    def _shown(self, call: RequestContext, policy: IamPolicy, usage: Usage) -> Json:
        return policy_view(call.account, policy, usage.attachments, usage.bounded)

    async def _named(self, call: RequestContext, request: Json) -> IamPolicy:
        """The account's own policy that is about to be changed."""
        await self._directory.allow(call, request["PolicyArn"].rpartition("/")[2])
        return await self._policies.one(call, request["PolicyArn"])


def checked(document: str, longest: int = LONGEST_MANAGED) -> str:
    """The document, if it is an identity's policy and not too long, white space left out. Raises AwsError."""
    try:
        check_identity(document)
    except PolicyError as wrong:
        raise errors.malformed(wrong) from wrong
    if len("".join(document.split())) > longest:
        raise errors.limit(f"Cannot exceed quota for PolicySize: {longest}")
    return document


def _version(policy: IamPolicy, version: IamPolicyVersion) -> Json:
    is_default = version.number == policy.spec.default_version
    return {"VersionId": f"v{version.number}", "IsDefaultVersion": is_default, "CreateDate": version.created_at}


def _find(policy: IamPolicy, wanted: str) -> IamPolicyVersion:
    for each in policy.spec.versions:
        if wanted == f"v{each.number}":
            return each
    raise errors.no_entity(f"Policy {policy.spec.policy_name} version {wanted} does not exist or is not attachable.")


def _is_wanted(row: Json, request: Json) -> bool:
    usage = request.get("PolicyUsageFilter")
    attached, bounds = row["AttachmentCount"] > 0, row["PermissionsBoundaryUsageCount"] > 0
    if request.get("OnlyAttached") and not (attached or bounds):
        return False
    if (usage == "PermissionsPolicy" and not attached) or (usage == "PermissionsBoundary" and not bounds):
        return False
    return str(row["Path"]).startswith(request.get("PathPrefix") or "/")


def _listed(row: Json) -> Json:
    return {name: each for name, each in row.items() if name not in ("Tags", "Description")}


def _name_of(holder: Any) -> str:
    spec = holder.spec
    return str(getattr(spec, "user_name", "") or getattr(spec, "group_name", "") or getattr(spec, "role_name", ""))
