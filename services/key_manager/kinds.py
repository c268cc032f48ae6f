"""Kinds of this service: keys, their aliases and grants, and, touched by it alone, sealed key material."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from crds.kind import Column, Kind, Resource
from crds.meta import Spec, Status
from crds.model import Timestamp
from services.key_manager.conditions import KeyState
from services.key_manager.invariants import (
    is_no_replica_of_another_s,
    is_written_by_key_manager,
    keeps_alias_names,
    keeps_its_nature,
    keeps_its_window,
    keeps_what_it_grants,
    outlives_its_data,
)
from services.key_manager.key_policy import policy_fault
from services.key_manager.key_specs import ALGORITHMS, SYMMETRIC, GrantOperation, KeySpecName, Usage, is_compatible
from services.sdk.aws.tags import tag_fault

PRINCIPAL = r"^arn:aws:(iam|sts)::[0-9]{12}:(user|role|assumed-role|federated-user)/[^\s]+$"
Days = Annotated[int, Field(ge=1, le=2560)]


class KeySpec(Spec):
    """`keySpec`, `usage` and `origin` as AWS names them, which may not change; EXTERNAL: its material is imported.
    `rotateEvery` in days, None: only by hand. `policy`: a key policy of AWS, JSON; without one the account's roles
    decide. `deletionDate`: when the key and all it encrypted are lost.

    `region`: where AWS clients find it, empty: everywhere. Of `multiRegion` keys one is in `primaryRegion`; the
    others have the id `replicaOf`, and the material of the key with the uid `materialOf`. Set by key-manager alone.
    """

    description: Annotated[str, Field(max_length=8192)] = ""
    key_spec: KeySpecName = "SYMMETRIC_DEFAULT"
    usage: Usage = "ENCRYPT_DECRYPT"
    origin: Literal["AWS_KMS", "EXTERNAL"] = "AWS_KMS"
    multi_region: bool = False
    region: str = ""
    primary_region: str = ""
    replica_of: str = ""
    material_of: str = ""
    policy: str = ""
    tags: dict[str, str] = {}
    enabled: bool = True
    rotate_every: Days | None = None
    deletion_date: Timestamp | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not is_compatible(self.key_spec, self.usage):
            usages = " or ".join(ALGORITHMS[self.key_spec])
            raise ValueError(f"usage {self.usage} does not fit keySpec {self.key_spec}; it takes {usages}")
        if self.rotate_every is not None and self.key_spec != SYMMETRIC:
            raise ValueError(f"rotateEvery is for keySpec {SYMMETRIC} alone; leave it out for {self.key_spec}")
        if self.rotate_every is not None and self.origin != "AWS_KMS":
            raise ValueError("rotateEvery is for origin AWS_KMS alone; imported material is rotated by hand")
        return self

    @field_validator("policy")
    @classmethod
    def _is_policy(cls, text: str) -> str:
        if text and (fault := policy_fault(text)):
            raise ValueError(fault)
        return text

    @field_validator("tags")
    @classmethod
    def _are_tags(cls, tags: dict[str, str]) -> dict[str, str]:
        if fault := tag_fault(tags):
            raise ValueError(fault)
        return tags


class KeyStatus(Status):
    """`currentVersion` counts material from 1; 0 means none is made yet. `aliases`: the names of it in AWS."""

    key_id: str = ""
    arn: str = ""
    aliases: list[str] = []
    key_state: KeyState = KeyState.CREATING
    current_version: int = 0
    rotated_at: Timestamp | None = None
    next_rotation_at: Timestamp | None = None
    deletion_date: Timestamp | None = None


class Key(Resource[KeySpec, KeyStatus]):
    spec: KeySpec = Field(default_factory=KeySpec)
    status: KeyStatus = Field(default_factory=KeyStatus)


class KeyAliasSpec(Spec):
    """`key`: name of a Key in the namespace. `aliasName`: what AWS calls it (`alias/App/Main`), may not change."""

    key: str
    alias_name: Annotated[str, Field(pattern=r"^alias/[a-zA-Z0-9/_-]+$", max_length=256)]


class KeyAliasStatus(Status):
    arn: str = ""


class KeyAlias(Resource[KeyAliasSpec, KeyAliasStatus]):
    spec: KeyAliasSpec
    status: KeyAliasStatus = Field(default_factory=KeyAliasStatus)


class KeyMaterialSpec(Spec):
    """`sealed`: base64 of key material under the root key, bound to this uid and version. `materialId`: what AWS
    calls it; empty: it follows from uid and version. `rotation`: why it was made, empty for the first.

    Of `imported` material: `pending`, it is there and not used until a rotation; `removed` or past `validTo`, it has
    to be imported again (`sealed` then holds something else).
    """

    key_uid: str
    version: Annotated[int, Field(ge=1)]
    sealed: str
    material_id: str = ""
    rotation: Literal["", "AUTOMATIC", "ON_DEMAND"] = ""
    imported: bool = False
    pending: bool = False
    removed: bool = False
    valid_to: Timestamp | None = None
    description: Annotated[str, Field(max_length=256)] = ""


class KeyMaterialStatus(Status):
    """Nothing is seen of material."""


class KeyMaterial(Resource[KeyMaterialSpec, KeyMaterialStatus]):
    spec: KeyMaterialSpec
    status: KeyMaterialStatus = Field(default_factory=KeyMaterialStatus)


class KeyGrantSpec(Spec):
    """What `grantee` may do with `key`, a Key's name in the namespace; never changed, only taken back. Principals are
    ARNs: `arn:aws:iam::<account>:user/<name>`. `retiring`: who may end it besides.
    """

    key: str
    grantee: Annotated[str, Field(pattern=PRINCIPAL, max_length=2048)]
    operations: Annotated[list[GrantOperation], Field(min_length=1)]
    retiring: Annotated[str, Field(pattern=f"{PRINCIPAL}|^$", max_length=2048)] = ""
    name: Annotated[str, Field(max_length=256)] = ""
    encryption_context_equals: dict[str, str] | None = None
    encryption_context_subset: dict[str, str] | None = None


class KeyGrantStatus(Status):
    """A grant counts from the moment it is written: there is nothing to tell of it."""


class KeyGrant(Resource[KeyGrantSpec, KeyGrantStatus]):
    spec: KeyGrantSpec
    status: KeyGrantStatus = Field(default_factory=KeyGrantStatus)


KEY = Kind(
    name="Key",
    plural="keys",
    singular="key",
    short_names=("kmskey",),
    categories=("all",),
    model=Key,
    description="An encryption key that never leaves key_manager.",
    invariants=(is_no_replica_of_another_s, keeps_its_nature, keeps_its_window, outlives_its_data),
    columns=(
        Column("Name", "metadata.name"),
        Column("Alias", "status.aliases"),
        Column("State", "status.keyState"),
        Column("Version", "status.currentVersion", "integer"),
        Column("Spec", "spec.keySpec", priority=1),
        Column("Usage", "spec.usage", priority=1),
        Column("Next rotation", "status.nextRotationAt", priority=1),
        Column("Key ID", "status.keyId", priority=1),
        Column("Description", "spec.description", priority=1),
        Column("Age", "metadata.creationTimestamp", "date"),
    ),
)
KEY_ALIAS = Kind(
    name="KeyAlias",
    plural="keyaliases",
    singular="keyalias",
    short_names=("kalias",),
    model=KeyAlias,
    description="A friendly name for a Key.",
    invariants=(keeps_alias_names,),
    columns=(
        Column("Name", "metadata.name"),
        Column("Alias", "spec.aliasName"),
        Column("Key", "spec.key"),
        Column("Age", "metadata.creationTimestamp", "date"),
    ),
)
KEY_GRANT = Kind(
    name="KeyGrant",
    plural="keygrants",
    singular="keygrant",
    short_names=("kgrant",),
    model=KeyGrant,
    description="What somebody may do with a Key.",
    invariants=(keeps_what_it_grants,),
    columns=(
        Column("Name", "metadata.name"),
        Column("Key", "spec.key"),
        Column("Grantee", "spec.grantee"),
        Column("Operations", "spec.operations"),
        Column("Retiring", "spec.retiring", priority=1),
        Column("Age", "metadata.creationTimestamp", "date"),
    ),
)
KEY_MATERIAL = Kind(
    name="KeyMaterial",
    plural="keymaterials",
    singular="keymaterial",
    model=KeyMaterial,
    internal=True,
    description="Sealed key material; only key_manager may touch it.",
    invariants=(is_written_by_key_manager,),
)
