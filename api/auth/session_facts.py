"""A session of STS as policies name it, and what conditions may ask of it.

Source: AWS IAM user guide, "AWS global condition context keys"; AWS STS API reference, "AssumedRoleUser",
"FederatedUser".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crds.kinds.temporary_credential import TemporaryCredentialSpec
from crds.model import rfc3339
from services.sdk.aws.accounts import account_of
from services.sdk.aws.iam_names import iam_arn, unique_id

Json = dict[str, Any]


def session_facts(
    spec: TemporaryCredentialSpec,
    *,
    user: Mapping[str, Any] | None = None,
    role_tags: Mapping[str, str] | None = None,
) -> Json:
    """kind, arn, account, behind and ids of the requester, and the condition keys it brings along.

    user: as `GET /auth/policies` tells of them, for the session of a user; role_tags: for one of a role.
    """
    account = account_of(spec.namespace)
    found = _of_role(spec, account, role_tags or {}) if spec.role is not None else _of_user(spec, account, user or {})
    facts = {
        **found.pop("facts"),
        "aws:PrincipalAccount": account,
        "aws:TokenIssueTime": rfc3339(spec.issued_at),
        "aws:MultiFactorAuthPresent": "false",
        **({"aws:SourceIdentity": spec.source_identity} if spec.source_identity else {}),
        **({"aws:FederatedProvider": spec.federated_provider} if spec.federated_provider else {}),
    }
    return {**found, "account": account, "facts": facts}


def assumed_role(spec: TemporaryCredentialSpec, account: str) -> tuple[str, str]:
    """The ARN and the unique id of a role's session (`AROA...:name`)."""
    assert spec.role is not None
    arn = f"arn:aws:sts::{account}:assumed-role/{spec.role.name}/{spec.session_name}"
    return arn, f"{unique_id('AROA', spec.role.uid)}:{spec.session_name}"


def federated_user(spec: TemporaryCredentialSpec, account: str) -> tuple[str, str]:
    """The ARN and the unique id of a federated user (`123456789012:name`)."""
    return f"arn:aws:sts::{account}:federated-user/{spec.session_name}", f"{account}:{spec.session_name}"


def _of_role(spec: TemporaryCredentialSpec, account: str, role_tags: Mapping[str, str]) -> Json:
    assert spec.role is not None
    arn, id_ = assumed_role(spec, account)
    behind = iam_arn(account, "role", spec.role.path, spec.role.name)
    facts = {"aws:PrincipalArn": behind, "aws:PrincipalType": "AssumedRole", "aws:userid": id_}
    ids = [id_, id_.partition(":")[0]]
    tags = _tags(role_tags, spec.tags)
    return {"kind": "session", "arn": arn, "behind": behind, "ids": ids, "facts": facts | tags}


def _of_user(spec: TemporaryCredentialSpec, account: str, user: Mapping[str, Any]) -> Json:
    tags = _tags(user["tags"], spec.tags)
    if spec.session == "FederatedUser":
        arn, id_ = federated_user(spec, account)
        facts = {"aws:PrincipalArn": arn, "aws:PrincipalType": "FederatedUser", "aws:userid": id_}
        return {"kind": "federated-user", "arn": arn, "behind": user["arn"], "ids": [id_], "facts": facts | tags}
    facts = {
        "aws:PrincipalArn": user["arn"],
        "aws:PrincipalType": "User",
        "aws:userid": user["id"],
        "aws:username": user["name"],
    }
    return {"kind": "user", "arn": user["arn"], "behind": "", "ids": [user["id"]], "facts": facts | tags}


def _tags(held: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Tags of the session win over those of its identity, whatever their case."""
    lowered = {name.lower() for name in given}
    kept = {name: text for name, text in held.items() if name.lower() not in lowered}
    return {f"aws:PrincipalTag/{name}": text for name, text in {**kept, **given}.items()}
