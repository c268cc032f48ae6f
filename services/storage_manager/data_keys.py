"""Envelope encryption: one data key per bucket and day, one derived key per blob (HKDF-SHA256, RFC 5869).

Wrapped data keys live in the metadata index, plaintext ones in memory for five minutes. While key-manager is away,
cached keys keep working; after that, requests fail with ServiceUnavailable.

Where a bucket has a key of its own, having the data key in memory is no right to it: each caller proves theirs by
key-manager opening it in their name, again and again after ten seconds.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import NamedTuple

import anyio
from anyio import to_thread
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.sdk.identity import Caller as Identity
from services.storage_manager.blob_format import AesGcmCipher, BlobCipher, NoCipher
from services.storage_manager.errors import S3Error
from services.storage_manager.interfaces import BucketRef, Kms
from services.storage_manager.metadata import MetadataIndex

CACHE_SECONDS = 300.0
ROTATE_SECONDS = 24 * 3600.0
PROVEN_SECONDS = 10.0
_PROVEN_REMEMBERED = 4096


# Stands for the key that a request brings, which nobody keeps.
CUSTOMER = "customer"


class _CachedKey(NamedTuple):
    """A data key in memory. `master`: the KMS key that wraps it, empty for the default."""

    plain: bytes
    master: str
    until: float


class DataKeys:
    """Data keys of buckets, and the ciphers of blobs made from them."""

    def __init__(self, metadata: MetadataIndex, kms: Kms, clock: Callable[[], float] = time.time) -> None:
        self._metadata, self._kms, self._clock = metadata, kms, clock
        self._cache: dict[str, _CachedKey] = {}
        self._proven: dict[tuple[Identity, str], float] = {}
        self._lock = anyio.Lock()

    async def active_key(self, ref: BucketRef) -> str:
        """The id of the data key new blobs use; empty when the bucket is not encrypted."""
        if ref.customer_key is not None:
            return CUSTOMER
        if not ref.encrypted:
            return ""
        async with self._lock:
            master = ref.key or ""
            newest = await to_thread.run_sync(self._metadata.newest_key, ref.id, master)
            if newest and self._clock() - newest[1] < ROTATE_SECONDS:
                return newest[0]
            plain, wrapped, arn = await self._kms.generate(ref)
            id = secrets.token_hex(8)
            await to_thread.run_sync(self._metadata.add_key, id, ref.id, master, wrapped, self._clock(), arn)
            self._hold(ref, id, plain)
            return id

    async def cipher(self, ref: BucketRef, key: str, blob: str) -> BlobCipher:
        """Return the cipher that seals and opens that blob."""
        if not key:
            return NoCipher(blob)
        data_key = _brought(ref) if key == CUSTOMER else await self._data_key(ref, key)
        derived = HKDF(SHA256(), 32, salt=None, info=b"aerekos blob " + blob.encode()).derive(data_key)
        return AesGcmCipher(derived, blob)

    async def _data_key(self, ref: BucketRef, id: str) -> bytes:
        now = self._clock()
        self._cache = {k: v for k, v in self._cache.items() if v.until > now}
        held = self._cache.get(id)
        if held is not None and self._age_of_proof(ref.under(held.master), id) <= PROVEN_SECONDS:
            return held.plain
        wrapped, master = await to_thread.run_sync(self._metadata.wrapped_key, id)
        made_for = ref.under(master)
        try:
            plain = await self._kms.decrypt(made_for, wrapped)
        except S3Error as fault:
            if held is None or fault.status < 500 or self._age_of_proof(made_for, id) > CACHE_SECONDS:
                raise
            return held.plain  # key-manager is away: what was proven minutes ago goes on
        self._hold(made_for, id, plain)
        return plain

    def _hold(self, ref: BucketRef, id: str, plain: bytes) -> None:
        self._cache[id] = _CachedKey(plain, ref.key or "", self._clock() + CACHE_SECONDS)
        self._note_proven(ref, id)

    def _age_of_proof(self, ref: BucketRef, id: str) -> float:
        """Seconds since the asker's right to that data key was proven; 0 where nobody needs one."""
        if not ref.own_key or ref.caller is None:
            return 0.0
        proven = self._proven.get((ref.caller, id))
        return float("inf") if proven is None else self._clock() - proven

    def _note_proven(self, ref: BucketRef, id: str) -> None:
        if ref.own_key and ref.caller is not None:
            if len(self._proven) >= _PROVEN_REMEMBERED:
                self._proven.clear()
            self._proven[ref.caller, id] = self._clock()


def _brought(ref: BucketRef) -> bytes:
    if ref.customer_key is None:
        raise S3Error("InvalidRequest", "The object was stored with a key of its own, which must be provided.")
    return ref.customer_key
