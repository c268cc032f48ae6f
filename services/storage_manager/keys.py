"""Envelope encryption: one data key per bucket and day, one derived key per blob (HKDF-SHA256, RFC 5869).

Wrapped data keys live in the book, plaintext ones in memory for five minutes. While key-manager is away, cached
keys keep working; after that, requests fail with ServiceUnavailable.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

import anyio
from anyio import to_thread
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.storage_manager.book import Metadata
from services.storage_manager.frames import Box, Gcm, Plain
from services.storage_manager.ports import Kms, Place

CACHE_SECONDS = 300.0
ROTATE_SECONDS = 24 * 3600.0


class Keys:
    """Boxes for blobs."""

    def __init__(self, book: Metadata, kms: Kms, clock: Callable[[], float] = time.time) -> None:
        self._book, self._kms, self._clock = book, kms, clock
        self._cache: dict[str, tuple[bytes, float]] = {}
        self._lock = anyio.Lock()

    async def current(self, place: Place) -> str:
        """The id of the data key new blobs use; empty when the bucket is not encrypted."""
        if not place.encrypted:
            return ""
        async with self._lock:
            master = place.key or ""
            newest = await to_thread.run_sync(self._book.newest_key, place.id, master)
            if newest and self._clock() - newest[1] < ROTATE_SECONDS:
                return newest[0]
            plain, wrapped = await self._kms.generate(place)
            id = secrets.token_hex(8)
            await to_thread.run_sync(self._book.add_key, id, place.id, master, wrapped, self._clock())
            self._cache[id] = (plain, self._clock() + CACHE_SECONDS)
            return id

    async def box(self, place: Place, key: str, blob: str) -> Box:
        """What seals and opens that blob."""
        if not key:
            return Plain(blob)
        data_key = await self._data_key(place, key)
        derived = HKDF(SHA256(), 32, salt=None, info=b"aerekos blob " + blob.encode()).derive(data_key)
        return Gcm(derived, blob)

    async def _data_key(self, place: Place, id: str) -> bytes:
        now = self._clock()
        self._cache = {k: v for k, v in self._cache.items() if v[1] > now}
        if id not in self._cache:
            wrapped = await to_thread.run_sync(self._book.wrapped_key, id)
            self._cache[id] = (await self._kms.decrypt(place, wrapped), now + CACHE_SECONDS)
        return self._cache[id][0]
