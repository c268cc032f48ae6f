"""A whole home: backed up beside its store, restored where there was nothing, the same in everything. What was harmed
is refused, and nothing is changed then.
"""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from quick_store import commits_wait_for_no_disk
from unit.backup.conftest import PASSPHRASE

from cli.lifecycle.backup import check
from controller.backup.errors import BackupError, Damaged, Refused, WrongPassphrase
from controller.backup.locations import Folder
from controller.backup.manifest import Entry
from controller.backup.repository import Repository, heads, open_or_make, open_repository
from controller.main.backups import creating
from controller.main.backups.choosing import Moment, chosen
from controller.main.backups.creating import Job, create_backup
from controller.main.backups.reading import read_namespace
from controller.main.backups.restoring import Restored, restore_backup
from controller.main.backups.scratch import scratch_folder
from controller.main.components import open_components
from controller.main.settings import load
from controller.resources.strategy import WriteOptions
from controller.store.records import StoreError
from crds.errors import AlreadyExists
from crds.kinds.config_map import CONFIG_MAP
from crds.kinds.secret import SECRET
from crds.kinds.service import SERVICE
from services.queue_manager.database import MessageDatabase
from services.schedule_manager.schedule_store import ScheduleStore
from services.sdk.discovery import managed_services
from services.storage_manager.blobs import Blobs, new_id
from services.storage_manager.metadata import Object, Piece
from services.storage_manager.metadata.pieces import pieces_of
from services.storage_manager.preconditions import write_check
from services.storage_manager.segments import segment_ids, segment_path
from services.storage_manager.tests.test_small_blobs import Room

__all__ = ["commits_wait_for_no_disk"]
HOW = WriteOptions(by="ada", validation="Strict")
RESOURCES, SECRETS, OBJECTS = 300, 60, 40
LARGE = 200_000


def bodies() -> dict[str, bytes]:
    dice = random.Random(1)
    found = {f"o{number}": dice.randbytes(dice.randrange(5000)) for number in range(OBJECTS)}
    return found | {f"large{number}": dice.randbytes(LARGE + number) for number in range(3)}


async def fill_store(home: Path, count: int = RESOURCES, secrets: int = SECRETS, mark: str = "a") -> None:
    """What a cloud's own start makes, and resources of people; some are changed, some deleted again."""
    async with open_components(load({}, home=home)) as components:
        registry = components.registry
        for number in range(count):
            body = {"metadata": {"name": f"{mark}{number}"}, "data": {"n": str(number)}}
            await registry.create(CONFIG_MAP, "default", body, HOW)
        for number in range(secrets):
            body = {"metadata": {"name": f"{mark}{number}"}, "stringData": {"password": f"hidden {mark}{number}"}}
            await registry.create(SECRET, "default", body, HOW)
        for number in range(0, count, 7):
            await registry.merge(
                CONFIG_MAP, CONFIG_MAP.key(f"{mark}{number}", "default"), {"data": {"n": "new"}}, HOW
            )
        for number in range(0, count, 11):
            await registry.delete(CONFIG_MAP, CONFIG_MAP.key(f"{mark}{number}", "default"), HOW)


def fill_data(home: Path) -> None:
    """Objects small and large, messages, schedules: as their services leave them when they are killed."""
    folder = home / "data" / "storage-manager"
    folder.mkdir(parents=True)
    room, blobs = Room(folder), Blobs(folder / "blobs")

    async def put_all() -> None:
        for name, content in bodies().items():
            if not name.startswith("large"):
                await room.put(name, room.seal(content))
                continue
            blob = new_id()
            writer = blobs.write(blob, room.cipher(blob))
            writer.feed(content)
            writer.commit()
            piece = Piece(blob, len(content), "key")
            new = Object(name, len(content), name, 0.0, {}, (piece,))
            await room.small.committer.run(lambda new=new: room.metadata.put("b", new, write_check({})), [])

    anyio.run(put_all)
    queues, schedules = home / "data" / "queue-manager", home / "data" / "schedule-manager"
    database = MessageDatabase(queues)
    with database.connection as db:
        db.execute("INSERT INTO queues (number, uid, fifo) VALUES (1, 'u', 0)")
    database.close()
    schedules.mkdir()
    ScheduleStore(schedules / "schedules.db").close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("made") / "home"
    (home / "run").mkdir(parents=True)
    (home / "run" / "founded").write_text("[]")
    (home / "settings.toml").write_text("version = 1\n")
    (home / "run" / "founded").unlink()
    anyio.run(fill_store, home)
    fill_data(home)
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "home"))


