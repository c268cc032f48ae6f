"""DB snapshots and restores over the RDS API, with an unmodified boto3; nothing is taken or brought back here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.db_manager.backup_kinds import DATABASE_BACKUP
from services.db_manager.kinds import DATABASE
from services.db_manager.tests.rds_account import PASSWORD, RdsAccount, refusal
from services.db_manager.tests.test_rds_instances import password_of
from services.db_manager.tests.test_rds_rights import allow, person

FIRST, LAST = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, 12, 30, 0, 250_000, UTC)


def taken(account: RdsAccount, name: str, **status: Any) -> None:
    """As its reconciler says it of one that is taken."""
    told = {
        "phase": "Completed",
        "version": "15.18",
        "sqlDatabase": "shop",
        "username": "app",
        "databaseUid": account.database("orders").metadata.uid,
        "time": LAST.isoformat().replace("+00:00", "Z"),
        **status,
    }
    patching = account.harness.resources.patch(
        DATABASE_BACKUP, name, {"status": told}, account.owner.namespace, subresource="status"
    )
    account.harness.run(patching)


def archived(account: RdsAccount) -> None:
    """`orders` as its reconciler says it of one whose moments are stored."""
    times = {"earliestRestorableTime": FIRST, "latestRestorableTime": LAST}
    backup = {name: each.isoformat().replace("+00:00", "Z") for name, each in times.items()}
    patching = account.harness.resources.patch(
        DATABASE, "orders", {"status": {"backup": backup}}, account.owner.namespace, subresource="status"
    )
    account.harness.run(patching)


@pytest.fixture
def orders(account: RdsAccount) -> RdsAccount:
    account.create("orders", DBName="shop", EngineVersion="15", BackupRetentionPeriod=7)
    account.said("orders")
    return account


def test_a_snapshot_is_a_backup_of_its_name(orders: RdsAccount, rds: Any) -> None:
    given = {"DBSnapshotIdentifier": "Before", "DBInstanceIdentifier": "orders"}
    made = rds.create_db_snapshot(**given, Tags=[{"Key": "stage", "Value": "test"}])["DBSnapshot"]
    assert (made["DBSnapshotIdentifier"], made["Status"], made["PercentProgress"]) == ("before", "creating", 0)
    arn = f"arn:aws:rds:us-east-1:{orders.number}:snapshot:before"
    assert made["DBSnapshotArn"] == arn and made["DbiResourceId"] == orders.shown("orders")["DbiResourceId"]
    assert refusal(rds.create_db_snapshot, **given)[0] == "DBSnapshotAlreadyExists"
    assert refusal(rds.delete_db_snapshot, DBSnapshotIdentifier="before")[0] == "InvalidDBSnapshotState"
    taken(orders, "before")
    rds.get_waiter("db_snapshot_available").wait(DBSnapshotIdentifier="before")
    for asked in ({"DBSnapshotIdentifier": arn}, {"DBInstanceIdentifier": "orders"}, {"SnapshotType": "manual"}):
        (shown,) = rds.describe_db_snapshots(**asked)["DBSnapshots"]
        assert (shown["Status"], shown["EngineVersion"], shown["MasterUsername"]) == ("available", "15.18", "app")
    assert rds.describe_db_snapshots(SnapshotType="automated")["DBSnapshots"] == []
    rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "more", "Value": "1"}])
    assert len(rds.list_tags_for_resource(ResourceName=arn)["TagList"]) == 2
    said = rds.describe_db_snapshot_attributes(DBSnapshotIdentifier="before")["DBSnapshotAttributesResult"]
    assert said["DBSnapshotAttributes"] == [{"AttributeName": "restore", "AttributeValues": []}]
    assert rds.delete_db_snapshot(DBSnapshotIdentifier="before")["DBSnapshot"]["Status"] == "deleted"
    rds.get_waiter("db_snapshot_deleted").wait(DBSnapshotIdentifier="before")


def test_an_instance_begins_with_a_snapshot(orders: RdsAccount, rds: Any) -> None:
    rds.create_db_snapshot(DBSnapshotIdentifier="before", DBInstanceIdentifier="orders")
    given = {"DBInstanceIdentifier": "again", "DBSnapshotIdentifier": "before", "DBInstanceClass": "db.t3.small"}
    assert refusal(rds.restore_db_instance_from_db_snapshot, **given)[0] == "InvalidDBSnapshotState"
    taken(orders, "before")
    made = rds.restore_db_instance_from_db_snapshot(**given)["DBInstance"]
    assert (made["DBInstanceStatus"], made["MasterUsername"], made["DBName"]) == ("creating", "app", "shop")
    assert (made["DBInstanceClass"], made["AllocatedStorage"]) == ("db.t3.small", 20)
    spec = orders.database("again").spec
    assert spec.restore is not None and spec.restore.backup == "before" and spec.backup is None
    assert password_of(orders, "again") == PASSWORD, "its owner has the password that they had"
    missing = {**given, "DBSnapshotIdentifier": "nothing", "DBInstanceIdentifier": "more"}
    assert refusal(rds.restore_db_instance_from_db_snapshot, **missing)[0] == "DBSnapshotNotFound"


def test_an_instance_begins_with_a_moment_of_another(orders: RdsAccount, rds: Any) -> None:
    given = {"SourceDBInstanceIdentifier": "orders", "TargetDBInstanceIdentifier": "then"}
    restore = rds.restore_db_instance_to_point_in_time
    assert refusal(restore, **given, UseLatestRestorableTime=True)[0] == "PointInTimeRestoreNotEnabled"
    archived(orders)
    shown = orders.shown("orders")
    assert (shown["BackupRetentionPeriod"], shown["LatestRestorableTime"]) == (7, LAST)
    assert refusal(restore, **given)[0] == "InvalidParameterCombination"
    for moment in (FIRST - timedelta(seconds=1), LAST + timedelta(seconds=1)):
        assert refusal(restore, **given, RestoreTime=moment)[0] == "InvalidParameterValue"
    restore(**given, RestoreTime=FIRST + timedelta(hours=1))
    wanted = orders.database("then").spec.restore
    assert wanted is not None and (wanted.database, wanted.time) == ("orders", FIRST + timedelta(hours=1))
    restore(**{**given, "TargetDBInstanceIdentifier": "now"}, UseLatestRestorableTime=True)
    assert (wanted := orders.database("now").spec.restore) is not None and wanted.time == LAST


def test_backups_are_kept_as_long_as_is_asked_for(orders: RdsAccount, rds: Any) -> None:
    assert (backup := orders.database("orders").spec.backup) is not None and backup.retention_days == 7
    for days, kept in ((14, 14), (0, None)):
        rds.modify_db_instance(DBInstanceIdentifier="orders", BackupRetentionPeriod=days)
        backup = orders.database("orders").spec.backup
        assert (backup.retention_days if backup else None) == kept
    wrong = {"DBInstanceIdentifier": "orders", "BackupRetentionPeriod": 36}
    assert refusal(rds.modify_db_instance, **wrong)[0] == "InvalidParameterValue"


def test_who_restores_needs_the_right_to_what_it_begins_with(orders: RdsAccount, rds: Any) -> None:
    """The same operation, with the snapshot or the instance; a right to the new one alone opens nobody's data."""
    rds.create_db_snapshot(DBSnapshotIdentifier="before", DBInstanceIdentifier="orders")
    taken(orders, "before")
    archived(orders)
    target = f"arn:aws:rds:us-east-1:{orders.number}:db:mine"
    eve = person(
        orders,
        "eve",
        allow("rds:RestoreDBInstanceFromDBSnapshot", "rds:RestoreDBInstanceToPointInTime", resource=target),
        allow("rds:CreateDBSnapshot", resource=f"arn:aws:rds:us-east-1:{orders.number}:snapshot:*"),
        allow("rds:DeleteDBInstance", resource=f"arn:aws:rds:us-east-1:{orders.number}:db:*"),
    )
    given = {"DBInstanceIdentifier": "mine", "DBSnapshotIdentifier": "before"}
    code, text = refusal(eve.restore_db_instance_from_db_snapshot, **given)
    assert code == "AccessDenied" and ":snapshot:before" in text
    given = {"SourceDBInstanceIdentifier": "orders", "TargetDBInstanceIdentifier": "mine"}
    code, text = refusal(eve.restore_db_instance_to_point_in_time, **given, UseLatestRestorableTime=True)
    assert code == "AccessDenied" and ":db:orders" in text
    given = {"DBSnapshotIdentifier": "hers", "DBInstanceIdentifier": "orders"}
    assert refusal(eve.create_db_snapshot, **given)[0] == "AccessDenied"
    final = {"DBInstanceIdentifier": "orders", "FinalDBSnapshotIdentifier": "hers"}
    assert refusal(eve.delete_db_instance, **final)[0] == "AccessDenied"
    assert refusal(eve.describe_db_snapshots)[0] == "AccessDenied"
    other = RdsAccount.new(orders.harness).client()
    assert other.describe_db_snapshots()["DBSnapshots"] == []
    assert refusal(other.delete_db_snapshot, DBSnapshotIdentifier="before")[0] == "DBSnapshotNotFound"


def test_an_instance_leaves_the_snapshot_behind_that_is_asked_for(orders: RdsAccount, rds: Any) -> None:
    rds.create_db_snapshot(DBSnapshotIdentifier="there", DBInstanceIdentifier="orders")
    final = {"DBInstanceIdentifier": "orders", "FinalDBSnapshotIdentifier": "there"}
    assert refusal(rds.delete_db_instance, **final)[0] == "DBSnapshotAlreadyExists"
    kept = {**final, "FinalDBSnapshotIdentifier": "last", "DeleteAutomatedBackups": False}
    assert refusal(rds.delete_db_instance, **kept)[0] == "InvalidParameterCombination"
    made = rds.delete_db_instance(**{**final, "FinalDBSnapshotIdentifier": "last"})["DBInstance"]
    assert made["DBInstanceStatus"] == "deleting"
