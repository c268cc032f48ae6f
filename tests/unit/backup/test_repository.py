"""A place for backups: what was stored comes back or is refused, is stored once, and half a backup is none."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.backup.conftest import PASSPHRASE

from controller.backup import manifest as manifest_module
from controller.backup import repository as repository_module
from controller.backup.errors import BackupError, Damaged, Refused, WrongPassphrase
from controller.backup.locations import Folder, open_location
from controller.backup.manifest import Entry, Head, Manifest
from controller.backup.repository import Repository, heads, new_id, open_or_make, open_repository
from controller.backup.sealing import Keys
from crds.formats import NewerFormat

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STORE = {"revision": 1, "compacted": 0, "compacted_at": 0, "rows": 0, "living": 0, "schema": 3}


def backed_up(repository: Repository, content: bytes, at: datetime = NOW, mark: str = "00000001") -> Manifest:
    """A backup of one file."""
    entry = repository.put_entry("file", [content])
    head = Head(new_id(at, mark), "home", at, "1", 1, 0, at, 0, len(content))
    manifest = Manifest(head, STORE, (), (entry,))
    repository.commit(manifest, at)
    return manifest


def read(repository: Repository, manifest: Manifest) -> bytes:
    return b"".join(repository.pieces(manifest.files[0]))


def chunk_files(place: Folder) -> list[Path]:
    return sorted(place.root.glob("chunks/*/*"))


@settings(max_examples=50)
@given(pieces=st.lists(st.one_of(st.binary(max_size=300), st.just(bytes(100_000))), max_size=6))
def test_what_is_stored_comes_back(tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]) -> None:
    repository = Repository(Folder(tmp_path_factory.mktemp("p")), Keys(bytes(32)))
    entry = repository.put_entry("x", pieces)
    assert list(Repository(repository.location, Keys(bytes(32))).pieces(entry)) == pieces
    assert len(chunk_files(repository.location)) == len(set(pieces)), "each content once"  # type: ignore[arg-type]


def test_the_same_content_is_stored_once_for_all_backups(repository: Repository, place: Folder) -> None:
    backed_up(repository, b"same" * 1000)
    again = open_repository(place, PASSPHRASE)
    backed_up(again, b"same" * 1000, NOW + timedelta(hours=1), "00000002")
    assert len(chunk_files(place)) == 1 and again.new_bytes == 0
    assert [each.id[-8:] for each in heads(place)] == ["00000001", "00000002"]


def test_what_lies_there_says_nothing_of_its_content(repository: Repository, place: Folder) -> None:
    manifest = backed_up(repository, b"the secret plan " * 50)
    for file in (each for each in place.root.rglob("*") if each.is_file()):
        assert b"secret plan" not in file.read_bytes() and file.stat().st_mode & 0o077 == 0
    other = open_or_make(Folder(place.root.with_name("other")), PASSPHRASE)
    assert backed_up(other, b"the secret plan " * 50).files[0].chunks != manifest.files[0].chunks


def test_another_passphrase_opens_nothing(repository: Repository, place: Folder) -> None:
    for wrong in ("", PASSPHRASE[:-1], PASSPHRASE + "\n"):
        with pytest.raises(WrongPassphrase):
            open_repository(place, wrong)


def test_a_short_passphrase_is_refused_before_anything_is_written(place: Folder) -> None:
    with pytest.raises(Refused, match="12 or more"):
        open_or_make(place, "short")
    assert not place.root.exists()


def written(place: Folder, at: datetime) -> None:
    """All chunks then."""
    for each in chunk_files(place):
        os.utime(each, (at.timestamp(), at.timestamp()))


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 1)


def emptied(file: Path) -> None:
    os.truncate(file, 0)


def flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def removed(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize("harm", [cut, emptied, flipped, removed])
def test_a_chunk_that_was_harmed_is_refused(
    repository: Repository, place: Folder, harm: Callable[[Path], None]
) -> None:
    manifest = backed_up(repository, os.urandom(5000))
    harm(chunk_files(place)[0])
    with pytest.raises(Damaged):
        read(open_repository(place, PASSPHRASE), manifest)


def test_a_chunk_in_the_place_of_another_is_refused(repository: Repository, place: Folder) -> None:
    first, second = backed_up(repository, b"one"), backed_up(repository, b"two", mark="00000002")
    one, two = (each.files[0].chunks[0] for each in (first, second))
    shutil.copy(place.root / "chunks" / one[:2] / one, place.root / "chunks" / two[:2] / two)
    with pytest.raises(Damaged):
        read(repository, second)


@pytest.mark.parametrize("harm", [cut, emptied, flipped])
def test_a_manifest_that_was_harmed_is_refused(
    repository: Repository, place: Folder, harm: Callable[[Path], None]
) -> None:
    manifest = backed_up(repository, b"x")
    harm(place.root / "manifests" / manifest.head.id)
    with pytest.raises(Damaged):
        repository.manifest(manifest.head.id)


def test_the_head_that_anybody_reads_is_authenticated(repository: Repository, place: Folder) -> None:
    manifest = backed_up(repository, b"x")
    file = place.root / "manifests" / manifest.head.id
    file.write_bytes(file.read_bytes().replace(b'"resources":0', b'"resources":9', 1))
    assert heads(place)[0].resources == 9, "a list without the passphrase believes it"
    with pytest.raises(Damaged):
        repository.manifest(manifest.head.id)


@pytest.mark.parametrize(
    "planted",
    [
        {"made_at": "2026-03-01T12:00:00"},
        {"oldest_at": "0001-01-01T00:00:00+14:00"},
        {"made_at": 7},
        {"size": "big"},
        {"resources": True},
        {"cloud": "\x1b[2J"},
    ],
)
def test_a_head_that_somebody_planted_is_in_nobodys_way(
    repository: Repository, place: Folder, planted: dict[str, Any]
) -> None:
    manifest, id = backed_up(repository, b"x"), new_id(NOW, "0000000f")
    line = json.loads(manifest.head.line()) | {"id": id} | planted
    (place.root / "manifests" / id).write_bytes(json.dumps(line).encode() + b"\n")
    assert [each.id for each in heads(place)] == [manifest.head.id]


def test_what_is_no_file_is_no_backup(repository: Repository, place: Folder) -> None:
    kept, folder, pipe = backed_up(repository, b"x"), new_id(NOW, "0000000a"), new_id(NOW, "0000000f")
    (place.root / "manifests" / folder).mkdir()
    (place.root / "manifests" / folder / "x").touch()
    os.mkfifo(place.root / "manifests" / pipe)
    assert place.read(f"manifests/{folder}") is None
    assert [each.id for each in heads(place)] == [kept.head.id]


def test_a_manifest_that_could_not_be_read_again_is_not_written(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest_module, "MOST_BODY_BYTES", 100)
    with pytest.raises(Refused, match="bytes"):
        backed_up(repository, b"x")
    assert heads(repository.location) == []


def test_a_manifest_under_another_name_is_refused(repository: Repository, place: Folder) -> None:
    manifest = backed_up(repository, b"x")
    other = new_id(NOW + timedelta(days=9), "00000002")
    (place.root / "manifests" / manifest.head.id).rename(place.root / "manifests" / other)
    with pytest.raises(Damaged, match="moved"):
        repository.manifest(other)


def test_keys_that_were_changed_or_ask_for_too_much_are_refused(repository: Repository, place: Folder) -> None:
    file = place.root / "keys.json"
    kept = json.loads(file.read_bytes())
    for change in ({"n": 2**30}, {"p": 1000}, {"n": "many"}, {"name": "none"}, {"salt": "?"}):
        file.write_text(json.dumps({**kept, "kdf": {**kept["kdf"], **change}}))
        with pytest.raises(BackupError):
            open_repository(place, PASSPHRASE)
    file.write_text(json.dumps({**kept, "format": {"version": 9, "oldest_reader": 9}}))
    with pytest.raises(NewerFormat, match="Install the newer version"):
        open_repository(place, PASSPHRASE)


def test_backups_without_their_keys_are_not_given_others(repository: Repository, place: Folder) -> None:
    backed_up(repository, b"x")
    (place.root / "keys.json").unlink()
    with pytest.raises(Damaged, match=r"keys\.json"):
        open_or_make(place, PASSPHRASE)


def test_two_that_begin_at_once_go_on_with_the_same_keys(place: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    real, others = repository_module.new_keys, list[Repository]()

    def slow(passphrase: str) -> tuple[Keys, bytes]:
        monkeypatch.setattr(repository_module, "new_keys", real)
        others.append(open_or_make(place, PASSPHRASE))
        return real(passphrase)

    monkeypatch.setattr(repository_module, "new_keys", slow)
    ours = open_or_make(place, PASSPHRASE)
    assert read(ours, backed_up(others[0], b"theirs")) == b"theirs"
    assert read(open_repository(place, PASSPHRASE), backed_up(ours, b"ours", mark="00000002")) == b"ours"
    assert [each.name for each in place.root.glob(".*")] == []


def test_a_first_backup_that_was_killed_is_in_nobodys_way(place: Folder) -> None:
    place.root.mkdir()
    (place.root / ".keys.json.a1b2c3d4").write_bytes(b"half")
    assert open_or_make(place, PASSPHRASE)


def test_a_damaged_chunk_that_is_removed_is_stored_again_for_all(repository: Repository, place: Folder) -> None:
    old = backed_up(repository, b"kept" * 99)
    (file,) = chunk_files(place)
    flipped(file)
    with pytest.raises(Damaged, match=f"Remove {file.relative_to(place.root)} from"):
        read(repository, old)
    file.unlink()
    backed_up(open_repository(place, PASSPHRASE), b"kept" * 99, mark="00000002")
    assert read(repository, old) == b"kept" * 99


def test_half_a_backup_is_none(repository: Repository, place: Folder) -> None:
    repository.put_entry("file", [b"x" * 100])
    (place.root / "manifests").mkdir()
    (place.root / "manifests" / f".{new_id(NOW, '00000001')}.a1b2").write_bytes(b"half")
    assert heads(place) == [] and open_repository(place, PASSPHRASE).manifests() == []


def test_a_backup_that_took_a_day_is_given_up(repository: Repository) -> None:
    head = Head(new_id(NOW, "00000001"), "home", NOW, "1", 1, 0, NOW, 0, 0)
    with pytest.raises(Refused, match="less than 1 day"):
        repository.commit(Manifest(head, STORE, (), ()), NOW + timedelta(days=1))


def test_what_nothing_names_goes_after_a_day_and_not_before(repository: Repository, place: Folder) -> None:
    old, kept = backed_up(repository, b"old" * 99), backed_up(repository, b"kept" * 99, mark="00000002")
    written(place, NOW)
    assert repository.forget([old.head.id], NOW) == 0 and len(chunk_files(place)) == 2
    assert repository.forget([], NOW + timedelta(hours=23)) == 0
    assert repository.forget([], NOW + timedelta(hours=24)) == 1
    assert read(repository, kept) == b"kept" * 99 and len(chunk_files(place)) == 1


def test_a_backup_beside_a_sweep_loses_nothing(place: Folder) -> None:
    first = open_or_make(place, PASSPHRASE)
    old = backed_up(first, b"shared" * 99)
    beside = open_repository(place, PASSPHRASE)
    entry = beside.put_entry("file", [b"shared" * 99])  # counts on the chunk of the old backup
    first.forget([old.head.id], NOW)
    later = NOW + timedelta(hours=20)
    head = Head(new_id(NOW, "00000002"), "home", NOW, "1", 1, 0, NOW, 0, 0)
    beside.commit(Manifest(head, STORE, (), (entry,)), later)
    assert first.forget([], NOW + timedelta(hours=25)) == 0
    assert read(first, first.manifest(head.id)) == b"shared" * 99


def test_the_day_of_a_chunk_begins_when_nothing_names_it_any_more(repository: Repository, place: Folder) -> None:
    old = backed_up(repository, b"shared" * 99)
    repository.forget([old.head.id], NOW)
    again = backed_up(repository, b"shared" * 99, NOW + timedelta(hours=1), "00000002")
    written(place, NOW + timedelta(hours=1))
    assert repository.forget([again.head.id], NOW + timedelta(hours=30)) == 0, "another backup may count on it"
    assert repository.forget([], NOW + timedelta(hours=53)) == 0
    assert repository.forget([], NOW + timedelta(hours=54)) == 1


def test_what_is_stored_again_is_not_swept_before_it_is_named(repository: Repository, place: Folder) -> None:
    repository.put(b"half" * 99)
    written(place, NOW - timedelta(days=2))
    repository.forget([], NOW)
    beside, later = open_repository(place, PASSPHRASE), NOW + timedelta(hours=24)
    entry = beside.put_entry("file", [b"half" * 99])
    written(place, later)
    assert repository.forget([], later) == 0
    head = Head(new_id(later, "00000002"), "home", later, "1", 1, 0, later, 0, 0)
    beside.commit(Manifest(head, STORE, (), (entry,)), later)
    assert read(repository, repository.manifest(head.id)) == b"half" * 99


@pytest.mark.parametrize("odd", [b"half", b"[]", b'{"a": "b"}', b'{"a": 1}', b'{"a": "0001-01-01T00:00:00+14:00"}'])
def test_a_note_of_nonsense_is_begun_anew(repository: Repository, place: Folder, odd: bytes) -> None:
    kept = backed_up(repository, b"kept")
    place.write("unused.json", odd)
    assert repository.forget([], NOW) == 0 and read(repository, kept) == b"kept"


def test_what_nothing_names_is_stored_again_not_counted_on(repository: Repository, place: Folder) -> None:
    repository.put(b"half" * 99)
    (file,) = chunk_files(place)
    file.write_bytes(b"")
    manifest = backed_up(open_repository(place, PASSPHRASE), b"half" * 99)
    assert read(repository, manifest) == b"half" * 99


def test_a_damaged_backup_is_in_nobodys_way_and_nothing_is_swept_then(repository: Repository, place: Folder) -> None:
    old = backed_up(repository, b"old")
    flipped(place.root / "manifests" / old.head.id)
    again = open_repository(place, PASSPHRASE)
    assert read(again, backed_up(again, b"new", mark="00000002")) == b"new"
    with pytest.raises(Damaged, match=f"aerekos backup delete {old.head.id}"):
        again.forget([], NOW + timedelta(days=3))


def test_an_entry_of_another_length_is_refused(repository: Repository) -> None:
    entry = repository.put_entry("file", [b"abc"])
    with pytest.raises(Damaged, match="3 bytes in place of 4"):
        list(repository.pieces(Entry("file", 4, 0, entry.chunks)))


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters").write_text("dear")
    with pytest.raises(Refused, match="something else"):
        open_or_make(Folder(tmp_path), PASSPHRASE)
    assert [each.name for each in tmp_path.iterdir()] == ["letters"]


@pytest.mark.parametrize("text", ["s3://", "s3://A", "s3:///x", "ftp://host/x", "https://host"])
def test_a_place_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        open_location(text)
