"""Garbage collection: blobs nothing names, files of writes that died, uploads nobody completes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import anyio
from anyio import to_thread

from services.storage_manager.blobs import Blobs
from services.storage_manager.metadata import MetadataIndex
from services.storage_manager.object_data import ObjectData
from services.storage_manager.segment_format import is_small, small_blob_id

log = logging.getLogger(__name__)
COLLECT_EVERY_SECONDS = 60.0
ORPHANS_EVERY_SECONDS = 3600.0
# For readers in other replicas. Those in this one are known, and waited for.
PIN_GRACE_SECONDS = 900.0
# Writers wait no longer than so many take, and memory holds no more of them.
MOST_AT_ONCE = 2000
UPLOADS_SECONDS = 7 * 24 * 3600.0


class BlobCollector:
    """Safe beside other replicas: erasing twice is erasing once. `erased` is told which segments hold less."""

    def __init__(
        self,
        metadata: MetadataIndex,
        data: ObjectData,
        clock: Callable[[], float] = time.time,
        erased: Callable[[set[int]], None] = lambda _: None,
    ) -> None:
        self._metadata, self._clock, self._erased = metadata, clock, erased
        self._blobs, self._small, self._pins, self._damaged = data.blobs, data.small, data.pins, data.damaged

    async def run(self) -> None:
        """Run until cancelled. A disk that fails is tried again at the next turn."""
        orphans_due = 0.0
        while True:
            try:
                await to_thread.run_sync(self.collect)
                if anyio.current_time() >= orphans_due:
                    await to_thread.run_sync(self.collect_orphans)
                    orphans_due = anyio.current_time() + ORPHANS_EVERY_SECONDS
            except OSError:
                log.exception("the collection failed; it is tried again")
            await anyio.sleep(COLLECT_EVERY_SECONDS)

    def collect(self) -> None:
        """Old uploads, forgotten blobs, and what writers left when they died. Blocking."""
        now = self._clock()
        self._blobs.drop_dead()
        self._metadata.expire(before=now - UPLOADS_SECONDS)
        before, last = now - PIN_GRACE_SECONDS, ""
        while old := self._metadata.garbage_blobs(before, last, MOST_AT_ONCE):
            last = old[-1]
            self._erase([blob for blob in old if blob not in self._pins])
        self._small.writer.release()
        self._small.reader.drop_deleted()

    def _erase(self, gone: list[str]) -> None:
        """Small ones with their rows; their room comes back when their segment is compacted."""
        for blob in gone:
            if not is_small(blob):
                self._blobs.forget(blob)
        with self._metadata.transaction():
            segments = self._small.index.erase(small_blob_id(blob) for blob in gone if is_small(blob))
            self._metadata.mark_deleted(gone)
        self._erased(segments)
        for blob in gone:
            self._damaged.clear(blob)

    def collect_orphans(self) -> None:
        """Files no index ever named, of writes that died. Blocking; reads the whole folder."""
        _drop_orphans(self._metadata, self._blobs)


class CopyCollector:
    """Of a copy, which is told what is erased: only what writers left when they died is its own to find."""

    def __init__(self, metadata: MetadataIndex, data: ObjectData) -> None:
        self._metadata, self._blobs, self._small = metadata, data.blobs, data.small

    async def run(self) -> None:
        """Run until cancelled. A disk that fails is tried again at the next turn."""
        while True:
            try:
                await to_thread.run_sync(self.collect)
            except OSError:
                log.exception("the collection failed; it is tried again")
            await anyio.sleep(ORPHANS_EVERY_SECONDS)

    def collect(self) -> None:
        """Blocking; reads the whole folder."""
        self._blobs.drop_dead()
        self._small.writer.release()
        self._small.reader.drop_deleted()
        _drop_orphans(self._metadata, self._blobs)


def _drop_orphans(metadata: MetadataIndex, blobs: Blobs) -> None:
    # The folder first: a blob that is named in between is then known.
    found = blobs.old_files()
    known = metadata.known_blobs()
    for path in (each for each in found if each.name not in known):
        path.unlink(missing_ok=True)
