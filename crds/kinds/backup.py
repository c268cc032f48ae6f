"""Backup: one copy of the whole cloud elsewhere. BackupSchedule: makes them, keeps the newest, and tries them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from crds.kind import Column, Kind, Resource
from crds.meta import Spec, Status
from crds.model import Timestamp

SCHEDULE_LABEL = "aerekos.cloud/backup-schedule"


def _location(to: str) -> str:
    if to.startswith("s3://") and len(to) > len("s3://"):
        return to
    if not to.startswith("/") or ".." in to.split("/") or not to.isprintable():
        raise ValueError("give an absolute folder, or s3://bucket/prefix")
    return to


BackupLocation = Annotated[str, Field(min_length=2, max_length=1024), AfterValidator(_location)]
"""An absolute folder of the conductor's machine that is there already, empty or with backups; or `s3://bucket/prefix`.

What opens it is on that machine alone: `secrets/escrow-passphrase` in the home, and for S3 `secrets/backup-aws`.
"""


class BackupSpec(Spec):
    """It is made once. `deletionPolicy`: whether deleting the resource deletes the backup, too."""

    to: BackupLocation
    deletion_policy: Literal["Delete", "Retain"] = "Delete"


class BackupStatus(Status):
    """`id`: what `aerekos backup list` calls it. `readBytes` and `newBytes` grow while it is made."""

    phase: str = ""
    id: str = ""
    started_at: Timestamp | None = None
    finished_at: Timestamp | None = None
    revision: int = 0
    resources: int = 0
    read_bytes: int = 0
    new_bytes: int = 0


class Backup(Resource[BackupSpec, BackupStatus]):
    spec: BackupSpec
    status: BackupStatus = Field(default_factory=BackupStatus)


class BackupScheduleSpec(Spec):
    """A Backup each `everyHours`, of which the newest `keep` are kept.

    Each `drillEveryHours` (0: never) the newest one is restored into a folder of its own, looked at and taken away.
    """

    to: BackupLocation
    every_hours: Annotated[int, Field(ge=1, le=24 * 31)] = 24
    keep: Annotated[int, Field(ge=1, le=1000)] = 14
    drill_every_hours: Annotated[int, Field(ge=0, le=24 * 366)] = 24 * 7
    suspended: bool = False


class BackupScheduleStatus(Status):
    """`lastBackupAt`: when the newest backup that is whole was begun: what is in it is of then."""

    last_backup: str = ""
    last_backup_at: Timestamp | None = None
    next_backup_at: Timestamp | None = None
    last_drill_at: Timestamp | None = None


class BackupSchedule(Resource[BackupScheduleSpec, BackupScheduleStatus]):
    spec: BackupScheduleSpec
    status: BackupScheduleStatus = Field(default_factory=BackupScheduleStatus)


BACKUP = Kind(
    name="Backup",
    plural="backups",
    singular="backup",
    categories=("aerekos",),
    namespaced=False,
    model=Backup,
    description="One copy of the whole cloud elsewhere.",
    columns=(
        Column("Name", "metadata.name"),
        Column("Phase", "status.phase"),
        Column("Resources", "status.resources", type="integer"),
        Column("Read", "status.readBytes", type="bytes"),
        Column("New", "status.newBytes", type="bytes"),
        Column("To", "spec.to", priority=1),
        Column("Id", "status.id", priority=1),
        Column("Age", "metadata.creationTimestamp", type="date"),
    ),
)
BACKUP_SCHEDULE = Kind(
    name="BackupSchedule",
    plural="backupschedules",
    singular="backupschedule",
    categories=("aerekos",),
    namespaced=False,
    model=BackupSchedule,
    description="Makes backups of the cloud, keeps the newest, and tries them.",
    columns=(
        Column("Name", "metadata.name"),
        Column("Every Hours", "spec.everyHours", type="integer"),
        Column("Keep", "spec.keep", type="integer"),
        Column("Last Backup", "status.lastBackupAt", type="date"),
        Column("Last Drill", "status.lastDrillAt", type="date"),
        Column("Suspended", "spec.suspended", type="boolean", priority=1),
        Column("To", "spec.to", priority=1),
        Column("Age", "metadata.creationTimestamp", type="date"),
    ),
)
