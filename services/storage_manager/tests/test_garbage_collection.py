"""What nothing names goes, when nobody reads it any more."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from services.storage_manager.blob_format import AesGcmCipher, NoCipher
from services.storage_manager.blob_pins import BlobPins
from services.storage_manager.blobs import Blobs
from services.storage_manager.data_keys import DataKeys
from services.storage_manager.garbage_collection import PIN_GRACE_SECONDS, UPLOADS_SECONDS, BlobCollector
from services.storage_manager.metadata import MetadataIndex, Object, Part, Piece, Upload
from services.storage_manager.object_data import ObjectData
from services.storage_manager.segment_format import small_blob_id
from services.storage_manager.small_blobs import SmallBlobs
from services.storage_manager.tests.test_data_keys import Kms


class Room:
    def __init__(self, folder: Path) -> None:
        self.now = 1000.0
        self.metadata = MetadataIndex(folder / "book.db", clock=lambda: self.now)
        self.blobs, self.pins = Blobs(folder / "blobs"), BlobPins()
        self.small = SmallBlobs(folder / "segments", self.metadata)
        data = ObjectData(self.blobs, self.small, DataKeys(self.metadata, Kms()), self.pins)
        self.collector = BlobCollector(self.metadata, data, clock=lambda: self.now)

    def piece(self, blob: str) -> Piece:
        writer = self.blobs.write(blob, AesGcmCipher(b"k" * 32, blob))
        writer.feed(b"bytes")
        writer.commit()
        return Piece(blob, 5, "")

    def put(self, blob: str) -> None:
        self.metadata.put("b", Object("k", 5, "e", self.now, {}, (self.piece(blob),)))

    def files(self) -> set[str]:
        self.collector.collect()
        return {each.name for each in self.blobs.root.glob("*/*")}


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def test_a_replaced_blob_stays_as_long_as_somebody_reads_it(room: Room) -> None:
    room.put("one")
    with room.pins.hold(["one"]), room.pins.hold(["one"]):
        room.put("two")
        room.now += PIN_GRACE_SECONDS + 1
        assert room.files() == {"one", "two"}
    assert room.files() == {"two"}
    assert room.metadata.known_blobs() == {"two"}


def test_a_replaced_blob_stays_a_while_for_readers_of_other_replicas(room: Room) -> None:
    room.put("one")
    room.put("two")
    room.now += PIN_GRACE_SECONDS - 1
    assert room.files() == {"one", "two"}
    room.now += 2
    assert room.files() == {"two"}


def test_the_parts_of_a_forgotten_upload_go_after_a_week(room: Room) -> None:
    upload = Upload("u", "b", "k", room.now, {})
    room.metadata.begin(upload)
    room.metadata.put_part(upload, Part(1, 5, "e", room.now, room.piece("part")))
    room.now += UPLOADS_SECONDS - 1
    assert room.files() == {"part"}
    room.now += 2
    room.collector.collect()
    room.now += PIN_GRACE_SECONDS + 1
    assert room.files() == set()


def test_orphans_go_and_named_blobs_stay(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.put("named")
    room.piece("orphan")
    room.collector.collect_orphans()
    assert room.files() == {"named", "orphan"}
    monkeypatch.setattr("services.storage_manager.blobs.time.time", lambda: 1e12)
    room.collector.collect_orphans()
    assert room.files() == {"named"}


def test_garbage_goes_some_at_a_time_and_small_blobs_with_their_rows(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.storage_manager.garbage_collection.MOST_AT_ONCE", 2)
    erased: list[set[int]] = []
    room.collector._erased = erased.append
    for number in range(5):
        room.put(f"large-{number}")
        small = room.small.seal(b"small", NoCipher)
        new = Object("small", 5, "e", room.now, {}, (Piece(small, 5, ""),))
        named = [(small_blob_id(small), 5)]
        anyio.run(room.small.committer.run, lambda new=new: room.metadata.put("b", new), named)
    room.now += PIN_GRACE_SECONDS + 1
    with room.pins.hold(["large-1"]):
        assert room.files() == {"large-1", "large-4"}
    assert room.files() == {"large-4"}
    rows = room.metadata.connection().execute("SELECT segment, offset FROM small_blobs").fetchall()
    assert rows == [tuple(small_blob_id(small))] and set().union(*erased) == {small_blob_id(small).segment}
