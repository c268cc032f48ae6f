"""Small blobs: what is committed comes back, what is damaged does not, and what is not on the disk is not named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crds.formats import NewerFormat
from services.storage_manager import segments
from services.storage_manager.blob_format import AesGcmCipher, BlobCipher, NoCipher
from services.storage_manager.errors import Corrupt, S3Error
from services.storage_manager.metadata import MetadataIndex, Object, Piece
from services.storage_manager.preconditions import write_check
from services.storage_manager.segment_format import (
    SEGMENT_HEADER,
    SmallBlobId,
    check_segment_header,
    read_record,
    record,
    segment_header,
    small_blob_id,
)
from services.storage_manager.segments import segment_ids, segment_path
from services.storage_manager.small_blobs import LARGEST, SmallBlobs


class Room:
    """One data folder, its index and its small blobs."""

    def __init__(self, folder: Path) -> None:
        self.metadata = MetadataIndex(folder / "book.db")
        self.small = SmallBlobs(folder / "segments", self.metadata)

    def cipher(self, blob: str) -> BlobCipher:
        return AesGcmCipher(b"k" * 32, blob)

    def seal(self, body: bytes) -> Piece:
        return Piece(self.small.seal(body, self.cipher), len(body), "key")

    def read(self, piece: Piece) -> bytes:
        return self.small.read(piece.blob, self.cipher(piece.blob), piece.size)

    async def put(self, key: str, piece: Piece, headers: dict[str, str] | None = None) -> None:
        new, check = Object(key, piece.size, key, 0.0, {}, (piece,)), write_check(headers or {})
        named = [(small_blob_id(piece.blob), piece.size)]
        await self.small.committer.run(lambda: self.metadata.put("b", new, check), named)

    def known(self) -> set[str]:
        rows = self.metadata.connection().execute("SELECT segment, offset FROM small_blobs")
        return {str(SmallBlobId(*row)) for row in rows}


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


@settings(max_examples=30, deadline=None)
@given(bodies=st.lists(st.one_of(st.binary(max_size=300), st.just(b"x" * LARGEST)), min_size=1, max_size=8))
def test_what_is_committed_comes_back(tmp_path_factory: pytest.TempPathFactory, bodies: list[bytes]) -> None:
    folder = tmp_path_factory.mktemp("s")
    room = Room(folder)
    pieces = [room.seal(body) for body in bodies]

    async def put_all() -> None:
        async with anyio.create_task_group() as group:
            for number, piece in enumerate(pieces):
                group.start_soon(room.put, f"k{number}", piece)

    anyio.run(put_all)
    again = Room(folder)
    assert [again.read(piece) for piece in pieces] == bodies
    assert again.known() == {piece.blob for piece in pieces}
    assert len(segment_ids(folder / "segments")) == 1


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 2000), bit=st.integers(0, 7))
def test_no_flipped_bit_of_a_record_is_served(tmp_path_factory: pytest.TempPathFactory, at: int, bit: int) -> None:
    room = Room(tmp_path_factory.mktemp("s"))
    piece = room.seal(os.urandom(500))
    anyio.run(room.put, "k", piece)
    id = small_blob_id(piece.blob)
    path = segment_path(room.small.folder, id.segment)
    raw = bytearray(path.read_bytes())
    place = id.offset + at % (len(room.small.stored(piece.blob, 500)))
    raw[place] ^= 1 << bit
    path.write_bytes(raw)
    with pytest.raises(Corrupt):
        room.read(piece)


def test_a_record_is_that_blobs_and_no_others() -> None:
    id, other = SmallBlobId(1, 2), SmallBlobId(1, 3)
    stored = record(id, 1, b"sealed")
    assert read_record(id, stored) == (1, b"sealed")
    for wrong in (stored[:-1], stored + b"x", b"", bytes(len(stored))):
        with pytest.raises(Corrupt):
            read_record(id, wrong)
    with pytest.raises(Corrupt):
        read_record(other, stored)


def test_a_blob_is_not_opened_in_another_way_than_the_index_says(room: Room) -> None:
    blob = room.small.seal(b"open", NoCipher)
    room.small.writer.flush()
    with pytest.raises(Corrupt, match="another way"):
        room.small.read(blob, room.cipher(blob), 4)


def test_a_refused_change_undoes_itself_alone(room: Room) -> None:
    first, second, third = (room.seal(body) for body in (b"1", b"2", b"3"))
    refused: list[str] = []

    async def story() -> None:
        await room.put("k", first)
        async with anyio.create_task_group() as group:
            group.start_soon(room.put, "other", second)
            group.start_soon(conflicting)

    async def conflicting() -> None:
        try:
            await room.put("k", third, {"if-none-match": "*"})
        except S3Error as fault:
            refused.append(fault.code)

    anyio.run(story)
    assert refused == ["PreconditionFailed"]
    assert room.known() == {first.blob, second.blob}


def test_changes_that_wait_together_share_a_transaction(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    groups: list[int] = []
    commit = room.small.committer.commit

    def counted(group: Any) -> Any:
        groups.append(len(group))
        return commit(group)

    monkeypatch.setattr(room.small.committer, "commit", counted)

    async def story() -> None:
        async with anyio.create_task_group() as group:
            for number in range(50):
                group.start_soon(room.put, f"k{number}", room.seal(b"x"))

    anyio.run(story)
    assert sum(groups) == len(room.known()) == 50 and len(groups) == 2  # the first, and all that came meanwhile


def test_what_could_not_be_written_is_never_named(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    piece = room.seal(b"lost")
    with monkeypatch.context() as patched:
        patched.setattr(segments, "write_all", full)
        with pytest.raises(OSError, match="No space left"):
            anyio.run(room.put, "k", piece)
    with pytest.raises(OSError, match="No space left"):
        anyio.run(room.put, "k", piece)  # its bytes are gone: room that there is now does not bring them back
    after = room.seal(b"kept")
    anyio.run(room.put, "k", after)
    assert room.read(after) == b"kept" and room.known() == {after.blob}
    assert small_blob_id(after.blob).segment != small_blob_id(piece.blob).segment


def test_a_newer_segment_is_refused_with_the_fix() -> None:
    header = bytearray(segment_header(5))
    check_segment_header(bytes(header), 5, "five.seg")
    with pytest.raises(Corrupt):
        check_segment_header(bytes(header), 6, "six.seg")
    header[4:8] = b"\0\x09\0\x09"
    with pytest.raises(NewerFormat, match="Install the newer version"):
        check_segment_header(bytes(header), 5, "five.seg")
    with pytest.raises(Corrupt):
        check_segment_header(b"x" * SEGMENT_HEADER, 5, "five.seg")


def test_what_is_kept_too_long_is_not_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its segment was given up: it might be compacted by now."""
    now = 0.0
    monkeypatch.setattr(segments, "SEGMENT_SIZE", 1000)
    room = Room(tmp_path)
    room.small.writer._monotonic = lambda: now
    early, late = room.seal(b"e" * 700), room.seal(b"l" * 700)
    room.small.writer.flush()
    now = segments.HELD_SECONDS
    room.small.writer.release()
    anyio.run(room.put, "late", late)
    with pytest.raises(OSError, match="too long ago"):
        anyio.run(room.put, "early", early)
