"""Real boto3 against the real application on a real socket."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from services.key_manager.key_state import material_name
from services.key_manager.kinds import KEY, KEY_MATERIAL, KeyMaterialSpec
from services.key_manager.root_key import RootKeyCipher
from services.sdk.testing import ServiceHarness, User, serving

ROOT = bytes(range(32))


@pytest.fixture
def house() -> Iterator[ServiceHarness]:
    with serving("key_manager", secrets={"root-key": ROOT}) as house:
        yield house


@pytest.fixture
def kms(house: ServiceHarness) -> Any:
    return house.boto3_client("kms")


def code(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def new_key(kms: Any) -> str:
    return str(kms.create_key(Description="for tests")["KeyMetadata"]["KeyId"])


def test_what_is_encrypted_comes_back_by_every_name_of_the_key(kms: Any) -> None:
    meta = kms.create_key()["KeyMetadata"]
    kms.create_alias(AliasName="alias/App/Main_1", TargetKeyId=meta["KeyId"])
    alias = kms.list_aliases()["Aliases"][0]
    for name in (meta["KeyId"], meta["Arn"], alias["AliasName"], alias["AliasArn"]):
        blob = kms.encrypt(KeyId=name, Plaintext=b"secret", EncryptionContext={"a": "b"})["CiphertextBlob"]
        answer = kms.decrypt(CiphertextBlob=blob, EncryptionContext={"a": "b"})
        assert (answer["Plaintext"], answer["KeyId"]) == (b"secret", meta["Arn"])


def test_the_context_and_the_key_must_be_the_same(kms: Any) -> None:
    key, other = new_key(kms), new_key(kms)
    blob = kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"a": "b"})["CiphertextBlob"]
    assert code(kms.decrypt, CiphertextBlob=blob) == "InvalidCiphertextException"
    assert code(kms.decrypt, CiphertextBlob=b"nonsense") == "InvalidCiphertextException"
    wrong = {"CiphertextBlob": blob, "KeyId": other, "EncryptionContext": {"a": "b"}}
    assert code(kms.decrypt, **wrong) == "IncorrectKeyException"


NEXT = b"aerekos-key 1\n" + b"".join(
    b"%d - %s\n" % (number, base64.b64encode(key)) for number, key in [(1, bytes(32)), (0, ROOT)]
)


@pytest.mark.parametrize(
    ("file", "refusal"), [(bytes(32), "KeyUnavailableException"), (NEXT, "DependencyTimeoutException")]
)
def test_material_under_another_root_key_is_told_from_one_that_is_on_its_way(
    house: ServiceHarness, kms: Any, file: bytes, refusal: str
) -> None:
    """A key file with one more generation reaches an instance only with its next start."""
    made = house.run(house.resources.create(KEY, KEY.new("moved", namespace="default")))
    sealed = RootKeyCipher(file).close(bytes(32), made.metadata.uid, 1)
    spec = KeyMaterialSpec(key_uid=made.metadata.uid, version=1, sealed=base64.b64encode(sealed).decode())
    name = material_name(made.metadata.uid, 1)
    house.run(house.resources.create(KEY_MATERIAL, KEY_MATERIAL.new(name, namespace="default", spec=spec)))
    assert code(kms.encrypt, KeyId=made.metadata.uid, Plaintext=b"x") == refusal


def add_material(house: ServiceHarness, name: str, root: bytes) -> None:
    made = house.run(house.resources.create(KEY, KEY.new(name, namespace="default")))
    sealed = base64.b64encode(RootKeyCipher(root).close(bytes(32), made.metadata.uid, 1)).decode()
    spec = KeyMaterialSpec(key_uid=made.metadata.uid, version=1, sealed=sealed)
    wanted = KEY_MATERIAL.new(material_name(made.metadata.uid, 1), namespace="default", spec=spec)
    stored = house.run(house.resources.create(KEY_MATERIAL, wanted))
    house.context.informer(KEY_MATERIAL).put(stored)


def test_an_instance_with_a_wrong_root_key_is_not_ready_and_says_so(house: ServiceHarness) -> None:
    assert httpx.get(f"{house.url}/ready").status_code == 200, "without keys, any root key is the right one"
    for number in range(20):
        add_material(house, f"other-{number}", bytes(32))
    told = httpx.get(f"{house.url}/ready")
    assert told.status_code == 503 and "degraded" not in told.json()
    assert "none of 20 key materials opens with this root key" in told.json()["because"]
    assert "put the backup of secrets/root-key back" in told.text
    add_material(house, "ours", ROOT)
    told = httpx.get(f"{house.url}/ready")
    assert told.status_code == 200 and "root-key" not in told.text, "one that is damaged says nothing of the key"


def test_keys_that_were_given_up_leave_an_instance_degraded_until_there_are_new_ones() -> None:
    made_after = b"aerekos-key 1\n3 - " + base64.b64encode(ROOT) + b"\n"
    with serving("key_manager", secrets={"root-key": made_after}) as house:
        add_material(house, "lost", bytes(32))
        told = httpx.get(f"{house.url}/ready")
        assert told.status_code == 200 and "those of before were given up" in told.json()["degraded"]
        kms = house.boto3_client("kms")
        key = new_key(kms)
        assert kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
        told = httpx.get(f"{house.url}/ready")
        assert told.status_code == 200 and "root-key" not in told.text


def test_a_key_made_by_kubectl_serves_aws(house: ServiceHarness, kms: Any) -> None:
    made = house.run(house.resources.create(KEY, KEY.new("payments", namespace="default")))
    blob = kms.encrypt(KeyId=made.metadata.uid, Plaintext=b"x")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    assert kms.describe_key(KeyId=made.metadata.uid)["KeyMetadata"]["KeyState"] == "Enabled"


def test_disabled_and_dying_keys_refuse(kms: Any) -> None:
    key = new_key(kms)
    kms.disable_key(KeyId=key)
    assert code(kms.encrypt, KeyId=key, Plaintext=b"x") == "DisabledException"
    kms.enable_key(KeyId=key)
    answer = kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert answer["KeyState"] == "PendingDeletion"
    assert code(kms.encrypt, KeyId=key, Plaintext=b"x") == "KMSInvalidStateException"
    assert code(kms.enable_key, KeyId=key) == "KMSInvalidStateException"
    kms.cancel_key_deletion(KeyId=key)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
    assert code(kms.cancel_key_deletion, KeyId=key) == "KMSInvalidStateException"


def test_data_keys_random_and_reencrypt(kms: Any) -> None:
    first, second = new_key(kms), new_key(kms)
    data = kms.generate_data_key(KeyId=first, KeySpec="AES_256")
    assert kms.decrypt(CiphertextBlob=data["CiphertextBlob"])["Plaintext"] == data["Plaintext"]
    moved = kms.re_encrypt(CiphertextBlob=data["CiphertextBlob"], DestinationKeyId=second)["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=moved, KeyId=second)["Plaintext"] == data["Plaintext"]
    assert "Plaintext" not in kms.generate_data_key_without_plaintext(KeyId=first, NumberOfBytes=16)
    assert code(kms.generate_data_key, KeyId=first) == "ValidationException"
    assert len(kms.generate_random(NumberOfBytes=33)["Plaintext"]) == 33


def test_pages_rotation_aliases(kms: Any) -> None:
    keys = {new_key(kms) for _ in range(5)}
    pages = list(kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 2}))
    assert len(pages) == 3
    assert {key["KeyId"] for page in pages for key in page["Keys"]} == keys
    first, second = sorted(keys)[:2]
    kms.enable_key_rotation(KeyId=first, RotationPeriodInDays=90)
    status = kms.get_key_rotation_status(KeyId=first)
    assert (status["KeyRotationEnabled"], status["RotationPeriodInDays"]) == (True, 90)
    kms.disable_key_rotation(KeyId=first)
    assert kms.get_key_rotation_status(KeyId=first)["KeyRotationEnabled"] is False
    sealed = kms.encrypt(KeyId=first, Plaintext=b"old")["CiphertextBlob"]
    assert kms.rotate_key_on_demand(KeyId=first)["KeyId"].endswith(first)
    fresh = kms.encrypt(KeyId=first, Plaintext=b"new")["CiphertextBlob"]
    assert [kms.decrypt(CiphertextBlob=each)["Plaintext"] for each in (sealed, fresh)] == [b"old", b"new"]
    kms.create_alias(AliasName="alias/x", TargetKeyId=first)
    assert code(kms.create_alias, AliasName="alias/x", TargetKeyId=first) == "AlreadyExistsException"
    kms.update_alias(AliasName="alias/x", TargetKeyId=second)
    assert kms.describe_key(KeyId="alias/x")["KeyMetadata"]["KeyId"] == second
    assert code(kms.enable_key_rotation, KeyId="alias/x") == "NotFoundException", "an alias is changed, not its key"
    kms.delete_alias(AliasName="alias/x")
    assert code(kms.describe_key, KeyId="alias/x") == "NotFoundException"
    assert code(kms.delete_alias, AliasName="alias/x") == "NotFoundException"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"KeyId": "arn:aws:nonsense", "Plaintext": b"x"}, "InvalidArnException"),
        ({"KeyId": "5f0a7fcc-0000-4000-8000-000000000000", "Plaintext": b"x"}, "NotFoundException"),
        ({"KeyId": "alias/aws/s3", "Plaintext": b"x"}, "NotFoundException"),
        ({"KeyId": "x", "Plaintext": b"x" * 4097}, "ValidationException"),
    ],
)
def test_errors_are_kms_own(kms: Any, arguments: dict[str, Any], expected: str) -> None:
    assert code(kms.encrypt, **arguments) == expected


def test_strangers_forgers_and_the_unauthorized_are_refused(house: ServiceHarness, kms: Any) -> None:
    stranger = house.boto3_client("kms", User(access_key="AKIANOBODYNOBODYNOBO"))
    assert code(stranger.list_keys) == "UnrecognizedClientException"
    forger = house.boto3_client("kms", User(secret="guess"))
    assert code(forger.list_keys) == "InvalidSignatureException"
    key = new_key(kms)
    house.conductor.refuse("admin", "use")
    assert code(kms.encrypt, KeyId=key, Plaintext=b"x") == "AccessDeniedException"


def test_another_namespace_sees_nothing(house: ServiceHarness, kms: Any) -> None:
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    team = house.conductor.add(User("eve", namespace="team", access_key="AKIAEVEEVEEVEEVEEVE1"))
    theirs = house.boto3_client("kms", team)
    blob = kms.encrypt(KeyId=arn, Plaintext=b"x")["CiphertextBlob"]
    assert theirs.list_keys()["Keys"] == []
    assert code(theirs.encrypt, KeyId=arn, Plaintext=b"x") == "NotFoundException"
    assert code(theirs.decrypt, CiphertextBlob=blob) == "InvalidCiphertextException"


def test_a_service_gets_its_house_key_at_the_first_use(house: ServiceHarness) -> None:
    identity = house.conductor.token("system:service:storage-manager", "key-manager", groups=["system:services"])
    headers = {
        "X-Aerekos-Identity": identity,
        "X-Amz-Target": "TrentService.GenerateDataKey",
        "X-Aerekos-Namespace": "team",
    }
    body = {"KeyId": "alias/aws/s3", "KeySpec": "AES_256"}
    first = httpx.post(house.url, json=body, headers=headers)
    again = httpx.post(house.url, json=body, headers=headers)
    assert first.status_code == 200, first.text
    assert first.json()["KeyId"] == again.json()["KeyId"]
    assert [key[1] for key in house.resources.items if key[0] == "keys"] == ["team"]


def test_without_an_identity_only_health_answers(house: ServiceHarness) -> None:
    assert httpx.get(f"{house.url}/health").json() == {"alive": True}
    assert httpx.get(f"{house.url}/ready").status_code == 200
    assert b"aerekos_service_requests" in httpx.get(f"{house.url}/metrics").content
    forged = httpx.post(house.url, headers={"X-Aerekos-Identity": "a.b.c"})
    assert forged.status_code == 401
    other = house.conductor.token("system:service:x", "another-service")
    assert httpx.post(house.url, headers={"X-Aerekos-Identity": other}).status_code == 401
