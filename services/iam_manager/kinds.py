"""Kinds of this service besides the identities, which are the conductor's (`crds.kinds.iam`)."""

from __future__ import annotations

from typing import Annotated, Any

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


class OidcProviderSpec(Spec):
    """An issuer of ID tokens whose users may become roles. `url` without `https://`, as in its ARN."""

    url: Annotated[str, Field(min_length=1, max_length=255)]
    client_ids: list[str] = Field(default_factory=list)
    thumbprints: list[str] = Field(default_factory=list)
    tags: dict[str, str] = Field(default_factory=dict)


class OidcProvider(Resource[OidcProviderSpec, Status]):
    spec: OidcProviderSpec
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
OIDC_PROVIDER = Kind(
    name="OidcProvider",
    plural="oidcproviders",
    singular="oidcprovider",
    has_status=False,
    model=OidcProvider,
    columns=(Column("Name", "metadata.name"), Column("URL", "spec.url")),
    description="An issuer of ID tokens whose users may become roles.",
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
