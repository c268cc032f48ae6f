"""A copy follows: whole services over HTTP, what is acknowledged, what can be read, what is repaired."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from services.sdk.discovery import managed_service
from services.sdk.testing import ServiceHarness, User, serving
from services.storage_manager.kinds import BUCKET
from services.storage_manager.replication import feed, followers
from services.storage_manager.replication.caught_up import CaughtUp
from services.storage_manager.replication.source import Source
from services.storage_manager.replication.wire import Message, decode
from services.storage_manager.segments import segment_ids, segment_path
from services.storage_manager.tests.test_service import V4, code

LARGE = os.urandom(300_000)
TAGS = {"TagSet": [{"Key": "team", "Value": "red"}]}


@pytest.fixture(scope="module")
def keys() -> Iterator[ServiceHarness]:
    with serving("key_manager", secrets={"root-key": bytes(32)}) as keys:
        yield keys


@pytest.fixture
def house(keys: ServiceHarness) -> Iterator[ServiceHarness]:
    with serving("storage_manager", peer=lambda _: keys.peer_client("storage-manager")) as house:
        yield house


@pytest.fixture
def s3(house: ServiceHarness) -> Any:
    client = house.boto3_client("s3", **V4)
    client.create_bucket(Bucket="box")
    return client


@contextmanager
def following(keys: ServiceHarness, house: ServiceHarness) -> Iterator[ServiceHarness]:
    """A copy of it, as the gateway lets readers in while the other is away. It knows the same Buckets."""
    manifest = managed_service("storage_replica")
    assert manifest is not None

    def peer(name: str) -> httpx.AsyncClient:
        return (house if name == "storage-manager" else keys).peer_client("storage-replica")

    with serving(replace(manifest, speaks=("s3",), protocol="s3"), peer=peer) as copy:
        copy.run(_same_buckets(house, copy))
        yield copy


async def _same_buckets(house: ServiceHarness, copy: ServiceHarness) -> None:
    for key, body in house.resources.items.items():
        if key[0] == BUCKET.plural:
            copy.resources._write("ADDED", key, body)


def until(true: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


def metric(house: ServiceHarness, name: str) -> float:
    lines = httpx.get(f"{house.url}/metrics").text.splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(f"{name} ")))


def until_copies(house: ServiceHarness, wanted: int) -> None:
    until(lambda: metric(house, "aerekos_storage_copies") == wanted)


def reader(copy: ServiceHarness) -> Any:
    """As the gateway asks it: once it is ready."""
    until(lambda: httpx.get(f"{copy.url}/ready").status_code == 200)
    return copy.boto3_client("s3", **V4)


def body_of(client: Any, key: str, **more: Any) -> bytes:
    return bytes(client.get_object(Bucket="box", Key=key, **more)["Body"].read())


def test_what_was_there_and_what_comes_can_be_read_from_the_copy(
    keys: ServiceHarness, house: ServiceHarness, s3: Any
) -> None:
    s3.put_object(Bucket="box", Key="before", Body=b"small")
    s3.put_object(Bucket="box", Key="large", Body=LARGE, Metadata={"of": "me"})
    s3.put_bucket_versioning(Bucket="box", VersioningConfiguration={"Status": "Enabled"})
    with following(keys, house) as copy:
        until_copies(house, 2)
        first = s3.put_object(Bucket="box", Key="after", Body=b"more")["VersionId"]
        s3.put_object(Bucket="box", Key="after", Body=LARGE[:80_000])
        s3.delete_object(Bucket="box", Key="before")
        there = reader(copy)  # whatever was acknowledged is there, at once
        assert body_of(there, "large") == LARGE
        assert body_of(there, "after") == LARGE[:80_000]
        assert body_of(there, "after", VersionId=first) == b"more"
        assert code(there.get_object, Bucket="box", Key="before") == "NoSuchKey"
        here = s3.list_object_versions(Bucket="box")
        listed = there.list_object_versions(Bucket="box")
        assert (here["Versions"], here["DeleteMarkers"]) == (listed["Versions"], listed["DeleteMarkers"])


class HeldCopy:
    """A copy that is in sync, and from then on has on its disk what the test says."""

    def __init__(self, house: ServiceHarness) -> None:
        groups = ["system:services"]
        token = house.conductor.token("system:service:storage-replica", "storage-manager", groups=groups)
        self._http = httpx.Client(base_url=house.url, headers={"X-Aerekos-Identity": token})
        begun = self.ask("begin").batch
        self._epoch, self.has = begun.epoch, begun.head
        self.heard()

    def ask(self, what: str, **more: Any) -> Message:
        answer = self._http.post(f"/_replication/{what}", json={"follower": "held", **more})
        assert answer.status_code == 200, answer.text
        return decode(answer.content)

    def heard(self) -> int:
        """It asks on. How many changes there are."""
        return self.ask("changes", epoch=self._epoch, after=self.has).batch.head

    def catch_up(self) -> None:
        self.has = self.heard()
        self.heard()


@pytest.mark.parametrize("change", ["put_bucket_tagging", "delete_bucket_tagging", "upload", "delete_bucket"])
def test_what_is_no_object_is_acknowledged_once_the_copy_has_it_too(
    house: ServiceHarness, s3: Any, change: str
) -> None:
    s3.put_bucket_tagging(Bucket="box", Tagging=TAGS)
    calls = {
        "put_bucket_tagging": partial(s3.put_bucket_tagging, Bucket="box", Tagging=TAGS),
        "delete_bucket_tagging": partial(s3.delete_bucket_tagging, Bucket="box"),
        "upload": partial(s3.create_multipart_upload, Bucket="box", Key="parts"),
        "delete_bucket": partial(s3.delete_bucket, Bucket="box"),
    }
    copy = HeldCopy(house)
    with ThreadPoolExecutor(1) as pool:
        answered = pool.submit(calls[change])
        until(lambda: copy.heard() > copy.has)  # it is on the first disk
        with pytest.raises(TimeoutError):
            answered.result(timeout=0.2)
        while not answered.done():
            copy.catch_up()
    answered.result()


def test_a_copy_is_filled_and_follows_in_answers_of_bounded_size(
    keys: ServiceHarness, house: ServiceHarness, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "MOST_BYTES", 2000)
    for number in range(12):
        s3.put_object(Bucket="box", Key=f"{number:02}", Body=b"x", Metadata={"long": "x" * 900})
    with following(keys, house) as copy:
        until_copies(house, 2)
        for number in range(12, 24):
            s3.put_object(Bucket="box", Key=f"{number:02}", Body=b"x", Metadata={"long": "x" * 900})
        assert objects_of(copy) == [f"{number:02}" for number in range(24)]


def test_the_copy_takes_no_writes(keys: ServiceHarness, house: ServiceHarness, s3: Any) -> None:
    with following(keys, house) as copy:
        until_copies(house, 2)
        there = reader(copy)
        for call, more in ((there.put_object, {"Body": b"x"}), (there.delete_object, {})):
            with pytest.raises(ClientError) as refused:
                call(Bucket="box", Key="one", **more)
            assert refused.value.response["Error"]["Code"] == "ServiceUnavailable"
            assert "only be read now" in refused.value.response["Error"]["Message"]
        assert there.list_objects_v2(Bucket="box")["KeyCount"] == 0


def test_a_copy_that_is_lost_is_waited_for_no_longer_than_its_lease_and_its_successor_heals(
    keys: ServiceHarness, house: ServiceHarness, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followers, "LEASE_SECONDS", 1.5)
    with following(keys, house):
        until_copies(house, 2)
        s3.put_object(Bucket="box", Key="with", Body=b"two copies")
    began = time.monotonic()
    s3.put_object(Bucket="box", Key="without", Body=b"one copy")
    assert time.monotonic() - began < 3
    assert metric(house, "aerekos_storage_copies") == 1
    with following(keys, house) as copy:  # an empty folder, as on another worker
        until_copies(house, 2)
        assert metric(house, "aerekos_storage_healing_seconds") > 0
        there = reader(copy)
        assert [body_of(there, key) for key in ("with", "without")] == [b"two copies", b"one copy"]


def test_a_flipped_bit_is_repaired_from_the_copy(keys: ServiceHarness, house: ServiceHarness, s3: Any) -> None:
    s3.put_object(Bucket="box", Key="small", Body=b"small")
    s3.put_object(Bucket="box", Key="large", Body=LARGE)
    with following(keys, house):
        until_copies(house, 2)
        flip_bits(house)
        for key in ("small", "large"):
            with pytest.raises(ClientError):
                body_of(s3, key)
        until(lambda: metric(house, "aerekos_storage_repaired_blobs_total") == 2)
        assert (body_of(s3, "small"), body_of(s3, "large")) == (b"small", LARGE)


def test_a_flipped_bit_of_the_copy_is_repaired(keys: ServiceHarness, house: ServiceHarness, s3: Any) -> None:
    s3.put_object(Bucket="box", Key="small", Body=b"small")
    s3.put_object(Bucket="box", Key="large", Body=LARGE)
    with following(keys, house) as copy:
        until_copies(house, 2)
        flip_bits(copy)
        there = reader(copy)
        for key, body in (("small", b"small"), ("large", LARGE)):
            with pytest.raises(ClientError):
                body_of(there, key)
            until(lambda: metric(copy, "aerekos_storage_damaged_blobs") == 0)
            assert body_of(there, key) == body


def test_what_is_damaged_on_both_sides_keeps_nobody_waiting(
    keys: ServiceHarness, house: ServiceHarness, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.put_object(Bucket="box", Key="large", Body=LARGE)
    fetched, block = list[str](), Source.block

    async def recorded(source: Source, blob: str, start: int) -> bytes | None:
        fetched.append(blob)
        return await block(source, blob, start)

    with following(keys, house) as copy:
        until_copies(house, 2)
        monkeypatch.setattr(Source, "block", recorded)
        flip_bits(house)
        flip_bits(copy)
        there = reader(copy)
        with pytest.raises(ClientError):
            body_of(there, "large")
        until(lambda: len(fetched) == 2)  # all of it, and its end
        for number in range(20):
            s3.put_object(Bucket="box", Key=f"more-{number}", Body=b"x")
            assert "degraded" not in httpx.get(f"{copy.url}/ready").json()
        assert metric(house, "aerekos_storage_copies") == 2 and len(fetched) == 2
        assert metric(copy, "aerekos_storage_damaged_blobs") == 1


def flip_bits(house: ServiceHarness) -> None:
    """One in the middle of each segment's records and of each blob."""
    folder = house.context.data
    files = [(segment_path(folder / "segments", id), 60) for id in segment_ids(folder / "segments")]
    files += [(each, 100_000) for each in (folder / "blobs").glob("??/*")]
    for path, place in files:
        with path.open("r+b") as file:
            file.seek(place)
            byte = file.read(1)[0]
            file.seek(place)
            file.write(bytes([byte ^ 1]))


