"""Puts what another copy has whole in the place of what is damaged here. Nothing is taken that is not damaged, and
nothing stays that is not the blob that was written.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from anyio import to_thread

from services.storage_manager.blobs import StoredWriter, is_blob_id
from services.storage_manager.errors import Corrupt
from services.storage_manager.object_data import ObjectData
from services.storage_manager.segment_format import is_small, small_blob_id

log = logging.getLogger(__name__)


class Repairs:
    """Of one data folder. `record` is told of each blob that is whole again."""

    def __init__(self, data: ObjectData, record: Callable[[], None] = lambda: None) -> None:
        self._data, self._record = data, record
        self._blob, self._end = "", 0
        self._writer: StoredWriter | None = None

    async def take(self, blob: str, size: int, start: int, data: bytes, *, last: bool) -> None:
        """Stored bytes of a damaged blob of `size` plaintext bytes, from `start` on; one blob after the other.

        Raises Corrupt for what is not asked for, not in order, or not that blob.
        """
        if blob not in self._data.damaged.all():
            raise Corrupt(f"{blob} is not damaged")
        if is_small(blob):
            await self._data.small.restore(small_blob_id(blob), size, data)
        elif not await self._take_large(blob, size, start, data, last=last):
            return
        self._data.damaged.clear(blob)
        self._record()
        log.info("blob %s is whole again: another copy had it", blob)

    async def _take_large(self, blob: str, size: int, start: int, data: bytes, *, last: bool) -> bool:
        """Whether that was all of it."""
        if not is_blob_id(blob):
            raise Corrupt(f"{blob!r} is no blob")
        if start == 0:
            self.abandon()
            self._writer, self._blob, self._end = await to_thread.run_sync(self._data.blobs.restore, blob), blob, 0
        if self._writer is None or self._blob != blob or self._end != start:
            raise Corrupt(f"the bytes of {blob} come in another order")
        writer = self._writer
        try:
            await to_thread.run_sync(writer.feed, data)
            self._end += len(data)
            if last:
                await to_thread.run_sync(writer.commit, size)
                self._writer = None
        except BaseException:
            self.abandon()
            raise
        return last

    def abandon(self) -> None:
        """Drop what was not finished."""
        if self._writer is not None:
            self._writer.abandon()
            self._writer = None
