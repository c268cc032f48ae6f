"""SSH public keys of users, with an unmodified boto3 and keys as OpenSSH and OpenSSL write them."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.iam_manager.tests.test_identities import refused

PUBLIC = rsa.generate_private_key(65537, 2048).public_key()
OPENSSH = PUBLIC.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
PEM = PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize(("name", "given"), [("ssh-a", f"{OPENSSH} ann@example\n"), ("ssh-b", PEM)])
def test_a_key_from_its_upload_to_its_end(iam: Any, name: str, given: str) -> None:
    iam.create_user(UserName=name)
    made = iam.upload_ssh_public_key(UserName=name, SSHPublicKeyBody=given)["SSHPublicKey"]
    id = made["SSHPublicKeyId"]
    assert (made["SSHPublicKeyBody"], made["Status"], id[:4], len(id)) == (OPENSSH, "Active", "APKA", 21)
    digest = hashlib.md5(base64.b64decode(OPENSSH.split()[1])).hexdigest()
    assert made["Fingerprint"].replace(":", "") == digest and made["Fingerprint"].count(":") == 15
    assert iam.get_ssh_public_key(UserName=name, SSHPublicKeyId=id, Encoding="SSH")["SSHPublicKey"] == made
    assert iam.get_ssh_public_key(UserName=name, SSHPublicKeyId=id, Encoding="PEM")["SSHPublicKey"] == {
        **made,
        "SSHPublicKeyBody": PEM,
    }
    iam.update_ssh_public_key(UserName=name, SSHPublicKeyId=id, Status="Inactive")
    (listed,) = iam.list_ssh_public_keys(UserName=name)["SSHPublicKeys"]
    assert (listed["Status"], listed["UploadDate"]) == ("Inactive", made["UploadDate"])
    with pytest.raises(ClientError, match="must remove referenced objects first") as error:
        iam.delete_user(UserName=name)
    assert refused(error) == ("DeleteConflict", 409)
    iam.delete_ssh_public_key(UserName=name, SSHPublicKeyId=id)
    with pytest.raises(ClientError) as error:
        iam.get_ssh_public_key(UserName=name, SSHPublicKeyId=id, Encoding="SSH")
    assert refused(error) == ("NoSuchEntity", 404)
    iam.delete_user(UserName=name)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("a key", "UnrecognizedPublicKeyEncoding"),
        (OPENSSH[:200], "InvalidPublicKey"),
        (PEM[:200], "InvalidPublicKey"),
        (
            ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
            "InvalidPublicKey",
        ),
        (
            rsa.generate_private_key(65537, 1024).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
            "InvalidPublicKey",
        ),
    ],
    ids=["no key", "half a key", "half of PEM", "another algorithm", "too short"],
)
def test_what_is_no_key_of_this_sort_is_refused(iam: Any, given: str | bytes, code: str) -> None:
    text = given if isinstance(given, str) else given.decode()
    name = f"ssh-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    iam.create_user(UserName=name)
    with pytest.raises(ClientError) as error:
        iam.upload_ssh_public_key(UserName=name, SSHPublicKeyBody=text)
    assert refused(error) == (code, 400)


def test_a_key_is_a_users_once_and_five_are_the_most(iam: Any) -> None:
    iam.create_user(UserName="ssh-many")
    iam.upload_ssh_public_key(UserName="ssh-many", SSHPublicKeyBody=OPENSSH)
    with pytest.raises(ClientError) as error:
        iam.upload_ssh_public_key(UserName="ssh-many", SSHPublicKeyBody=PEM)
    assert refused(error) == ("DuplicateSSHPublicKey", 400)
    others = [rsa.generate_private_key(65537, 2048).public_key() for _ in range(5)]
    bodies = [each.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode() for each in others]
    for body in bodies[:4]:
        iam.upload_ssh_public_key(UserName="ssh-many", SSHPublicKeyBody=body)
    with pytest.raises(ClientError) as error:
        iam.upload_ssh_public_key(UserName="ssh-many", SSHPublicKeyBody=bodies[4])
    assert refused(error) == ("LimitExceeded", 409)
