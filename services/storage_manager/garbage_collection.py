"""Garbage collection: blobs nothing names, files of writes that died, uploads nobody completes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import anyio
from anyio import to_thread

from services.storage_manager.blob_pins import BlobPins
from services.storage_manager.blobs import Blobs
from services.storage_manager.metadata import MetadataIndex

log = logging.getLogger(__name__)
COLLECT_EVERY_SECONDS = 60.0
ORPHANS_EVERY_SECONDS = 3600.0
# For readers in other replicas. Those in this one are known, and waited for.
PIN_GRACE_SECONDS = 900.0
UPLOADS_SECONDS = 7 * 24 * 3600.0


class BlobCollector:
    """Safe beside other replicas: erasing twice is erasing once."""

    def __init__(
        self, metadata: MetadataIndex, blobs: Blobs, pins: BlobPins, clock: Callable[[], float] = time.time
    ) -> None:
        self._metadata, self._blobs, self._pins, self._clock = metadata, blobs, pins, clock

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
        old = self._metadata.garbage_blobs(before=now - PIN_GRACE_SECONDS)
        gone = [blob for blob in old if blob not in self._pins]
        for blob in gone:
            self._blobs.forget(blob)
        if gone:
            self._metadata.mark_deleted(gone)

    def collect_orphans(self) -> None:
        """Files no index ever named, of writes that died. Blocking; reads the whole folder."""
        # The folder first: a blob that is named in between is then known.
        found = self._blobs.old_files()
        known = self._metadata.known_blobs()
        for path in (each for each in found if each.name not in known):
            path.unlink(missing_ok=True)
