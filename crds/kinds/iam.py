"""IamUser, IamGroup, IamRole, IamPolicy: what AWS's IAM knows of an account, which is a namespace.

They are identities like User and Role, and known to the conductor as these are: whoever may write them decides what
others may. An IamUser is the IAM side of the User of the same name; a person has one name in both.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crds.kind import Column, Kind, Resource
from crds.meta import Spec, Status
from crds.model import Model, Timestamp

IamName = Annotated[str, Field(pattern=r"^[\w+=,.@-]+$", min_length=1, max_length=128)]
IamPath = Annotated[str, Field(pattern=r"^(/|/[!-\x7f]+/)$", max_length=512)]
Documents = dict[str, str]
"""Policies by name, as their owner wrote them."""


class SshPublicKey(Model):
    """`body`: as OpenSSH writes it, without a comment."""

    id: Annotated[str, Field(pattern=r"^APKA[A-Z2-7]{17}$")]
    body: Annotated[str, Field(max_length=16384)]
    active: bool = True
    uploaded_at: Timestamp


class IamUserSpec(Spec):
    """`attached`: ARNs of policies; `inline`: policies of this one alone; `groups`: names of IamGroups. `boundary`:
    ARN of the policy that limits what all others give, or empty. `sshKeys`: kept for who asks IAM for them.
    """

    user_name: IamName
    path: IamPath = "/"
    attached: list[str] = Field(default_factory=list)
    inline: Documents = Field(default_factory=dict)
    groups: list[str] = Field(default_factory=list)
    boundary: str = ""
    ssh_keys: list[SshPublicKey] = Field(default_factory=list)
    tags: dict[str, str] = Field(default_factory=dict)


class IamUser(Resource[IamUserSpec, Status]):
    spec: IamUserSpec
    status: Status = Field(default_factory=Status)


class IamGroupSpec(Spec):
    """See IamUserSpec; who is in it is said by the users."""

    group_name: IamName
    path: IamPath = "/"
    attached: list[str] = Field(default_factory=list)
    inline: Documents = Field(default_factory=dict)


class IamGroup(Resource[IamGroupSpec, Status]):
    spec: IamGroupSpec
    status: Status = Field(default_factory=Status)


class IamRoleSpec(Spec):
    """`trust`: the policy that says who may become it. See IamUserSpec for the rest."""

    role_name: IamName
    trust: str
    path: IamPath = "/"
    description: Annotated[str, Field(max_length=1000)] = ""
    max_session_seconds: Annotated[int, Field(ge=3600, le=43200)] = 3600
    attached: list[str] = Field(default_factory=list)
    inline: Documents = Field(default_factory=dict)
    boundary: str = ""
    tags: dict[str, str] = Field(default_factory=dict)
    linked_service: str = ""


class IamRole(Resource[IamRoleSpec, Status]):
    spec: IamRoleSpec
    status: Status = Field(default_factory=Status)


class IamPolicyVersion(Model):
    """`number` 3 is what AWS calls `v3`."""

    number: Annotated[int, Field(ge=1)]
    document: str
    created_at: Timestamp


class IamPolicySpec(Spec):
    """`defaultVersion` is the one that counts; `lastVersion` the highest there was: numbers are never used again."""

    policy_name: IamName
    path: IamPath = "/"
    description: Annotated[str, Field(max_length=1000)] = ""
    versions: list[IamPolicyVersion]
    default_version: Annotated[int, Field(ge=1)] = 1
    last_version: Annotated[int, Field(ge=1)] = 1
    tags: dict[str, str] = Field(default_factory=dict)


class IamPolicy(Resource[IamPolicySpec, Status]):
    spec: IamPolicySpec
    status: Status = Field(default_factory=Status)


def _columns(name: str) -> tuple[Column, ...]:
    return (
        Column("Name", "metadata.name"),
        Column("In IAM", name),
        Column("Path", "spec.path", priority=1),
        Column("Age", "metadata.creationTimestamp", "date"),
    )


IAM_USER = Kind(
    name="IamUser",
    plural="iamusers",
    singular="iamuser",
    has_status=False,
    model=IamUser,
    columns=_columns("spec.userName"),
    description="The IAM side of a User: policies, groups, tags.",
)
IAM_GROUP = Kind(
    name="IamGroup",
    plural="iamgroups",
    singular="iamgroup",
    has_status=False,
    model=IamGroup,
    columns=_columns("spec.groupName"),
    description="Policies that several IAM users share.",
)
IAM_ROLE = Kind(
    name="IamRole",
    plural="iamroles",
    singular="iamrole",
    has_status=False,
    model=IamRole,
    columns=_columns("spec.roleName"),
    description="An IAM role: policies, and who may become it.",
)
IAM_POLICY = Kind(
    name="IamPolicy",
    plural="iampolicies",
    singular="iampolicy",
    has_status=False,
    model=IamPolicy,
    columns=(*_columns("spec.policyName"), Column("Version", "spec.defaultVersion", "integer")),
    description="A managed policy of IAM, with its versions.",
)
IAM_KINDS = (IAM_USER, IAM_GROUP, IAM_ROLE, IAM_POLICY)
