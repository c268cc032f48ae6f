"""Backups of a real server, and recoveries of them into another: to a moment, after kills, with parts missing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.db_manager import server
from services.db_manager.backups import base_backups, restoring
from services.db_manager.backups.base_backups import Archive, Source
from services.db_manager.backups.catalog import RecoveryPlan, WalChunk, plan_recovery, read_chunk_name, wal_folder
from services.db_manager.backups.sealing import Damaged, Sealer
from services.db_manager.backups.stores import FolderStore
from services.db_manager.backups.wal_archiver import ArchiveState, WalArchiver
from services.db_manager.tests.postgres_server import SUPERUSER, PostgresServer, running
from services.sdk.postgres import PostgresConnection, PostgresError

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def original() -> Iterator[PostgresServer]:
    with running() as server:
        yield server


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(FolderStore(tmp_path), "databases/one", Sealer(bytes(32)))


def source(of: PostgresServer) -> Source:
    return Source(of.endpoint, SUPERUSER, "shop", "shop")


@asynccontextmanager
async def archiving(archive: Archive, of: PostgresServer, state: ArchiveState) -> AsyncIterator[None]:
    task = asyncio.create_task(WalArchiver(archive, source(of), 0.05, state).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def marked(state: ArchiveState, moment: datetime) -> None:
    async with asyncio.timeout(20):
        while state.latest is None or state.latest <= moment:  # noqa: ASYNC110 - the server's time passes
            await asyncio.sleep(0.02)


async def now(connection: PostgresConnection) -> datetime:
    ((text,),) = await connection.fetch("SELECT extract(epoch FROM clock_timestamp())::text")
    return datetime.fromtimestamp(float(text or 0), UTC)


async def chunks(archive: Archive, state: ArchiveState) -> list[WalChunk]:
    return [read_chunk_name(each) for each in await archive.names(wal_folder(state.system, state.timeline))]


async def recovered(archive: Archive, plan: RecoveryPlan, query: str) -> list[tuple[str | None, ...]]:
    """What a server that is brought to that plan answers."""
    await restoring.verify(archive, "base", plan)
    with running() as blank:
        await restoring.bring(archive, "base", plan, blank.endpoint, SUPERUSER, "r1")
        blank.start_from_what_was_brought()
        assert await restoring.restored_as(blank.endpoint, SUPERUSER) == "r1"
        async with server.opened(blank.endpoint, "postgres", SUPERUSER, "postgres") as connection:
            return await connection.fetch(query)


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
        plan = plan_recovery([base], await chunks(archive, state), before, state.latest)
        assert plan.until == before
        assert await recovered(archive, plan, "SELECT count(*) FROM public.lines") == [("200000",)]
        latest = plan_recovery([base], await chunks(archive, state), state.latest, state.latest)
        found = await recovered(
            archive, latest, "SELECT to_regclass('public.lines'), to_regclass('public.afterwards')"
        )
        assert found == [(None, "public.afterwards")]


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
    plan = plan_recovery([base], await chunks(archive, state), state.latest, state.latest)
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


async def test_nothing_that_was_acknowledged_is_missing_however_often_all_is_killed(
    original: PostgresServer, archive: Archive
) -> None:
    """Writes without a pause; the archiver is broken off, and the server killed, again and again."""
    state, acknowledged = ArchiveState(), dict[int, datetime]()
    async with await source(original).sql() as sql:
        await sql.execute("CREATE TABLE public.written (n int PRIMARY KEY)")
        async with archiving(archive, original, state):
            base = await base_backups.take(archive, source(original), "base")
    writing = asyncio.create_task(_write(original, acknowledged))
    for round_ in range(6):
        async with archiving(archive, original, state):
            before = len(acknowledged)
            async with asyncio.timeout(30):
                while len(acknowledged) < before + 100:  # noqa: ASYNC110 - until a server of others has done so much
                    await asyncio.sleep(0.01)
            if round_ % 2:
                original.kill()
        if round_ % 2:
            original.start()
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    async with await source(original).sql() as sql, archiving(archive, original, state):
        await marked(state, await now(sql))
    assert state.latest is not None
    plan = plan_recovery([base], await chunks(archive, state), state.latest, state.latest)
    found = await recovered(archive, plan, "SELECT string_agg(n::text, ' ') FROM public.written")
    there = {int(each) for each in (found[0][0] or "").split()}
    assert len(acknowledged) >= 600 and not set(acknowledged) - there


async def _write(server_of: PostgresServer, acknowledged: dict[int, datetime]) -> None:
    number = 0
    while True:
        try:
            async with await source(server_of).sql() as sql:
                while True:
                    number += 1
                    returning = "RETURNING extract(epoch FROM clock_timestamp())"
                    ((moment,),) = await sql.fetch(f"INSERT INTO public.written VALUES ({number}) {returning}")
                    acknowledged[number] = datetime.fromtimestamp(float(moment or 0), UTC)
        except (PostgresError, OSError, TimeoutError):
            await asyncio.sleep(0.02)
