"""The API of Amazon RDS on a real cloud: aws, boto3 and its waiters make PostgreSQL that psycopg connects to."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from clouds import Cloud, a_port, eventually

from controller.runtime.engines.finder import EngineFinder
from controller.runtime.sandbox import landlock, seccomp
from crds.engines import ENGINES

FOUND = EngineFinder().find(ENGINES["postgresql"])
pytestmark = [
    pytest.mark.skipif(landlock.abi() < 6 or not seccomp.is_known(), reason="this machine has too few walls"),
    pytest.mark.skipif(FOUND is None, reason="no PostgreSQL: aerekos engine install postgresql"),
]
FIRST, SECOND = "the-first-password", "the-second-password"
ID = {"DBInstanceIdentifier": "orders"}
PATIENT = {"WaiterConfig": {"Delay": 1, "MaxAttempts": 60}}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    running = Cloud(tmp_path_factory.mktemp("rds") / "home", a_port())
    running.do("up")
    yield running
    running.command("down")
    shutil.rmtree(running.home, ignore_errors=True)


@pytest.fixture(scope="module")
def rds(cloud: Cloud) -> Any:
    env = cloud.aws_env()
    return cloud.boto3(
        "rds", env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], region=env["AWS_DEFAULT_REGION"]
    )


def described(rds: Any) -> dict[str, Any]:
    (found,) = rds.describe_db_instances(**ID)["DBInstances"]
    return dict(found)


def connected(rds: Any, password: str) -> psycopg.Connection[Any]:
    found = described(rds)
    endpoint = found["Endpoint"]
    return psycopg.connect(
        host=endpoint["Address"],
        port=endpoint["Port"],
        user=found["MasterUsername"],
        password=password,
        dbname=found["DBName"],
        autocommit=True,
        connect_timeout=10,
    )


def setting(rds: Any, password: str, name: str) -> str:
    with connected(rds, password) as connection:
        row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
    assert row is not None
    return str(row[0])


def available(rds: Any) -> None:
    rds.get_waiter("db_instance_available").wait(**ID, **PATIENT)


def test_an_instance_lives(cloud: Cloud, rds: Any) -> None:
    made = cloud.aws(
        *("rds", "create-db-instance", "--db-instance-identifier", "orders", "--db-instance-class", "db.t3.small"),
        *("--engine", "postgres", "--allocated-storage", "20", "--db-name", "shop", "--master-username", "owner"),
        *("--master-user-password", FIRST, "--output", "json"),
    )
    assert made.code == 0 and json.loads(made.out)["DBInstance"]["DBInstanceStatus"] == "creating", made
    waited = cloud.aws("rds", "wait", "db-instance-available", "--db-instance-identifier", "orders")
    assert waited.code == 0, waited
    with connected(rds, FIRST) as connection:
        connection.execute("CREATE TABLE kept (n int)")
        connection.execute("INSERT INTO kept VALUES (42)")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connected(rds, SECOND)


def test_its_password_is_changed(rds: Any) -> None:
    rds.modify_db_instance(**ID, MasterUserPassword=SECOND)
    eventually(lambda: _opens(rds, SECOND), "the new password opens it")
    assert not _opens(rds, FIRST)


def _opens(rds: Any, password: str) -> bool:
    try:
        connected(rds, password).close()
    except psycopg.OperationalError:
        return False
    return True


def test_parameters_of_a_group_count_when_they_are_said_to(rds: Any) -> None:
    family = f"postgres{described(rds)['EngineVersion'].partition('.')[0]}"
    rds.create_db_parameter_group(DBParameterGroupName="tuned", DBParameterGroupFamily=family, Description="ours")
    rds.modify_db_instance(**ID, DBParameterGroupName="tuned", ApplyImmediately=True)
    parameters = [
        {"ParameterName": "work_mem", "ParameterValue": "9216", "ApplyMethod": "immediate"},
        {"ParameterName": "max_connections", "ParameterValue": "77", "ApplyMethod": "pending-reboot"},
        {"ParameterName": "maintenance_work_mem", "ParameterValue": "98304", "ApplyMethod": "pending-reboot"},
    ]
    rds.modify_db_parameter_group(DBParameterGroupName="tuned", Parameters=parameters)
    eventually(lambda: setting(rds, SECOND, "work_mem") == "9MB", "what is immediate counts")
    assert setting(rds, SECOND, "max_connections") == "100"
    assert setting(rds, SECOND, "maintenance_work_mem") == "64MB"
    (group,) = described(rds)["DBParameterGroups"]
    assert group == {"DBParameterGroupName": "tuned", "ParameterApplyStatus": "pending-reboot"}
    rebooted = rds.reboot_db_instance(**ID)["DBInstance"]
    assert rebooted["DBInstanceStatus"] == "rebooting"
    available(rds)
    assert setting(rds, SECOND, "max_connections") == "77"
    assert setting(rds, SECOND, "maintenance_work_mem") == "96MB"

    def in_sync() -> bool:
        (group,) = described(rds)["DBParameterGroups"]
        return bool(group["ParameterApplyStatus"] == "in-sync")

    eventually(in_sync, "the group is in sync")


def test_it_stops_and_starts_with_its_data(rds: Any) -> None:
    assert rds.stop_db_instance(**ID)["DBInstance"]["DBInstanceStatus"] == "stopping"
    eventually(lambda: described(rds)["DBInstanceStatus"] == "stopped", "it is stopped")
    assert not _opens(rds, SECOND)
    assert rds.start_db_instance(**ID)["DBInstance"]["DBInstanceStatus"] == "starting"
    available(rds)
    with connected(rds, SECOND) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (42,)


def test_what_happened_is_told(rds: Any) -> None:
    events = rds.describe_events(SourceType="db-instance", SourceIdentifier="orders", Duration=60)["Events"]
    assert events and all(each["SourceIdentifier"] == "orders" for each in events)


def test_it_goes_and_its_name_can_be_given_again(cloud: Cloud, rds: Any) -> None:
    rds.delete_db_instance(**ID, SkipFinalSnapshot=True)
    waited = cloud.aws("rds", "wait", "db-instance-deleted", "--db-instance-identifier", "orders")
    assert waited.code == 0, waited
    rds.delete_db_parameter_group(DBParameterGroupName="tuned")
    rds.create_db_instance(
        **ID, DBInstanceClass="db.t3.micro", Engine="postgres", AllocatedStorage=20, MasterUsername="another",
        MasterUserPassword=FIRST,
    )  # fmt: skip
    available(rds)
    with connected(rds, FIRST) as connection:
        assert connection.execute("SELECT to_regclass('kept')").fetchone() == (None,)
    rds.delete_db_instance(**ID, SkipFinalSnapshot=True)
