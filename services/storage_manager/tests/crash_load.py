"""A mixed load on one data folder that is made to be killed: `python -m services.storage_manager.tests.crash_load`.

Arguments: folder, seed, keys, whether it only compacts. Each change is told on stdout before it begins (`?`) and once
it is durable (`!`): a key, and the seed of the bytes it has then, 0 for none. Segments are tiny, what was replaced is
collected at once, and compaction never pauses.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import anyio
import anyio.lowlevel

from services.storage_manager import compaction, garbage_collection, segments
from services.storage_manager.blob_format import AesGcmCipher, BlobCipher
from services.storage_manager.blob_pins import BlobPins
from services.storage_manager.blobs import Blobs, new_id
from services.storage_manager.compaction import Compactor
from services.storage_manager.data_keys import DataKeys
from services.storage_manager.garbage_collection import BlobCollector
from services.storage_manager.metadata import MetadataIndex, Object, Piece
from services.storage_manager.object_data import ObjectData
from services.storage_manager.segment_format import is_small, small_blob_id
from services.storage_manager.segments import segment_ids
from services.storage_manager.small_blobs import LARGEST, SmallBlobs
from services.storage_manager.tests.test_data_keys import Kms

BUCKET = "b"
WRITERS = 4


def body_of(seed: int) -> bytes:
    """The bytes that the seed stands for: small ones mostly, and some that are files."""
    rng = random.Random(seed)
    return rng.randbytes(rng.choice((0, 10, 700, 4096, 20_000, LARGEST, LARGEST + 1, 150_000)))


def cipher(blob: str) -> BlobCipher:
    return AesGcmCipher(b"k" * 32, blob)


class Folder:
    """One data folder, as a process has it open."""

    def __init__(self, folder: Path) -> None:
        self.metadata = MetadataIndex(folder / "book.db")
        self.blobs = Blobs(folder / "blobs")
        self.small = SmallBlobs(folder / "segments", self.metadata)
        self.data = ObjectData(self.blobs, self.small, DataKeys(self.metadata, Kms()), BlobPins())

    async def put(self, key: str, body: bytes) -> None:
        """Durable when it returns."""
        piece = self._small(body) if len(body) <= LARGEST else await anyio.to_thread.run_sync(self._large, body)
        new = Object(key, len(body), "e", 0.0, {}, (piece,))
        small = [(small_blob_id(piece.blob), piece.size)] if is_small(piece.blob) else []
        await self.small.committer.run(lambda: self.metadata.put(BUCKET, new), small)

    def _small(self, body: bytes) -> Piece:
        return Piece(self.small.seal(body, cipher), len(body), "k")

    def _large(self, body: bytes) -> Piece:
        blob = new_id()
        writer = self.blobs.write(blob, cipher(blob))
        writer.feed(body)
        writer.commit()
        return Piece(blob, len(body), "k")

    def read(self, key: str) -> bytes | None:
        """What is there now. Raises Corrupt."""
        found = self.metadata.find(BUCKET, key)
        if found is None:
            return None
        (piece,) = found.pieces
        if is_small(piece.blob):
            return self.small.read(piece.blob, cipher(piece.blob), piece.size)
        return b"".join(self.blobs.read(piece.blob, cipher(piece.blob), piece.size, 0, piece.size))


def tell(mark: str, key: str, seed: int) -> None:
    os.write(1, f"{mark} {key} {seed}\n".encode())


async def write(folder: Folder, rng: random.Random, keys: list[str]) -> None:
    """Puts and deletes, one after the other; nobody else has these keys."""
    while True:
        key, seed = rng.choice(keys), rng.choice((0, rng.randrange(1, 1 << 40), rng.randrange(1, 1 << 40)))
        tell("?", key, seed)
        if seed:
            await folder.put(key, body_of(seed))
        else:
            await folder.small.committer.run(lambda key=key: folder.metadata.remove(BUCKET, key))  # type: ignore[misc]
        tell("!", key, seed)


async def compact(folder: Folder, compactor: Compactor, collector: BlobCollector) -> None:
    while True:
        await anyio.to_thread.run_sync(collector.collect)
        compactor.note_erased(set(segment_ids(folder.small.folder)))
        await compactor.compact_due()
        await anyio.lowlevel.checkpoint()


async def main(folder: Folder, seed: int, keys: int, quiet: bool) -> None:
    compactor = Compactor(folder.small)
    collector = BlobCollector(folder.metadata, folder.data, erased=compactor.note_erased)
    names = [f"key-{number}" for number in range(keys)]
    tell("ready", "", 0)
    async with anyio.create_task_group() as group:
        group.start_soon(compact, folder, compactor, collector)
        for number in range(0 if quiet else WRITERS):
            group.start_soon(write, folder, random.Random(f"{seed}/{number}"), names[number::WRITERS])


if __name__ == "__main__":
    segments.SEGMENT_SIZE = 300_000
    segments.HELD_SECONDS = 2.0
    compaction.MOST_SMALL, compaction.BYTES_PER_SECOND = 2, 1 << 40
    garbage_collection.PIN_GRACE_SECONDS = -1.0
    anyio.run(main, Folder(Path(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "quiet")
