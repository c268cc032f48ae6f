"""DatabaseBackup: what a Database held at one moment, kept until it is deleted, also beyond its Database."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from crds.invariants import Transition, changed, on
from crds.kind import Column, Kind, Resource
from crds.meta import Spec, Status
from crds.model import MicroTimestamp, Model, Timestamp
from crds.names import DnsLabel
from services.db_manager.conditions import BackupPhase
from services.db_manager.rds.attributes import DEFAULT_CLASS, LARGEST_GIB, SMALLEST_GIB, StorageType
from services.sdk.aws.tags import tag_fault


class BackupRdsAttributes(Model):
    """What RDS keeps of a backup as a DB snapshot: what its instance was like when it was taken."""

    region: Annotated[str, Field(max_length=32, pattern=r"^[a-z0-9-]*$")] = ""
    tags: dict[str, str] = Field(default_factory=dict)
    instance_class: str = DEFAULT_CLASS
    allocated_gib: Annotated[int, Field(ge=SMALLEST_GIB, le=LARGEST_GIB)] = SMALLEST_GIB
    storage_type: StorageType = "gp2"
    parameter_group: str = ""
    instance_created: Timestamp | None = None
    resource_id: str = ""

    @field_validator("tags")
    @classmethod
    def _are_tags(cls, tags: dict[str, str]) -> dict[str, str]:
        if fault := tag_fault(tags):
            raise ValueError(fault)
        return tags


class DatabaseBackupSpec(Spec):
    """`database`: a Database of the namespace, which has to be Ready. `rds`: what RDS keeps of it as a snapshot."""

    database: DnsLabel
    rds: BackupRdsAttributes | None = None


class DatabaseBackupStatus(Status):
    """`bucket`, `folder`: where it lies. `backup`: its name there. `databaseUid`: whose it is; `engine`: of what.
    `sqlDatabase`, `username`: what the first database and its owner are called. `time`: the moment it is of. `size`:
    of the data.
    """

    phase: BackupPhase = BackupPhase.PENDING
    bucket: str = ""
    folder: str = ""
    backup: str = ""
    database_uid: str = ""
    engine: Literal["postgresql", "valkey"] = "postgresql"
    version: str = ""
    sql_database: str = ""
    username: str = ""
    started_at: Timestamp | None = None
    time: MicroTimestamp | None = None
    size: int = 0
    message: str = ""


class DatabaseBackup(Resource[DatabaseBackupSpec, DatabaseBackupStatus]):
    spec: DatabaseBackupSpec
    status: DatabaseBackupStatus = Field(default_factory=DatabaseBackupStatus)


@on("update")
def is_of_one_database(transition: Transition) -> None:
    """What was taken is what it is."""
    if changed(transition, "database"):
        raise transition.invalid("spec.database", "cannot be changed; make another DatabaseBackup")


def _size(backup: dict[str, Any]) -> str:
    size = int((backup.get("status") or {}).get("size") or 0)
    return f"{size / (1 << 20):.0f}Mi" if size else ""


DATABASE_BACKUP = Kind(
    name="DatabaseBackup",
    plural="databasebackups",
    singular="databasebackup",
    short_names=("dbbackup",),
    categories=("all",),
    model=DatabaseBackup,
    description="What a Database held at one moment; another Database can begin with it.",
    invariants=(is_of_one_database,),
    columns=(
        Column("Name", "metadata.name"),
        Column("Database", "spec.database"),
        Column("Phase", "status.phase"),
        Column("Time", "status.time", "date"),
        Column("Size", "status.size", read=_size),
        Column("Version", "status.version", priority=1),
        Column("Bucket", "status.bucket", priority=1),
        Column("Message", "status.message", priority=1),
        Column("Age", "metadata.creationTimestamp", "date"),
    ),
)