def job(home: Path, at: datetime | None = None, mark: str = "00000001") -> Job:
    return Job(home, "oak", managed_services(), mark, at or datetime.now(UTC))


def back_up(home: Path, place: Folder, mark: str = "00000001") -> Repository:
    repository = open_or_make(place, PASSPHRASE)
    create_backup(job(home, mark=mark), repository, lambda: datetime.now(UTC))
    return repository


def restore(place: Folder, target: Path, moment: Moment | None = None, *, dry_run: bool = False) -> Restored:
    repository = open_repository(place, PASSPHRASE)
    manifest = repository.manifest(chosen(heads(place), moment, place.name).id)
    return restore_backup(repository, manifest, target, managed_services(), moment=moment, dry_run=dry_run)


def stored_rows(home: Path) -> Any:
    with closing(sqlite3.connect(home / "store" / "records.db")) as db:
        return [
            db.execute(f"SELECT * FROM {each} ORDER BY 1, 2, 3").fetchall() for each in ("records", "heads", "clock")
        ]


async def seen(home: Path) -> dict[Any, Any]:
    """Every resource, secrets in the clear."""
    async with open_components(load({}, home=home)) as components:
        store = components.registry.store
        found = await store.list_at("", "*", None, store.revision)
        return {each.key: each.object for each in found.records}


def objects(home: Path) -> dict[str, bytes]:
    folder = home / "data" / "storage-manager"
    room, blobs = Room(folder), Blobs(folder / "blobs")
    found = {}
    for name in bodies():
        (piece,) = pieces_of(room.metadata, "b", name)
        if name.startswith("large"):
            found[name] = b"".join(blobs.read(piece.blob, room.cipher(piece.blob), piece.size, 0, piece.size))
        else:
            found[name] = room.read(piece)
    return found


def test_everything_is_the_same_where_there_was_nothing(home: Path, place: Folder, tmp_path: Path) -> None:
    back_up(home, place)
    target = tmp_path / "elsewhere" / "home"
    found = restore(place, target)
    assert stored_rows(target) == stored_rows(home), "every row, its history and its time"
    for folder in ("secrets", "tls"):
        for file in (each for each in (home / folder).rglob("*") if each.is_file()):
            assert (target / file.relative_to(home)).read_bytes() == file.read_bytes()
    assert (target / "settings.toml").read_bytes() == (home / "settings.toml").read_bytes()
    assert objects(target) == bodies()
    assert found.services["storage-manager"]["objects"] == len(bodies())
    assert found.services["queue-manager"] == {"queues": 1, "messages": 0}
    assert found.kinds["secrets"] >= SECRETS and found.changed == 0
    assert anyio.run(seen, target) == anyio.run(seen, home)
    assert not (target / "run" / "instances").exists(), "no process of then is taken for one of now"
    assert all(
        not each.stat().st_mode & 0o077 for each in target.rglob("*") if each.is_file() and "data" not in each.parts
    )


def test_a_second_backup_stores_what_is_new_alone(home: Path, place: Folder, tmp_path: Path) -> None:
    first = back_up(home, place)
    again = back_up(home, place, "00000002")
    assert again.new_bytes == 0 and again.read_bytes < first.read_bytes, "blobs are not even read again"
    anyio.run(fill_store, home, 5, 1, "b")
    third = back_up(home, place, "00000003")
    assert 0 < third.new_bytes < first.new_bytes / 3
    assert restore(place, tmp_path / "target").kinds["configmaps"] == restored_count(home)


def restored_count(home: Path) -> int:
    return sum(each.plural == "configmaps" for each in anyio.run(seen, home))


def test_a_dry_run_proves_it_and_keeps_nothing(home: Path, place: Folder, tmp_path: Path) -> None:
    back_up(home, place)
    there = sorted(tmp_path.iterdir())
    assert restore(place, tmp_path / "target", dry_run=True).services["storage-manager"]["objects"] == len(bodies())
    assert sorted(tmp_path.iterdir()) == there


