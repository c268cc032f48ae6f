"""A disk that is full to its last byte: uploads are refused by name, reads go on, nothing is lost.

With room again all is as before. A file system of its own, on a file.
"""

from __future__ import annotations

import os
import random
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.sdk.testing import ServiceHarness, serving
from services.storage_manager import context
from services.storage_manager.tests.test_service import V4, code

BOX = "box"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """120 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts a disk")
    image, folder = tmp_path / "image", tmp_path / "disk"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(120 << 20)
    for command in (["mkfs.ext4", "-q", "-m", "0", str(image)], ["mount", "-o", "loop", str(image), str(folder)]):
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"no disk can be mounted here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
def house(disk: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceHarness]:
    with serving("key_manager", secrets={"root-key": bytes(32)}) as keys:
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        with serving("storage_manager", peer=lambda _: keys.peer_client("storage-manager")) as house:
            monkeypatch.setattr(tempfile, "tempdir", None)
            yield house


def fill(disk: Path) -> None:
    """Takes all the room there is, the last block too."""
    with (disk / "fill").open("ab", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue


def body_of(number: int) -> bytes:
    """Small ones, which share a file, and large ones."""
    return random.Random(number).randbytes((700, 30_000, 900_000)[number % 3])


def require_intact(s3: Any, kept: dict[str, bytes]) -> None:
    """Exactly these objects are there, with these bytes, listed with these sizes."""
    listed = s3.list_objects_v2(Bucket=BOX).get("Contents", [])
    assert {each["Key"]: each["Size"] for each in listed} == {key: len(body) for key, body in kept.items()}
    for key, body in kept.items():
        assert s3.get_object(Bucket=BOX, Key=key)["Body"].read() == body


def test_a_full_disk(house: ServiceHarness, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = house.boto3_client("s3", **V4)
    s3.create_bucket(Bucket=BOX)
    kept = {f"k{number}": body_of(number) for number in range(12)}
    for key, body in kept.items():
        s3.put_object(Bucket=BOX, Key=key, Body=body)
    upload = {
        "Bucket": BOX,
        "Key": "parts",
        "UploadId": s3.create_multipart_upload(Bucket=BOX, Key="parts")["UploadId"],
    }
    s3.upload_part(**upload, PartNumber=1, Body=body_of(2))

    with (disk / "fill").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 50 << 20)
    assert code(s3.put_object, Bucket=BOX, Key="k0", Body=b"new") == "InsufficientStorage", "some room is always kept"
    # Of that, others may take the rest.
    monkeypatch.setattr(context, "LEAST_FREE", -(1 << 40))
    fill(disk)
    for number in (0, 1, 2):
        new = {"Bucket": BOX, "Key": f"k{number}", "Body": body_of(number + 100 + number % 3)}
        refused = code(s3.put_object, **new)
        assert refused == "InsufficientStorage"
        assert code(s3.put_object, **{**new, "Key": "new"}) == "InsufficientStorage"
    assert code(s3.upload_part, **upload, PartNumber=2, Body=body_of(5)) == "InsufficientStorage"
    require_intact(s3, kept)
    assert [each["PartNumber"] for each in s3.list_parts(**upload)["Parts"]] == [1]

    (disk / "fill").unlink()
    for number in (12, 13, 14):
        kept[f"k{number}"] = body_of(number)
        s3.put_object(Bucket=BOX, Key=f"k{number}", Body=kept[f"k{number}"])
    kept["k0"] = b"newer"
    s3.put_object(Bucket=BOX, Key="k0", Body=kept["k0"])
    s3.delete_object(Bucket=BOX, Key="k1")
    del kept["k1"]
    parts = [{"PartNumber": each["PartNumber"], "ETag": each["ETag"]} for each in s3.list_parts(**upload)["Parts"]]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    kept["parts"] = body_of(2)
    require_intact(s3, kept)
