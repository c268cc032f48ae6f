"""The scrubber finds rot in anything that is named, says of which object, and goes on where it was."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from crds.formats import NewerFormat
from services.storage_manager import scrubbing
from services.storage_manager.blob_format import AesGcmCipher, Layout, header
from services.storage_manager.conditions import BucketCondition
from services.storage_manager.copy_object import CopyIntake, as_blocks
from services.storage_manager.damaged_data import Damage, DamagedData
from services.storage_manager.errors import Corrupt
from services.storage_manager.interfaces import BucketRef
from services.storage_manager.kinds import BUCKET, Bucket
from services.storage_manager.metadata import Object, Part, Piece, Upload
from services.storage_manager.metadata.pieces import BEGINNING, WalkPosition, named_pieces
from services.storage_manager.scrubbing import Scrubber, ScrubState
from services.storage_manager.segment_format import is_small, small_blob_id
from services.storage_manager.segments import segment_path
from services.storage_manager.tests.crash_load import BUCKET as B
from services.storage_manager.tests.crash_load import Folder, cipher

SIZES = (0, 500, 70_000, 2_000_000)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrubbing, "BYTES_PER_SECOND", 1 << 50)
    monkeypatch.setattr(scrubbing, "_PAGE", 2)


def filled(path: Path) -> Folder:
    folder = Folder(path)

    async def put_all() -> None:
        for size in SIZES:
            await folder.put(f"key-{size}", os.urandom(size))

    anyio.run(put_all)
    return folder


def scrubbed(folder: Folder, path: Path) -> tuple[dict[str, Damage], int]:
    """What a whole walk finds, and how many bytes it read."""
    read: list[int] = []
    anyio.run(Scrubber(folder.metadata, folder.data, ScrubState(path / "scrub.json"), record=read.append).finish_pass)
    return folder.data.damaged.all(), sum(read)


def damage(folder: Folder, piece: Piece) -> None:
    """One bit, somewhere in the middle."""
    path, place = folder.blobs.path(piece.blob), piece.size // 2
    if is_small(piece.blob):
        id = small_blob_id(piece.blob)
        path, place = segment_path(folder.small.folder, id.segment), id.offset + 30 + place
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 4]))


def piece_of(folder: Folder, key: str) -> Piece:
    found = folder.metadata.find(B, key)
    assert found is not None
    return found.pieces[0]


def test_all_that_is_whole_is_read_and_found_whole(tmp_path: Path) -> None:
    found, read = scrubbed(filled(tmp_path), tmp_path)
    assert found == {} and read > sum(SIZES)


@pytest.mark.parametrize("size", SIZES)
def test_one_flipped_bit_is_found_and_told_of_its_object(tmp_path: Path, size: int) -> None:
    folder = filled(tmp_path)
    damage(folder, piece_of(folder, f"key-{size}"))
    found, _ = scrubbed(folder, tmp_path)
    assert [(each.bucket, each.key) for each in found.values()] == [(B, f"key-{size}")]
    assert ScrubState(tmp_path / "scrub.json").damaged == found


def test_what_is_gone_is_found(tmp_path: Path) -> None:
    folder = filled(tmp_path)
    folder.blobs.path(piece_of(folder, "key-70000").blob).unlink()
    folder.small.close()
    for each in folder.small.folder.iterdir():
        each.unlink()
    folder.small.reader.drop_deleted()
    found, _ = scrubbed(folder, tmp_path)
    assert {each.key for each in found.values()} == {"key-0", "key-500", "key-70000"}


def test_damage_is_forgotten_once_it_is_mended(tmp_path: Path) -> None:
    folder = filled(tmp_path)
    for _ in range(2):
        damage(folder, piece_of(folder, "key-500"))
        found, _ = scrubbed(folder, tmp_path)
    assert found == {}


def test_what_was_replaced_meanwhile_is_no_damage(tmp_path: Path) -> None:
    folder = filled(tmp_path)
    scrubber = Scrubber(folder.metadata, folder.data, ScrubState(tmp_path / "scrub.json"))
    old, _ = named_pieces(folder.metadata, WalkPosition(0, B, "key-500", ""), 1)

    async def story() -> None:
        await folder.put("key-70000", b"new")
        folder.blobs.forget(old[0].piece.blob)
        await scrubber._check_large(old[0])

    anyio.run(story)
    assert old[0].key == "key-70000" and len(folder.data.damaged) == 0


def test_versions_and_parts_are_walked_too_and_pages_miss_nothing(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.metadata.put_configuration(B, "versioning", {"Status": "Enabled"})
    upload = Upload("u", B, "key", 0.0, {})
    folder.metadata.begin(upload)
    wanted = set()
    for number in range(7):
        for key in ("a", "b"):
            wanted.add(blob := f"{key}-{number}")
            folder.metadata.put(B, Object(key, 1, "e", 0.0, {}, (Piece(blob, 1, ""),)))
        wanted.add(blob := f"part-{number}")
        folder.metadata.put_part(upload, Part(number + 1, 1, "e", 0.0, Piece(blob, 1, "")))
    for limit in (1, 2, 3, 100):
        seen: list[str] = []
        place: WalkPosition | None = BEGINNING
        while place is not None:
            found, place = named_pieces(folder.metadata, place, limit)
            seen += [each.piece.blob for each in found]
        assert sorted(seen) == sorted(wanted), limit


def test_it_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = filled(tmp_path)
    _, whole = scrubbed(folder, tmp_path)
    state = ScrubState(tmp_path / "scrub.json")
    _, state.place = named_pieces(folder.metadata, BEGINNING, 2)  # type: ignore[assignment]
    state.save(folder.data.damaged)
    _, rest = scrubbed(folder, tmp_path)
    assert 0 < rest < whole
    assert ScrubState(tmp_path / "scrub.json").place == BEGINNING


def test_its_file_is_begun_anew_when_damaged_and_refused_when_newer(tmp_path: Path) -> None:
    (tmp_path / "scrub.json").write_text("{half")
    assert ScrubState(tmp_path / "scrub.json").place == BEGINNING
    (tmp_path / "scrub.json").write_text('{"version": 9, "oldest_reader": 9}')
    with pytest.raises(NewerFormat):
        ScrubState(tmp_path / "scrub.json")


@pytest.mark.parametrize("size", [500, 70_000])
def test_who_reads_damage_says_of_which_object(tmp_path: Path, size: int) -> None:
    folder, ref = Folder(tmp_path), BucketRef(B, "box", "arn", 0.0, encrypted=False)

    async def story() -> None:
        piece = await folder.data.store(ref, as_blocks(os.urandom(size)), CopyIntake({}))
        folder.small.writer.flush()
        damage(folder, piece)
        with pytest.raises(Corrupt):
            async for _ in as_blocks(
                await folder.data.read(ref, Object("key", size, "e", 0.0, {}, (piece,)), 0, size)
            ):
                pass

    anyio.run(story)
    assert [(each.bucket, each.key) for each in folder.data.damaged.all().values()] == [(B, "key")]


def test_the_bucket_says_which_objects_are_damaged() -> None:
    damaged, bucket = DamagedData(), BUCKET.new("box", namespace="default")
    assert isinstance(bucket, Bucket)
    bucket.metadata.uid = "id"
    damaged.update_condition(bucket, datetime.now(UTC))
    (fine,) = bucket.status.conditions
    assert (fine.type, fine.status) == (BucketCondition.DATA_INTACT, "True")
    for number in range(7):
        damaged.note(f"blob-{number}", Damage("id" if number else "other", f"key-{number}", "why"))
    damaged.update_condition(bucket, datetime.now(UTC))
    (told,) = bucket.status.conditions
    assert told.status == "False" and "key-1, key-2, key-3, key-4, key-5 and 1 more" in (told.message or "")


def test_a_blob_of_before_is_read_and_its_length_checked(tmp_path: Path) -> None:
    """AKB1: frames without CRCs."""
    folder, body, blob = Folder(tmp_path), os.urandom(150_000), "b" * 32
    box = AesGcmCipher(b"k" * 32, blob)
    frames = [body[at : at + 65536] for at in range(0, len(body), 65536)]
    sealed = [box.seal(index, index == len(frames) - 1, frame) for index, frame in enumerate(frames)]
    path = folder.blobs.path(blob)
    path.parent.mkdir()
    path.write_bytes(b"AKB1" + header(box)[4:] + b"".join(sealed))
    assert path.stat().st_size == Layout(b"AKB1", len(body)).file_size
    assert b"".join(folder.blobs.read(blob, cipher(blob), len(body), 70_000, 140_000)) == body[70_000:140_000]
    assert sum(folder.blobs.check(blob, len(body))) > len(body)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Corrupt):
        list(folder.blobs.check(blob, len(body)))