def test_a_moment_comes_back(home: Path, place: Folder, tmp_path: Path) -> None:
    before, moment = anyio.run(seen, home), datetime.now(UTC)
    anyio.run(fill_store, home, 20, 5, "later")
    back_up(home, place)
    found = restore(place, tmp_path / "target", Moment(moment))
    assert found.changed and {key: value_of(each) for key, each in anyio.run(seen, tmp_path / "target").items()} == {
        key: value_of(each) for key, each in before.items()
    }
    with pytest.raises(Refused, match="no backup"):
        restore(place, tmp_path / "other", Moment(datetime.now(UTC) + timedelta(hours=1)))
    with pytest.raises(Refused, match="no backup"):
        restore(place, tmp_path / "other", Moment(datetime(2020, 1, 1, tzinfo=UTC)))


def test_a_namespace_is_read_with_its_secrets_open_now_and_at_a_moment(
    home: Path, place: Folder, tmp_path: Path
) -> None:
    moment = datetime.now(UTC)
    anyio.run(fill_store, home, 20, 5, "later")
    repository = back_up(home, place)
    manifest = repository.manifest(heads(place)[-1].id)
    now = {key: each for key, each in anyio.run(seen, home).items() if key.namespace == "default"}
    for number, at in enumerate((None, Moment(moment))):
        folder = tmp_path / f"part{number}"
        folder.mkdir(mode=0o700)
        itself, *inside = read_namespace(repository, manifest, folder, managed_services(), "default", at)
        assert (itself.key.plural, itself.key.name) == ("namespaces", "default")
        then = {key: each for key, each in now.items() if at is None or not key.name.startswith("later")}
        assert {each.key: each.object for each in inside} == then
        assert sorted(each.name for each in folder.rglob("*") if each.is_file()) == ["records.db", "store-key"]
    (folder := tmp_path / "none").mkdir(mode=0o700)
    assert not read_namespace(repository, manifest, folder, managed_services(), "nobodys", None)


def value_of(resource: dict[str, Any]) -> dict[str, Any]:
    meta = {name: value for name, value in resource["metadata"].items() if name != "resourceVersion"}
    return {**resource, "metadata": meta}


def test_a_home_with_something_in_it_is_left_alone(home: Path, place: Folder, tmp_path: Path) -> None:
    back_up(home, place)
    before = stored_rows(home)
    with pytest.raises(Refused, match="not empty"):
        restore(place, home)
    assert stored_rows(home) == before
    (tmp_path / "empty").mkdir()
    assert restore(place, tmp_path / "empty").revision


def test_another_passphrase_changes_nothing(home: Path, place: Folder, tmp_path: Path) -> None:
    back_up(home, place)
    with pytest.raises(WrongPassphrase):
        open_repository(place, "correct horse batterz")
    assert not (tmp_path / "target").exists()


def test_whatever_is_harmed_is_refused_and_nothing_is_changed(home: Path, place: Folder, tmp_path: Path) -> None:
    back_up(home, place)
    dice, target = random.Random(3), tmp_path / "target"
    files = sorted(each for each in place.root.rglob("*") if each.is_file())
    harms: list[Callable[[bytes], bytes | None]] = [
        lambda content: content[: dice.randrange(len(content))],
        lambda content: None,
        lambda content: bytes([*content[:-9], content[-9] ^ 4, *content[-8:]]),
    ]
    there = sorted(each.name for each in tmp_path.iterdir())
    for file in dice.sample(files, 8):
        for harm in harms:
            kept = file.read_bytes()
            harmed = harm(kept)
            file.unlink() if harmed is None else file.write_bytes(harmed)
            with pytest.raises((BackupError, StoreError)):
                restore(place, target)
            assert sorted(each.name for each in tmp_path.iterdir()) == there, file
            file.write_bytes(kept)
    assert restore(place, target).revision


