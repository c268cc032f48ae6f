"""What changes a DB instance, and when: with an unmodified boto3, and servers that are as the test says."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from crds.errors import Invalid
from crds.kinds.event import EVENT
from crds.kinds.secret import SECRET
from services.db_manager.kinds import DATABASE
from services.db_manager.owned import RESTARTED_AT
from services.db_manager.rds.instance_store import InstanceStore
from services.db_manager.tests.rds_account import PASSWORD, RdsAccount, refusal

ID = {"DBInstanceIdentifier": "orders"}


def running(account: RdsAccount, **given: Any) -> None:
    account.create("orders", **given)
    account.said("orders")


def test_what_is_not_applied_immediately_waits_for_a_reboot(rds: Any, account: RdsAccount) -> None:
    running(account)
    wanted = {"DBInstanceClass": "db.t3.medium", "AllocatedStorage": 50}
    told = rds.modify_db_instance(**ID, **wanted)["DBInstance"]
    assert told["PendingModifiedValues"] == wanted
    assert (told["DBInstanceClass"], told["AllocatedStorage"]) == ("db.t3.micro", 20)
    assert account.database("orders").spec.resources.limits.memory == "1024Mi"
    account.said("orders")
    assert rds.reboot_db_instance(**ID)["DBInstance"]["DBInstanceStatus"] == "rebooting"
    shown = account.shown("orders")
    assert shown["PendingModifiedValues"] == {} and shown["DBInstanceClass"] == "db.t3.medium"
    spec = account.database("orders").spec
    assert (spec.resources.limits.memory, spec.storage) == ("4096Mi", "50Gi")


def test_a_failover_is_another_member_that_goes_on(rds: Any, account: RdsAccount) -> None:
    running(account)
    told = refusal(rds.reboot_db_instance, **ID, ForceFailover=True)
    assert told[0] == "InvalidParameterCombination" and "no other member" in told[1]
    two = account.harness.resources.patch(DATABASE, "orders", {"spec": {"members": 2}}, account.owner.namespace)
    account.harness.run(two)
    account.said("orders")
    assert rds.reboot_db_instance(**ID, ForceFailover=True)["DBInstance"]["DBInstanceStatus"] == "rebooting"
    database = account.database("orders")
    assert "aerekos.cloud/switchoverAt" in (database.metadata.annotations or {})
    assert "aerekos.cloud/restartedAt" not in (database.metadata.annotations or {})
    assert account.shown("orders")["DBInstanceStatus"] == "rebooting"


def test_what_is_applied_immediately(rds: Any, account: RdsAccount) -> None:
    running(account)
    rds.modify_db_instance(**ID, DBInstanceClass="db.m6g.large")
    told = rds.modify_db_instance(**ID, DBInstanceClass="db.t3.small", ApplyImmediately=True)["DBInstance"]
    assert (told["DBInstanceClass"], told["PendingModifiedValues"]) == ("db.t3.small", {})
    assert told["DBInstanceStatus"] == "modifying"
    account.said("orders")
    assert account.shown("orders")["DBInstanceStatus"] == "available"


def test_who_asks_for_what_is_there_takes_back_what_was_to_come(rds: Any, account: RdsAccount) -> None:
    running(account)
    rds.modify_db_instance(**ID, DBInstanceClass="db.m6g.large")
    assert rds.modify_db_instance(**ID, DBInstanceClass="db.t3.micro")["DBInstance"]["PendingModifiedValues"] == {}


def test_nothing_of_a_modification_is_done_when_one_part_cannot_be(rds: Any, account: RdsAccount) -> None:
    running(account, AllocatedStorage=50)
    other = {"MasterUserPassword": "another-password", "DeletionProtection": True}
    for wrong, code in (
        ({"AllocatedStorage": 40}, "InvalidParameterCombination"),
        ({"DBInstanceClass": "db.none"}, "InvalidParameterValue"),
        ({"EngineVersion": "18"}, "InvalidParameterCombination"),
        ({"DBParameterGroupName": "none"}, "DBParameterGroupNotFound"),
        ({"NewDBInstanceIdentifier": "b"}, "UnsupportedOperationException"),
        ({"MultiAZ": True}, "InvalidParameterValue"),
        ({"DBPortNumber": 6000}, "InvalidParameterCombination"),
    ):
        assert refusal(rds.modify_db_instance, **ID, **other, **wrong)[0] == code, wrong
    assert not account.shown("orders")["DeletionProtection"]
    assert password(account) == PASSWORD


def password(account: RdsAccount) -> str:
    secret = account.harness.run(account.harness.resources.get(SECRET, "orders-credentials", account.owner.namespace))
    if secret.string_data:
        return str(secret.string_data["password"])
    return base64.b64decode(secret.data["password"]).decode()


def test_another_password_has_the_database_looked_at(rds: Any, account: RdsAccount) -> None:
    running(account)
    before = account.database("orders").metadata.resource_version
    told = rds.modify_db_instance(**ID, MasterUserPassword="another-password")
    assert "another-password" not in str(told)
    assert password(account) == "another-password"
    assert account.database("orders").metadata.resource_version != before
    assert refusal(rds.modify_db_instance, **ID, MasterUserPassword="short")[0] == "InvalidParameterValue"


def test_it_is_reached_from_elsewhere_when_it_is_public(rds: Any, account: RdsAccount) -> None:
    running(account)
    rds.modify_db_instance(**ID, PubliclyAccessible=True, DBPortNumber=6000)
    exposure = account.database("orders").spec.exposure
    assert exposure is not None and exposure.port == 6000
    rds.modify_db_instance(**ID, PubliclyAccessible=True)
    assert account.database("orders").spec.exposure == exposure
    rds.modify_db_instance(**ID, DBPortNumber=6001)
    exposure = account.database("orders").spec.exposure
    assert exposure is not None and exposure.port == 6001
    rds.modify_db_instance(**ID, PubliclyAccessible=False)
    assert account.database("orders").spec.exposure is None


def test_stop_and_start(rds: Any, account: RdsAccount) -> None:
    running(account)
    assert refusal(rds.start_db_instance, **ID) == (
        "InvalidDBInstanceState",
        "Instance orders is available; it must be stopped.",
    )
    rds.modify_db_instance(**ID, DBInstanceClass="db.t3.small")
    account.said("orders")
    assert rds.stop_db_instance(**ID)["DBInstance"]["DBInstanceStatus"] == "stopping"
    assert account.shown("orders")["DBInstanceStatus"] == "stopping"
    account.said("orders", ready="False", reason="Stopped")
    assert account.shown("orders")["DBInstanceStatus"] == "stopped"
    for call in (rds.stop_db_instance, rds.reboot_db_instance):
        assert refusal(call, **ID)[0] == "InvalidDBInstanceState"
    assert rds.start_db_instance(**ID)["DBInstance"]["DBInstanceStatus"] == "starting"
    assert account.shown("orders")["DBInstanceClass"] == "db.t3.small"
    account.said("orders", ready="False", reason="Creating")
    assert account.shown("orders")["DBInstanceStatus"] == "starting"


def test_states_that_no_client_waits_out(account: RdsAccount) -> None:
    running(account)
    for reason in ("NameTaken", "ServerRefused", "EngineMissing", "EngineVersionMismatch"):
        account.said("orders", ready="False", reason=reason)
        assert account.shown("orders")["DBInstanceStatus"] == "failed"
    account.said("orders", ready="True", reason="InvalidParameters")
    (group,) = account.shown("orders")["DBParameterGroups"]
    assert group["ParameterApplyStatus"] == "failed-to-apply"


def test_what_does_not_come_up_can_be_changed_rebooted_and_stopped(rds: Any, account: RdsAccount) -> None:
    running(account)
    for reason, state in (("Unreachable", "starting"), ("EngineMissing", "failed")):
        account.said("orders", ready="False", reason=reason)
        assert account.shown("orders")["DBInstanceStatus"] == state
        rds.modify_db_instance(**ID, CopyTagsToSnapshot=True)
        rds.reboot_db_instance(**ID)
    rds.stop_db_instance(**ID)


@pytest.mark.parametrize("wish", ["soon", "zz", "2026-01-01", "2026-01-01T09:00:00+09:00"])
def test_a_wish_for_a_restart_is_compared_as_a_time(account: RdsAccount, wish: str) -> None:
    running(account)
    run, resources, namespace = account.harness.run, account.harness.resources, account.owner.namespace
    before = {"status": {"restartedAt": "2026-01-01T01:00:00Z"}}
    run(resources.patch(DATABASE, "orders", before, namespace, subresource="status"))
    run(resources.patch(DATABASE, "orders", {"metadata": {"annotations": {RESTARTED_AT: wish}}}, namespace))
    assert account.shown("orders")["DBInstanceStatus"] == "available"


def test_a_change_that_is_refused_changes_no_password(
    rds: Any, account: RdsAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    running(account)

    async def refuse(*given: Any, **more: Any) -> Any:
        raise Invalid("the quota says no")

    with monkeypatch.context() as patched:
        patched.setattr(InstanceStore, "change", refuse)
        refusal(rds.modify_db_instance, **ID, MasterUserPassword="another-password")
    assert password(account) == PASSWORD


def test_events_of_any_age_and_without_a_time_are_no_fault(rds: Any, account: RdsAccount) -> None:
    running(account)
    about = {"kind": "Database", "name": "orders"}
    event = EVENT.parse({"metadata": {"name": "timeless"}, "involvedObject": about, "reason": "Reloaded"})
    event.metadata.namespace = account.owner.namespace
    account.harness.run(account.harness.resources.create(EVENT, event))
    for minutes in (2147483647, 20161, 0, -5):
        assert refusal(rds.describe_events, Duration=minutes)[0] == "InvalidParameterValue"
    assert rds.describe_events(Duration=20160)["Events"] == []


def test_a_reboot_lasts_until_the_server_has_started_anew(rds: Any, account: RdsAccount) -> None:
    running(account)
    rds.reboot_db_instance(**ID)
    assert account.shown("orders")["DBInstanceStatus"] == "rebooting"
    account.said("orders")
    assert account.shown("orders")["DBInstanceStatus"] == "available"


def test_tags(rds: Any, account: RdsAccount) -> None:
    running(account, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    arn = account.shown("orders")["DBInstanceArn"]
    rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "b", "Value": "3"}, {"Key": "c"}])
    rds.remove_tags_from_resource(ResourceName=arn, TagKeys=["a", "nothing"])
    expected = [{"Key": "b", "Value": "3"}, {"Key": "c", "Value": ""}]
    assert rds.list_tags_for_resource(ResourceName=arn)["TagList"] == expected
    assert account.shown("orders")["TagList"] == expected
    for wrong in ("orders", arn.replace(":db:", ":cluster:"), arn.replace(":rds:", ":s3:")):
        assert refusal(rds.list_tags_for_resource, ResourceName=wrong)[0] == "InvalidParameterValue", wrong
    assert refusal(rds.list_tags_for_resource, ResourceName=arn.replace("orders", "none"))[0] == "DBInstanceNotFound"
    many = [{"Key": f"k{number}", "Value": ""} for number in range(50)]
    assert refusal(rds.add_tags_to_resource, ResourceName=arn, Tags=many)[0] == "InvalidParameterValue"
    twice = [{"Key": "d", "Value": "1"}, {"Key": "d", "Value": "2"}]
    assert refusal(rds.add_tags_to_resource, ResourceName=arn, Tags=twice)[0] == "InvalidParameterValue"
