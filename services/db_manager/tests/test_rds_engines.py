"""What DB instances there can be, with an unmodified boto3."""

from __future__ import annotations

from typing import Any

from services.db_manager.tests.rds_account import RdsAccount, refusal


def test_versions(rds: Any, account: RdsAccount) -> None:
    def versions(**given: Any) -> list[str]:
        return [each["EngineVersion"] for each in rds.describe_db_engine_versions(**given)["DBEngineVersions"]]

    assert versions() == ["15", "16", "18"] and versions(DefaultOnly=True) == ["18"]
    account.create("orders")
    account.said("orders")
    assert versions(Engine="postgres", DBParameterGroupFamily="postgres15") == ["15", "15.18"]
    assert versions(EngineVersion="15.18") == ["15.18"] and versions(Engine="mysql") == []
    assert versions(Filters=[{"Name": "engine-version", "Values": ["16"]}]) == ["16"]


def test_classes_page_by_page(rds: Any) -> None:
    given = {"Engine": "postgres", "EngineVersion": "15"}
    pages = rds.get_paginator("describe_orderable_db_instance_options").paginate(**given)
    options = [each for page in pages for each in page["OrderableDBInstanceOptions"]]
    whole = rds.describe_orderable_db_instance_options(**given, MaxRecords=1000)["OrderableDBInstanceOptions"]
    assert options == whole and len(options) > 100
    names = {each["DBInstanceClass"] for each in options}
    assert {"db.t3.micro", "db.t4g.medium", "db.m6g.large", "db.r7g.16xlarge"} <= names
    (one, *others) = rds.describe_orderable_db_instance_options(**given, DBInstanceClass="db.t3.micro")[
        "OrderableDBInstanceOptions"
    ]
    assert one["AvailabilityZones"] == [{"Name": "us-east-1a"}] and not one["MultiAZCapable"]
    assert {each["StorageType"] for each in (one, *others)} == {"gp2", "gp3", "standard"}


def test_servers_have_no_certificates(rds: Any) -> None:
    assert rds.describe_certificates()["Certificates"] == []
    assert refusal(rds.describe_certificates, CertificateIdentifier="rds-ca-2019")[0] == "CertificateNotFound"
