"""Session: one login of one user. Each token of theirs names its session, and is worth what the session is. Internal.

It ends when its record goes, at its deadline, when nobody refreshed it for a while, and when what it was opened with
is no longer what the user logs in with.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crds.kind import Column, Kind, Resource
from crds.meta import Spec, Status
from crds.model import Timestamp


class SessionSpec(Spec):
    """`credential` is a digest of what the user logged in with; `keySha256` of the key a browser must send beside its
    cookie. `rotation` counts refreshes: only the newest refresh token has that number. `restricted`: good for nothing
    but choosing a password.
    `groups`: what an issuer of ID tokens called the user's groups at the login.
    """

    user: str
    user_uid: str
    credential: str = ""
    expires_at: Timestamp
    refreshed_at: Timestamp
    rotation: Annotated[int, Field(ge=0)] = 0
    key_sha256: str = ""
    restricted: bool = False
    address: Annotated[str, Field(max_length=64)] = ""
    user_agent: Annotated[str, Field(max_length=256)] = ""
    groups: list[str] = Field(default_factory=list)


class Session(Resource[SessionSpec, Status]):
    spec: SessionSpec
    status: Status = Field(default_factory=Status)


SESSION = Kind(
    name="Session",
    plural="sessions",
    singular="session",
    namespaced=False,
    internal=True,
    sealed=True,
    has_status=False,
    model=Session,
    description="One login of a user. Internal.",
    columns=(
        Column("Name", "metadata.name"),
        Column("User", "spec.user"),
        Column("Expires", "spec.expiresAt"),
    ),
)
