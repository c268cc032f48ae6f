"""An archive of a real server for tests: filled, planned with, recovered into another server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.db_manager import server
from services.db_manager.backups import restoring
from services.db_manager.backups.archiving import stored_log
from services.db_manager.backups.base_backups import Archive, Source
from services.db_manager.backups.catalog import LatestMoment, RecoveryPlan, WalChunk
from services.db_manager.backups.sealing import Sealer
from services.db_manager.backups.stores import FolderStore
from services.db_manager.backups.wal_archiver import ArchiveState, WalArchiver
from services.db_manager.tests.postgres_server import SUPERUSER, PostgresServer, running
from services.sdk.postgres import PostgresConnection


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
    return await stored_log(archive, state)


def latest_of(state: ArchiveState) -> LatestMoment:
    assert state.latest is not None
    return LatestMoment(state.latest, state.system, state.marked)


async def recovered(archive: Archive, plan: RecoveryPlan, query: str) -> list[tuple[str | None, ...]]:
    """What a server that is brought to that plan answers."""
    await restoring.verify(archive, "base", plan)
    with running() as blank:
        await restoring.bring(archive, "base", plan, blank.endpoint, SUPERUSER, "r1")
        blank.start_from_what_was_brought()
        assert await restoring.restored_as(blank.endpoint, SUPERUSER) == "r1"
        async with server.opened(blank.endpoint, "postgres", SUPERUSER, "postgres") as connection:
            return await connection.fetch(query)
