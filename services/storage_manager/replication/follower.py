"""Keeps a copy up to date: asks for changes, fetches what they name, applies them, and says so by asking on.

A copy that is empty, or too far behind, is filled: all rows by key, then what changed meanwhile. A copy of another
index is left alone: it may be all that is left of that one. What is damaged on one side is fetched from the other.
"""

from __future__ import annotations

import logging
import math
import os
import sqlite3
from contextlib import suppress
from functools import partial
from pathlib import Path

import anyio
from anyio import to_thread

from crds.errors import ApiError, Conflict, Expired, Timeout, Unavailable
from crds.formats import NewerFormat
from services.storage_manager.damaged_data import Damage
from services.storage_manager.errors import Corrupt
from services.storage_manager.file_locks import is_locked
from services.storage_manager.metadata import Piece
from services.storage_manager.metadata.database import MetadataDb
from services.storage_manager.metadata.pieces import pieces_of
from services.storage_manager.object_data import ObjectData
from services.storage_manager.replication.caught_up import CaughtUp
from services.storage_manager.replication.change_log import FOLLOWED, ChangedRow, Key
from services.storage_manager.replication.copy import Copy, Position
from services.storage_manager.replication.routes import MOST_RECORDS, MOST_ROWS
from services.storage_manager.replication.source import Source
from services.storage_manager.replication.wire import Message
from services.storage_manager.segment_format import is_small, small_blob_id

log = logging.getLogger(__name__)
WAIT_SECONDS, RETRY_SECONDS = 1.0, 0.5
# What cannot be applied is tried again ever later.
MOST_PATIENCE_SECONDS = 15.0
BEAT_SECONDS = 1.5
# Nobody waits much longer for changes that have not been applied (`followers.STUCK_SECONDS`).
LATE_SECONDS = 10.0
# What could not be mended is tried again so much later: the other side may have it damaged, too.
MEND_SECONDS, MEND_AGAIN_SECONDS = 1.0, 60.0
RESTORE_BYTES = 512 << 10
# A copy with that position is being filled.
UNFILLED = -1


