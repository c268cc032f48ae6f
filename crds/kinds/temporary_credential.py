"""TemporaryCredential: an AWS key pair with a session token, good for a while. Internal.

Neither secret nor token is kept: both are derived from the master key (`api/auth/derived_secrets.py`). It ends with
its time, when its record goes, and with all it hangs on: the role it is a session of, and the user, access key,
service account or Service it was made for.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from crds.kind import Column, Kind, Resource
from crds.meta import Spec, Status
from crds.model import Model, Timestamp

SessionKind = Literal["AssumedRole", "User", "FederatedUser"]
AnchorKind = Literal["User", "AccessKey", "IamRole", "ServiceAccount", "Service"]


class Anchor(Model):
    """Something without which the credential is worth nothing. `uid` is empty for access keys, which have none."""

    kind: AnchorKind
    name: str
    namespace: str = ""
    uid: str = ""


class SessionRole(Model):
    """The role of a session: its name and path in IAM, and what it is called as a resource."""

    name: str
    path: str = "/"
    resource: str
    uid: str


class TemporaryCredentialSpec(Spec):
    """`accessKeyId` as AWS tools write it; the resource's name is the same in small letters. `namespace` is the
    account the session acts in. `sessionName`: of a role's session, or of the federated user.

    `policy` and `policyArns` limit the session; `limited` says that it is limited, also where there are none. `tags`
    are the session's own, of which `transitiveTags` go on to the sessions made with it. `parents`: the temporary keys
    it was made with, the nearest first. `masterGeneration`: which master key derived it.
    """

    access_key_id: str
    session: SessionKind
    namespace: str
    issued_at: Timestamp
    expires_at: Timestamp
    session_name: str = ""
    role: SessionRole | None = None
    user: str = ""
    anchors: list[Anchor] = Field(default_factory=list)
    parents: list[str] = Field(default_factory=list)
    limited: bool = False
    policy: str = ""
    policy_arns: list[str] = Field(default_factory=list)
    tags: dict[str, str] = Field(default_factory=dict)
    transitive_tags: list[str] = Field(default_factory=list)
    source_identity: str = ""
    federated_provider: str = ""
    master_generation: Annotated[int, Field(ge=0)] = 0


class TemporaryCredential(Resource[TemporaryCredentialSpec, Status]):
    spec: TemporaryCredentialSpec
    status: Status = Field(default_factory=Status)


TEMPORARY_CREDENTIAL = Kind(
    name="TemporaryCredential",
    plural="temporarycredentials",
    singular="temporarycredential",
    namespaced=False,
    internal=True,
    sealed=True,
    has_status=False,
    model=TemporaryCredential,
    description="An AWS key pair with a session token, good for a while. Internal.",
    columns=(
        Column("Name", "spec.accessKeyId"),
        Column("Session", "spec.session"),
        Column("Expires", "spec.expiresAt"),
    ),
)