def test_a_backup_that_was_broken_off_is_none_and_is_gone_on_with(
    home: Path, place: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository, written = open_or_make(place, PASSPHRASE), 0
    write = place.write

    def interrupted(name: str, content: bytes) -> None:
        nonlocal written
        written += 1
        if written > 5:
            raise KeyboardInterrupt
        write(name, content)

    monkeypatch.setattr(place, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        create_backup(job(home), repository, lambda: datetime.now(UTC))
    monkeypatch.undo()
    assert heads(place) == [] and not list((home / "run").glob("backup-*")), "nothing is left in the home"
    assert create_backup(job(home), open_repository(place, PASSPHRASE), lambda: datetime.now(UTC))
    assert len(heads(place)) == 1


def test_the_same_backup_asked_for_twice_is_made_once(home: Path, place: Folder) -> None:
    repository, asked = open_or_make(place, PASSPHRASE), job(home)
    first = create_backup(asked, repository, lambda: datetime.now(UTC))
    assert create_backup(asked, repository, lambda: datetime.now(UTC)) == first and len(heads(place)) == 1


def test_a_segment_that_is_compacted_meanwhile_makes_it_begin_again(
    home: Path, place: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = home / "data" / "storage-manager" / "segments"
    real, times = creating._snapshot, 0

    def snapshot(*arguments: Any) -> Any:
        nonlocal times
        times += 1
        if times == 1:
            gone = segment_path(folder, segment_ids(folder)[0])
            gone.rename(tmp_path / gone.name)
            try:
                return real(*arguments)
            finally:
                (tmp_path / gone.name).rename(gone)
        return real(*arguments)

    monkeypatch.setattr(creating, "_snapshot", snapshot)
    back_up(home, place)
    assert times > 1 and restore(place, tmp_path / "target").services["storage-manager"]["missing"] == 0


def test_what_was_read_beside_a_blob_that_is_erased_is_not_read_again(
    home: Path, place: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, blobs, read = creating.put_file, list[str](), Counter[str]()

    def put(repository: Repository, root: Path, name: str, before: Entry | None = None) -> Entry:
        if name.startswith("blobs/") and name not in blobs:
            blobs.append(name)
            if len(blobs) == 2:
                (root / name).unlink()
        known = repository.read_bytes
        entry = real(repository, root, name, before)
        read[name] += repository.read_bytes > known
        return entry

    monkeypatch.setattr(creating, "put_file", put)
    back_up(home, place)
    assert read["book.db"] == 2 and len(blobs) == 3
    assert {read[each] for each in read if each.startswith(("blobs/", "segments/"))} == {1}


def test_copies_that_a_killed_backup_left_are_taken_away_and_no_others(home: Path, place: Folder) -> None:
    left = home / "run" / "backup-dead"
    left.mkdir()
    (left / "book.db").write_bytes(b"x")
    with scratch_folder(home / "run", "backup-") as beside:
        assert not left.exists()
        left.mkdir()
        back_up(home, place)
        assert beside.exists() and not left.exists()
    assert list((home / "run").glob("backup-*")) == []


def test_a_cloud_that_a_killed_check_put_together_is_taken_away(
    home: Path, place: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(home, place)
    left, passphrase = tmp_path / "tmp" / "aerekos-check-dead", tmp_path / "passphrase"
    (left / "home" / "secrets").mkdir(parents=True)
    passphrase.touch(mode=0o600)
    passphrase.write_text(PASSPHRASE)
    monkeypatch.setattr(tempfile, "tempdir", str(left.parent))
    told = check(load({}, home=home), place.name, passphrase, "oak")
    assert "is whole" in told and f"{len(bodies())} objects" in told and list(left.parent.iterdir()) == []


def test_a_backup_of_another_cloud_is_not_what_this_one_goes_on_from(home: Path, place: Folder) -> None:
    repository = back_up(home, place)
    create_backup(replace(job(home, mark="00000002"), cloud="elm"), repository, lambda: datetime.now(UTC))
    newest = creating._before(repository, "oak")
    assert newest is not None and newest.head.id.endswith("-00000001")


def test_the_lock_of_a_restore_that_has_just_ended_does_not_let_two_in(
    home: Path, place: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(home, place)
    real, file, times = fcntl.flock, tmp_path / ".target.restoring.lock", 0

    def flock(handle: int, how: int) -> None:
        nonlocal times
        times += 1
        real(handle, how)
        if times == 1:  # the one before has taken its lock away, and a third one made its own
            file.unlink()
            real(os.open(file, os.O_RDWR | os.O_CREAT), fcntl.LOCK_EX)

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(Refused, match="under way"):
        restore(place, tmp_path / "target")


async def run_elsewhere(home: Path) -> None:
    """As the conductor notes it when a copy is ready on another worker."""
    async with open_components(load({}, home=home)) as components:
        registry = components.registry
        body = {"metadata": {"name": "queue-manager"}, "spec": {"managed": "queue_manager"}}
        with suppress(AlreadyExists):
            await registry.create(SERVICE, "default", body, HOW)
        key = SERVICE.key("queue-manager", "default")
        await registry.merge(SERVICE, key, {"status": {"dataOn": ["w2"]}}, HOW, subresource="status")


def test_data_that_are_on_another_worker_are_named(home: Path, place: Folder) -> None:
    anyio.run(run_elsewhere, home)
    repository = back_up(home, place)
    assert repository.manifests()[0].elsewhere == {}, "they are in this home as well"
    shutil.rmtree(home / "data" / "queue-manager")
    back_up(home, place, "00000002")
    assert repository.manifests()[1].elsewhere == {"queue-manager": ["w2"]}


def test_where_clouds_share_a_location_it_is_said_which(home: Path, place: Folder, tmp_path: Path) -> None:
    repository = back_up(home, place)
    create_backup(replace(job(home, mark="00000002"), cloud="elm"), repository, lambda: datetime.now(UTC))
    with pytest.raises(Refused, match=r"2 clouds; --cloud NAME says of which: elm .*-00000002.*; oak .*-00000001"):
        chosen(heads(place), None, place.name)
    assert chosen(heads(place), None, place.name, "oak").id.endswith("-00000001")
    assert chosen(heads(place), Moment(revision=heads(place)[1].revision), place.name, "elm").id.endswith("-00000002")
    with pytest.raises(Refused, match="no backup of ash"):
        chosen(heads(place), None, place.name, "ash")


def test_links_that_a_service_put_into_its_data_are_not_followed(home: Path, place: Folder) -> None:
    folder = home / "data" / "storage-manager"
    (blob,) = [each for each in sorted((folder / "blobs").glob("??/*")) if len(each.name) == 32][:1]
    blob.unlink()
    blob.symlink_to(home / "secrets" / "root-key")
    with pytest.raises(OSError, match=r"Too many levels|symbolic"):
        back_up(home, place)
    assert heads(place) == []
    blob.unlink()
    os.mkfifo(blob)
    with pytest.raises(OSError, match="no plain file"):
        back_up(home, place)


@pytest.mark.parametrize("name", ["secrets/store-key", "tls"])
def test_a_link_among_the_keys_is_refused_not_left_out(home: Path, place: Folder, tmp_path: Path, name: str) -> None:
    (home / name).rename(tmp_path / "moved")
    (home / name).symlink_to(tmp_path / "moved")
    with pytest.raises(Refused, match="is a link"):
        back_up(home, place)
    assert heads(place) == []


def test_names_that_lead_out_of_the_data_are_refused(home: Path, place: Folder) -> None:
    index = home / "data" / "storage-manager" / "book.db"
    with closing(sqlite3.connect(index)) as db, db:
        db.execute("""UPDATE objects SET pieces='[["../../secrets/root-key", 5, "key"]]' WHERE key='o1'""")
    with pytest.raises((OSError, BackupError)):
        back_up(home, place)
    assert heads(place) == []


def test_data_of_a_service_that_is_not_here_or_is_newer_is_refused(home: Path, place: Folder, tmp_path: Path) -> None:
    repository = back_up(home, place)
    manifest = repository.manifests()[0]
    without = [each for each in managed_services() if each.name != "queue_manager"]
    with pytest.raises(Refused, match="queue-manager"):
        restore_backup(repository, manifest, tmp_path / "target", without)
    data = manifest.services["queue-manager"]
    newer = replace(manifest, services={**manifest.services, "queue-manager": replace(data, format=99)})
    with pytest.raises(Refused, match="format 99"):
        restore_backup(repository, newer, tmp_path / "target", managed_services())
    fewer = replace(manifest, services={**manifest.services, "queue-manager": replace(data, counts={"queues": 2})})
    with pytest.raises(Damaged, match="in place of"):
        restore_backup(repository, fewer, tmp_path / "target", managed_services())
    assert not (tmp_path / "target").exists()


def test_every_service_that_keeps_data_says_how_it_is_backed_up() -> None:
    assert [each.name for each in managed_services() if each.keeps_data and not each.backup] == []
