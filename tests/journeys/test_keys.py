"""Keys of every sort on a real cloud: asymmetric, imported, granted, replicated; by boto3 and by the API."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from clouds import Cloud, a_port, eventually
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import load_der_public_key

GRANTEE = "arn:aws:iam::000000000000:user/grantee"
KINDS = "/apis/aerekos.cloud/v1/namespaces/default"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    made = Cloud(tmp_path_factory.mktemp("keys") / "home", a_port())
    said = made.command("up", "--timeout", "300", timeout=330)
    assert said.code == 0, said
    try:
        yield made
    finally:
        made.command("down")
        shutil.rmtree(made.home, ignore_errors=True)


def client(cloud: Cloud, person: str, region: str = "us-east-1") -> Any:
    with cloud.http() as http:
        key = http.get("/auth/access-key", headers={"impersonate-user": person}).json()
    keys, retries = (key["accessKeyId"], key["secretAccessKey"]), {"total_max_attempts": 6, "mode": "standard"}
    return cloud.boto3("kms", *keys, region=region, retries=retries)


@pytest.fixture(scope="module")
def kms(cloud: Cloud) -> Any:
    users = "/apis/aerekos.cloud/v1/users"
    with cloud.http() as http:
        for name, roles in (("boss", ["admin"]), ("grantee", [])):
            spec = {"roles": roles, "namespace": "default"}
            http.post(users, json={"metadata": {"name": name}, "spec": spec}).raise_for_status()
    made = client(cloud, "boss")
    eventually(lambda: answers(made), "key-manager answers")
    return made


def answers(kms: Any) -> bool:
    try:
        return "Keys" in kms.list_keys()
    except ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500, error
        return False


def refusal(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def test_an_asymmetric_key_signs_and_says_what_it_is(cloud: Cloud, kms: Any) -> None:
    key = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    signature = kms.sign(KeyId=key, Message=b"x", SigningAlgorithm="ECDSA_SHA_256")["Signature"]
    public: Any = load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
    public.verify(signature, b"x", ec.ECDSA(hashes.SHA256()))
    with cloud.http() as http:
        eventually(lambda: http.get(f"{KINDS}/keys/{key}").json()["status"].get("keyState") == "Enabled", "a state")
        wrong = {"metadata": {"name": "wrong"}, "spec": {"keySpec": "ECC_NIST_P256"}}
        assert "it takes SIGN_VERIFY" in http.post(f"{KINDS}/keys", json=wrong).json()["message"]
        other = {"spec": {"keySpec": "RSA_2048"}}
        merge = {"content-type": "application/merge-patch+json"}
        assert http.patch(f"{KINDS}/keys/{key}", json=other, headers=merge).status_code == 422


def test_material_is_imported_removed_and_imported_again(cloud: Cloud, kms: Any) -> None:
    key = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    wrapping = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
    parameters = kms.get_parameters_for_import(KeyId=key, **wrapping)
    public: Any = load_der_public_key(parameters["PublicKey"])
    sha = hashes.SHA256()
    wrapped = public.encrypt(bytes(32), padding.OAEP(padding.MGF1(sha), sha, None))
    asked = {"KeyId": key, "ImportToken": parameters["ImportToken"], "EncryptedKeyMaterial": wrapped}
    kms.import_key_material(**asked, ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE")
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    kms.delete_imported_key_material(KeyId=key)
    assert refusal(kms.decrypt, CiphertextBlob=blob) == "KMSInvalidStateException"
    with cloud.http() as http:
        eventually(
            lambda: http.get(f"{KINDS}/keys/{key}").json()["status"]["keyState"] == "PendingImport", "the state"
        )
    kms.import_key_material(**asked, ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE")
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


def test_a_grant_lets_somebody_without_a_role_use_one_key(cloud: Cloud, kms: Any) -> None:
    key, grantee = kms.create_key()["KeyMetadata"]["KeyId"], client(cloud, "grantee")
    assert refusal(grantee.encrypt, KeyId=key, Plaintext=b"x") == "AccessDeniedException"
    grant = kms.create_grant(KeyId=key, GranteePrincipal=GRANTEE, Operations=["Encrypt", "RetireGrant"])
    tokens = [grant["GrantToken"]]
    assert grantee.encrypt(KeyId=key, Plaintext=b"x", GrantTokens=tokens)["CiphertextBlob"]
    with cloud.http() as http:
        found = http.get(f"{KINDS}/keygrants/{grant['GrantId']}").json()
        assert found["spec"]["grantee"] == GRANTEE and found["metadata"]["ownerReferences"][0]["name"] == key
    grantee.retire_grant(GrantToken=grant["GrantToken"])
    assert refusal(grantee.encrypt, KeyId=key, Plaintext=b"x") == "AccessDeniedException"


def test_a_policy_is_kept_and_judged(cloud: Cloud, kms: Any) -> None:
    key, grantee = kms.create_key()["KeyMetadata"]["KeyId"], client(cloud, "grantee")
    policy = kms.get_key_policy(KeyId=key)["Policy"]
    named = policy.replace(
        '"Statement" : [ {',
        '"Statement" : [ {"Effect": "Allow", "Principal": {"AWS": "' + GRANTEE + '"}, '
        '"Action": "kms:Encrypt", "Resource": "*"}, {',
    )
    kms.put_key_policy(KeyId=key, Policy=named)
    assert grantee.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert refusal(grantee.describe_key, KeyId=key) == "AccessDeniedException"
    kms.put_key_policy(KeyId=key, Policy=policy)
    assert refusal(grantee.encrypt, KeyId=key, Plaintext=b"x") == "AccessDeniedException"


def test_a_replica_decrypts_what_its_primary_encrypted_and_outlives_nothing(cloud: Cloud, kms: Any) -> None:
    west = client(cloud, "boss", "eu-west-1")
    key = kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert refusal(west.decrypt, CiphertextBlob=blob) == "InvalidCiphertextException"
    kms.replicate_key(KeyId=key, ReplicaRegion="eu-west-1")
    assert west.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    assert refusal(kms.schedule_key_deletion, KeyId=key) == "KMSInvalidStateException"
    assert west.schedule_key_deletion(KeyId=key)["KeyState"] == "PendingDeletion"
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
