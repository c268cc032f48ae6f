"""Where backups lie: a real bucket behind storage_manager, a folder, and never what is another namespace's."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crds.kinds.secret import SECRET
from services.db_manager.backup import HOOKS
from services.db_manager.backup_kinds import DATABASE_BACKUP, DatabaseBackupSpec
from services.db_manager.backup_reconciler import BackupReconciler
from services.db_manager.backups import base_backups
from services.db_manager.backups.archiving import Archiving, remove_archive
from services.db_manager.backups.base_backups import Archive, SealedArchive
from services.db_manager.backups.database_archive import DatabaseArchives
from services.db_manager.backups.places import KEY_SECRET, BackupPlaces, archive_folder
from services.db_manager.backups.sealing import Damaged, Sealer
from services.db_manager.backups.stores import BucketStore, FolderStore, Missing, StoreError
from services.db_manager.kinds import DATABASE, BackupStatus, DatabaseSpec
from services.db_manager.manifest import MANIFEST
from services.db_manager.tests.test_backup_catalog import base
from services.sdk.reconcile import Temporary
from services.sdk.testing import ServiceHarness, client_over, in_memory, serving, virtual_time

UID, OTHER = "0" * 36, "1" * 36
NOWHERE: Any = None
"""A World, where none is looked at."""


@pytest.fixture(scope="module")
def storage() -> Iterator[ServiceHarness]:
    with (
        serving("key_manager", secrets={"root-key": bytes(32)}) as keys,
        serving("storage_manager", peer=lambda _: keys.peer_client("storage-manager")) as house,
    ):
        yield house


def test_a_bucket_keeps_objects_by_name(storage: ServiceHarness) -> None:
    storage.boto3_client("s3").create_bucket(Bucket="kept")

    async def work() -> None:
        async with storage.peer_client("db-manager") as http:
            store = BucketStore(client_over(http, "storage-manager"), "kept", "default", page=3)
            names = [f"databases/default/{UID}/wal/{number:04}" for number in range(10)]
            for each in names:
                await store.put(each, each.encode())
            assert await store.names("databases/") == names, "also those behind the first page"
            assert await store.names("databases/", after=names[6]) == names[7:]
            assert await store.get(names[7]) == names[7].encode()
            await store.delete(names[7])
            await store.delete(names[7])
            with pytest.raises(Missing):
                await store.get(names[7])
            gone = BucketStore(client_over(http, "storage-manager"), "nowhere", "default")
            with pytest.raises(StoreError, match="NoSuchBucket"):
                await gone.put("a", b"")
            await remove_archive(SealedArchive(gone, archive_folder("default", UID)))

    asyncio.run(work())


@virtual_time
async def test_the_key_is_made_once_and_what_was_sealed_with_another_is_told() -> None:
    async with in_memory(MANIFEST) as service:
        places, folder = BackupPlaces(service.context), archive_folder("default", UID)
        archive = await places.archive("default", "", folder)
        again = await places.archive("default", "", folder)
        sealed = archive.sealer.seal("one", b"rows")
        assert again.sealer.open("one", sealed) == b"rows"
        other = base64.b64encode(base64.b64encode(b"x" * 32)).decode()
        await service.resources.patch(SECRET, KEY_SECRET, {"data": {"key": other}}, "default")
        with pytest.raises(Damaged, match="put that key back"):
            (await places.archive("default", "", folder)).sealer.open("one", sealed)
        await service.resources.patch(SECRET, KEY_SECRET, {"data": {"key": "c2hvcnQ="}}, "default")
        with pytest.raises(Temporary, match="32 bytes"):
            await places.archive("default", "", folder)


@virtual_time
async def test_a_status_that_names_what_is_anothers_opens_nothing() -> None:
    async with in_memory(MANIFEST) as service:
        places = BackupPlaces(service.context)
        for bucket, folder in (
            ("", archive_folder("rival", OTHER)),
            ("", f"databases/default/../rival/{OTHER}"),
            ("", f"databases/default/{UID}/../{OTHER}"),
            ("", "../../../etc"),
            ("mine/../theirs", archive_folder("default", UID)),
        ):
            with pytest.raises(Temporary, match="has no archive"):
                await places.archive("default", bucket, folder)


@pytest.mark.parametrize("key", ["c2hvcnQ=", None])
def test_what_is_deleted_takes_its_objects_along_without_their_key(key: str | None) -> None:
    """It may be lost, or gone before: a namespace that is being deleted takes no new one."""

    async def work() -> None:
        async with in_memory(MANIFEST) as service:
            own, places = service.resources, BackupPlaces(service.context)
            home, snapshot = archive_folder("default", UID), f"snapshot/{OTHER}"
            archive = await places.archive("default", "", home)
            for name in ("base/b/manifest", "base/b/part-000001", "wal/a/b/c"):
                for each in (name, f"{snapshot}/{name}"):
                    await archive.put(each, b"rows")
            await own.delete(SECRET, KEY_SECRET, "default")
            if key is not None:
                await own.create(SECRET, SECRET.new(KEY_SECRET, namespace="default", data={"key": key}))
            backup = DATABASE_BACKUP.new("b", namespace="default", spec=DatabaseBackupSpec(database="d"))
            backup.metadata.uid, backup.status.folder, backup.status.backup = OTHER, f"{home}/{snapshot}", "b"
            database = DATABASE.new("d", namespace="default", spec=DatabaseSpec(engine="postgresql"))
            database.metadata.uid, database.status.backup = UID, BackupStatus()
            archives = DatabaseArchives(places, Archiving(service.context.clock), own)
            await BackupReconciler(archives, places, own).finalize(backup, NOWHERE)
            assert await archive.names("wal/") and not await archive.names(snapshot)
            await archives.finish(database)
            assert [*await archive.names("base/"), *await archive.names("wal/")] == []
            assert key is not None or not (await own.list(SECRET, "default")).items, "and no key is made for it"

    asyncio.run(work())


def test_no_name_leads_out_of_an_archive(tmp_path: Path) -> None:
    async def work() -> None:
        store, sealer = FolderStore(tmp_path), Sealer(bytes(32))
        mine, theirs = (Archive(store, archive_folder(each, UID), sealer) for each in ("mine", "theirs"))
        await theirs.put("base/b/part-000001", b"rows")
        way = f"../../../../{archive_folder('theirs', UID)}/base/b"
        for wrong in (way, "..", "b/../b", ".", "", "b//c", "b\n"):
            with pytest.raises(Damaged, match="no name in an archive"):
                await base_backups.remove(mine, "base", wrong)
            with pytest.raises(Damaged, match="no name in an archive"):
                await mine.names(f"base/{wrong}/")
        await store.put(f"{archive_folder('mine', UID)}/base/a b", b"somebody's")
        assert await mine.names("base/") == [] and len(await theirs.names("base/")) == 1
        manifest = base(0, 1).model_copy(update={"id": "other"}).model_dump_json(by_alias=True)
        await mine.put("base/b0/manifest", manifest.encode())
        with pytest.raises(Damaged, match="another base backup, other"):
            await base_backups.manifest(mine, "base", "b0")

    asyncio.run(work())


def test_a_backup_of_the_cloud_has_what_lies_in_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "backups" / archive_folder("default", UID) / "base"
    folder.mkdir(parents=True)
    (folder / "part-000001").write_bytes(b"sealed")
    (folder / ".part-000002.half").write_bytes(b"being written")
    taken = HOOKS.snapshot(tmp_path, tmp_path)
    assert [each.name for each in taken.files] == [f"backups/databases/default/{UID}/base/part-000001"]
    assert taken.counts == HOOKS.restored(tmp_path) == {"objects": 1}
    assert HOOKS.restored(tmp_path / "nothing") == {"objects": 0}
