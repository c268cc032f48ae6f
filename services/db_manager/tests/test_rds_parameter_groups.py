"""DB parameter groups, with an unmodified boto3; and their settings, as servers have them."""

from __future__ import annotations

from typing import Any

import pytest

from services.db_manager.rds.parameter_group import DatabaseParameterGroupSpec, GroupParameter, wanted_now
from services.db_manager.rds.settings_table import families, settings_of
from services.db_manager.tests.rds_account import RdsAccount, refusal

NAME = {"DBParameterGroupName": "tuned"}


def make(rds: Any, name: str = "tuned", family: str = "postgres15") -> Any:
    given = {"DBParameterGroupName": name, "DBParameterGroupFamily": family, "Description": "ours"}
    return rds.create_db_parameter_group(**given)["DBParameterGroup"]


def parameter(name: str, value: str, method: str = "immediate") -> dict[str, str]:
    return {"ParameterName": name, "ParameterValue": value, "ApplyMethod": method}


def users_parameters(rds: Any) -> list[Any]:
    return list(rds.describe_db_parameters(**NAME, Source="user")["Parameters"])


def test_a_group_lives(rds: Any, account: RdsAccount) -> None:
    arn = f"arn:aws:rds:us-east-1:{account.number}:pg:tuned"
    made = make(rds, "Tuned")
    assert made == {
        "DBParameterGroupName": "tuned",
        "DBParameterGroupFamily": "postgres15",
        "Description": "ours",
        "DBParameterGroupArn": arn,
    }
    assert refusal(make, rds=rds)[0] == "DBParameterGroupAlreadyExists"
    assert rds.describe_db_parameter_groups(**NAME)["DBParameterGroups"] == [made]
    listed = [each["DBParameterGroupName"] for each in rds.describe_db_parameter_groups()["DBParameterGroups"]]
    assert set(listed) == {*(f"default.{family}" for family in families()), "tuned"}
    rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "a", "Value": "1"}])
    assert rds.list_tags_for_resource(ResourceName=arn)["TagList"] == [{"Key": "a", "Value": "1"}]
    rds.delete_db_parameter_group(**NAME)
    assert refusal(rds.describe_db_parameter_groups, **NAME) == (
        "DBParameterGroupNotFound",
        "DBParameterGroup not found: tuned",
    )


def test_parameters_are_set_shown_and_reset(rds: Any) -> None:
    make(rds)
    wanted = [parameter("work_mem", "9216"), parameter("max_connections", "77", "pending-reboot")]
    rds.modify_db_parameter_group(**NAME, Parameters=wanted)
    shown = {each["ParameterName"]: each for each in users_parameters(rds)}
    assert sorted(shown) == ["max_connections", "work_mem"]
    assert shown["work_mem"] == {
        "ParameterName": "work_mem",
        "ParameterValue": "9216",
        "Description": "Sets the maximum memory to be used for query workspaces.",
        "Source": "user",
        "ApplyType": "dynamic",
        "DataType": "integer",
        "AllowedValues": "64-2147483647",
        "IsModifiable": True,
        "ApplyMethod": "immediate",
    }
    assert (shown["max_connections"]["ApplyType"], shown["max_connections"]["ApplyMethod"]) == (
        "static",
        "pending-reboot",
    )
    rds.reset_db_parameter_group(
        **NAME, Parameters=[{"ParameterName": "max_connections", "ApplyMethod": "pending-reboot"}]
    )
    assert [each["ParameterName"] for each in users_parameters(rds)] == ["work_mem"]
    rds.reset_db_parameter_group(**NAME, ResetAllParameters=True)
    assert users_parameters(rds) == []