class Follower:
    """Of one data folder. `fault`: why it does not follow now, or None."""

    def __init__(self, source: Source, copy: Copy, metadata: MetadataDb, data: ObjectData, folder: Path) -> None:
        self._source, self._copy, self._metadata, self._data = source, copy, metadata, data
        self._lock, self._caught_up = folder / "follow.lock", CaughtUp(folder / "caught-up")
        self.fault: str | None = "it has just started"
        self.position = copy.position()
        self.behind = 0
        self._received_at, self._patience = math.inf, RETRY_SECONDS
        self._asked_back: dict[str, int] = {}
        self._not_before: dict[str, float] = {}

    def unfit(self) -> str | None:
        """Why nothing may be read from the copy, or None: it had all that was acknowledged when it last knew."""
        if self.position is None or self.position.applied == UNFILLED:
            return self.fault or "the copy is being filled"
        if not self._caught_up:
            return self.fault or f"the copy lacks {self.behind or 'the latest'} changes"
        return None

    async def run(self) -> None:
        """Until cancelled; whatever fails is tried again. One process of a data folder follows."""
        file = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while not is_locked(file):
                self.fault = "another instance keeps the copy in this data folder"
                await anyio.sleep(RETRY_SECONDS)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._beat)
                tasks.start_soon(self._mend_on)
                while True:
                    await self._follow_once()
        finally:
            os.close(file)

    async def _beat(self) -> None:
        """While it follows it is heard, also while a disk or a large blob takes its time."""
        while True:
            await anyio.sleep(BEAT_SECONDS)
            if anyio.current_time() - self._received_at > LATE_SECONDS:
                await to_thread.run_sync(self._caught_up.note, False)
            if self.fault is None:
                with suppress(ApiError, Corrupt, NewerFormat):  # whatever it is, `step` says so
                    await self._source.records([])

    async def _mend_on(self) -> None:
        """What is damaged on either side, beside what is followed: no write waits for it."""
        while True:
            await anyio.sleep(MEND_SECONDS)
            try:
                await self.mend()
            except (ApiError, OSError, sqlite3.Error) as why:
                log.warning("damaged data is not mended now: %s", why)
                await anyio.sleep(MEND_AGAIN_SECONDS)

    async def _follow_once(self) -> None:
        try:
            await self.step(WAIT_SECONDS if self._caught_up else 0)
            self.fault, self._patience = None, RETRY_SECONDS
        except Expired as why:
            log.warning("the copy is too far behind, and is filled anew: %s", why)
            await to_thread.run_sync(self._mark_unfilled)
        except (Unavailable, Timeout) as why:  # what it has is as good as it was
            self._note_fault(why)
            await anyio.sleep(RETRY_SECONDS)
        except (ApiError, Corrupt, NewerFormat, OSError, sqlite3.Error) as why:
            self._note_fault(why)
            with suppress(OSError):
                await to_thread.run_sync(self._caught_up.note, False)
            await anyio.sleep(self._patience)
            self._patience = min(2 * self._patience, MOST_PATIENCE_SECONDS)
        finally:
            self._received_at = math.inf

    def _note_fault(self, why: Exception) -> None:
        if self.fault != str(why):
            log.warning("the copy is not kept up to date: %s", why)
        self.fault = str(why)

    async def step(self, wait_seconds: float) -> None:
        """Take what changed, once; fill the copy where it has to be. Raises as `Source`, Conflict for other data."""
        self.position = await to_thread.run_sync(self._copy.position)
        if self.position is None or self.position.applied == UNFILLED:
            await self.fill()
            return
        message = await self._source.changes(*self.position, wait_seconds)
        batch, self._received_at = message.batch, anyio.current_time()
        await self._fetch_blobs(batch.changes)
        if batch.through != self.position.applied:
            reached = Position(self.position.epoch, batch.through)
            await to_thread.run_sync(partial(self._copy.apply, message, reached))
            self.position = reached
        self.behind = batch.head - batch.through
        await to_thread.run_sync(self._caught_up.note, self.behind == 0)
        self._asked_back.update(message.damaged)

    async def fill(self) -> None:
        """All rows, table by table. What is here already is not fetched again. Raises as `step`."""
        begun = (await self._source.begin()).batch
        if self.position is None and not await to_thread.run_sync(self._copy.is_empty):
            raise Conflict("the data folder holds objects and is no copy: it is left as it is")
        if self.position is not None and self.position.epoch != begun.epoch:
            raise Conflict(
                "storage-manager has another index than the one this copy was made of. The copy is left as it is: it "
                "may be all that is left; to follow the new one, remove the data of storage-replica"
            )
        log.info("the copy is being filled")
        await to_thread.run_sync(self._copy.apply, Message(begun, []), Position(begun.epoch, UNFILLED))
        for table in FOLLOWED:
            await self._fill_table(table)
        self.position = Position(begun.epoch, begun.head)
        await to_thread.run_sync(self._copy.apply, Message(begun, []), self.position)

    async def _fill_table(self, table: str) -> None:
        after: Key | None = None
        while True:
            message = await self._source.rows(table, after, MOST_ROWS)
            rows = message.batch.changes
            await self._fetch_blobs(rows)
            await self._fetch_records(rows)
            await to_thread.run_sync(partial(self._copy.apply, message, None, after, table))
            if not rows:
                return
            after = rows[-1].key

    async def _fetch_records(self, rows: list[ChangedRow]) -> None:
        """Each lot is committed at once: what was fetched before the process was killed is not fetched again."""
        wanted = await to_thread.run_sync(self._copy.missing_records, rows)
        for begin in range(0, len(wanted), MOST_RECORDS):
            found = await self._source.records(wanted[begin : begin + MOST_RECORDS])
            await to_thread.run_sync(self._copy.apply, found, None)

    async def _fetch_blobs(self, changes: list[ChangedRow]) -> None:
        for piece in await to_thread.run_sync(self._copy.missing_blobs, changes):
            await self._fetch(piece)

    async def _fetch(self, piece: Piece) -> None:
        """A large blob. One that is gone there was replaced: a later change says so."""
        writer, start = await to_thread.run_sync(self._data.blobs.restore, piece.blob), 0
        try:
            while block := await self._source.block(piece.blob, start):
                await to_thread.run_sync(writer.feed, block)
                start += len(block)
            if block is None:
                log.info("blob %s is gone where it was copied from", piece.blob)
                writer.abandon()
                return
            await to_thread.run_sync(writer.commit, piece.size)
        except BaseException:
            writer.abandon()
            raise

    async def _give_back(self, blob: str, size: int) -> None:
        """What is damaged there, if it is whole here."""
        try:
            if is_small(blob):
                record = await to_thread.run_sync(self._data.small.whole_record, small_blob_id(blob), size)
                await self._source.restore(blob, size, 0, record, last=True)
            else:
                await self._give_back_large(blob, size)
        except (Corrupt, ApiError) as why:
            log.warning("blob %s, which is damaged there, is not repaired from this copy: %s", blob, why)

    async def _give_back_large(self, blob: str, size: int) -> None:
        path, start = self._data.blobs.path(blob), 0
        try:
            length = path.stat().st_size
            with path.open("rb") as file:
                while data := await to_thread.run_sync(file.read, RESTORE_BYTES):
                    last = start + len(data) >= length
                    await self._source.restore(blob, size, start, data, last=last)
                    start += len(data)
        except FileNotFoundError:
            raise Corrupt(f"blob {blob}: missing") from None

    async def mend(self) -> None:
        """Give back what is damaged there, and fetch again what is damaged here. Raises as `Source`."""
        while self._asked_back:
            await self._give_back(*self._asked_back.popitem())
        now = anyio.current_time()
        self._not_before = {blob: at for blob, at in self._not_before.items() if at > now}
        for blob, damage in self._data.damaged.all().items():
            if blob not in self._not_before:
                await self._mend_one(blob, damage)

    async def _mend_one(self, blob: str, damage: Damage) -> None:
        self._not_before[blob] = anyio.current_time() + MEND_AGAIN_SECONDS
        pieces = await to_thread.run_sync(pieces_of, self._metadata, damage.bucket, damage.key)
        try:
            for piece in [each for each in pieces if each.blob == blob]:
                await self._fetch_again(piece)
        except Corrupt as why:
            log.warning("blob %s, which is damaged here, is not whole there: %s", blob, why)
            return
        self._data.damaged.clear(blob)  # the scrubber, or a reader, says so if it still is

    async def _fetch_again(self, piece: Piece) -> None:
        if not is_small(piece.blob):
            await self._fetch(piece)
            return
        id = small_blob_id(piece.blob)
        found = await self._source.records([(*id, piece.size)])
        if (record := found.records[0]) is None:
            raise Corrupt(f"blob {id}: gone or damaged")
        await self._data.small.restore(id, piece.size, record)

    def _mark_unfilled(self) -> None:
        if self.position is not None:
            self.position = Position(self.position.epoch, UNFILLED)
            self._copy.note_position(self.position)
