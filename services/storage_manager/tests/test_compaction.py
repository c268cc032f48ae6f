"""Compaction gives back what is dead, loses nothing that lives, and leaves alone what somebody writes."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.storage_manager import compaction, segments
from services.storage_manager.compaction import Compactor
from services.storage_manager.metadata import Piece
from services.storage_manager.segment_format import small_blob_id
from services.storage_manager.segments import segment_ids, segment_path
from services.storage_manager.tests.test_small_blobs import Room


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "BYTES_PER_SECOND", 1 << 40)


def ended(folder: Path, bodies: list[bytes]) -> list[Piece]:
    """What a process that has ended left."""
    room = Room(folder)
    pieces = [room.seal(body) for body in bodies]

    async def put_all() -> None:
        for number, piece in enumerate(pieces):
            await room.put(f"{pieces[0].blob}/{number}", piece)

    anyio.run(put_all)
    room.small.close()
    return pieces


def erase(room: Room, pieces: list[Piece]) -> set[int]:
    with room.metadata.transaction():
        return room.small.index.erase(small_blob_id(piece.blob) for piece in pieces)


def compacted(room: Room, due: set[int]) -> None:
    async def once() -> None:
        compactor = Compactor(room.small)
        compactor.note_erased(due)
        await compactor.compact_due()

    anyio.run(once)


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(0, 3000), min_size=1, max_size=20), data=st.data())
def test_what_lives_is_read_after_any_compaction(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("c")
    bodies = [os.urandom(size) for size in sizes]
    pieces = ended(folder, bodies)
    room = Room(folder)
    living = dict(zip(pieces, bodies, strict=True))
    for _ in range(3):
        gone = data.draw(st.sets(st.sampled_from(sorted(living, key=str)))) if living else set()
        erase(room, sorted(gone, key=str))
        living = {piece: body for piece, body in living.items() if piece not in gone}
        compacted(room, set(segment_ids(room.small.folder)))
        assert {piece: room.read(piece) for piece in living} == living
        room.small.close()
        room = Room(folder)
    assert {piece: room.read(piece) for piece in living} == living
    size = sum(each.stat().st_size for each in room.small.folder.iterdir())
    kept = sum(len(room.small.stored(piece.blob, piece.size)) for piece in living)
    assert size <= 2 * kept + 64


def test_a_segment_that_is_written_is_left_alone(tmp_path: Path) -> None:
    room = Room(tmp_path)
    piece = room.seal(b"x" * 500)
    anyio.run(room.put, "k", piece)
    other = Room(tmp_path)
    segment = erase(other, [piece])
    compacted(other, segment)
    assert segment_path(room.small.folder, *segment).exists()
    room.small.close()
    compacted(other, segment)
    assert not segment_path(room.small.folder, *segment).exists()


def test_a_reader_that_has_it_open_reads_on(tmp_path: Path) -> None:
    pieces = ended(tmp_path, [b"a" * 100, b"b" * 900])
    reader, compactor = Room(tmp_path), Room(tmp_path)
    assert reader.read(pieces[0]) == b"a" * 100
    compacted(compactor, erase(compactor, pieces[1:]))
    assert reader.read(pieces[0]) == b"a" * 100
    reader.small.reader.drop_deleted()
    assert reader.read(pieces[0]) == b"a" * 100
    assert Room(tmp_path).read(pieces[0]) == b"a" * 100


def test_a_damaged_record_keeps_its_segment(tmp_path: Path) -> None:
    pieces = ended(tmp_path, [os.urandom(600) for _ in range(5)])
    room = Room(tmp_path)
    id = small_blob_id(pieces[0].blob)
    path = segment_path(room.small.folder, id.segment)
    raw = bytearray(path.read_bytes())
    raw[id.offset + 100] ^= 1
    path.write_bytes(raw)
    compacted(room, erase(room, pieces[2:]))
    assert path.exists() and len(room.read(pieces[1])) == 600


def test_small_segments_are_put_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "MOST_SMALL", 3)
    pieces = [piece for _ in range(3) for piece in ended(tmp_path, [b"x" * 300])]
    room = Room(tmp_path)
    compacted(room, set(segment_ids(room.small.folder)))
    assert len(segment_ids(room.small.folder)) == 1
    assert [room.read(piece) for piece in pieces] == [b"x" * 300] * 3


def test_what_is_erased_while_it_is_moved_stays_erased(tmp_path: Path) -> None:
    pieces = ended(tmp_path, [b"x" * 300, b"y" * 300])
    room = Room(tmp_path)
    (segment,) = segment_ids(room.small.folder)
    living = room.small.index.living(segment, 10)
    erase(room, pieces[:1])
    with room.metadata.transaction():
        room.small.index.move([(blob, blob.id._replace(offset=blob.id.offset + 5)) for blob in living])
    assert room.known() == {pieces[1].blob}


def test_full_segments_are_given_up_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their locks, the zeros behind their last record and their descriptors."""
    now = 0.0
    monkeypatch.setattr(segments, "SEGMENT_SIZE", 1000)
    room = Room(tmp_path)
    room.small.writer._monotonic = lambda: now
    pieces = [room.seal(os.urandom(700)) for _ in range(3)]
    room.small.writer.flush()
    before = [segment_path(room.small.folder, small_blob_id(each.blob).segment).stat().st_size for each in pieces]
    now = segments.HELD_SECONDS
    room.small.writer.release()
    after = [segment_path(room.small.folder, small_blob_id(each.blob).segment).stat().st_size for each in pieces]
    assert after[:2] == [760, 760] and after[2] == before[2] > 1000
