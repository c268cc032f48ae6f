"""Writes without a pause, while archiver and server are killed; `make test-crash` does it 300 times."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime

import pytest

from services.db_manager.backups import base_backups
from services.db_manager.backups.base_backups import Archive
from services.db_manager.backups.catalog import plan_recovery
from services.db_manager.backups.wal_archiver import ArchiveState
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
from services.sdk.postgres import PostgresError

__all__ = ["archive", "original"]
pytestmark = pytest.mark.anyio
ROUNDS = int(os.environ.get("AEREKOS_CRASH_ROUNDS", "6"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_nothing_that_was_acknowledged_is_missing_however_often_all_is_killed(
    original: PostgresServer, archive: Archive
) -> None:
    state, acknowledged = ArchiveState(), dict[int, datetime]()
    async with await source(original).sql() as sql:
        await sql.execute("CREATE TABLE public.written (n int PRIMARY KEY)")
        async with archiving(archive, original, state):
            base = await base_backups.take(archive, source(original), "base")
    writing = asyncio.create_task(_write(original, acknowledged))
    for round_ in range(ROUNDS):
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
    plan = plan_recovery([base], await chunks(archive, state), state.latest, latest_of(state))
    found = await recovered(archive, plan, "SELECT string_agg(n::text, ' ') FROM public.written")
    there = {int(each) for each in (found[0][0] or "").split()}
    assert len(acknowledged) >= 100 * ROUNDS and not set(acknowledged) - there


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
