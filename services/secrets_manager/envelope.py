"""Envelope encryption of values: a data key of its own for every version, AES-256-GCM bound to secret and version.

Wrapped data keys lie beside the values; a bounded number of plain ones is held in memory for five minutes. Where a
secret has a key of its own, having its data key in memory is no right to it: each caller proves theirs by key-manager
opening it in their name, again after ten seconds.
"""

from __future__ import annotations

import base64
import os
from collections import OrderedDict
from typing import NamedTuple, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.sdk.identity import Caller
from services.sdk.resources import Clock
from services.secrets_manager import errors
from services.secrets_manager.key_client import KeyClient, KeyUse
from services.secrets_manager.kinds import SecretVersionSpec
from services.secrets_manager.metrics import SecretsMetrics

K = TypeVar("K")
V = TypeVar("V")
MOST_KEYS = 1024
CACHE_SECONDS = 300.0
PROVEN_SECONDS = 10.0
_NONCE = 12


class SecretValue(NamedTuple):
    """What a version holds. It is in no repr: those end in logs."""

    content: bytes
    binary: bool = False

    def __repr__(self) -> str:
        return f"SecretValue({'binary' if self.binary else 'text'})"


class _CachedKey(NamedTuple):
    plain: bytes
    until: float


class Envelope:
    """Seals and opens values. One per process."""

    def __init__(self, keys: KeyClient, clock: Clock, metrics: SecretsMetrics) -> None:
        self._keys, self._clock, self._metrics = keys, clock, metrics
        self._cache: OrderedDict[bytes, _CachedKey] = OrderedDict()
        self._proven: OrderedDict[tuple[Caller | None, bytes], float] = OrderedDict()

    async def seal(self, use: KeyUse, uid: str, value: SecretValue) -> SecretVersionSpec:
        """The value under a new data key. Raises AwsError."""
        plain, wrapped, arn = await self._keys.generate(use)
        nonce = os.urandom(_NONCE)
        sealed = nonce + AESGCM(plain).encrypt(nonce, value.content, _bound(use, value.binary))
        self._hold(use, wrapped, plain)
        return SecretVersionSpec(
            secret_uid=uid,
            version_id=use.version_id,
            key=arn,
            key_id=use.key,
            wrapped=base64.b64encode(wrapped).decode(),
            sealed=base64.b64encode(sealed).decode(),
            binary=value.binary,
        )

    async def open(self, use: KeyUse, version: SecretVersionSpec) -> SecretValue:
        """The value of a version, under the key that it was sealed with, whatever the secret names by now. Raises
        AwsError.
        """
        use = KeyUse(use.arn, use.version_id, use.namespace, version.key_id, use.caller)
        plain = await self._data_key(use, base64.b64decode(version.wrapped))
        sealed = base64.b64decode(version.sealed)
        try:
            content = AESGCM(plain).decrypt(sealed[:_NONCE], sealed[_NONCE:], _bound(use, version.binary))
        except InvalidTag:
            raise errors.decryption_failure("what is stored is not what was sealed") from None
        return SecretValue(content, version.binary)

    async def _data_key(self, use: KeyUse, wrapped: bytes) -> bytes:
        now = self._clock.monotonic()
        held = self._cache.get(wrapped)
        if held is not None and held.until > now and self._is_proven(use, wrapped, now):
            self._metrics.count_data_key(held=True)
            return held.plain
        plain = await self._keys.decrypt(use, wrapped)
        self._metrics.count_data_key(held=False)
        self._hold(use, wrapped, plain)
        return plain

    def _is_proven(self, use: KeyUse, wrapped: bytes, now: float) -> bool:
        """The account's default key is this service's: who may read the secret needs no right to it."""
        return not use.is_own_key or self._proven.get((use.caller, wrapped), -PROVEN_SECONDS) + PROVEN_SECONDS > now

    def _hold(self, use: KeyUse, wrapped: bytes, plain: bytes) -> None:
        now = self._clock.monotonic()
        _put(self._cache, wrapped, _CachedKey(plain, now + CACHE_SECONDS))
        if use.is_own_key:
            _put(self._proven, (use.caller, wrapped), now)


def _put(kept: OrderedDict[K, V], key: K, value: V) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > MOST_KEYS:
        kept.popitem(last=False)


def _bound(use: KeyUse, binary: bool) -> bytes:
    return f"{use.arn}\x00{use.version_id}\x00{'binary' if binary else 'text'}".encode()
