"""What nothing names goes, when nobody reads it any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.storage_manager.blobs import Blobs
from services.storage_manager.book import Metadata, Object, Part, Piece, Upload
from services.storage_manager.frames import Gcm
from services.storage_manager.readers import Readers
from services.storage_manager.sweeping import READERS_SECONDS, UPLOADS_SECONDS, Sweeper


class Room:
    def __init__(self, folder: Path) -> None:
        self.now = 1000.0
        self.book = Metadata(folder / "book.db", clock=lambda: self.now)
        self.blobs, self.readers = Blobs(folder / "blobs"), Readers()
        self.sweeper = Sweeper(self.book, self.blobs, self.readers, clock=lambda: self.now)

    def piece(self, blob: str) -> Piece:
        writer = self.blobs.write(blob, Gcm(b"k" * 32, blob))
        writer.feed(b"bytes")
        writer.commit()
        return Piece(blob, 5, "")

    def put(self, blob: str) -> None:
        self.book.put("b", Object("k", 5, "e", self.now, {}, (self.piece(blob),)))

    def files(self) -> set[str]:
        self.sweeper.sweep()
        return {each.name for each in self.blobs.root.glob("*/*")}


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def test_a_replaced_blob_stays_as_long_as_somebody_reads_it(room: Room) -> None:
    room.put("one")
    with room.readers.of(["one"]), room.readers.of(["one"]):
        room.put("two")
        room.now += READERS_SECONDS + 1
        assert room.files() == {"one", "two"}
    assert room.files() == {"two"}
    assert room.book.known_blobs() == {"two"}


def test_a_replaced_blob_stays_a_while_for_readers_of_other_replicas(room: Room) -> None:
    room.put("one")
    room.put("two")
    room.now += READERS_SECONDS - 1
    assert room.files() == {"one", "two"}
    room.now += 2
    assert room.files() == {"two"}


def test_the_parts_of_a_forgotten_upload_go_after_a_week(room: Room) -> None:
    upload = Upload("u", "b", "k", room.now, {})
    room.book.begin(upload)
    room.book.put_part(upload, Part(1, 5, "e", room.now, room.piece("part")))
    room.now += UPLOADS_SECONDS - 1
    assert room.files() == {"part"}
    room.now += 2
    room.sweeper.sweep()
    room.now += READERS_SECONDS + 1
    assert room.files() == set()


def test_orphans_go_and_named_blobs_stay(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.put("named")
    room.piece("orphan")
    room.sweeper.sweep_orphans()
    assert room.files() == {"named", "orphan"}
    monkeypatch.setattr("services.storage_manager.blobs.time.time", lambda: 1e12)
    room.sweeper.sweep_orphans()
    assert room.files() == {"named"}
