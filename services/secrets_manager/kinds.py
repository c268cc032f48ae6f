"""Kinds of this service: secrets, and, touched by it alone, their sealed versions."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from crds.kind import Column, Kind, Resource
from crds.meta import Spec, Status
from crds.model import MicroTimestamp, Model, Timestamp
from crds.names import DnsLabel
from services.sdk.aws.tags import tag_fault
from services.secrets_manager.invariants import (
    KEYS,
    is_written_by_secrets_manager,
    keeps_its_name,
    keeps_its_window,
    outlives_mistakes,
)
from services.secrets_manager.names import name_fault
from services.secrets_manager.resource_policy import policy_fault
from services.secrets_manager.rotation_targets import target_fault
from services.secrets_manager.schedule import parse_schedule, parse_window


class RotationRules(Model):
    """`target`: what rotates it, as RotationLambdaARN says it. `afterDays` or a `schedule` (`rate(10 days)`,
    `cron(0 8 1 * ? *)`, UTC); without both it is rotated by hand alone. `duration`: how long a rotation may still
    begin (`3h`), empty: at any time after.
    """

    target: Annotated[str, Field(max_length=2048)]
    after_days: Annotated[int, Field(ge=1, le=1000)] | None = None
    schedule: Annotated[str, Field(max_length=256)] = ""
    duration: str = ""
    enabled: bool = True

    @model_validator(mode="after")
    def _can_be_followed(self) -> Self:
        if fault := target_fault(self.target):
            raise ValueError(f"target: {fault}")
        if self.after_days is not None and self.schedule:
            raise ValueError("give afterDays or schedule, not both")
        if self.schedule:
            parse_schedule(self.schedule)
        if self.duration:
            parse_window(self.duration)
        return self


class Delivery(Model):
    """`secret`: the Kubernetes Secret of the namespace that has the current value, for Services to mount."""

    secret: DnsLabel


class ManagedSecretSpec(Spec):
    """`secretName`: as AWS calls it (`prod/db`), the resource's own name where it is empty; `region`: where AWS
    clients find it, empty: everywhere; neither may change, and both say what the resource is called. `kmsKeyId`: the
    key its values are sealed with, empty: the account's `alias/aws/secretsmanager`. `policy`: a resource policy of
    AWS, JSON. `deletionDate`: when it is lost with all its values; until then it cannot be read, and can be restored.
    """

    secret_name: str = ""
    region: Annotated[str, Field(max_length=32)] = ""
    description: Annotated[str, Field(max_length=2048)] = ""
    kms_key_id: Annotated[str, Field(max_length=2048)] = ""
    tags: dict[str, str] | None = None
    policy: str = ""
    rotation: RotationRules | None = None
    delivery: Delivery | None = None
    deletion_date: Timestamp | None = None

    @model_validator(mode="after")
    def _has_a_name(self) -> Self:
        if self.secret_name and (fault := name_fault(self.secret_name)):
            raise ValueError(f"secretName: {fault}")
        return self

    @field_validator("tags")
    @classmethod
    def _are_tags(cls, tags: dict[str, str] | None) -> dict[str, str] | None:
        if fault := tag_fault(tags or {}):
            raise ValueError(fault)
        return tags

    @field_validator("policy")
    @classmethod
    def _is_policy(cls, text: str) -> str:
        if text and (fault := policy_fault(text)):
            raise ValueError(fault)
        return text


class VersionStatus(Model):
    """A version: which labels it has, and the ARN of the key it is sealed with (`DefaultEncryptionKey`: the account's
    default), empty while a rotation has not made its value yet. `number`: counts versions from 1, for clients of
    Vault. `accessedOn`: the day it was read. `attemptedAt`: when a rotation last had an access key made for it.
    """

    version_id: str
    number: int = 0
    stages: list[str] = []
    created_at: MicroTimestamp
    accessed_on: Timestamp | None = None
    attempted_at: MicroTimestamp | None = None
    key: str = ""


class RotationStatus(Model):
    """A rotation that is under way: the version it makes, its step, and why it failed last."""

    token: str
    step: str = ""
    attempts: int = 0
    message: str = ""


class ManagedSecretStatus(Status):
    """`versions`: in the order of their making; which values they have is nowhere here. `deliveredTo`: the Secret
    that was made of it. `rotationRules`: what `nextRotationAt` was reckoned from.
    """

    arn: str = ""
    versions: list[VersionStatus] = []
    current_version: str = ""
    changed_at: MicroTimestamp | None = None
    accessed_on: Timestamp | None = None
    delivered_to: str = ""
    rotation: RotationStatus | None = None
    rotation_rules: str = ""
    rotated_at: Timestamp | None = None
    next_rotation_at: Timestamp | None = None


class ManagedSecret(Resource[ManagedSecretSpec, ManagedSecretStatus]):
    spec: ManagedSecretSpec = Field(default_factory=ManagedSecretSpec)
    status: ManagedSecretStatus = Field(default_factory=ManagedSecretStatus)


class SecretVersionSpec(Spec):
    """`sealed`: base64 of the value under the data key `wrapped`, which `key` (an ARN) sealed; `keyId`: as the secret
    named that key then, empty for the default. `binary`: whether it came as SecretBinary.
    """

    secret_uid: str
    version_id: str
    key: str
    key_id: str = ""
    wrapped: str
    sealed: str
    binary: bool = False


class SecretVersionStatus(Status):
    """Nothing is seen of a version."""


class SecretVersion(Resource[SecretVersionSpec, SecretVersionStatus]):
    spec: SecretVersionSpec
    status: SecretVersionStatus = Field(default_factory=SecretVersionStatus)


def _number_of_versions(secret: dict[str, Any]) -> int:
    return len((secret.get("status") or {}).get("versions") or ())


MANAGED_SECRET = Kind(
    name="ManagedSecret",
    plural="managedsecrets",
    singular="managedsecret",
    short_names=("msecret",),
    categories=("all",),
    model=ManagedSecret,
    description="A secret with versions, over the AWS Secrets Manager protocol.",
    invariants=(keeps_its_name, keeps_its_window, outlives_mistakes),
    references=(KEYS,),
    columns=(
        Column("Name", "metadata.name"),
        Column("Secret", "spec.secretName"),
        Column("Versions", "status.versions", "integer", read=_number_of_versions),
        Column("Changed", "status.changedAt", "date"),
        Column("Next rotation", "status.nextRotationAt", priority=1),
        Column("Deletion", "spec.deletionDate", priority=1),
        Column("ARN", "status.arn", priority=1),
        Column("Description", "spec.description", priority=1),
        Column("Age", "metadata.creationTimestamp", "date"),
    ),
)
SECRET_VERSION = Kind(
    name="SecretVersion",
    plural="secretversions",
    singular="secretversion",
    model=SecretVersion,
    internal=True,
    sealed=True,
    description="A sealed value of a secret; only secrets_manager may touch it.",
    invariants=(is_written_by_secrets_manager,),
)
