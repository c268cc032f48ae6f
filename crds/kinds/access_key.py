"""AccessKey: an AWS key pair of a user. Internal; the secret is derived from the master key, never kept."""

from __future__ import annotations

from typing import Literal

from crds.kind import Column, Kind, Resource
from crds.meta import Spec, Status
from crds.model import Timestamp

State = Literal["Active", "Inactive", "Deleted"]


class AccessKeySpec(Spec):
    """`accessKeyId` as AWS tools write it; the resource's name is the same in small letters. The first key a user has
    is derived from the user alone and needs no record; `Deleted` stays as a mark that this one is gone.
    `masterGeneration`: which master key derived it; when that one is dropped, the key is gone as well.
    """

    access_key_id: str
    user: str
    user_uid: str
    state: State = "Active"
    last_used_at: Timestamp | None = None
    last_used_service: str = ""
    master_generation: int = 0


class AccessKey(Resource[AccessKeySpec, Status]):
    spec: AccessKeySpec
    status: Status = Status()


ACCESS_KEY = Kind(
    name="AccessKey",
    plural="accesskeys",
    singular="accesskey",
    namespaced=False,
    internal=True,
    sealed=True,
    has_status=False,
    model=AccessKey,
    description="An AWS key pair of a user. Internal.",
    columns=(Column("Name", "spec.accessKeyId"), Column("User", "spec.user"), Column("State", "spec.state")),
)
