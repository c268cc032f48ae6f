"""User: somebody who may log in. Seeded from settings or made by an admin; nobody registers.

Credential holds what a user proves themselves with. It is internal: no listing shows it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from crds.kind import Column, Kind, Resource
from crds.meta import Spec, Status
from crds.model import Timestamp
from crds.names import DnsLabel
from crds.protecting import keeps_an_admin

Role = Literal["admin", "editor", "viewer"]
# A label: who made this user, where that was no admin of the cloud: `iam`.
MADE_BY = "aerekos.cloud/made-by"


class UserSpec(Spec):
    """`namespace` is where this user's AWS calls land; each namespace is one AWS account.

    `roles` count everywhere. Without any, somebody may do only what role bindings give them. `externalId` is what an
    issuer of ID tokens calls this user, prefix included.
    """

    display_name: str = ""
    roles: list[Role] = Field(default_factory=list)
    namespace: DnsLabel = "default"
    disabled: bool = False
    external_id: Annotated[str, Field(max_length=1024)] = ""


class UserStatus(Status):
    last_login_at: Timestamp | None = None


class User(Resource[UserSpec, UserStatus]):
    spec: UserSpec
    status: UserStatus = Field(default_factory=UserStatus)


USER = Kind(
    name="User",
    plural="users",
    singular="user",
    categories=("aerekos",),
    namespaced=False,
    model=User,
    description="Somebody who may log in.",
    invariants=(keeps_an_admin,),
    columns=(
        Column("Name", "metadata.name"),
        Column("Roles", "spec.roles"),
        Column("Disabled", "spec.disabled", type="boolean"),
        Column("Age", "metadata.creationTimestamp", type="date"),
    ),
)


class Totp(Spec):
    """A second factor. `sealed`: its secret, sealed for this user; nothing counts before it is `confirmed`.

    Codes of `lastStep` and before were used; `recovery` are the SHA-256 of the recovery codes left.
    """

    sealed: str
    confirmed: bool = False
    last_step: Annotated[int, Field(ge=0)] = 0
    recovery: list[str] = Field(default_factory=list)


class CredentialSpec(Spec):
    """`passwordHash` is `scrypt$n$r$p$salt$hash`, salt and hash in base64. `tokenGeneration` is raised to end every
    session of the user. `oneTime`: good for choosing another password, until `expiresAt`.
    """

    password_hash: str
    one_time: bool = False
    expires_at: Timestamp | None = None
    token_generation: Annotated[int, Field(ge=0)] = 0
    totp: Totp | None = None


class Credential(Resource[CredentialSpec, Status]):
    spec: CredentialSpec
    status: Status = Field(default_factory=Status)


CREDENTIAL = Kind(
    name="Credential",
    plural="credentials",
    singular="credential",
    namespaced=False,
    internal=True,
    sealed=True,
    has_status=False,
    model=Credential,
    description="What a user logs in with. Internal.",
    columns=(Column("Name", "metadata.name"),),
)
