"""The format of a blob on disk: a header, then frames of 64 KiB plaintext, each sealed on its own.

    header   b"AKB2" + mode (1 byte: 1 = AES-256-GCM, 0 = keyed checksum only)
    frame    body (65536 bytes, the last one shorter or empty) + tag (16 bytes) + CRC32C of both (4 bytes)

The CRC finds rot without any key; blobs of before begin with b"AKB1" and have none. Nonce = 8 bytes frame counter, 3
zero bytes, 1 byte last-frame flag; the AAD is the blob id. One key seals one blob, so nonces never repeat. The flag
makes truncation visible, the counter reordering. Pure: no I/O.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from awscrt.checksums import crc32c
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.storage_manager.errors import Corrupt

FRAME = 65536
TAG, CRC = 16, 4
UNCHECKED, MAGIC = b"AKB1", b"AKB2"
HEADER = len(MAGIC) + 1
# Bytes of a frame beside its body.
OVERHEAD = {UNCHECKED: TAG, MAGIC: TAG + CRC}


class BlobCipher(Protocol):
    """Seals and opens one frame. `open` raises Corrupt."""

    mode: int

    def seal(self, index: int, last: bool, body: bytes) -> bytes: ...

    def open(self, index: int, last: bool, sealed: bytes) -> bytes: ...


def nonce(index: int, last: bool) -> bytes:
    """12 bytes, never the same twice within one blob."""
    return index.to_bytes(8, "big") + b"\0\0\0" + (b"\1" if last else b"\0")


class AesGcmCipher:
    """AES-256-GCM under a key that belongs to this blob alone (32 bytes)."""

    mode = 1

    def __init__(self, key: bytes, blob: str) -> None:
        self._cipher = AESGCM(key)
        self._aad = blob.encode()

    def seal(self, index: int, last: bool, body: bytes) -> bytes:
        return self._cipher.encrypt(nonce(index, last), body, self._aad)

    def open(self, index: int, last: bool, sealed: bytes) -> bytes:
        try:
            return self._cipher.decrypt(nonce(index, last), sealed, self._aad)
        except InvalidTag:
            raise Corrupt(f"blob {self._aad.decode()}: frame {index} is not what was written") from None


class NoCipher:
    """No encryption: readable bytes, faults still noticed."""

    mode = 0

    def __init__(self, blob: str) -> None:
        self._blob = blob

    def _tag(self, index: int, last: bool, body: bytes) -> bytes:
        key = self._blob.encode()[:64]
        return hashlib.blake2b(nonce(index, last) + body, key=key, digest_size=TAG).digest()

    def seal(self, index: int, last: bool, body: bytes) -> bytes:
        return body + self._tag(index, last, body)

    def open(self, index: int, last: bool, sealed: bytes) -> bytes:
        body, tag = sealed[:-TAG], sealed[-TAG:]
        if not hmac.compare_digest(tag, self._tag(index, last, body)):
            raise Corrupt(f"blob {self._blob}: frame {index} is not what was written")
        return body


def header(cipher: BlobCipher) -> bytes:
    """The first bytes of a blob."""
    return MAGIC + bytes([cipher.mode])


def _crc(sealed: bytes) -> bytes:
    value: int = crc32c(sealed)
    return value.to_bytes(CRC, "big")


class Sealer:
    """Turns a stream into frames. Holds back at most one frame, for only the end knows which is last."""

    def __init__(self, cipher: BlobCipher) -> None:
        self._cipher = cipher
        self._held = bytearray()
        self._index = 0

    def feed(self, data: bytes) -> bytes:
        """Frames that are complete and surely not the last one."""
        self._held += data
        whole = max(0, (len(self._held) - 1) // FRAME)
        with memoryview(self._held) as held:
            out = [self._seal(bytes(held[i * FRAME : (i + 1) * FRAME]), False) for i in range(whole)]
        del self._held[: whole * FRAME]
        return b"".join(out)

    def finish(self) -> bytes:
        """The last frame. An empty stream has one empty frame."""
        return self._seal(bytes(self._held), True)

    def _seal(self, body: bytes, last: bool) -> bytes:
        sealed = self._cipher.seal(self._index, last, body)
        self._index += 1
        return sealed + _crc(sealed)


class Layout(NamedTuple):
    """A blob of `size` plaintext bytes as it lies in a file that begins with `magic`."""

    magic: bytes
    size: int

    @property
    def frames(self) -> int:
        """How many there are. An empty blob has one."""
        return max(1, -(-self.size // FRAME))

    @property
    def file_size(self) -> int:
        """Bytes of the file."""
        return HEADER + self.size + OVERHEAD[self.magic] * self.frames

    def spans(self, start: int, stop: int) -> Iterator[Span]:
        """The frames that hold plaintext bytes [start, stop)."""
        overhead, end = OVERHEAD[self.magic], self.frames - 1
        # An empty range still opens one frame, so that a damaged blob is noticed; at the very end it is the last one.
        first = min(start // FRAME, end)
        for index in range(first, max(first, (stop - 1) // FRAME) + 1):
            base = index * FRAME
            yield Span(
                index,
                index == end,
                HEADER + index * (FRAME + overhead),
                min(FRAME, self.size - base) + overhead,
                min(FRAME, max(0, start - base)),
                min(FRAME, stop - base),
            )

    def checked(self, stored: bytes, blob: str, frame: int) -> bytes:
        """The sealed frame, without its CRC where it has one. Raises Corrupt when that is not right."""
        if self.magic == UNCHECKED:
            return stored
        sealed = stored[:-CRC]
        if _crc(sealed) != stored[-CRC:]:
            raise Corrupt(f"blob {blob}: frame {frame} is not what was written")
        return sealed


class Span(NamedTuple):
    """The place of one frame in the file, and which part of its plaintext is wanted."""

    frame: int
    last: bool
    offset: int
    length: int
    first: int
    stop: int
