"""Kinds of this service besides the identities, which are the conductor's (`crds.kinds.iam`)."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from crds.kind import Column, Kind, Resource
from crds.kinds.iam import IamName, IamPath
from crds.meta import Spec, Status


class InstanceProfileSpec(Spec):
    """`role`: name of an IamRole, or empty."""

    profile_name: IamName
    path: IamPath = "/"
    role: str = ""
    tags: dict[str, str] = Field(default_factory=dict)


class InstanceProfile(Resource[InstanceProfileSpec, Status]):
    spec: InstanceProfileSpec
    status: Status = Field(default_factory=Status)


class IamAccountSpec(Spec):
    """What an account says of itself: its alias, and what its passwords must be like (as IAM names the members)."""

    alias: str = ""
    password_policy: dict[str, Any] | None = None


class IamAccount(Resource[IamAccountSpec, Status]):
    spec: IamAccountSpec = Field(default_factory=IamAccountSpec)
    status: Status = Field(default_factory=Status)


INSTANCE_PROFILE = Kind(
    name="InstanceProfile",
    plural="instanceprofiles",
    singular="instanceprofile",
    has_status=False,
    model=InstanceProfile,
    columns=(Column("Name", "metadata.name"), Column("Role", "spec.role")),
    description="A role under the name by which machines ask for it.",
)
IAM_ACCOUNT = Kind(
    name="IamAccount",
    plural="iamaccounts",
    singular="iamaccount",
    has_status=False,
    model=IamAccount,
    columns=(Column("Name", "metadata.name"), Column("Alias", "spec.alias")),
    description="The alias and the password policy of an account.",
)
