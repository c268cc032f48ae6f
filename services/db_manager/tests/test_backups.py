"""Backups of a real server, and recoveries of them into another: to a moment, and with parts missing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from services.db_manager.backups import base_backups, restoring
from services.db_manager.backups.archiving import Archiving, Report, Wanted, end_archiving
from services.db_manager.backups.base_backups import Archive
from services.db_manager.backups.catalog import Unrestorable, plan_recovery, wal_folder
from services.db_manager.backups.sealing import Damaged
from services.db_manager.backups.wal_archiver import ArchiveState
from services.db_manager.kinds import BackupPolicy
from services.db_manager.tests.archives import (
    archive,
    archiving,
    chunks,
    latest_of,
    marked,
    now,
    original,
    recovered,
    source,
)
from services.db_manager.tests.postgres_server import PostgresServer
from services.sdk.resources import SystemClock

__all__ = ["archive", "original"]
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_moment_before_a_table_was_dropped_comes_back(original: PostgresServer, archive: Archive) -> None:
    state = ArchiveState()
    async with await source(original).sql() as sql:
        await sql.execute("CREATE TABLE public.lines AS SELECT generate_series(1, 1000) AS n")
        async with archiving(archive, original, state):
            base = await base_backups.take(archive, source(original), "base")
            await sql.execute("INSERT INTO public.lines SELECT generate_series(1001, 200000)")
            before = await now(sql)
            await sql.execute("DROP TABLE public.lines")
            await sql.execute("CREATE TABLE public.afterwards (n int)")
            await marked(state, await now(sql))
        assert state.latest is not None
        plan = plan_recovery([base], await chunks(archive, state), before, latest_of(state))
        assert plan.until == before
        assert await recovered(archive, plan, "SELECT count(*) FROM public.lines") == [("200000",)]
        latest = plan_recovery([base], await chunks(archive, state), state.latest, latest_of(state))
        found = await recovered(
            archive, latest, "SELECT to_regclass('public.lines'), to_regclass('public.afterwards')"
        )
        assert found == [(None, "public.afterwards")]


async def test_an_archive_with_a_gap_begins_anew_with_a_base_backup(
    original: PostgresServer, archive: Archive
) -> None:
    """A server that has thrown away what was not stored yet: from before it nothing leads further."""
    archiving_of_all = Archiving(SystemClock())
    wanted = Wanted(source(original), BackupPolicy(ship_seconds=1), "", "databases/one", archive.sealer.key_id)
    try:
        report = archiving_of_all.keep("one", wanted, archive)
        await until(lambda: is_whole(report))
        archiving_of_all.stop("one")
        async with await source(original).sql() as sql:
            async with asyncio.timeout(30):
                while not await end_archiving(source(original)):  # noqa: ASYNC110 - it notices a moment later
                    await asyncio.sleep(0.05)
            for number in range(3):
                await sql.execute(f"CREATE TABLE public.more{number} (n int)")
                await sql.execute("SELECT pg_switch_wal()")
            await sql.execute("CHECKPOINT")
        folder = f"databases/one/{wal_folder(report.state.system, report.state.timeline)}"
        for strange in ("x", f"{'F' * 15}0-{'F' * 16}"):  # by whoever may write into the bucket
            await archive.store.put(f"{folder}{strange}", b"anything")
        report = archiving_of_all.keep("one", wanted, archive)
        await until(lambda: is_whole(report))
        assert report.fault == "" and len((await base_backups.manifests(archive, "base")).whole) == 2
        assert report.state.latest is not None
        log = await chunks(archive, report.state)
        plan = plan_recovery(report.bases, log, report.state.latest, latest_of(report.state))
        await restoring.verify(archive, "base", plan)
        first, second = (await base_backups.manifests(archive, "base")).whole
        between = first.completed_at + (second.completed_at - first.completed_at) / 2
        with pytest.raises(Unrestorable, match="is missing"):
            plan_recovery([first], log, between, latest_of(report.state))
    finally:
        await archiving_of_all.close()


def is_whole(report: Report) -> bool:
    """Whether one base backup, and no older one, brings back the latest moment."""
    latest = report.state.latest
    return len(report.bases) == 1 and latest is not None and latest >= report.bases[0].completed_at


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not done():  # noqa: ASYNC110 - a server of others is at work
            await asyncio.sleep(0.05)


async def test_what_is_missing_or_changed_is_told_before_anything_is_written(
    original: PostgresServer, archive: Archive
) -> None:
    state = ArchiveState()
    async with archiving(archive, original, state):
        base = await base_backups.take(archive, source(original), "base")
        async with await source(original).sql() as sql:
            await sql.execute("CREATE TABLE public.filler AS SELECT generate_series(1, 100000) AS n")
            await marked(state, await now(sql))
    assert state.latest is not None
    plan = plan_recovery([base], await chunks(archive, state), state.latest, latest_of(state))
    await restoring.verify(archive, "base", plan)
    part = f"base/{base.id}/part-000001"
    for name, told in ((plan.chunks[-1].name, "the log is not whole"), (part, r"base backup .* is not whole")):
        held = await archive.get(name)
        await archive.delete(name)
        with pytest.raises(Damaged, match=told):
            await restoring.verify(archive, "base", plan)
        await archive.put(name, b"something else, sealed with the right key")
        with pytest.raises(Damaged, match=r"does not hold the log|is not the one that its manifest names"):
            await restoring.verify(archive, "base", plan)
        await archive.put(name, held)
    await restoring.verify(archive, "base", plan)
