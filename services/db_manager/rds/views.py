"""DB instances as RDS's answers show them."""

from __future__ import annotations

from typing import Any

from services.db_manager.kinds import BackupStatus, Database
from services.db_manager.rds.attributes import PendingModifications
from services.db_manager.rds.instance import ENGINE, FoundInstance, parameter_state, state_of
from services.db_manager.rds.names import DEFAULT_REGION
from services.sdk.aws.tags import tag_list

Json = dict[str, Any]
CERTIFICATE = "rds-ca-aerekos"
LICENSE = "postgresql-license"


def instance_view(found: FoundInstance) -> Json:
    """As DescribeDBInstances shows it. What there is nothing of here (subnets, clusters, domains) is not there."""
    database, attributes = found.database, found.attributes
    return {
        "DBInstanceIdentifier": found.identifier,
        "DBInstanceClass": attributes.instance_class,
        "Engine": ENGINE,
        "DBInstanceStatus": state_of(database),
        "MasterUsername": database.owner,
        "DBName": database.sql_database,
        **_endpoint(found),
        "AllocatedStorage": attributes.allocated_gib,
        "InstanceCreateTime": database.metadata.creation_timestamp,
        "BackupRetentionPeriod": database.spec.backup.retention_days if database.spec.backup else 0,
        **_restorable(database),
        "DBSecurityGroups": [],
        "VpcSecurityGroups": [],
        "DBParameterGroups": _groups(found),
        "AvailabilityZone": zone_of(found.region),
        "PendingModifiedValues": _pending(attributes.pending),
        "MultiAZ": False,
        "EngineVersion": found.version,
        "AutoMinorVersionUpgrade": True,
        "ReadReplicaDBInstanceIdentifiers": [],
        "LicenseModel": LICENSE,
        "OptionGroupMemberships": _options(found),
        "PubliclyAccessible": database.spec.exposure is not None,
        "StorageType": attributes.storage_type,
        "DbInstancePort": 0,
        "StorageEncrypted": False,
        "DbiResourceId": found.resource_id,
        "DomainMemberships": [],
        "CopyTagsToSnapshot": attributes.copy_tags_to_snapshot,
        "MonitoringInterval": 0,
        "DBInstanceArn": found.arn,
        "IAMDatabaseAuthenticationEnabled": False,
        "PerformanceInsightsEnabled": False,
        "DeletionProtection": attributes.deletion_protection,
        "AssociatedRoles": [],
        "TagList": tag_list(attributes.tags),
        "CustomerOwnedIpEnabled": False,
        "NetworkType": "IPV4",
        "BackupTarget": "region",
    }


def zone_of(region: str) -> str:
    """The one zone there is: a cloud has no others."""
    return f"{region or DEFAULT_REGION}a"


def _endpoint(found: FoundInstance) -> Json:
    endpoint = found.database.status.endpoint
    return {"Endpoint": {"Address": endpoint.host, "Port": endpoint.port}} if endpoint else {}


def _restorable(database: Database) -> Json:
    backup = database.status.backup
    return {"LatestRestorableTime": backup.latest_restorable_time} if backup and _is_restorable(backup) else {}


def _is_restorable(backup: BackupStatus) -> bool:
    first, last = backup.earliest_restorable_time, backup.latest_restorable_time
    return first is not None and last is not None and first <= last


def _groups(found: FoundInstance) -> list[Json]:
    name = found.parameter_group
    return [{"DBParameterGroupName": name, "ParameterApplyStatus": parameter_state(found)}] if name else []


def _options(found: FoundInstance) -> list[Json]:
    major = found.version.partition(".")[0]
    return [{"OptionGroupName": f"default:{ENGINE}-{major}", "Status": "in-sync"}] if major else []


def _pending(pending: PendingModifications) -> Json:
    wanted = {
        "DBInstanceClass": pending.instance_class,
        "AllocatedStorage": pending.allocated_gib,
        "EngineVersion": pending.engine_version,
    }
    return {name: value for name, value in wanted.items() if value is not None}