def test_all_parameters_of_a_server_are_shown_page_by_page(rds: Any) -> None:
    make(rds)
    pages = list(rds.get_paginator("describe_db_parameters").paginate(**NAME))
    assert len(pages) == 4
    names = [each["ParameterName"] for one in pages for each in one["Parameters"]]
    assert sorted(names) == sorted(settings_of("postgres15")) and len(set(names)) == len(names)
    defaults = rds.describe_engine_default_parameters(DBParameterGroupFamily="postgres18")["EngineDefaults"]
    assert defaults["DBParameterGroupFamily"] == "postgres18" and defaults["Marker"]
    narrowed = [{"Name": "parameter-name", "Values": ["port"]}]
    (port,) = rds.describe_db_parameters(**NAME, Filters=narrowed)["Parameters"]
    assert not port["IsModifiable"] and port["ParameterValue"] == "5432"


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        (parameter("wrok_mem", "1"), "InvalidParameterValue", "Could not find parameter with name: wrok_mem"),
        (parameter("work_mem", "4MB"), "InvalidParameterValue", "allowed values are: 64-2147483647"),
        (parameter("work_mem", "1_000"), "InvalidParameterValue", "Invalid parameter value"),
        (parameter("work_mem", "٦٤٦٤"), "InvalidParameterValue", "Invalid parameter value"),
        (parameter("random_page_cost", "1_0.0"), "InvalidParameterValue", "Invalid parameter value"),
        (parameter("work_mem", "63"), "InvalidParameterValue", "Invalid parameter value: 63 for: work_mem"),
        (parameter("work_mem", "{DBInstanceClassMemory/2}"), "InvalidParameterValue", "Invalid parameter value"),
        (parameter("random_page_cost", "nan"), "InvalidParameterValue", "Invalid parameter value"),
        (parameter("autovacuum", "maybe"), "InvalidParameterValue", "allowed values are: 0,1"),
        (parameter("log_statement", "some"), "InvalidParameterValue", "none,ddl,mod,all"),
        (parameter("max_connections", "9"), "InvalidParameterCombination", "static parameter: max_connections"),
        (parameter("work_mem", "100", "soon"), "ValidationError", "soon"),
        (parameter("listen_addresses", "*"), "InvalidParameterValue", "cannot be modified"),
        (parameter("search_path", "a'\nb"), "InvalidParameterValue", "Invalid parameter value"),
        ({"ParameterName": "work_mem", "ParameterValue": "100"}, "InvalidParameterCombination", "ApplyMethod"),
        ({"ParameterValue": "100"}, "InvalidParameterCombination", "ParameterName"),
    ],
)
def test_what_no_server_takes_is_refused(rds: Any, given: dict[str, str], code: str, words: str) -> None:
    make(rds)
    told = refusal(rds.modify_db_parameter_group, **NAME, Parameters=[parameter("work_mem", "100"), given])
    assert told[0] == code and words in told[1], told
    assert users_parameters(rds) == []


def test_default_groups_are_what_they_are(rds: Any) -> None:
    name = {"DBParameterGroupName": "default.postgres15"}
    (shown,) = rds.describe_db_parameter_groups(**name)["DBParameterGroups"]
    assert shown["DBParameterGroupFamily"] == "postgres15"
    for call, more in (
        (rds.modify_db_parameter_group, {"Parameters": [parameter("work_mem", "100")]}),
        (rds.reset_db_parameter_group, {"ResetAllParameters": True}),
        (rds.delete_db_parameter_group, {}),
    ):
        assert refusal(call, **name, **more)[0] == "InvalidDBParameterGroupState"
    assert refusal(make, rds=rds, name="default.mine")[0] == "InvalidParameterValue"
    assert refusal(make, rds=rds, family="postgres9")[0] == "InvalidParameterValue"


def test_an_instance_has_the_parameters_of_its_group(rds: Any, account: RdsAccount) -> None:
    make(rds)
    wanted = [parameter("work_mem", "9216"), parameter("max_connections", "77", "pending-reboot")]
    rds.modify_db_parameter_group(**NAME, Parameters=wanted)
    account.create("orders", DBParameterGroupName="tuned")
    spec = account.database("orders").spec
    assert spec.parameters == {"work_mem": "9216", "max_connections": "77"} and spec.version == "15"
    account.said("orders")
    (group,) = account.shown("orders")["DBParameterGroups"]
    assert group == {"DBParameterGroupName": "tuned", "ParameterApplyStatus": "in-sync"}
    rds.modify_db_parameter_group(**NAME, Parameters=[parameter("max_connections", "88", "pending-reboot")])
    (group,) = account.shown("orders")["DBParameterGroups"]
    assert group["ParameterApplyStatus"] == "pending-reboot"
    rds.reboot_db_instance(DBInstanceIdentifier="orders")
    assert account.database("orders").spec.parameters["max_connections"] == "88"
    make(rds, "newer", "postgres18")
    other = {"DBInstanceIdentifier": "orders", "DBParameterGroupName": "newer"}
    assert refusal(rds.modify_db_instance, **other)[0] == "InvalidParameterCombination"


def test_what_waits_for_a_reboot_is_not_handed_on() -> None:
    spec = DatabaseParameterGroupSpec(
        family="postgres15",
        parameters={
            "work_mem": GroupParameter(value="100"),
            "max_connections": GroupParameter(value="9", apply_method="pending-reboot"),
            "autovacuum": GroupParameter(apply_method="pending-reboot"),
            "log_statement": GroupParameter(),
        },
    )
    present = {
        "work_mem": "64",
        "max_connections": "8",
        "autovacuum": "0",
        "log_statement": "all",
        "port_of_old": "1",
    }
    assert wanted_now(spec, present) == {"work_mem": "100", "max_connections": "8", "autovacuum": "0"}
    assert wanted_now(spec, {}) == {"work_mem": "100"}
    assert spec.values() == {"work_mem": "100", "max_connections": "9"}