def test_only_the_replica_itself_may_copy(house: ServiceHarness, s3: Any) -> None:
    """Its rows are of all namespaces: whoever may do anything with buckets is refused as well."""
    with house.http(User()) as http:
        answer = http.post("/_replication/begin", json={"follower": "me"})
        assert answer.status_code == 401 and "only storage-replica" in answer.text
    for other in ("key-manager", "storage-manager"):
        token = house.conductor.token(f"system:service:{other}", "storage-manager", groups=["system:services"])
        headers = {"X-Aerekos-Identity": token}
        answer = httpx.post(f"{house.url}/_replication/begin", json={"follower": "me"}, headers=headers)
        assert answer.status_code == 401


def test_a_copy_of_a_later_state_is_left_alone(keys: ServiceHarness, house: ServiceHarness, s3: Any) -> None:
    """The one that takes writes was put back to a backup of before: what came since is on the copy alone."""
    s3.put_object(Bucket="box", Key="old", Body=b"x")
    with following(keys, house) as copy:
        until_copies(house, 2)
        s3.put_object(Bucket="box", Key="new", Body=b"since")
        with sqlite3.connect(house.context.data / "book.db") as db:
            db.execute("UPDATE sqlite_sequence SET seq=1 WHERE name='changes'")
        until(lambda: "earlier state" in httpx.get(f"{copy.url}/ready").text)
        refuses_reads(copy)
        assert objects_of(copy) == ["new", "old"]


