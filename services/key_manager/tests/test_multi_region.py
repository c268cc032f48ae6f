"""Regions and multi-Region keys through real boto3: one key in each region it was asked for, and no other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from services.key_manager.kinds import KEY
from services.sdk.testing import ServiceHarness, User, serving

EAST, WEST, SOUTH = "us-east-1", "eu-west-1", "sa-east-1"


@pytest.fixture(scope="module")
def house() -> Iterator[ServiceHarness]:
    with serving("key_manager", secrets={"root-key": bytes(range(32))}) as house:
        yield house


def client(house: ServiceHarness, region: str) -> Any:
    user = User()
    return boto3.client(
        "kms",
        endpoint_url=house.url,
        region_name=region,
        aws_access_key_id=user.access_key,
        aws_secret_access_key=user.secret,
        config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.fixture(scope="module")
def east(house: ServiceHarness) -> Any:
    return client(house, EAST)


@pytest.fixture(scope="module")
def west(house: ServiceHarness) -> Any:
    return client(house, WEST)


def refusal(call: Any, **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def family(east: Any, **asked: Any) -> str:
    """A multi-Region key of us-east-1 with a replica in eu-west-1; its id."""
    id = str(east.create_key(MultiRegion=True, **asked)["KeyMetadata"]["KeyId"])
    east.replicate_key(KeyId=id, ReplicaRegion=WEST)
    return id


def test_a_key_is_found_in_its_region_alone(east: Any, west: Any) -> None:
    made = east.create_key()["KeyMetadata"]
    east.create_alias(AliasName="alias/regional", TargetKeyId=made["KeyId"])
    assert f":{EAST}:" in made["Arn"]
    asked = made["Arn"].replace(EAST, WEST)
    gone = ("NotFoundException", f"Key '{asked}' does not exist")
    assert refusal(west.describe_key, KeyId=made["KeyId"]) == gone
    assert refusal(west.describe_key, KeyId=made["Arn"]) == ("NotFoundException", f"Invalid arn {EAST}")
    assert refusal(west.describe_key, KeyId="alias/regional")[0] == "NotFoundException"
    blob = east.encrypt(KeyId=made["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    assert refusal(west.decrypt, CiphertextBlob=blob)[0] == "InvalidCiphertextException"
    assert made["KeyId"] not in {each["KeyId"] for each in west.list_keys()["Keys"]}
    assert [each["AliasName"] for each in west.list_aliases()["Aliases"]] == []


def test_a_key_without_a_region_is_in_all_of_them(house: ServiceHarness, east: Any, west: Any) -> None:
    made = house.run(house.resources.create(KEY, KEY.new("everywhere", namespace="default")))
    blob = east.encrypt(KeyId=made.metadata.uid, Plaintext=b"x")["CiphertextBlob"]
    answer = west.decrypt(CiphertextBlob=blob)
    assert (answer["Plaintext"], f":{WEST}:" in answer["KeyId"]) == (b"x", True)


def test_what_one_key_of_a_family_encrypts_every_other_decrypts(east: Any, west: Any) -> None:
    id = family(east)
    assert id.startswith("mrk-") and len(id) == 36
    for here, there in ((east, west), (west, east)):
        blob = here.encrypt(KeyId=id, Plaintext=b"x", EncryptionContext={"a": "b"})["CiphertextBlob"]
        answer = there.decrypt(CiphertextBlob=blob, EncryptionContext={"a": "b"})
        assert (answer["Plaintext"], answer["KeyId"]) == (b"x", there.describe_key(KeyId=id)["KeyMetadata"]["Arn"])
        assert there.decrypt(CiphertextBlob=blob, KeyId=id, EncryptionContext={"a": "b"})["Plaintext"] == b"x"
        assert refusal(there.decrypt, CiphertextBlob=blob)[0] == "InvalidCiphertextException"


def test_a_family_says_who_belongs_to_it(east: Any, west: Any) -> None:
    made = east.create_key(MultiRegion=True, Description="first")["KeyMetadata"]
    told = east.replicate_key(
        KeyId=made["KeyId"], ReplicaRegion=WEST, Description="second", Tags=[{"TagKey": "a", "TagValue": "b"}]
    )
    begun = told["ReplicaKeyMetadata"]
    assert (begun["KeyState"], begun["Description"], begun["Arn"]) == (
        "Creating",
        "second",
        made["Arn"].replace(EAST, WEST),
    )
    assert told["ReplicaTags"] == [{"TagKey": "a", "TagValue": "b"}] and '"kms:*"' in told["ReplicaPolicy"]
    first, second = (each.describe_key(KeyId=made["KeyId"])["KeyMetadata"] for each in (east, west))
    assert (second["KeyState"], second["CurrentKeyMaterialId"]) == ("Enabled", first["CurrentKeyMaterialId"])
    kinds = [each["MultiRegionConfiguration"].pop("MultiRegionKeyType") for each in (first, second)]
    assert kinds == ["PRIMARY", "REPLICA"]
    assert first["MultiRegionConfiguration"] == second["MultiRegionConfiguration"]
    assert first["MultiRegionConfiguration"]["ReplicaKeys"] == [{"Arn": second["Arn"], "Region": WEST}]


def test_a_family_rotates_as_one_by_its_primary_key(east: Any, west: Any) -> None:
    id = family(east)
    old = west.encrypt(KeyId=id, Plaintext=b"old")["CiphertextBlob"]
    code, said = refusal(west.rotate_key_on_demand, KeyId=id)
    assert (code, said.endswith("is not a multi-region primary key.")) == ("UnsupportedOperationException", True)
    east.rotate_key_on_demand(KeyId=id)
    ids = {each.describe_key(KeyId=id)["KeyMetadata"]["CurrentKeyMaterialId"] for each in (east, west)}
    assert len(ids) == 1
    new = west.encrypt(KeyId=id, Plaintext=b"new")["CiphertextBlob"]
    assert [east.decrypt(CiphertextBlob=each)["Plaintext"] for each in (old, new)] == [b"old", b"new"]


def test_a_replica_has_a_state_of_its_own(east: Any, west: Any) -> None:
    id = family(east, KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    asked = {"KeyId": id, "SigningAlgorithm": "ECDSA_SHA_256", "Message": b"x"}
    signature = west.sign(**asked)["Signature"]
    assert east.verify(**asked, Signature=signature)["SignatureValid"] is True
    west.disable_key(KeyId=id)
    assert refusal(west.sign, **asked)[0] == "DisabledException"
    assert east.sign(**asked)["Signature"]


def test_another_key_of_the_family_becomes_the_primary(east: Any, west: Any) -> None:
    id = family(east)
    east.enable_key_rotation(KeyId=id, RotationPeriodInDays=100)
    assert refusal(east.update_primary_region, KeyId=id, PrimaryRegion=SOUTH)[0] == "ValidationException"
    east.update_primary_region(KeyId=id, PrimaryRegion=WEST)
    kinds = [
        each.describe_key(KeyId=id)["KeyMetadata"]["MultiRegionConfiguration"]["MultiRegionKeyType"]
        for each in (east, west)
    ]
    assert kinds == ["REPLICA", "PRIMARY"]
    assert west.get_key_rotation_status(KeyId=id)["RotationPeriodInDays"] == 100
    west.rotate_key_on_demand(KeyId=id)
    assert refusal(east.rotate_key_on_demand, KeyId=id)[0] == "UnsupportedOperationException"


def test_what_cannot_be_replicated_is_refused(east: Any, west: Any) -> None:
    plain, id = east.create_key()["KeyMetadata"], family(east)
    code, said = refusal(east.replicate_key, KeyId=plain["KeyId"], ReplicaRegion=WEST)
    assert (code, said) == ("UnsupportedOperationException", f"{plain['Arn']} is not a multi-region primary key.")
    assert refusal(west.replicate_key, KeyId=id, ReplicaRegion=SOUTH)[0] == "UnsupportedOperationException"
    assert refusal(east.replicate_key, KeyId=id, ReplicaRegion=WEST)[0] == "AlreadyExistsException"
    assert refusal(east.replicate_key, KeyId=id, ReplicaRegion="nowhere")[0] == "ValidationException"
