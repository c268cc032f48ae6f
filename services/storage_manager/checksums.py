"""S3's checksums (CRC32, CRC32C, CRC64NVME, SHA1, SHA256), and how those of parts become one of the whole.

Source: "Checking object integrity" in the S3 user guide; CRC parameters from the catalogue of parametrised CRCs.
CRC32C and CRC64NVME are Python loops of some 20 MB/s: nothing faster is in the standard library.
"""

from __future__ import annotations

import base64
import hashlib
import sys
import zlib
from array import array
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Protocol

from services.storage_manager.errors import S3Error

PREFIX = "x-amz-checksum-"
ALGORITHM, TYPE = f"{PREFIX}algorithm", f"{PREFIX}type"
# Bits and reflected polynomial.
CRC32, CRC32C, CRC64NVME = (32, 0xEDB88320), (32, 0x82F63B78), (64, 0x9A6C9329AC4BC9B5)
CRCS = {f"{PREFIX}crc32": CRC32, f"{PREFIX}crc32c": CRC32C, f"{PREFIX}crc64nvme": CRC64NVME}


class Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class Crc32:
    """zlib's, with hashlib's manners; 4 bytes, big endian."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


class Crc:
    """Any reflected CRC that begins with ones and ends inverted; two bytes a step."""

    def __init__(self, bits: int, polynomial: int) -> None:
        self._bits, self._polynomial = bits, polynomial
        self._value = self._ones = (1 << bits) - 1

    def update(self, data: bytes, /) -> None:
        table, value, even = _table(self._polynomial), self._value, len(data) & ~1
        words = array("H", data[:even])
        if sys.byteorder == "big":
            words.byteswap()
        for word in words:
            value = table[(value ^ word) & 0xFFFF] ^ (value >> 16)
        for byte in data[even:]:
            value = _shifted((value ^ byte) & 0xFF, self._polynomial, 8) ^ (value >> 8)
        self._value = value

    def digest(self) -> bytes:
        return (self._value ^ self._ones).to_bytes(self._bits // 8, "big")


CHECKSUMS: dict[str, Callable[[], Hash]] = {
    f"{PREFIX}crc32": Crc32,
    f"{PREFIX}crc32c": lambda: Crc(*CRC32C),
    f"{PREFIX}crc64nvme": lambda: Crc(*CRC64NVME),
    f"{PREFIX}sha1": hashlib.sha1,
    f"{PREFIX}sha256": hashlib.sha256,
}


def requested_checksums(headers: dict[str, str]) -> dict[str, str]:
    """Algorithm and type that CreateMultipartUpload asks for; empty when it asks for none. Raises InvalidRequest."""
    name = headers.get(ALGORITHM, "").upper()
    if not name:
        return {}
    if f"{PREFIX}{name.lower()}" not in CHECKSUMS:
        raise S3Error("InvalidRequest", f"there is no checksum algorithm {name}")
    kind = headers.get(TYPE, "FULL_OBJECT" if name == "CRC64NVME" else "COMPOSITE").upper()
    if kind != "COMPOSITE" and (kind != "FULL_OBJECT" or not name.startswith("CRC")):
        raise S3Error("InvalidRequest", f"{name} has no checksum type {kind}")
    return {ALGORITHM: name, TYPE: kind}


def of_parts(name: str, kind: str, parts: Sequence[tuple[str, int]]) -> str:
    """The whole's checksum from its parts' (base64, bytes), by header name and type."""
    digests = [(base64.b64decode(value), size) for value, size in parts]
    if kind == "FULL_OBJECT":
        return base64.b64encode(_joined(CRCS[name], digests)).decode()
    whole = CHECKSUMS[name]()
    whole.update(b"".join(digest for digest, _ in digests))
    return f"{base64.b64encode(whole.digest()).decode()}-{len(parts)}"


def _joined(crc: tuple[int, int], digests: Sequence[tuple[bytes, int]]) -> bytes:
    """crc(a + b) = crc(a) * x^(8 |b|) + crc(b), in the polynomials modulo the CRC's own."""
    bits, polynomial = crc
    whole = 0
    for digest, size in digests:
        whole = _times(_power(bits, polynomial, 8 * size), whole, bits, polynomial) ^ int.from_bytes(digest, "big")
    return whole.to_bytes(bits // 8, "big")


@lru_cache(maxsize=64)
def _power(bits: int, polynomial: int, exponent: int) -> int:
    """x^exponent. The highest bit is x^0."""
    power, base = 1 << (bits - 1), 1 << (bits - 2)
    while exponent:
        if exponent & 1:
            power = _times(power, base, bits, polynomial)
        base = _times(base, base, bits, polynomial)
        exponent >>= 1
    return power


def _times(left: int, right: int, bits: int, polynomial: int) -> int:
    product, mask = 0, 1 << (bits - 1)
    while left & (2 * mask - 1) and mask:
        if left & mask:
            product ^= right
        right = _shifted(right, polynomial, 1)
        mask >>= 1
    return product


@lru_cache(maxsize=2)
def _table(polynomial: int) -> list[int]:
    """What 16 bits become."""
    byte = [_shifted(value, polynomial, 8) for value in range(256)]
    half = (byte[value & 0xFF] ^ (value >> 8) for value in range(65536))
    return [byte[value & 0xFF] ^ (value >> 8) for value in half]


def _shifted(value: int, polynomial: int, times: int) -> int:
    for _ in range(times):
        value = (value >> 1) ^ (polynomial if value & 1 else 0)
    return value
