"""The bytes of objects: small ones in segments, large ones in files; sealed on the way in, opened on the way out.

Small ones are hashed and sealed at once, in memory. Of a large one a thread hashes and seals a block while the next
arrives, and reads a block while the one before it leaves; two blocks of it are in memory, however large it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import anyio
from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar

from services.storage_manager.blob_pins import BlobPins
from services.storage_manager.blobs import Blobs, Writer, new_id
from services.storage_manager.damaged_data import Damage, DamagedData
from services.storage_manager.data_keys import DataKeys
from services.storage_manager.errors import Corrupt
from services.storage_manager.interfaces import BucketRef
from services.storage_manager.metadata import Object, Piece
from services.storage_manager.segment_format import is_small
from services.storage_manager.small_blobs import LARGEST, CipherOf, SmallBlobs

T = TypeVar("T")
P = TypeVar("P")
# More threads than that hash no faster, and each keeps memory of its own.
MOST_THREADS = 4
_threads: RunVar[CapacityLimiter] = RunVar("storage_threads")


class Intake(Protocol):
    """What looks at plaintext on its way in: `absorb` at each block, `verify` at the end. Both may refuse it."""

    def absorb(self, data: bytes) -> None: ...

    async def verify(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ObjectData:
    """Stores and reads pieces."""

    blobs: Blobs
    small: SmallBlobs
    keys: DataKeys
    pins: BlobPins
    damaged: DamagedData = field(default_factory=DamagedData)

    async def store(self, ref: BucketRef, blocks: AsyncIterator[bytes], intake: Intake) -> Piece:
        """What the blocks hold, as a new piece. A small one is on the disk only once it is committed.

        Raises what `intake` raises; nothing is left then.
        """
        first = await anext(blocks, b"")
        second = await anext(blocks, b"") if len(first) <= LARGEST else b""
        if second or len(first) > LARGEST:
            return await self._store_large(ref, _chained((first, second), blocks), intake)
        intake.absorb(first)
        await intake.verify()
        key, cipher_of = await self._sealing(ref)
        return Piece(self.small.seal(first, cipher_of), len(first), key)

    async def _sealing(self, ref: BucketRef) -> tuple[str, CipherOf]:
        key = await self.keys.active_key(ref)
        return key, await self.keys.cipher_of(ref, key)

    async def _store_large(self, ref: BucketRef, blocks: AsyncIterator[bytes], intake: Intake) -> Piece:
        key, cipher_of = await self._sealing(ref)
        blob = new_id()
        writer = await to_thread.run_sync(self.blobs.write, blob, cipher_of(blob), limiter=_limiter())
        try:
            size = await _feed(writer, blocks, intake)
            await intake.verify()
            await to_thread.run_sync(writer.commit, limiter=_limiter())
        except BaseException:
            writer.abandon()
            raise
        return Piece(blob, size, key)

    async def read(self, ref: BucketRef, found: Object, start: int, stop: int) -> bytes | AsyncIterator[bytes]:
        """Plaintext [start, stop) of the object: at once where it is small. Raises Corrupt."""
        pieces = list(_overlapping(found.pieces, start, stop))
        if not pieces:
            return b""
        if len(pieces) == 1 and is_small(pieces[0][0].blob):
            piece, first, last = pieces[0]
            try:
                return await self._read_small(ref, piece, first, last)
            except Corrupt as why:
                self.damaged.note(piece.blob, Damage(ref.id, found.key, str(why)))
                raise
        return self._stream(ref, found.key, pieces)

    @contextmanager
    def _noted(self, ref: BucketRef, key: str, blob: str) -> Iterator[None]:
        """Whoever meets damage says of which object it is."""
        try:
            yield
        except Corrupt as why:
            self.damaged.note(blob, Damage(ref.id, key, str(why)))
            raise

    async def _read_small(self, ref: BucketRef, piece: Piece, first: int, last: int) -> bytes:
        cipher = await self.keys.cipher(ref, piece.key, piece.blob)
        whole = self.small.read(piece.blob, cipher, piece.size)
        return whole if last - first == len(whole) else whole[first:last]

    async def _stream(
        self, ref: BucketRef, key: str, pieces: Sequence[tuple[Piece, int, int]]
    ) -> AsyncIterator[bytes]:
        with self.pins.hold(piece.blob for piece, _, _ in pieces):
            for piece, first, last in pieces:
                with self._noted(ref, key, piece.blob):
                    if is_small(piece.blob):
                        yield await self._read_small(ref, piece, first, last)
                        continue
                    cipher = await self.keys.cipher(ref, piece.key, piece.blob)
                    async for block in _ahead(self.blobs.read(piece.blob, cipher, piece.size, first, last)):
                        yield block


async def _feed(writer: Writer, blocks: AsyncIterator[bytes], intake: Intake) -> int:
    """Hash, seal and write each block in a thread while the next one arrives. How many bytes there were."""

    def take(block: bytes) -> None:
        intake.absorb(block)
        writer.feed(block)

    size, running = 0, None
    try:
        async for block in blocks:
            if running is not None:
                await running
            running = _begin(take, block)
            size += len(block)
        if running is not None:
            await running
    finally:
        await _let_end(running)
    return size


async def _ahead(blocks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Each block, read in a thread while the one before it is on its way."""
    running = _begin(_next, blocks)
    try:
        while (block := await running) is not None:
            running = _begin(_next, blocks)
            yield block
    finally:
        await _let_end(running)


def _begin(work: Callable[[P], T], given: P) -> asyncio.Future[T]:
    """In a thread."""
    return asyncio.ensure_future(to_thread.run_sync(work, given, limiter=_limiter()))


def _limiter() -> CapacityLimiter:
    """The event loop's own."""
    limiter = _threads.get(None)
    if limiter is None:
        _threads.set(limiter := CapacityLimiter(MOST_THREADS))
    return limiter


async def _let_end(running: asyncio.Future[T] | None) -> None:
    """Wait for a thread that still uses what its caller is about to close."""
    if running is not None and not running.done():
        with anyio.CancelScope(shield=True):
            await asyncio.wait([running])
    if running is not None and not running.cancelled():
        running.exception()  # known to whoever awaited it, or wanted by nobody


async def _chained(first: Sequence[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    for block in first:
        if block:
            yield block
    async for block in rest:
        yield block


def _overlapping(pieces: Sequence[Piece], start: int, stop: int) -> Iterator[tuple[Piece, int, int]]:
    """The pieces that hold bytes [start, stop) of the whole, and which of their own bytes those are."""
    base = 0
    for piece in pieces:
        first, last = max(0, start - base), min(piece.size, stop - base)
        if first < last:
            yield piece, first, last
        base += piece.size


def _next(blocks: Iterator[bytes]) -> bytes | None:
    return next(blocks, None)
