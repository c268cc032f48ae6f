"""Takes the log of one server into an archive as it is written. The server keeps what is not stored yet (a slot), so
nothing is missing in it however often this is interrupted.

At each mark it has the server commit a transaction of its own, where others have committed: see `catalog`.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from services.db_manager.backups.base_backups import Archive, Source
from services.db_manager.backups.catalog import chunk_name, chunks_among, segment_floor, wal_folder
from services.db_manager.backups.replication import ReplicationConnection, WalData, lsn_of, lsn_text
from services.db_manager.backups.sealing import Damaged
from services.db_manager.backups.stores import Missing
from services.sdk.postgres import PostgresConnection, PostgresError, quoted_text

SLOT = "aerekos_backup"
CHUNK_BYTES = 1 << 20
_STATEMENTS = "SET synchronous_commit = on"
_STATE = """
SELECT to_char(statement_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'),
  pg_current_snapshot()::text
"""
_COMMIT = "SELECT pg_current_xact_id()::text, pg_logical_emit_message(true, 'aerekos', '')::text"


@dataclass
class ArchiveState:
    """Where it stands. `latest`: the last moment that can be brought back. `position`: all before is stored.
    `marked`: where the last mark is. `marks_anyway`: the next one is made though nobody has committed.
    `whole_since`: where this run had to begin anew; 0 where it went on.
    """

    latest: datetime | None = None
    marked: int = 0
    marks_anyway: bool = False
    position: int = 0
    whole_since: int = 0
    timeline: int = 0
    system: str = ""


@dataclass
class WalArchiver:
    """One run, from connecting to the first failure. `every`: seconds between marks."""

    archive: Archive
    source: Source
    every: float
    state: ArchiveState
    told: Callable[[], None] = lambda: None
    _held: bytearray = field(default_factory=bytearray)
    _received: int = 0
    _quiet: str = ""
    _folder: str = ""

    async def run(self) -> None:
        """Until cancelled. Raises PostgresError, OSError, TimeoutError, StoreError."""
        async with await self.source.sql() as sql, await self.source.replication() as log:
            await sql.execute(_STATEMENTS)
            await self._begin(sql, log)
            await self._follow(sql, log)

    async def _begin(self, sql: PostgresConnection, log: ReplicationConnection) -> None:
        ((system, timeline, *_),) = await log.command("IDENTIFY_SYSTEM")
        state = self.state
        state.system, state.timeline = system or "", int(timeline or 0)
        self._folder = wal_folder(state.system, state.timeline)
        kept = segment_floor(await _kept_from(sql))
        end = await self._stored_up_to(kept)
        if end < kept:  # the first time, or the server has given up on us: only a new base backup can go on from here
            state.whole_since = end = kept
        state.position = self._received = end
        await log.start(SLOT, end, state.timeline)

    async def _stored_up_to(self, kept: int) -> int:
        """Where the last object of the log ends that reaches there; 0 for none. It has to open: a name alone may be
        anybody's who writes into the bucket, and what it says would be acknowledged.
        """
        for chunk in reversed(chunks_among(self._folder, await self.archive.names(self._folder))):
            if chunk.end >= kept:
                with suppress(Damaged, Missing):
                    await self.archive.get(chunk.name)
                    return chunk.end
        return 0

    async def _follow(self, sql: PostgresConnection, log: ReplicationConnection) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        receiving: asyncio.Future[WalData] = asyncio.ensure_future(log.receive())
        try:
            while True:
                await asyncio.wait([receiving], timeout=max(due - loop.time(), 0))
                if receiving.done():
                    await self._take(receiving.result(), log)
                    receiving = asyncio.ensure_future(log.receive())
                elif loop.time() >= due:
                    receiving = await self._mark(sql, log, receiving)
                    due = loop.time() + self.every
        finally:
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)

    async def _take(self, got: WalData, log: ReplicationConnection) -> None:
        if not got.data:
            log.acknowledge(self.state.position)
            return
        if got.start != self._received:
            raise PostgresError(f"the server sends its log from {lsn_text(got.start)} on, which was not asked for")
        self._held += got.data
        self._received += len(got.data)
        while len(self._held) >= CHUNK_BYTES:
            await self._store(log, self.state.position + CHUNK_BYTES)

    async def _mark(
        self, sql: PostgresConnection, log: ReplicationConnection, receiving: asyncio.Future[WalData]
    ) -> asyncio.Future[WalData]:
        """Store all that is committed, and say up to when that is. Returns what is to be received next."""
        moment, snapshot = await _state(sql)
        if snapshot != self._quiet or self.state.marks_anyway:
            self.state.marks_anyway = False
            ((own, _),) = await sql.fetch(_COMMIT)
            ((flushed,),) = await sql.fetch("SELECT pg_current_wal_flush_lsn()::text")
            end = lsn_of(flushed or "")
            while self._received < end:
                await self._take(await receiving, log)
                receiving = asyncio.ensure_future(log.receive())
            if end <= self.state.position:  # stored already, in a chunk that cannot be marked any more: the next one
                self.state.marks_anyway = True
                return receiving
            await self._store(log, end, moment)
            self._quiet, self.state.marked = _after(snapshot, own or ""), end
        elif self._held:
            await self._store(log, self._received)
        self.state.latest = moment
        log.acknowledge(self.state.position)
        self.told()
        return receiving

    async def _store(self, log: ReplicationConnection, end: int, mark: datetime | None = None) -> None:
        """What is held up to there, as one chunk."""
        start = self.state.position
        if end <= start:
            return
        content = bytes(self._held[: end - start])
        packed = await asyncio.to_thread(gzip.compress, content, 1)
        await self.archive.put(chunk_name(self._folder, start, end, mark), packed)
        del self._held[: end - start]
        self.state.position = end
        log.acknowledge(end)


async def _state(sql: PostgresConnection) -> tuple[datetime, str]:
    """The server's clock, and which transactions were over then."""
    ((moment, snapshot),) = await sql.fetch(_STATE)
    return datetime.fromisoformat(moment or ""), snapshot or ""


def _after(snapshot: str, own: str) -> str:
    """What the snapshot is as long as nobody commits after us; empty where somebody did before, or is about to."""
    _, following, running = snapshot.split(":")
    return f"{int(own) + 1}:{int(own) + 1}:" if following == own and not running else ""


async def _kept_from(sql: PostgresConnection) -> int:
    """From where on the server keeps its log for us; it begins to where it does not, or has stopped to."""
    name = quoted_text(SLOT)
    query = f"SELECT restart_lsn::text FROM pg_replication_slots WHERE slot_name = {name} AND wal_status <> 'lost'"  # noqa: S608
    found = await sql.fetch(query)
    if not found:
        await forget_slot(sql)
        await sql.fetch(f"SELECT pg_create_physical_replication_slot({name}, true)")
        found = await sql.fetch(query)
    ((restart,),) = found
    return lsn_of(restart or "")


async def forget_slot(sql: PostgresConnection) -> bool:
    """Whether the server keeps no log for us any more. Raises PostgresError, OSError, TimeoutError."""
    name = quoted_text(SLOT)
    ours = f"FROM pg_replication_slots WHERE slot_name = {name}"
    await sql.fetch(f"SELECT pg_drop_replication_slot(slot_name) {ours} AND NOT active")
    return not await sql.fetch(f"SELECT 1 {ours}")
