"""Compaction: what lives in segments that are mostly dead goes into a new one, and those are deleted.

A record is copied as it is, its new place is committed to the index, and only then its old segment goes: killed at
any moment, the next turn goes on where this one ended. A segment that somebody writes is locked and left alone, as is
one that another process compacts. A damaged record is not copied: its segment stays, with all that is left in it.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

import anyio
from anyio import to_thread

from services.storage_manager.errors import Corrupt
from services.storage_manager.segment_format import SEGMENT_HEADER, SmallBlobId, read_record, record_length
from services.storage_manager.segment_index import SmallBlob
from services.storage_manager.segments import SEGMENT_SIZE, closed_segment, segment_ids, segment_path, sync_folder
from services.storage_manager.small_blobs import SmallBlobs

log = logging.getLogger(__name__)
COMPACT_EVERY_SECONDS = 60.0
# What other processes erased is not known here: that often, all segments are looked at.
ALL_EVERY_SECONDS = 3600.0
LEAST_LIVING = 0.5
# Each start of the service begins a segment: small ones are put together once there are so many.
SMALL_SEGMENT, MOST_SMALL = SEGMENT_SIZE // 8, 16
BYTES_PER_SECOND = 32 << 20
_BATCH = 64


class _Segment(NamedTuple):
    id: int
    length: int
    living: int


class Compactor:
    """Of one data folder. Keeps to BYTES_PER_SECOND."""

    def __init__(self, small: SmallBlobs) -> None:
        self._small = small
        self._due: set[int] = set()

    def note_erased(self, segments: set[int]) -> None:
        """Those hold less than before."""
        self._due |= segments

    async def run(self) -> None:
        """Run until cancelled. What fails is tried again at the next turn."""
        all_due = 0.0
        while True:
            if anyio.current_time() >= all_due:
                self._due |= set(await to_thread.run_sync(segment_ids, self._small.folder))
                all_due = anyio.current_time() + ALL_EVERY_SECONDS
            try:
                await self.compact_due()
            except OSError:
                log.exception("compaction failed; it is tried again")
            await anyio.sleep(COMPACT_EVERY_SECONDS)

    async def compact_due(self) -> None:
        """Whatever is worth it among the segments that may have changed, and small ones once there are many."""
        due, self._due = self._due, set()
        seen = [found for id in sorted(due) if (found := await to_thread.run_sync(self._look, id)) is not None]
        small = [each for each in seen if each.length < SMALL_SEGMENT]
        self._due |= {each.id for each in small}  # alone they are not worth it, together with later ones they may be
        worth = {each.id for each in (small if len(small) >= MOST_SMALL else ())}
        worth |= {each.id for each in seen if each.living < LEAST_LIVING * (each.length - SEGMENT_HEADER)}
        worth |= {each.id for each in seen if not each.living}
        for each in sorted(
            seen, key=lambda each: each.living
        ):  # on a full disk, what needs the least room goes first
            if each.id in worth:
                await self.compact(each.id)

    def _look(self, id: int) -> _Segment | None:
        """None for one that is being written; that one is looked at later."""
        with closed_segment(self._small.folder, id) as length:
            if length is None:
                if segment_path(self._small.folder, id).exists():
                    self._due.add(id)
                return None
            count, size = self._small.index.usage(id)
            return _Segment(id, length, size + count * record_length(0))

    async def compact(self, id: int) -> None:
        """Move what lives in it, and delete it. Nothing happens while somebody else has it."""
        with closed_segment(self._small.folder, id) as length:
            if length is None:
                return
            while living := await to_thread.run_sync(self._small.index.living, id, _BATCH):
                try:
                    moved = await to_thread.run_sync(self._copied, living)
                except Corrupt as why:
                    log.error("segment %016x is not compacted: %s", id, why)  # the scrubber says of which object
                    return
                await self._small.committer.run(lambda moved=moved: self._move(moved))  # type: ignore[misc]
                await anyio.sleep(sum(record_length(blob.size) for blob in living) / BYTES_PER_SECOND)
            await to_thread.run_sync(self._delete, id)
        self._due.discard(id)

    def _copied(self, living: list[SmallBlob]) -> list[tuple[SmallBlob, SmallBlobId]]:
        """Where the copies lie. Raises Corrupt where a record is not what was written."""
        copied = []
        for blob in living:
            data = self._small.reader.read(blob.segment, blob.offset, record_length(blob.size)) or b""
            read_record(blob.id, data)
            copied.append((blob, self._small.writer.append(blob.size, lambda _, data=data: data)))  # type: ignore[misc]
        return copied

    def _move(self, moved: list[tuple[SmallBlob, SmallBlobId]]) -> None:
        for blob, to in moved:
            self._small.writer.require_durable(to, blob.size)
        self._small.index.move(moved)

    def _delete(self, id: int) -> None:
        segment_path(self._small.folder, id).unlink(missing_ok=True)
        sync_folder(self._small.folder)
        self._small.reader.drop(lambda open: open == id)
