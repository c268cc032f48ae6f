"""Small blobs: kept in segments, sealed in memory, durable with the change of the index that names them.

What is read is one `pread` and one frame: that is done at once, for a thread would take longer.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from anyio import to_thread

from services.storage_manager.blob_format import FRAME, BlobCipher
from services.storage_manager.errors import Corrupt
from services.storage_manager.group_commit import GroupCommitter
from services.storage_manager.metadata.database import MetadataDb
from services.storage_manager.segment_format import (
    SmallBlobId,
    is_small,
    read_record,
    record,
    record_length,
    small_blob_id,
)
from services.storage_manager.segment_index import SegmentIndex, SmallBlob
from services.storage_manager.segments import SegmentReader, SegmentWriter, overwrite

LARGEST = FRAME
_MOST_MOVES = 3  # a compactor may move it again just after it was looked up
CipherOf = Callable[[str], BlobCipher]


class SmallBlobs:
    """All small blobs of one data folder. Several processes may have it open."""

    def __init__(self, folder: Path, metadata: MetadataDb) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder, self.metadata = folder, metadata
        self.index = SegmentIndex(metadata)
        self.writer, self.reader = SegmentWriter(folder), SegmentReader(folder)
        self.committer = GroupCommitter(metadata, self.writer, self.index)

    def seal(self, body: bytes, cipher_of: CipherOf) -> str:
        """A new blob's id. It is on the disk, and is known, once a change that names it is committed."""

        def make(id: SmallBlobId) -> bytes:
            cipher = cipher_of(str(id))
            return record(id, cipher.mode, cipher.seal(0, True, body))

        return str(self.writer.append(len(body), make))

    def read(self, blob: str, cipher: BlobCipher, size: int) -> bytes:
        """The plaintext. Raises Corrupt before a wrong byte leaves."""
        mode, body = read_record(small_blob_id(blob), self.stored(blob, size))
        if mode != cipher.mode:
            raise Corrupt(f"blob {blob}: sealed in another way than the index says")
        return cipher.open(0, True, body)

    def stored(self, blob: str, size: int) -> bytes:
        """Its record, as it lies on the disk. Raises Corrupt when it is gone."""
        id, length = small_blob_id(blob), record_length(size)
        found = self.reader.read(id.segment, id.offset, length)
        for _ in range(_MOST_MOVES):
            if found is not None:
                return found
            moved = self.index.locate(id)
            found = self.reader.read(*moved, length) if moved is not None else None
        raise Corrupt(f"blob {blob}: missing")

    def whole_record(self, id: SmallBlobId, size: int) -> bytes:
        """Its record, judged by its CRC. Raises Corrupt."""
        found = self.stored(str(id), size)
        read_record(id, found)
        return found

    async def restore(self, id: SmallBlobId, size: int, found: bytes) -> None:
        """Put the record that another copy has in the place of one that is damaged here. Raises Corrupt when that
        is none, OSError. Nothing happens where the blob is erased.
        """
        read_record(id, found)
        if len(found) != record_length(size):
            raise Corrupt(f"blob {id}: a record of another length")
        here = await to_thread.run_sync(self.index.locate, id)
        if here is not None and not await to_thread.run_sync(overwrite, self.folder, *here, found):
            blob, to = SmallBlob(id, size, *here), self.writer.append(size, lambda _: found)
            await self.committer.run(lambda: self._move(blob, to))

    def _move(self, blob: SmallBlob, to: SmallBlobId) -> None:
        self.writer.require_durable(to, blob.size)
        self.index.move([(blob, to)])

    def close(self) -> None:
        """Give the segments up. Blocking."""
        self.committer.close()
        self.writer.close()


def new_blobs(pieces: list[tuple[str, int]]) -> list[tuple[SmallBlobId, int]]:
    """The small ones among those blobs and their sizes."""
    return [(small_blob_id(blob), size) for blob, size in pieces if is_small(blob)]
