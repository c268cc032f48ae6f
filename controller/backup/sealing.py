"""The keys of a place for backups: a random master key, sealed under the escrow passphrase, and what follows from it.

`keys.json` holds `{"format": {"version", "oldest_reader"}, "kdf": {"name": "scrypt", "n", "r", "p", "salt"},
"sealed"}`, salt and sealed in base64. The key that seals the master key is scrypt (RFC 7914) of the passphrase; the
parameters are authenticated with it. From the master key follow, by HKDF-SHA256 (RFC 5869), the key that seals
chunks, the one that seals manifests, and the one that names chunks: a name is the HMAC-SHA256 of the content, so that
whoever reads the place cannot tell whether it holds a file they know.

Everything sealed is AES-256-GCM: `nonce (12) | ciphertext and tag`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from controller.backup.errors import Damaged, Refused, WrongPassphrase
from crds.formats import FormatVersion, NewerFormat, versions_due

OWN = FormatVersion(version=1, oldest_reader=1)
KEY_BYTES, NONCE_BYTES, SALT_BYTES = 32, 12, 16
LEAST_PASSPHRASE = 12
"""Characters. Whoever has the place may guess for years; scrypt makes each guess cost tenths of a second."""
# 128 MiB and a few tenths of a second (RFC 9106 and OWASP name these for scrypt). What a file asks for is bounded, or
# whoever can write the place could make a restore take all memory.
COST, MOST_COST = {"n": 2**17, "r": 8, "p": 1}, {"n": 2**20, "r": 8, "p": 4}
_MASTER, _CHUNK, _MANIFEST = b"aerekos backup master 1", b"aerekos backup chunk 1", b"aerekos backup manifest 1"
_NAMES = b"aerekos backup names 1"


class Keys:
    """What seals and opens everything in one place."""

    def __init__(self, master: bytes) -> None:
        self._chunks, self._manifests = AESGCM(_derived(master, _CHUNK)), AESGCM(_derived(master, _MANIFEST))
        self._naming = _derived(master, _NAMES)

    def chunk_id(self, content: bytes) -> str:
        """The name of a chunk with that content: 64 hex digits."""
        return hmac.new(self._naming, content, hashlib.sha256).hexdigest()

    def seal_chunk(self, chunk: str, content: bytes) -> bytes:
        return _seal(self._chunks, content, _CHUNK + chunk.encode())

    def open_chunk(self, chunk: str, stored: bytes) -> bytes:
        """Raises Damaged."""
        return _open(self._chunks, stored, _CHUNK + chunk.encode(), f"chunk {chunk}")

    def seal_manifest(self, head: bytes, body: bytes) -> bytes:
        return _seal(self._manifests, body, _MANIFEST + head)

    def open_manifest(self, head: bytes, stored: bytes, name: str) -> bytes:
        """Raises Damaged."""
        return _open(self._manifests, stored, _MANIFEST + head, f"manifest {name}")


def new_keys(passphrase: str) -> tuple[Keys, bytes]:
    """Keys for a new place, and the file they are kept in. Raises Refused for a passphrase that is too short."""
    if len(passphrase) < LEAST_PASSPHRASE:
        raise Refused(f"the passphrase has {len(passphrase)} characters; give one of {LEAST_PASSPHRASE} or more")
    master, salt = secrets.token_bytes(KEY_BYTES), os.urandom(SALT_BYTES)
    kdf = {"name": "scrypt", **COST, "salt": base64.b64encode(salt).decode()}
    sealed = _seal(AESGCM(_stretched(passphrase, kdf)), master, _about(kdf))
    file = {"format": OWN._asdict(), "kdf": kdf, "sealed": base64.b64encode(sealed).decode()}
    return Keys(master), orjson.dumps(file, option=orjson.OPT_INDENT_2)


def open_keys(file: bytes, passphrase: str) -> Keys:
    """The keys in that file. Raises WrongPassphrase, Damaged, and NewerFormat for a file of a newer version."""
    try:
        kept = orjson.loads(file)
        versions_due(
            "keys.json", FormatVersion(int(kept["format"]["version"]), int(kept["format"]["oldest_reader"])), OWN
        )
        kdf, sealed = kept["kdf"], base64.b64decode(kept["sealed"], validate=True)
        cipher = AESGCM(_stretched(passphrase, kdf))
    except NewerFormat:
        raise
    except (ValueError, KeyError, TypeError) as odd:
        raise Damaged(f"keys.json cannot be read ({odd!r}): take a copy of it from elsewhere") from odd
    try:
        return Keys(cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _about(kdf)))
    except (InvalidTag, ValueError) as odd:
        raise WrongPassphrase("the passphrase does not open keys.json, or that file was changed") from odd


def _stretched(passphrase: str, kdf: dict[str, Any]) -> bytes:
    if kdf["name"] != "scrypt":
        raise ValueError(f"kdf {kdf['name']!r} is not known")
    cost = {name: int(kdf[name]) for name in COST}
    if any(not 1 <= cost[name] <= most for name, most in MOST_COST.items()):
        raise ValueError(f"kdf asks for {cost}: more than any version of aerekos has written")
    salt = base64.b64decode(kdf["salt"], validate=True)
    room = 128 * cost["r"] * (cost["n"] + cost["p"] + 2)
    return hashlib.scrypt(passphrase.encode(), salt=salt, **cost, maxmem=room, dklen=KEY_BYTES)


def _about(kdf: dict[str, Any]) -> bytes:
    return _MASTER + orjson.dumps(kdf, option=orjson.OPT_SORT_KEYS)


def _derived(master: bytes, purpose: bytes) -> bytes:
    return HKDFExpand(SHA256(), KEY_BYTES, purpose).derive(master)


def _seal(cipher: AESGCM, content: bytes, about: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, content, about)


def _open(cipher: AESGCM, stored: bytes, about: bytes, what: str) -> bytes:
    try:
        return cipher.decrypt(stored[:NONCE_BYTES], stored[NONCE_BYTES:], about)
    except (InvalidTag, ValueError) as odd:
        raise Damaged(f"{what} does not open: it was shortened or changed") from odd
