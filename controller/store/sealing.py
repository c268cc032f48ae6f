"""Sealing at rest: bodies of secret kinds are AES-256-GCM ciphertext on disk, plain only in the conductor's memory.

An envelope is `0x01 | key id (8) | nonce (12) | ciphertext and tag`; JSON never begins with 0x01, so a sealed body is
told from a plain one by its first byte. What it belongs to (key of the resource and revision) is authenticated with
it: a row that is moved or changed does not open. Names, owners and times stay readable: they are columns.

The file holds one key a line, the newest first: `<key id in hex> <key in base64> <when it was made>`, the last part
missing in lines of before. Older ones open what was sealed with them; a start rewrites that with the newest.
"""

from __future__ import annotations

import base64
import binascii
import errno
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from controller.kit.files import write_private
from controller.store.records import StoreBroken
from crds.meta import ObjectKey

KEY_BYTES, ID_BYTES, NONCE_BYTES = 32, 8, 12
_VERSION = b"\x01"
_HEAD = len(_VERSION) + ID_BYTES + NONCE_BYTES
_PURPOSE = b"aerekos store record 1"
_TIME = "%Y-%m-%dT%H:%M:%SZ"


class Sealing:
    """Seals bodies of `kinds` (group, plural) with the keys of `file`, which is made when nothing is sealed yet."""

    def __init__(self, file: Path, kinds: Iterable[tuple[str, str]]) -> None:
        """Raises OSError, naming the file, when it holds something else than keys."""
        self.file, self.kinds = file, frozenset(kinds)
        self._kept = file.exists()
        keys = _read(file) if self._kept else [(os.urandom(ID_BYTES), AESGCM.generate_key(KEY_BYTES * 8))]
        self._newest = keys[0]
        self._ciphers = {name: AESGCM(key) for name, key in keys}
        self.settled = False
        """Whether nothing on disk is sealed with an older key: a start sees to it."""

    @property
    def older(self) -> int:
        """How many keys are kept besides the newest."""
        return len(self._ciphers) - 1

    @property
    def newest(self) -> str:
        """The id of the key in use."""
        return self._newest[0].hex()

    def rotate(self, now: datetime) -> None:
        """Another key seals from now on; it is on disk before anything is sealed with it. Raises OSError."""
        self.keep()
        before = self.file.read_bytes()
        if _read(self.file)[0] != self._newest:
            raise OSError(errno.EBUSY, "was changed since the start; start again first", str(self.file))
        name, key = os.urandom(ID_BYTES), AESGCM.generate_key(KEY_BYTES * 8)
        write_private(self.file, _text(name, key, now) + before)
        self._ciphers[name] = AESGCM(key)
        self._newest, self.settled = (name, key), False

    def drop_old(self) -> None:
        """Drop all keys but the newest. Only for what is `settled`. Raises OSError."""
        if not self.settled or _read(self.file)[0] != self._newest:
            raise OSError(errno.EBUSY, "older keys are in use until the next start", str(self.file))
        top = next(line for line in self.file.read_bytes().split(b"\n") if line.strip())
        write_private(self.file, top + b"\n")
        self._ciphers = {self._newest[0]: self._ciphers[self._newest[0]]}

    def keep(self) -> None:
        """The key is on disk when this returns: call it before anything is sealed. Raises OSError."""
        if not self._kept:
            name, key = self._newest
            write_private(self.file, _text(name, key, datetime.now(UTC)))
            self._kept = True

    def concerns(self, key: ObjectKey) -> bool:
        """Whether bodies of that kind are sealed."""
        return key[:2] in self.kinds

    def seal(self, key: ObjectKey, revision: int, body: bytes) -> bytes:
        """The bytes that go to disk in place of `body`: the same for kinds that are not secret."""
        if key[:2] not in self.kinds:
            return body
        name, nonce = self._newest[0], os.urandom(NONCE_BYTES)
        return b"".join((_VERSION, name, nonce, self._ciphers[name].encrypt(nonce, body, _about(key, revision))))

    def is_current(self, body: bytes) -> bool:
        """Whether it is sealed with the newest key."""
        return body[: 1 + ID_BYTES] == _VERSION + self._newest[0]

    def open(self, key: ObjectKey, revision: int, body: bytes) -> bytes:
        """The reverse of `seal`; a plain body is itself. Raises StoreBroken naming the file and the fix."""
        if not is_sealed(body):
            return body
        name, nonce = body[1 : 1 + ID_BYTES], body[1 + ID_BYTES : _HEAD]
        cipher = self._ciphers.get(name)
        if cipher is None:
            what = "it is not there" if not self._kept else "it has another"
            raise StoreBroken(
                f"{key} at revision {revision} is sealed with the key {name.hex()} of {self.file}, and {what}: "
                "put that file back from a backup; without it what is sealed is lost"
            )
        try:
            return cipher.decrypt(nonce, body[_HEAD:], _about(key, revision))
        except (InvalidTag, ValueError) as error:
            raise StoreBroken(
                f"{key} at revision {revision} does not open: its row was damaged or changed by somebody else. "
                "Put a backup in place of the database"
            ) from error


def is_sealed(body: bytes) -> bool:
    """Whether that is an envelope."""
    return body[:1] == _VERSION


def _about(key: ObjectKey, revision: int) -> bytes:
    return b"\x00".join((_PURPOSE, *(part.encode() for part in key), str(revision).encode()))


def newest_made(file: Path) -> datetime | None:
    """Time at which the key in use was made, if its line says so. Raises OSError."""
    parts = next((line for line in file.read_bytes().split(b"\n") if line.strip()), b"").split()
    if len(parts) != 3:
        return None
    try:
        return datetime.strptime(parts[2].decode("ascii", "replace"), _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None


def _text(name: bytes, key: bytes, made: datetime) -> bytes:
    return f"{name.hex()} {base64.b64encode(key).decode()} {made.astimezone(UTC).strftime(_TIME)}\n".encode()


def _read(file: Path) -> list[tuple[bytes, bytes]]:
    keys = [_line(line) for line in file.read_bytes().split(b"\n") if line.strip()]
    usable = [each for each in keys if each is not None]
    if not usable or len(usable) != len(keys):  # a guessable or half key is worse than none
        raise OSError(errno.EINVAL, "holds no key, or half a key; put a backup in its place", str(file))
    return usable


def _line(line: bytes) -> tuple[bytes, bytes] | None:
    try:
        name, key, *_ = line.split()
        pair = bytes.fromhex(name.decode("ascii")), base64.b64decode(key, validate=True)
    except (ValueError, binascii.Error):
        return None
    return pair if (len(pair[0]), len(pair[1])) == (ID_BYTES, KEY_BYTES) else None
