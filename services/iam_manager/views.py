"""Things of IAM as its answers show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from crds.kinds.iam import IamGroup, IamPolicy, IamRole, IamUser
from services.iam_manager.kinds import InstanceProfile
from services.sdk.aws.iam_names import iam_arn, unique_id
from services.sdk.aws.tags import tag_list

Json = dict[str, Any]


def written(document: str) -> str:
    """A policy's document, as IAM has it in answers."""
    return quote(document, safe="")


def user_arn(account: str, user: IamUser) -> str:
    return iam_arn(account, "user", user.spec.path, user.spec.user_name)


def role_arn(account: str, role: IamRole) -> str:
    return iam_arn(account, "role", role.spec.path, role.spec.role_name)


def group_arn(account: str, group: IamGroup) -> str:
    return iam_arn(account, "group", group.spec.path, group.spec.group_name)


def policy_arn(account: str, policy: IamPolicy) -> str:
    return iam_arn(account, "policy", policy.spec.path, policy.spec.policy_name)


def profile_arn(account: str, profile: InstanceProfile) -> str:
    return iam_arn(account, "instance-profile", profile.spec.path, profile.spec.profile_name)


# What lists leave out, to keep answers short.
_NOT_LISTED = ("Tags", "PermissionsBoundary")


def listed(view: Json) -> Json:
    """As lists show a user or role."""
    return {name: each for name, each in view.items() if name not in _NOT_LISTED}


def user_view(account: str, user: IamUser) -> Json:
    return {
        "Path": user.spec.path,
        "UserName": user.spec.user_name,
        "UserId": unique_id("AIDA", user.metadata.uid or ""),
        "Arn": user_arn(account, user),
        "CreateDate": user.metadata.creation_timestamp,
        **_boundary(user.spec.boundary),
        **_tags(user.spec.tags),
    }


def group_view(account: str, group: IamGroup) -> Json:
    return {
        "Path": group.spec.path,
        "GroupName": group.spec.group_name,
        "GroupId": unique_id("AGPA", group.metadata.uid or ""),
        "Arn": group_arn(account, group),
        "CreateDate": group.metadata.creation_timestamp,
    }


def role_view(account: str, role: IamRole) -> Json:
    return {
        "Path": role.spec.path,
        "RoleName": role.spec.role_name,
        "RoleId": unique_id("AROA", role.metadata.uid or ""),
        "Arn": role_arn(account, role),
        "CreateDate": role.metadata.creation_timestamp,
        "AssumeRolePolicyDocument": written(role.spec.trust),
        "MaxSessionDuration": role.spec.max_session_seconds,
        **({"Description": role.spec.description} if role.spec.description else {}),
        **_boundary(role.spec.boundary),
        **_tags(role.spec.tags),
    }


def created_role(account: str, role: IamRole) -> Json:
    """As the answer that made it shows it."""
    return {name: each for name, each in role_view(account, role).items() if name != "MaxSessionDuration"}


def policy_view(account: str, policy: IamPolicy, attachments: int, boundaries: int) -> Json:
    changed = max(each.created_at for each in policy.spec.versions)
    return {
        "PolicyName": policy.spec.policy_name,
        "PolicyId": unique_id("ANPA", policy.metadata.uid or ""),
        "Arn": policy_arn(account, policy),
        "Path": policy.spec.path,
        "DefaultVersionId": f"v{policy.spec.default_version}",
        "AttachmentCount": attachments,
        "PermissionsBoundaryUsageCount": boundaries,
        "IsAttachable": True,
        "CreateDate": policy.metadata.creation_timestamp,
        "UpdateDate": changed,
        **({"Description": policy.spec.description} if policy.spec.description else {}),
        **_tags(policy.spec.tags),
    }


def profile_view(account: str, profile: InstanceProfile, roles: list[Json]) -> Json:
    return {
        "Path": profile.spec.path,
        "InstanceProfileName": profile.spec.profile_name,
        "InstanceProfileId": unique_id("AIPA", profile.metadata.uid or ""),
        "Arn": profile_arn(account, profile),
        "CreateDate": profile.metadata.creation_timestamp,
        "Roles": roles,
        **_tags(profile.spec.tags),
    }


def _boundary(arn: str) -> Json:
    if not arn:
        return {}
    return {"PermissionsBoundary": {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn}}


def _tags(tags: Mapping[str, str]) -> Json:
    return {"Tags": tag_list(tags)} if tags else {}
