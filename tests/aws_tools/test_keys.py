"""What seals files with keys of AWS KMS seals them with keys of ours: sops, and the AWS Encryption SDK."""

from __future__ import annotations

from pathlib import Path

import pytest
from clouds import Cloud, Said, run

pytestmark = pytest.mark.aws_tools
PLAIN = "db:\n    password: hunter2\n"
# Two keys seal it, and the second alone opens it.
ENVELOPE = """
import sys

import aws_encryption_sdk
import botocore.session
from aws_encryption_sdk import CommitmentPolicy, StrictAwsKmsMasterKeyProvider

first, second = sys.argv[1:]
client = aws_encryption_sdk.EncryptionSDKClient(
    commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
)

def provider(*keys):
    return StrictAwsKmsMasterKeyProvider(key_ids=keys, botocore_session=botocore.session.Session())

plain, context = b"hello" * 100_000, {"purpose": "test"}
sealed, _ = client.encrypt(source=plain, key_provider=provider(first, second), encryption_context=context)
opened, header = client.decrypt(source=sealed, key_provider=provider(second))
assert opened == plain and plain[:50] not in sealed
assert header.encryption_context["purpose"] == "test"
print("opened")
"""


@pytest.fixture(scope="module")
def key(cloud: Cloud) -> str:
    return str(cloud.kms("create-key")["KeyMetadata"]["Arn"])


def sops(tools: Path, cloud: Cloud, folder: Path, *arguments: str) -> Said:
    return run([str(tools / "sops"), *arguments], cloud.aws_env(), None, 60, folder)


def sealed(tools: Path, cloud: Cloud, folder: Path, *arguments: str) -> Path:
    """The file that `sops encrypt` with these arguments makes of PLAIN."""
    (folder / "plain.yaml").write_text(PLAIN)
    said = sops(tools, cloud, folder, "encrypt", *arguments, "plain.yaml")
    assert said.code == 0, said
    (folder / "sealed.yaml").write_text(said.out)
    return folder / "sealed.yaml"


def opened(tools: Path, cloud: Cloud, file: Path) -> str:
    said = sops(tools, cloud, file.parent, "decrypt", file.name)
    assert said.code == 0, said
    return said.out


def test_sops_seals_a_file_changes_it_and_opens_it(tools: Path, cloud: Cloud, key: str, tmp_path: Path) -> None:
    file = sealed(tools, cloud, tmp_path, "--kms", key)
    before = file.read_text()
    assert "hunter2" not in before and opened(tools, cloud, file) == PLAIN
    for arguments in (("rotate", "-i", "sealed.yaml"), ("set", "sealed.yaml", '["db"]["user"]', '"ann"')):
        said = sops(tools, cloud, tmp_path, *arguments)
        assert said.code == 0, said
    assert file.read_text() != before
    assert opened(tools, cloud, file) == f"{PLAIN}    user: ann\n"


def test_sops_seals_with_an_alias(tools: Path, cloud: Cloud, key: str, tmp_path: Path) -> None:
    cloud.kms("create-alias", "--alias-name", "alias/sops", "--target-key-id", key)
    alias = f"{key.rpartition(':')[0]}:alias/sops"
    assert opened(tools, cloud, sealed(tools, cloud, tmp_path, "--kms", alias)) == PLAIN


def test_sops_opens_nothing_in_another_context(tools: Path, cloud: Cloud, key: str, tmp_path: Path) -> None:
    file = sealed(tools, cloud, tmp_path, "--kms", key, "--encryption-context", "app:web")
    assert opened(tools, cloud, file) == PLAIN
    file.write_text(file.read_text().replace("app: web", "app: api"))
    said = sops(tools, cloud, tmp_path, "decrypt", file.name)
    assert said.code != 0 and "InvalidCiphertextException" in said.err


def test_the_encryption_sdk_seals_with_two_keys_and_opens_with_one(tools: Path, cloud: Cloud, key: str) -> None:
    other = cloud.kms("create-key")["KeyMetadata"]["Arn"]
    said = run([str(tools / "python"), "-c", ENVELOPE, key, other], cloud.aws_env(), None, 60)
    assert (said.code, said.out) == (0, "opened\n"), said
