"""A DatabaseBackup as RDS sees it: a manual DB snapshot, its ARN and the word for its state. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from services.db_manager.backup_kinds import BackupRdsAttributes, DatabaseBackup
from services.db_manager.conditions import BackupPhase
from services.db_manager.kinds import Database
from services.db_manager.rds.attributes import RdsAttributes
from services.db_manager.rds.instance import ENGINE
from services.db_manager.rds.names import DEFAULT_REGION, rds_arn, resource_id
from services.db_manager.rds.views import LICENSE, zone_of
from services.sdk.aws.tags import tag_list

Json = dict[str, Any]
_STATES = {
    BackupPhase.PENDING: "creating",
    BackupPhase.RUNNING: "creating",
    BackupPhase.COMPLETED: "available",
    BackupPhase.FAILED: "failed",
}


class FoundSnapshot(NamedTuple):
    """A DatabaseBackup of that account."""

    backup: DatabaseBackup
    account: str

    @property
    def identifier(self) -> str:
        return self.backup.metadata.name

    @property
    def attributes(self) -> BackupRdsAttributes:
        """What RDS keeps of it; of one that others made, what RDS has where nothing is said."""
        return self.backup.spec.rds or BackupRdsAttributes()

    @property
    def region(self) -> str:
        return self.attributes.region or DEFAULT_REGION

    @property
    def arn(self) -> str:
        return rds_arn(self.region, self.account, "snapshot", self.identifier)

    def is_seen_from(self, region: str) -> bool:
        """Whether clients of that region find it: of what RDS has engines for."""
        return self.backup.status.engine == "postgresql" and self.attributes.region in ("", region)


def snapshot_attributes(database: Database, region: str, tags: dict[str, str]) -> BackupRdsAttributes:
    """What RDS keeps of a snapshot of that instance."""
    attributes = database.spec.rds or RdsAttributes()
    return BackupRdsAttributes(
        region=region,
        tags={**(attributes.tags if attributes.copy_tags_to_snapshot else {}), **tags},
        instance_class=attributes.instance_class,
        allocated_gib=attributes.allocated_gib,
        storage_type=attributes.storage_type,
        parameter_group=attributes.parameter_group,
        instance_created=database.metadata.creation_timestamp,
        resource_id=resource_id(database.metadata.uid or ""),
    )


def snapshot_state(backup: DatabaseBackup) -> str:
    """As DescribeDBSnapshots says it."""
    return "deleting" if backup.metadata.deletion_timestamp is not None else _STATES[backup.status.phase]


def snapshot_view(found: FoundSnapshot) -> Json:
    """As DescribeDBSnapshots shows it. What is not known yet is not there."""
    backup, attributes, status = found.backup, found.attributes, found.backup.status
    shown = {
        "DBSnapshotIdentifier": found.identifier,
        "DBInstanceIdentifier": backup.spec.database,
        "SnapshotCreateTime": status.time or backup.metadata.creation_timestamp,
        "OriginalSnapshotCreateTime": status.time,
        "SnapshotDatabaseTime": status.time,
        "Engine": ENGINE,
        "EngineVersion": status.version or None,
        "AllocatedStorage": attributes.allocated_gib,
        "Status": snapshot_state(backup),
        "Port": 5432,
        "AvailabilityZone": zone_of(found.region),
        "InstanceCreateTime": attributes.instance_created,
        "MasterUsername": status.username or None,
        "LicenseModel": LICENSE,
        "SnapshotType": "manual",
        "PercentProgress": 100 if status.phase == BackupPhase.COMPLETED else 0,
        "StorageType": attributes.storage_type,
        "Encrypted": False,
        "DBSnapshotArn": found.arn,
        "IAMDatabaseAuthenticationEnabled": False,
        "ProcessorFeatures": [],
        "DbiResourceId": attributes.resource_id or None,
        "TagList": tag_list(attributes.tags),
        "SnapshotTarget": "region",
    }
    return {name: each for name, each in shown.items() if each is not None}
