"""The unmodified aws CLI against a real cloud: keys and files, and what lies on the disk."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from clouds import REPOSITORY, Cloud

MEGABYTE = 1 << 20
BIG = 100 * MEGABYTE


def test_env_can_be_evaluated_by_a_shell(cloud: Cloud) -> None:
    aerekos, aws = (Path(sys.executable).with_name(name) for name in ("aerekos", "aws"))
    script = f"eval $({aerekos} env) && {aws} kms list-keys"
    said = subprocess.run(["sh", "-c", script], env=cloud.env, cwd=REPOSITORY, capture_output=True, check=False)
    assert said.returncode == 0, said.stderr
    assert "Keys" in json.loads(said.stdout)


OLD = """#!/bin/sh
test "$1" = --version && exec echo aws-cli/2.9.19 Python/3.11.2 Linux/6.1.0 source/x86_64.debian.12 prompt/off
unset AWS_ENDPOINT_URL
exec {aws} "$@"
"""


def test_an_aws_cli_that_reads_no_address_asks_this_cloud_all_the_same(cloud: Cloud, tmp_path: Path) -> None:
    """As that of Debian 12, which would ask Amazon."""
    aerekos, aws = (Path(sys.executable).with_name(name) for name in ("aerekos", "aws"))
    (tmp_path / "aws").write_text(OLD.format(aws=aws))
    (tmp_path / "aws").chmod(0o755)
    key = cloud.kms("create-key")["KeyMetadata"]["KeyId"]
    env = {**cloud.env, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    for script in (f"eval $({aerekos} env) && aws kms list-keys", f"{aerekos} aws kms list-keys"):
        said = subprocess.run(
            ["sh", "-c", script], env=env, cwd=REPOSITORY, capture_output=True, text=True, check=False
        )
        assert said.returncode == 0, said
        assert key in [each["KeyId"] for each in json.loads(said.stdout)["Keys"]]
        assert ("does not read AWS_ENDPOINT_URL" in said.stderr) is ("eval" in script)


def test_a_key_encrypts_and_decrypts(cloud: Cloud, tmp_path: Path) -> None:
    key = cloud.kms("create-key", "--description", "for a journey")["KeyMetadata"]
    plain, sealed = tmp_path / "plain", tmp_path / "sealed"
    plain.write_bytes(os.urandom(4096))
    context = ["--encryption-context", "purpose=journey"]
    answer = cloud.kms("encrypt", "--key-id", key["KeyId"], "--plaintext", f"fileb://{plain}", *context)
    sealed.write_bytes(base64.b64decode(answer["CiphertextBlob"]))
    assert plain.read_bytes() not in sealed.read_bytes()
    opened = cloud.kms("decrypt", "--ciphertext-blob", f"fileb://{sealed}", *context)
    assert base64.b64decode(opened["Plaintext"]) == plain.read_bytes() and opened["KeyId"] == key["Arn"]
    wrong = cloud.aws("kms", "decrypt", "--ciphertext-blob", f"fileb://{sealed}")
    assert wrong.code != 0 and "InvalidCiphertextException" in wrong.err
    assert key["KeyId"] in cloud.do("get", "keys")


def test_a_data_key_opens_with_its_master(cloud: Cloud, tmp_path: Path) -> None:
    key = cloud.kms("create-key")["KeyMetadata"]["KeyId"]
    made = cloud.kms("generate-data-key", "--key-id", key, "--key-spec", "AES_256")
    (tmp_path / "sealed").write_bytes(base64.b64decode(made["CiphertextBlob"]))
    opened = cloud.kms("decrypt", "--ciphertext-blob", f"fileb://{tmp_path / 'sealed'}")
    assert opened["Plaintext"] == made["Plaintext"] and len(base64.b64decode(made["Plaintext"])) == 32


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """100 MB in which every megabyte begins with the same words, to look for on the disk."""
    file = tmp_path_factory.mktemp("big") / "big.bin"
    with file.open("wb") as out:
        for _ in range(BIG // MEGABYTE):
            out.write(b"the words to look for on the disk" + os.urandom(MEGABYTE - 33))
    yield file
    file.unlink()


@pytest.fixture(scope="module")
def photos(cloud: Cloud, big: Path) -> str:
    """A bucket with the big file in it."""
    for arguments in (["mb", "s3://photos"], ["cp", "--only-show-errors", str(big), "s3://photos/2026/big.bin"]):
        said = cloud.aws("s3", *arguments)
        assert said.code == 0, said
    return "s3://photos"


def test_a_big_file_goes_in_and_comes_back(cloud: Cloud, photos: str, big: Path, tmp_path: Path) -> None:
    said = cloud.aws("s3", "cp", "--only-show-errors", f"{photos}/2026/big.bin", str(tmp_path / "back"))
    assert said.code == 0, said
    assert sha256(tmp_path / "back") == sha256(big)
    assert str(BIG) in cloud.aws("s3", "ls", f"{photos}/2026/").out
    assert "photos" in cloud.aws("s3", "ls").out and "photos" in cloud.do("get", "buckets")


def test_why_a_big_file_is_refused_arrives(cloud: Cloud, tmp_path: Path) -> None:
    """Though nobody has read it, and the client sends on."""
    (tmp_path / "large").write_bytes(os.urandom(MEGABYTE) * 40)
    put = ("s3api", "put-object", "--bucket", "nowhere-at-all", "--key", "k", "--body", str(tmp_path / "large"))
    said = cloud.aws(*put, AWS_MAX_ATTEMPTS="1")
    assert said.code != 0 and "(NoSuchBucket)" in said.err, said


def test_what_lies_on_the_disk_is_not_the_file(cloud: Cloud, photos: str, big: Path) -> None:
    files = [each for each in (cloud.home / "data").rglob("*") if each.is_file()]
    assert sum(each.stat().st_size for each in files) >= BIG
    with big.open("rb") as plain:
        pieces = [b"the words to look for on the disk", plain.read(MEGABYTE)[100:164]]
    assert not [each for each in files for piece in pieces if piece in each.read_bytes()]


def test_what_is_removed_is_gone(cloud: Cloud, tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"old")
    for arguments in (["mb", "s3://albums"], ["cp", "--only-show-errors", str(tmp_path / "old"), "s3://albums/1/a"]):
        assert cloud.aws("s3", *arguments).code == 0
    full = cloud.aws("s3", "rb", "s3://albums")
    assert full.code != 0 and "BucketNotEmpty" in full.err
    assert cloud.aws("s3", "rm", "--recursive", "s3://albums").code == 0
    assert cloud.aws("s3", "rb", "s3://albums").code == 0
    assert "albums" not in cloud.do("get", "buckets")
    missing = cloud.aws("s3", "cp", "s3://albums/1/a", "-")
    assert missing.code != 0 and ("404" in missing.err or "NoSuchBucket" in missing.err)


def sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