def test_a_copy_of_another_index_is_left_alone(keys: ServiceHarness, house: ServiceHarness, s3: Any) -> None:
    """The one that takes writes has lost its disk: what follows must not empty the last copy there is."""
    s3.put_object(Bucket="box", Key="last", Body=b"copy")
    with following(keys, house) as copy:
        until_copies(house, 2)
        with serving("storage_manager", peer=lambda _: keys.peer_client("storage-manager")) as empty:
            copy.context.clients["storage-manager"]._http = empty.peer_client("storage-replica")
            until(lambda: "another index" in httpx.get(f"{copy.url}/ready").text)
            refuses_reads(copy)
            assert objects_of(copy) == ["last"]


def objects_of(copy: ServiceHarness) -> list[str]:
    with sqlite3.connect(copy.context.data / "book.db") as db:
        return [key for (key,) in db.execute("SELECT key FROM objects ORDER BY key")]


def refuses_reads(copy: ServiceHarness) -> None:
    """The gateway asks it no more, and whoever does is told to come again."""
    assert httpx.get(f"{copy.url}/ready").status_code == 503
    with pytest.raises(ClientError) as refused:
        copy.boto3_client("s3", **V4).list_objects_v2(Bucket="box")
    assert refused.value.response["Error"]["Code"] == "ServiceUnavailable"
    assert "may lack what was written last" in refused.value.response["Error"]["Message"]


