"""Durable objects of 4 KiB per second in storage_manager's data layer alone, beside the disk's own fdatasync.

`python bench/small_objects.py [seconds]`. One process, no HTTP: sealed, in a segment, named by the index of objects,
and both on the disk before each is counted. One by one, 16 at once, and 256 at once as a batch would be.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from verdicts import Verdict, ratio, table

from services.storage_manager.blob_format import AesGcmCipher, BlobCipher
from services.storage_manager.metadata import MetadataIndex, Object, Piece
from services.storage_manager.segment_format import small_blob_id
from services.storage_manager.small_blobs import SmallBlobs

BODY = os.urandom(4096)
CLIENTS = {1: "one by one", 16: "16 at once", 256: "256 at once"}


def cipher(blob: str) -> BlobCipher:
    return AesGcmCipher(b"k" * 32, blob)


async def put(metadata: MetadataIndex, small: SmallBlobs, key: str) -> None:
    """One object, durable."""
    blob = small.seal(BODY, cipher)
    new = Object(
        key, len(BODY), "e" * 32, 0.0, {"content-type": "binary/octet-stream"}, (Piece(blob, len(BODY), "k"),)
    )
    await small.committer.run(lambda: metadata.put("bench", new), [(small_blob_id(blob), len(BODY))])


async def rate(metadata: MetadataIndex, small: SmallBlobs, clients: int, seconds: float) -> float:
    """Objects per second."""
    made, began = 0, time.perf_counter()

    async def one(client: int) -> None:
        nonlocal made
        mine = 0
        while time.perf_counter() - began < seconds:
            await put(metadata, small, f"{clients}/{client}/{mine}")
            mine, made = mine + 1, made + 1

    await asyncio.gather(*(one(client) for client in range(clients)))
    return made / (time.perf_counter() - began)


def disk_rate(folder: Path, seconds: float) -> float:
    """4 KiB into bytes that are there already, and an fdatasync, per second."""
    file = os.open(folder / "raw", os.O_CREAT | os.O_WRONLY)
    os.write(file, bytes(16 << 20))
    os.fsync(file)
    made, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        os.pwrite(file, BODY, made % 4096 * 4096)
        os.fdatasync(file)
        made += 1
    os.close(file)
    return made / (time.perf_counter() - began)


def measure(seconds: float = 3.0) -> list[Verdict]:
    """All three, and the disk before each."""
    verdicts = []
    with tempfile.TemporaryDirectory(dir=os.environ.get("AEREKOS_BENCH_DIR")) as name:
        folder = Path(name)
        metadata = MetadataIndex(folder / "book.db")
        small = SmallBlobs(folder / "segments", metadata)
        for clients, what in CLIENTS.items():
            raw = disk_rate(folder, seconds / 3)
            found = asyncio.run(rate(metadata, small, clients, seconds))
            verdicts.append(ratio(f"durable objects of 4 KiB, {what}, against the disk's fdatasync", found, raw))
        small.close()
    return verdicts


if __name__ == "__main__":
    print(table(measure(float(sys.argv[1]) if len(sys.argv) > 1 else 3.0)))
