"""Imported key material through real boto3, wrapped by `cryptography`; expiry and invariants on resources."""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import load_der_public_key

from services.key_manager.import_tokens import ExpiredToken, InvalidToken, new_parameters, unwrapped
from services.key_manager.kinds import KEY_MATERIAL
from services.key_manager.material import BadMaterial
from services.key_manager.root_key import RootKeyCipher
from services.sdk.testing import ServiceHarness, serving

FOREVER = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def house() -> Iterator[ServiceHarness]:
    with serving("key_manager", secrets={"root-key": bytes(range(32))}) as house:
        yield house


@pytest.fixture(scope="module")
def kms(house: ServiceHarness) -> Any:
    return house.boto3_client("kms")


def refusal(call: Any, **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def oaep(public: bytes, material: bytes) -> bytes:
    sha = hashes.SHA256()
    wrapped: bytes = load_der_public_key(public).encrypt(  # type: ignore[union-attr]
        material, padding.OAEP(padding.MGF1(sha), sha, None)
    )
    return wrapped


def imported(kms: Any, key: str, material: bytes, **asked: Any) -> str:
    """Import material; returns its id."""
    parameters = kms.get_parameters_for_import(
        KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
    )
    wrapped = oaep(parameters["PublicKey"], material)
    told = {"KeyId": key, "ImportToken": parameters["ImportToken"], "EncryptedKeyMaterial": wrapped}
    return str(kms.import_key_material(**told, **{**FOREVER, **asked})["KeyMaterialId"])


def state(kms: Any, key: str) -> str:
    return str(kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"])


def der(key: Any) -> bytes:
    encoded: bytes = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return encoded


def test_a_key_from_outside_works_from_its_import_until_its_material_is_deleted(kms: Any) -> None:
    made = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]
    key, material = made["KeyId"], secrets.token_bytes(32)
    assert (made["KeyState"], made["Enabled"], made["Origin"]) == ("PendingImport", False, "EXTERNAL")
    assert refusal(kms.encrypt, KeyId=key, Plaintext=b"x") == (
        "KMSInvalidStateException",
        f"{made['Arn']} is pending import.",
    )
    id = imported(kms, key, material)
    meta = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert (meta["KeyState"], meta["Enabled"], meta["CurrentKeyMaterialId"]) == ("Enabled", True, id)
    assert meta["ExpirationModel"] == "KEY_MATERIAL_DOES_NOT_EXPIRE"
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert kms.delete_imported_key_material(KeyId=key)["KeyMaterialId"] == id
    meta = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert (meta["KeyState"], meta["Enabled"], meta["CurrentKeyMaterialId"]) == ("PendingImport", False, id)
    assert refusal(kms.decrypt, CiphertextBlob=blob)[0] == "KMSInvalidStateException"
    assert refusal(imported, kms=kms, key=key, material=secrets.token_bytes(32))[0] == "IncorrectKeyMaterialException"
    assert imported(kms, key, material) == id
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


def test_what_was_removed_is_not_stored_any_more(house: ServiceHarness, kms: Any) -> None:
    made = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]
    imported(kms, made["KeyId"], bytes(32))
    kms.delete_imported_key_material(KeyId=made["KeyId"])
    stored = [body for (kind, _, _), body in house.resources.items.items() if kind == "keymaterials"]
    [body] = [each for each in stored if each["metadata"]["ownerReferences"][0]["name"] == made["KeyId"]]
    sealed = base64.b64decode(body["spec"]["sealed"])
    assert body["spec"]["removed"] is True
    assert RootKeyCipher(bytes(range(32))).open(sealed, body["spec"]["keyUid"], 1) not in (bytes(32), b"")