def test_a_copy_that_lacks_changes_is_not_read_from(
    keys: ServiceHarness, house: ServiceHarness, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = Source.changes

    async def some(source: Source, *asked: Any) -> Message:
        """As of one that has more than fits into an answer."""
        message = await changes(source, *asked)
        return message._replace(batch=message.batch._replace(head=message.batch.head + 7))

    s3.put_object(Bucket="box", Key="one", Body=b"x")
    with following(keys, house) as copy:
        until_copies(house, 2)
        monkeypatch.setattr(Source, "changes", some)
        until(lambda: "lacks 7 changes" in httpx.get(f"{copy.url}/ready").text)
        refuses_reads(copy)
        monkeypatch.setattr(Source, "changes", changes)
        until(lambda: httpx.get(f"{copy.url}/ready").status_code == 200)
        assert body_of(reader(copy), "one") == b"x"


def test_a_copy_is_read_from_while_the_other_is_away(keys: ServiceHarness, house: ServiceHarness, s3: Any) -> None:
    s3.put_object(Bucket="box", Key="one", Body=b"x")
    with following(keys, house) as copy:
        until_copies(house, 2)

        async def away(_: httpx.Request) -> httpx.Response:
            return httpx.Response(503)

        http = httpx.AsyncClient(transport=httpx.MockTransport(away), base_url="http://storage-manager")
        copy.context.clients["storage-manager"]._http = http
        until(lambda: "storage-manager" in httpx.get(f"{copy.url}/ready").json().get("degraded", ""))
        assert body_of(reader(copy), "one") == b"x"
        assert CaughtUp(copy.context.data / "caught-up")  # whoever starts from that folder knows it too
