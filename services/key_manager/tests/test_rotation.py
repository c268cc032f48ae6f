"""Rotation through real boto3: by hand, its limit and its history; the period is not touched by it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from services.key_manager.operations.rotation import MOST_ON_DEMAND
from services.sdk.testing import ServiceHarness, serving


@pytest.fixture(scope="module")
def house() -> Iterator[ServiceHarness]:
    with serving("key_manager", secrets={"root-key": bytes(range(32))}) as house:
        yield house


@pytest.fixture(scope="module")
def kms(house: ServiceHarness) -> Any:
    return house.boto3_client("kms")


def material_of(kms: Any, key: str) -> str:
    return str(kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"])


def test_each_rotation_is_listed_with_its_material(kms: Any) -> None:
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    known = [material_of(kms, key)]
    for _ in range(3):
        kms.rotate_key_on_demand(KeyId=key)
        known.append(material_of(kms, key))
    assert len(set(known)) == 4 and all(len(each) == 64 for each in known)
    rotations = kms.list_key_rotations(KeyId=key)["Rotations"]
    assert [each["KeyMaterialId"] for each in rotations] == known[1:]
    assert {each["RotationType"] for each in rotations} == {"ON_DEMAND"}
    assert [each["KeyMaterialState"] for each in rotations] == ["NON_CURRENT", "NON_CURRENT", "CURRENT"]
    whole = kms.list_key_rotations(KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
    assert [each["KeyMaterialId"] for each in whole] == known and "RotationDate" not in whole[0]
    first = kms.list_key_rotations(KeyId=key, Limit=2)
    rest = kms.list_key_rotations(KeyId=key, Limit=2, Marker=first["NextMarker"])
    assert [each["KeyMaterialId"] for each in first["Rotations"] + rest["Rotations"]] == known[1:]


def test_rotating_by_hand_leaves_the_period_alone(kms: Any) -> None:
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=120)
    before = kms.get_key_rotation_status(KeyId=key)
    kms.rotate_key_on_demand(KeyId=key)
    after = kms.get_key_rotation_status(KeyId=key)
    assert (before["NextRotationDate"], before["RotationPeriodInDays"]) == (after["NextRotationDate"], 120)


def test_a_key_is_rotated_by_hand_ten_times_at_most(kms: Any) -> None:
    made = kms.create_key()["KeyMetadata"]
    blob = kms.encrypt(KeyId=made["KeyId"], Plaintext=b"old")["CiphertextBlob"]
    for _ in range(MOST_ON_DEMAND):
        kms.rotate_key_on_demand(KeyId=made["KeyId"])
    with pytest.raises(ClientError) as caught:
        kms.rotate_key_on_demand(KeyId=made["KeyId"])
    error = caught.value.response["Error"]
    assert error["Code"] == "LimitExceededException" and error["Message"].endswith(f": {made['Arn']}")
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"old"


def test_asymmetric_keys_do_not_rotate(kms: Any) -> None:
    key = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    for operation in (kms.rotate_key_on_demand, kms.enable_key_rotation, kms.list_key_rotations):
        with pytest.raises(ClientError, match="UnsupportedOperationException"):
            operation(KeyId=key)
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False