def test_more_material_waits_for_a_rotation_and_the_old_still_decrypts(kms: Any) -> None:
    made = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]
    key, new = made["KeyId"], {"ImportType": "NEW_KEY_MATERIAL"}
    first = imported(kms, key, bytes([1]) * 32)
    old = kms.encrypt(KeyId=key, Plaintext=b"old")["CiphertextBlob"]
    said = f"No available key material pending rotation for the key: {made['Arn']}."
    assert refusal(kms.rotate_key_on_demand, KeyId=key) == ("KMSInvalidStateException", said)
    second = imported(kms, key, bytes([2]) * 32, KeyMaterialDescription="the second", **new)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"] == first
    code, said = refusal(imported, kms=kms, key=key, material=bytes([3]) * 32, **new)
    assert code == "KMSInvalidStateException" and f"(id: {second}) is pending rotation" in said
    kms.rotate_key_on_demand(KeyId=key)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"] == second
    fresh = kms.encrypt(KeyId=key, Plaintext=b"new")["CiphertextBlob"]
    assert [kms.decrypt(CiphertextBlob=each)["Plaintext"] for each in (old, fresh)] == [b"old", b"new"]
    rows = kms.list_key_rotations(KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
    assert [(each["KeyMaterialId"], each["KeyMaterialState"]) for each in rows] == [
        (first, "NON_CURRENT"),
        (second, "CURRENT"),
    ]
    assert (rows[1]["KeyMaterialDescription"], rows[1]["ImportState"]) == ("the second", "IMPORTED")
    kms.delete_imported_key_material(KeyId=key, KeyMaterialId=first)
    assert state(kms, key) == "PendingImport"


@pytest.mark.parametrize("wrapping", ["RSA_AES_KEY_WRAP_SHA_1", "RSA_AES_KEY_WRAP_SHA_256"])
def test_an_rsa_key_comes_wrapped_by_aes(kms: Any, wrapping: str) -> None:
    made = kms.create_key(Origin="EXTERNAL", KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    mine, aes = rsa.generate_private_key(65537, 2048), secrets.token_bytes(32)
    parameters = kms.get_parameters_for_import(
        KeyId=made["KeyId"], WrappingAlgorithm=wrapping, WrappingKeySpec="RSA_3072"
    )
    sha = hashes.SHA256() if wrapping.endswith("256") else hashes.SHA1()
    public = load_der_public_key(parameters["PublicKey"])
    head = public.encrypt(aes, padding.OAEP(padding.MGF1(sha), sha, None))  # type: ignore[union-attr]
    wrapped = head + aes_key_wrap_with_padding(aes, der(mine))
    told = {"KeyId": made["KeyId"], "ImportToken": parameters["ImportToken"]}
    kms.import_key_material(**told, EncryptedKeyMaterial=wrapped, **FOREVER)
    answer = kms.sign(KeyId=made["KeyId"], Message=b"x", SigningAlgorithm="RSASSA_PSS_SHA_256")
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    mine.public_key().verify(answer["Signature"], b"x", scheme, hashes.SHA256())


def test_an_ecc_and_an_hmac_key_come_in_too(kms: Any) -> None:
    mine = ec.generate_private_key(ec.SECP384R1())
    signer = kms.create_key(Origin="EXTERNAL", KeySpec="ECC_NIST_P384", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    imported(kms, signer["KeyId"], der(mine))
    signature = kms.sign(KeyId=signer["KeyId"], Message=b"x", SigningAlgorithm="ECDSA_SHA_384")["Signature"]
    mine.public_key().verify(signature, b"x", ec.ECDSA(hashes.SHA384()))
    code, _ = refusal(imported, kms=kms, key=signer["KeyId"], material=der(mine), ImportType="NEW_KEY_MATERIAL")
    assert code == "IncorrectKeyMaterialException"
    other = der(ec.generate_private_key(ec.SECP384R1()))
    code, _ = refusal(imported, kms=kms, key=signer["KeyId"], material=other, ImportType="NEW_KEY_MATERIAL")
    assert code == "UnsupportedOperationException"
    tagger = kms.create_key(Origin="EXTERNAL", KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]
    code, said = refusal(imported, kms=kms, key=tagger["KeyId"], material=bytes(16))
    assert code == "IncorrectKeyMaterialException" and "32 to 64 bytes" in said
    imported(kms, tagger["KeyId"], bytes(40))
    mac = kms.generate_mac(KeyId=tagger["KeyId"], Message=b"x", MacAlgorithm="HMAC_SHA_256")["Mac"]
    assert mac == hmac.digest(bytes(40), b"x", "sha256")


def test_expired_material_has_to_come_again(house: ServiceHarness, kms: Any) -> None:
    made = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]
    key, until = made["KeyId"], datetime.now(UTC) + timedelta(days=1)
    expiring = {"ExpirationModel": "KEY_MATERIAL_EXPIRES"}
    no_date = "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES"
    assert refusal(imported, kms=kms, key=key, material=bytes(32), **expiring) == ("ValidationException", no_date)
    late = {**expiring, "ValidTo": datetime.now(UTC) + timedelta(days=366)}
    assert refusal(imported, kms=kms, key=key, material=bytes(32), **late)[0] == "ValidationException"
    imported(kms, key, bytes(32), ValidTo=until, **expiring)
    meta = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert (meta["ExpirationModel"], abs(meta["ValidTo"] - until) < timedelta(seconds=2)) == (
        "KEY_MATERIAL_EXPIRES",
        True,
    )
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    stored = next(
        name
        for (kind, _, name), body in house.resources.items.items()
        if kind == "keymaterials" and body["metadata"]["ownerReferences"][0]["name"] == key
    )
    past = {"spec": {"validTo": "2026-01-01T00:00:00Z"}}
    keyring_sees = house.run(house.resources.patch(KEY_MATERIAL, stored, past, "default"))
    house.context.informer(KEY_MATERIAL).put(keyring_sees)
    assert state(kms, key) == "PendingImport"
    assert refusal(kms.decrypt, CiphertextBlob=blob)[0] == "KMSInvalidStateException"
    imported(kms, key, bytes(32))
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


def test_a_key_made_here_takes_nothing_from_outside(kms: Any) -> None:
    made = kms.create_key()["KeyMetadata"]
    said = f"{made['Arn']} origin is AWS_KMS which is not valid for this operation."
    asked = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
    unsupported = ("UnsupportedOperationException", said)
    assert refusal(kms.get_parameters_for_import, KeyId=made["KeyId"], **asked) == unsupported
    assert refusal(kms.delete_imported_key_material, KeyId=made["KeyId"]) == unsupported
    outside = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]
    imported(kms, outside["KeyId"], bytes(32))
    code, said = refusal(kms.enable_key_rotation, KeyId=outside["KeyId"])
    assert (code, "origin is EXTERNAL" in said) == ("UnsupportedOperationException", True)


def test_a_token_serves_its_own_key_and_algorithm_for_a_day() -> None:
    cipher, uid = RootKeyCipher(bytes(32)), "0b0e8f0c-3f0e-4c59-9d6a-0c2d3f1d2a11"
    made = new_parameters(cipher, uid, "RSAES_OAEP_SHA_256", "RSA_2048", NOON)
    wrapped = oaep(made.public_key, bytes(32))
    assert unwrapped(cipher, uid, made.token, wrapped, NOON) == bytes(32)
    with pytest.raises(InvalidToken):
        unwrapped(cipher, uid.replace("0", "1"), made.token, wrapped, NOON)
    with pytest.raises(InvalidToken):
        unwrapped(cipher, uid, cipher.close(bytes(32), uid, 1), wrapped, NOON)
    with pytest.raises(InvalidToken):
        unwrapped(cipher, uid, made.token[:-1] + bytes([made.token[-1] ^ 1]), wrapped, NOON)
    with pytest.raises(ExpiredToken):
        unwrapped(cipher, uid, made.token, wrapped, NOON + timedelta(days=1))
    for wrong in (wrapped[:-1], wrapped[:-1] + bytes([wrapped[-1] ^ 1]), b"", b"x" * 256):
        with pytest.raises(BadMaterial):
            unwrapped(cipher, uid, made.token, wrong, NOON)
