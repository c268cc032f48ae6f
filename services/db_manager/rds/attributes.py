"""What RDS keeps of a DB instance that a Database has no word of its own for (`spec.rds`)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from crds.model import Model
from services.db_manager.rds.instance_classes import INSTANCE_CLASSES
from services.sdk.aws.tags import tag_fault

SMALLEST_GIB, LARGEST_GIB = 20, 65_536
DEFAULT_CLASS = "db.t3.micro"
# Kinds of disks, as AWS calls them: here it is the machine's own, whatever it is called.
StorageType = Literal["gp2", "gp3", "standard"]


class PendingModifications(Model):
    """What was asked for without ApplyImmediately, and waits for the next reboot."""

    instance_class: str | None = None
    allocated_gib: Annotated[int, Field(ge=SMALLEST_GIB, le=LARGEST_GIB)] | None = None
    engine_version: str | None = None


class RdsAttributes(Model):
    """`region`: where AWS clients find it, empty: everywhere. `instanceClass`: its name in RDS; what it may use of
    the machine is `spec.resources`. `allocatedGib`: as RDS shows `spec.storage`. `parameterGroup`: the
    DatabaseParameterGroup that writes `spec.parameters`, empty for none. `lastSnapshot`: what the backup is called
    that it leaves behind; empty for none, None where `spec.backup` decides.
    """

    region: Annotated[str, Field(max_length=32, pattern=r"^[a-z0-9-]*$")] = ""
    instance_class: str = DEFAULT_CLASS
    allocated_gib: Annotated[int, Field(ge=SMALLEST_GIB, le=LARGEST_GIB)] = SMALLEST_GIB
    storage_type: StorageType = "gp2"
    parameter_group: str = ""
    copy_tags_to_snapshot: bool = False
    deletion_protection: bool = False
    last_snapshot: str | None = None
    tags: dict[str, str] = Field(default_factory=dict)
    pending: PendingModifications = Field(default_factory=PendingModifications)

    @field_validator("instance_class")
    @classmethod
    def _is_a_class(cls, name: str) -> str:
        if name not in INSTANCE_CLASSES:
            raise ValueError(f"there is no instance class {name}; docs/databases.md names them")
        return name

    @field_validator("tags")
    @classmethod
    def _are_tags(cls, tags: dict[str, str]) -> dict[str, str]:
        if fault := tag_fault(tags):
            raise ValueError(fault)
        return tags
