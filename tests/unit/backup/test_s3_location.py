"""A bucket as the place of backups: asked over the network by a real client, answered by storage_manager."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from unit.backup.conftest import PASSPHRASE
from unit.backup.test_repository import backed_up, read

from controller.backup import locations
from controller.backup.errors import Damaged, Unreachable, WrongPassphrase
from controller.backup.locations import Bucket, Location, open_location
from controller.backup.repository import heads, open_or_make, open_repository
from services.sdk.testing import ServiceHarness, User, serving

_NUMBERS = count(1)


@pytest.fixture(scope="module")
def house() -> Iterator[ServiceHarness]:
    with (
        serving("key_manager", secrets={"root-key": bytes(32)}) as keys,
        serving("storage_manager", peer=lambda _: keys.peer_client("storage-manager")) as house,
    ):
        yield house


@pytest.fixture(autouse=True)
def environment(house: ServiceHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `aerekos env` of that cloud would say."""
    who = User()
    said = {"ENDPOINT_URL": house.url, "ACCESS_KEY_ID": who.access_key, "SECRET_ACCESS_KEY": who.secret}
    for name, value in {**said, "DEFAULT_REGION": "us-east-1", "CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)


@pytest.fixture
def location(house: ServiceHarness) -> Location:
    bucket = f"backups-{next(_NUMBERS)}"
    house.boto3_client("s3").create_bucket(Bucket=bucket)
    return open_location(f"s3://{bucket}/oak")


def test_files_come_back_by_their_names(location: Location) -> None:
    for name in ("a/1", "a/2", "b/1"):
        location.write(name, name.encode())
    assert list(location.names("a/")) == ["a/1", "a/2"] and location.read("a/2") == b"a/2"
    assert location.read("a/3") is None
    location.remove("a/1")
    location.remove("a/1")
    assert list(location.names("")) == ["a/2", "b/1"]


def test_a_file_is_created_for_the_first_alone(location: Location) -> None:
    assert location.create("keys.json", b"first") and not location.create("keys.json", b"second")
    assert isinstance(location, Bucket)
    with pytest.raises(FileExistsError):  # who was as quick as that one learns it from the condition
        location._ask("put_object", Key="oak/keys.json", Body=b"third", IfNoneMatch="*")
    assert location.read("keys.json") == b"first"
    written_at = location.written_at("keys.json")
    assert written_at is not None and abs(datetime.now(UTC) - written_at) < timedelta(minutes=10)
    assert location.written_at("nothing") is None


def test_long_lists_come_page_after_page(location: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(location, Bucket)
    for number in range(7):
        location.write(f"x/{number}", b"")
    ask = location._ask
    monkeypatch.setattr(
        location, "_ask", lambda name, **more: ask(name, **more, **({"MaxKeys": 3} if "list" in name else {}))
    )
    assert list(location.names("x/")) == [f"x/{number}" for number in range(7)]


def test_a_backup_lies_in_a_bucket(location: Location) -> None:
    manifest = backed_up(open_or_make(location, PASSPHRASE), b"kept" * 9999)
    again = open_repository(location, PASSPHRASE)
    assert read(again, again.manifest(manifest.head.id)) == b"kept" * 9999
    assert [each.id for each in heads(location)] == [manifest.head.id]
    with pytest.raises(WrongPassphrase):
        open_repository(location, PASSPHRASE + "!")
    chunk = manifest.files[0].chunks[0]
    location.write(f"chunks/{chunk[:2]}/{chunk}", b"something else")
    with pytest.raises(Damaged):
        read(again, manifest)
    again.forget([manifest.head.id], datetime.now(UTC))
    assert heads(location) == []


def test_a_bucket_that_is_not_there_or_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locations, "ATTEMPTS", 1)
    nowhere = open_location("s3://nowhere-at-all/x")
    assert nowhere.read("keys.json") is None
    with pytest.raises(Unreachable, match="no such bucket"):
        nowhere.write("keys.json", b"")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    wrong = open_location("s3://nowhere-at-all")
    with pytest.raises(Unreachable, match="refuses"):
        wrong.read("keys.json")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(Unreachable, match="does not answer"):
        open_location("s3://box-1").remove("x")
