"""Bucket: a named place for objects. `aws s3 mb` and `kubectl apply` both make one."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crds.kind import Column, Kind, Resource
from crds.meta import Spec, Status
from crds.model import Model
from services.storage_manager.conditions import BucketPhase
from services.storage_manager.invariants import KEYS, OBJECTS, STORAGE_MANAGER, keeps_objects


class Encryption(Model):
    """Encryption at rest. `key` names a KMS key; None means the account's `alias/aws/s3`."""

    enabled: bool = True
    key: str | None = None


class Quota(Model):
    """Limits of a bucket, parts of unfinished uploads included. None: no limit."""

    bytes: Annotated[int, Field(ge=0)] | None = None
    objects: Annotated[int, Field(ge=0)] | None = None


class BucketSpec(Spec):
    """What is wanted."""

    encryption: Encryption = Field(default_factory=Encryption)
    quota: Quota = Field(default_factory=Quota)


class BucketAccess(Model):
    """Who may use it besides roles and IAM, as S3 keeps it: `policy`, its text; `objectOwnership`, whether lists
    count; `restrictPublicBuckets`, whether a public policy gives others anything.
    """

    policy: str = ""
    object_ownership: str = "BucketOwnerEnforced"
    restrict_public_buckets: bool = True


class BucketStatus(Status):
    """What was seen. `bytes` counts plaintext. `keys`: the KMS keys that something in it was sealed with. `access`:
    what whoever explains decisions judges by.
    """

    phase: BucketPhase | None = None
    objects: int | None = None
    bytes: int | None = None
    arn: str | None = None
    keys: list[str] = Field(default_factory=list)
    access: BucketAccess | None = None


class Bucket(Resource[BucketSpec, BucketStatus]):
    """A place for objects."""

    spec: BucketSpec = Field(default_factory=BucketSpec)
    status: BucketStatus = Field(default_factory=BucketStatus)


BUCKET = Kind(
    name="Bucket",
    plural="buckets",
    singular="bucket",
    model=Bucket,
    categories=("all",),
    columns=(
        Column("Name", "metadata.name"),
        Column("Phase", "status.phase"),
        Column("Objects", "status.objects", "integer"),
        Column("Size", "status.bytes", "bytes"),
        Column("Age", "metadata.creationTimestamp", "date"),
        Column("ARN", "status.arn", priority=1),
    ),
    description="A place for objects, reached over S3.",
    invariants=(keeps_objects,),
    references=(KEYS,),
    keepers=(OBJECTS,),
    keeper=STORAGE_MANAGER,
)
