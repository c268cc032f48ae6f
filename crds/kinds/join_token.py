"""JoinToken: lets a machine become a worker, for a while, a number of times."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crds.kind import Column, Kind, Resource
from crds.meta import Spec, Status
from crds.model import Timestamp


class JoinTokenSpec(Spec):
    """Only the SHA-256 of the secret is kept. `uses` 0 means any number of machines.

    `membersOnly`: only for machines that the cloud's Swarm lists, by their name and from their address there.
    """

    secret_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    expires_at: Timestamp
    uses: Annotated[int, Field(ge=0, le=100_000)] = 1
    revoked: bool = False
    members_only: bool = False


class JoinTokenStatus(Status):
    used: int = 0
    used_by: list[str] = Field(default_factory=list)


class JoinToken(Resource[JoinTokenSpec, JoinTokenStatus]):
    spec: JoinTokenSpec
    status: JoinTokenStatus = Field(default_factory=JoinTokenStatus)


JOIN_TOKEN = Kind(
    name="JoinToken",
    plural="jointokens",
    singular="jointoken",
    categories=("aerekos",),
    namespaced=False,
    sealed=True,
    model=JoinToken,
    description="Lets a machine become a worker, until it expires.",
    columns=(
        Column("Name", "metadata.name"),
        Column("Expires", "spec.expiresAt"),
        Column("Uses", "spec.uses", type="integer"),
        Column("Used", "status.used", type="integer"),
        Column("Revoked", "spec.revoked", type="boolean"),
        Column("Members Only", "spec.membersOnly", type="boolean", priority=1),
    ),
)
