"""Envelope encryption: one data key per bucket and day, one derived key per blob (HKDF-SHA256, RFC 5869).

Wrapped data keys live in the metadata index, plaintext ones in memory for five minutes, and no more of them than
`MOST_CACHED`. While key-manager is away, cached keys keep working; after that, requests fail with ServiceUnavailable.

Where a bucket has a key of its own, having the data key in memory is no right to it: each caller proves theirs by
key-manager opening it in their name, again and again after ten seconds.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import anyio
from anyio import to_thread

from services.sdk.identity import Caller as Identity
from services.storage_manager.blob_format import AesGcmCipher, BlobCipher, NoCipher
from services.storage_manager.errors import S3Error
from services.storage_manager.interfaces import BucketRef, Kms, is_customers_key
from services.storage_manager.key_rewrapping import KeyRewrapper
from services.storage_manager.metadata import MetadataIndex

CACHE_SECONDS = 300.0
ROTATE_SECONDS = 24 * 3600.0
PROVEN_SECONDS = 10.0
MOST_CACHED = 4096
# Stands for the key that a request brings, which nobody keeps.
CUSTOMER = "customer"
CipherOf = Callable[[str], BlobCipher]


class _CachedKey(NamedTuple):
    """A data key in memory, ready to derive from. `master`: the KMS key that wraps it, empty for the default."""

    secret: hmac.HMAC
    master: str
    until: float


class _ActiveKey(NamedTuple):
    id: str
    created: float


class DataKeys:
    """Data keys of buckets, and the ciphers of blobs made from them."""

    def __init__(
        self, metadata: MetadataIndex, kms: Kms, clock: Callable[[], float] = time.time, *, rewraps: bool = True
    ) -> None:
        """`rewraps`: not over a copy, which changes nothing by itself."""
        self._rewraps = rewraps
        self._metadata, self._kms, self._clock = metadata, kms, clock
        self._cache: dict[str, _CachedKey] = {}
        self._active: dict[tuple[str, str], _ActiveKey] = {}
        self._proven: dict[tuple[Identity, str], float] = {}
        self._lock = anyio.Lock()
        self.rewrapper = KeyRewrapper(metadata, kms, clock)

    async def active_key(self, ref: BucketRef) -> str:
        """The id of the data key new blobs use; empty when the bucket is not encrypted."""
        if ref.customer_key is not None:
            return CUSTOMER
        if not ref.encrypted:
            return ""
        asked = (ref.id, ref.key or "")
        active = self._active.get(asked)
        if active is None or self._clock() - active.created >= ROTATE_SECONDS:
            async with self._lock:
                active = await self._newest(ref)
                _make_room(self._active)
                self._active[asked] = active
        return active.id

    async def _newest(self, ref: BucketRef) -> _ActiveKey:
        master, now = ref.key or "", self._clock()
        newest = await to_thread.run_sync(self._metadata.newest_key, ref.id, master)
        if newest and now - newest[1] < ROTATE_SECONDS:
            return _ActiveKey(*newest)
        plain, wrapped, arn = await self._kms.generate(ref)
        id = secrets.token_hex(8)
        await to_thread.run_sync(self._metadata.add_key, id, ref.id, master, wrapped, now, arn)
        self._hold(ref, id, plain)
        return _ActiveKey(id, now)

    async def cipher_of(self, ref: BucketRef, key: str) -> CipherOf:
        """What makes the cipher of each blob under that data key, by the blob's id."""
        if not key:
            return NoCipher
        secret = extracted(_brought(ref)) if key == CUSTOMER else await self._data_key(ref, key)
        return lambda blob: AesGcmCipher(derived_key(secret, blob), blob)

    async def cipher(self, ref: BucketRef, key: str, blob: str) -> BlobCipher:
        """Return the cipher that seals and opens that blob."""
        return (await self.cipher_of(ref, key))(blob)

    async def _data_key(self, ref: BucketRef, id: str) -> hmac.HMAC:
        held = self._cache.get(id)
        if held is not None and held.until <= self._clock():
            held = None
        if held is not None and self._age_of_proof(ref, held.master, id) <= PROVEN_SECONDS:
            return held.secret
        wrapped, master = await to_thread.run_sync(self._metadata.wrapped_key, id)
        made_for = ref.under(master)
        try:
            plain = await self._kms.decrypt(made_for, wrapped)
        except S3Error as fault:
            if held is None or fault.status < 500 or self._age_of_proof(ref, master, id) > CACHE_SECONDS:
                raise
            return held.secret  # key-manager is away: what was proven minutes ago goes on
        if self._rewraps and is_customers_key(master):
            await self.rewrapper.rewrap_opened(ref, id)
        return self._hold(made_for, id, plain)

    def _hold(self, ref: BucketRef, id: str, plain: bytes) -> hmac.HMAC:
        now, secret = self._clock(), extracted(plain)
        self._cache = {k: v for k, v in self._cache.items() if v.until > now}
        _make_room(self._cache)
        self._cache[id] = _CachedKey(secret, ref.key or "", now + CACHE_SECONDS)
        self._note_proven(ref, id)
        return secret

    def _age_of_proof(self, ref: BucketRef, master: str, id: str) -> float:
        """Seconds since the asker's right to that data key was proven; 0 where nobody needs one."""
        if ref.caller is None or not is_customers_key(master):
            return 0.0
        proven = self._proven.get((ref.caller, id))
        return float("inf") if proven is None else self._clock() - proven

    def _note_proven(self, ref: BucketRef, id: str) -> None:
        if ref.own_key and ref.caller is not None:
            _make_room(self._proven)
            self._proven[ref.caller, id] = self._clock()


def extracted(plain: bytes) -> hmac.HMAC:
    """The first half of HKDF, done once for a data key: what the second half begins with."""
    return hmac.new(hmac.digest(bytes(32), plain, "sha256"), digestmod="sha256")


def derived_key(secret: hmac.HMAC, blob: str) -> bytes:
    """The second half: the key that seals this blob and no other."""
    found = secret.copy()
    found.update(b"aerekos blob " + blob.encode() + b"\x01")
    return found.digest()


def _brought(ref: BucketRef) -> bytes:
    if ref.customer_key is None:
        raise S3Error("InvalidRequest", "The object was stored with a key of its own, which must be provided.")
    return ref.customer_key


def _make_room(cache: dict[Any, Any]) -> None:
    """Forget what was remembered first, so that no more than MOST_CACHED are."""
    while len(cache) >= MOST_CACHED:
        del cache[next(iter(cache))]
