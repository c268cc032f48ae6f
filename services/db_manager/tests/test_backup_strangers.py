"""What others put among the objects of an archive, who may write into its bucket and have no key: no server here."""

from __future__ import annotations

import asyncio
import gzip
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.db_manager.backups import base_backups
from services.db_manager.backups.archiving import Archiving, Wanted
from services.db_manager.backups.base_backups import Archive
from services.db_manager.backups.catalog import chunk_name, chunks_among, whole_since
from services.db_manager.backups.database_restore import _plan
from services.db_manager.backups.replication import lsn_text
from services.db_manager.backups.sealing import Damaged, Sealer
from services.db_manager.backups.stores import FolderStore
from services.db_manager.backups.wal_archiver import ArchiveState, WalArchiver
from services.db_manager.kinds import BackupPolicy, RestoreStatus
from services.db_manager.tests.test_backup_catalog import FOLDER, START, base, log
from services.sdk.resources import SystemClock

pytestmark = pytest.mark.anyio
NO_SERVER: Any = None
HOME = "databases/one"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def archive(tmp_path: Path) -> Archive:
    """A base backup and three chunks of the log: 0-100-200-300."""
    made = Archive(FolderStore(tmp_path), HOME, Sealer(bytes(32)))
    manifest = base(0, 1).model_dump_json(by_alias=True).encode()
    await made.put("base/b0/manifest", manifest)
    for each in log([100, 100, 100]):
        await made.put(each.name, gzip.compress(bytes(100)))
    return made


async def test_the_log_goes_on_behind_what_was_stored_and_not_where_a_name_says(archive: Archive) -> None:
    archiver = WalArchiver(archive, NO_SERVER, 1.0, ArchiveState(), _folder=FOLDER)
    for start, end in ((250, 1 << 40), (299, 400), (300, 500)):
        await archive.store.put(f"{HOME}/{chunk_name(FOLDER, start, end, None)}", b"anything")
    await archive.store.put(f"{HOME}/{FOLDER}x", b"")
    assert await archiver._stored_up_to(0) == 300
    assert await archiver._stored_up_to(301) == 0


async def test_a_moment_comes_back_though_others_lie_over_its_log(archive: Archive) -> None:
    for start, end in ((10, 20), (50, 1 << 40), (150, 250)):
        await archive.store.put(f"{HOME}/{chunk_name(FOLDER, start, end, START)}", b"anything")
    await archive.store.put(f"{HOME}/base/aa/manifest", b"anything")
    latest = START + timedelta(minutes=3)
    asked = RestoreStatus(
        archive=HOME, folder="base", time=latest, latest_lsn=lsn_text(300), system=base(0, 0).system
    )
    assert list((await _plan(archive, asked)).chunks) == log([100, 100, 100])
    await archive.delete("base/b0/manifest")
    with pytest.raises(Damaged, match="base/aa/manifest"):
        await _plan(archive, asked)


async def test_a_manifest_of_others_hides_none(archive: Archive) -> None:
    for name in ("aa/manifest", "manifest", "b0/b0/manifest"):
        await archive.store.put(f"{HOME}/base/{name}", b"anything")
    found = await base_backups.manifests(archive, "base")
    assert [each.id for each in found.whole] == ["b0"]
    assert len(found.damaged) == 1 and "base/aa/manifest" in found.damaged[0]


def test_what_is_no_name_of_the_log_is_none_of_it() -> None:
    good = log([100, 100])
    junk = (
        "x",
        "0-1",
        f"{0:016X}-{0:016X}",
        f"{9:016X}-{8:016X}",
        f"{0:016X}-{1:016X}-{10**15}",
        f"a/{0:016X}-{1:016X}",
    )
    names = [*(each.name for each in good), *(f"{FOLDER}{each}" for each in junk)]
    assert chunks_among(FOLDER, names) == good
    within = chunks_among(FOLDER, [*(each.name for each in good), chunk_name(FOLDER, 10, 20, None)])
    assert whole_since(within) == 0, "what lies within another makes no gap"
    assert whole_since(log([100], first=7) + log([100, 100], first=200)) == 200


async def test_whatever_goes_wrong_is_told_and_tried_again(archive: Archive) -> None:
    class Server:
        asked = 0

        async def sql(self) -> Any:
            self.asked += 1
            raise KeyError("nobody thought of it")

    server: Any = Server()
    everything = Archiving(SystemClock())
    report = everything.keep("one", Wanted(server, BackupPolicy(), "", HOME, ""), archive)
    async with asyncio.timeout(10):
        while server.asked < 2:  # noqa: ASYNC110 - a second, as it waits
            await asyncio.sleep(0.05)
    assert "nobody thought of it" in report.fault
    await everything.close()
