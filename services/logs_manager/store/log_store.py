"""Log lines: durable before they are acknowledged, and read from the file beside the writer.

What comes is a fresh block of each stream in the file at once; later, fresh blocks become large ones, in one
transaction with their end: kill it anywhere, and each acknowledged line is there once. Memory holds streams alone.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from services.logs_manager.store import tables
from services.logs_manager.store.blocks import LINE_BYTES, SEALED_LEVEL, Entry, in_order, packed
from services.logs_manager.store.reader import LogReader
from services.logs_manager.store.streams import Stream, StreamIndex
from services.logs_manager.store.tables import FULL_BLOCK, SEALED, NewBlock
from services.sdk.group_commit import GroupCommitter
from services.sdk.sqlite_file import SqliteFile

LONGEST_LINE = 256 << 10
"""Bytes of UTF-8."""
_MERGED_AT_ONCE = 8
_ALWAYS = (1 << 63) - 1
_LARGE = 8 << 10
"""Bytes of text above which fresh lines are compressed: small blocks are merged soon."""


class NewLine(NamedTuple):
    """`time`: ns since 1970. `fields`: JSON of an object of texts, empty for none."""

    time: int
    line: bytes
    fields: bytes = b""


class Written(NamedTuple):
    """Lines of one stream, in the order they were written."""

    stream: Stream
    lines: Sequence[NewLine]


class Progress(NamedTuple):
    """How far a source was read with some lines: from the position `before` (empty: its beginning) to `position`."""

    source: str
    before: str
    position: str


class StreamIsGone(ValueError):
    """Lines come for a stream that was deleted: whoever writes makes it anew."""


class LogStore:
    """Used by one event loop; `reader` for each other thread. `unreadable`: blocks that are passed over."""

    def __init__(self, file: SqliteFile, committer: GroupCommitter, folder: Path, name: str = tables.FILE) -> None:
        self._committer, self._path = committer, folder / name
        db = file.connection
        file.begin()
        tables.forget_strays(db)
        file.commit()
        self.streams = StreamIndex(tables.all_streams(db), tables.newest_stream(db))
        self._gone, self._ending = set[int](), set[int]()
        self._saved, self._coming = set(self.streams.by_id), Counter[int]()
        for each in self.streams.all():
            each.saved = True
        self.unreadable: set[int] = set()
        self.positions = tables.all_positions(db)
        self._number = tables.newest_line(db)
        self.lines_taken = self.bytes_taken = self._writes = 0

    async def append(self, written: Sequence[Written], arrived: int, read: Progress | None = None) -> bool:
        """Durable when it returns, with how far a source was read; False, and nothing, where it stands elsewhere.
        `arrived`: ms since 1970. Raises sqlite3.Error, StreamIsGone.
        """
        self._writes += 1
        for each in written:
            if self.streams.by_id.get(each.stream.id) is not each.stream:
                raise StreamIsGone(f"the log stream {each.stream.name} was deleted")
            each.stream.written = self._writes
        new = list({each.stream.id: each.stream for each in written if each.stream.id not in self._saved}.values())
        blocks = [self._block(each, arrived) for each in written if each.lines]

        def write(db: sqlite3.Connection) -> bool:
            if read is not None and not tables.move_position(db, *read):
                return False
            tables.add_streams(db, new)
            tables.add_blocks(db, blocks)
            return True

        def done(kept: bool) -> None:
            self._came(new, saved=kept)
            if not kept:
                return
            self._saved.update({each.id for each in new} - self._ending)
            if read is not None:
                self.positions[read.source] = read.position
            self.lines_taken += sum(each.lines for each in blocks)
            self.bytes_taken += sum(each.size - LINE_BYTES * each.lines for each in blocks)

        def undo() -> None:
            self._came(new, saved=False)

        self._coming.update(each.id for each in new)
        return await self._committer.submit(write, done, undo)

    def _came(self, streams: Sequence[Stream], *, saved: bool) -> None:
        """What is not on the disk, and about to be, takes nobody's place."""
        self._coming.subtract(each.id for each in streams)
        for each in streams:
            each.saved |= saved
            if not self._coming[each.id]:
                del self._coming[each.id]
                if not each.saved:
                    self.streams.remove([each.id])

    def _block(self, written: Written, arrived: int) -> NewBlock:
        start = self._number + 1
        self._number += len(written.lines)
        entries = in_order(Entry(each[0], number, *each[1:]) for number, each in enumerate(written.lines, start))
        size = sum(len(each.line) + len(each.fields) + LINE_BYTES for each in entries)
        sealed = size >= FULL_BLOCK // 2
        return NewBlock(
            written.stream.id,
            entries[0].time,
            entries[-1].time,
            SEALED if sealed else 0,
            len(entries),
            size,
            self._number,
            arrived,
            packed(entries, SEALED_LEVEL if sealed or size > _LARGE else 0),
        )

    async def merge(self) -> None:
        """Make large blocks of fresh ones, where there are enough. Raises sqlite3.Error."""
        while await self._committer.submit(lambda db: tables.merge_some(db, _MERGED_AT_ONCE)):
            pass
        self.unreadable |= await self._committer.submit(tables.set_aside)

    async def forget_before(self, streams: Sequence[Stream], moment: int) -> None:
        """Let go of what ends before that moment (ns). Raises sqlite3.Error."""
        ids = [each.id for each in streams]
        while await self._committer.submit(lambda db: tables.forget_before(db, ids, moment)):
            pass

    async def shrink(self, streams: Sequence[Stream], most: int) -> bool:
        """Let go of the oldest until these take at most so many bytes. Whether there was too much."""
        ids = [each.id for each in streams]
        moment = await self._committer.submit(lambda db: tables.moment_over(db, ids, most)) if ids else None
        if moment is not None:
            await self.forget_before(streams, moment)
        return moment is not None

    async def delete(self, streams: Sequence[Stream]) -> None:
        """Them and their lines, at once for whoever asks; what comes from now on makes a new one. Raises
        sqlite3.Error: what is not gone then is there as before.
        """
        ids = [each.id for each in streams]
        self.streams.remove(ids)
        self._saved.difference_update(ids)
        await self._committer.submit(
            lambda db: tables.forget_streams(db, streams), undo=lambda: self.streams.put_back(streams)
        )
        self._gone.update(ids)
        await self.forget_gone()

    async def forget_gone(self) -> None:
        """Lines of streams that were deleted. Raises sqlite3.Error: they are let go of when this is called again."""
        ids = list(self._gone)
        while await self._committer.submit(lambda db: tables.forget_before(db, ids, _ALWAYS)):
            pass
        self._gone.difference_update(ids)

    async def forget_empty(self, streams: Sequence[Stream]) -> None:
        """Those that have no lines, nor have any come meanwhile. Raises sqlite3.Error."""
        before, ids = self._writes, {each.id for each in streams}
        # What comes from now on brings its stream along.
        self._saved -= ids
        self._ending |= ids

        def undo() -> None:
            self._ending -= ids

        def done(gone: list[int]) -> None:
            undo()
            found = [self.streams.by_id[id] for id in gone if id in self.streams.by_id]
            self.streams.remove(each.id for each in found if each.written <= before)

        await self._committer.submit(lambda db: tables.forget_empty(db, streams), done, undo)

    async def forget_positions(self, sources: Sequence[str]) -> None:
        """Raises sqlite3.Error."""

        def done(_: None) -> None:
            for each in sources:
                self.positions.pop(each, None)

        await self._committer.submit(lambda db: tables.forget_positions(db, sources), done)

    async def sizes(self) -> dict[int, tables.StreamSize]:
        """Raises sqlite3.Error."""
        return await self._committer.submit(tables.sizes)

    def reader(self) -> LogReader:
        """For the queries of one thread."""
        return LogReader(self._path, self.unreadable)
