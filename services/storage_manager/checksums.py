"""S3's checksums (CRC32, CRC32C, CRC64NVME, SHA1, SHA256), and how those of parts become one of the whole.

Source: "Checking object integrity" in the S3 user guide. The CRCs are those of AWS's own runtime, which computes and
combines them with the processor's instructions.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from awscrt import checksums as native

from services.storage_manager.errors import S3Error

PREFIX = "x-amz-checksum-"
ALGORITHM, TYPE = f"{PREFIX}algorithm", f"{PREFIX}type"


class CrcAlgorithm(NamedTuple):
    """`update` continues a CRC over more data; `combine` makes the CRC of two blocks, the second of that length."""

    octets: int
    update: Callable[[bytes, int], int]
    combine: Callable[[int, int, int], int]


CRCS = {
    f"{PREFIX}crc32": CrcAlgorithm(4, zlib.crc32, native.combine_crc32),
    f"{PREFIX}crc32c": CrcAlgorithm(4, native.crc32c, native.combine_crc32c),
    f"{PREFIX}crc64nvme": CrcAlgorithm(8, native.crc64nvme, native.combine_crc64nvme),
}


class Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class Crc:
    """A CRC with hashlib's manners; big endian."""

    def __init__(self, algorithm: CrcAlgorithm) -> None:
        self._algorithm, self._value = algorithm, 0

    def update(self, data: bytes, /) -> None:
        self._value = self._algorithm.update(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._algorithm.octets, "big")


CHECKSUMS: dict[str, Callable[[], Hash]] = {
    f"{PREFIX}crc32": lambda: Crc(CRCS[f"{PREFIX}crc32"]),
    f"{PREFIX}crc32c": lambda: Crc(CRCS[f"{PREFIX}crc32c"]),
    f"{PREFIX}crc64nvme": lambda: Crc(CRCS[f"{PREFIX}crc64nvme"]),
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
        return base64.b64encode(_combined(CRCS[name], digests)).decode()
    whole = CHECKSUMS[name]()
    whole.update(b"".join(digest for digest, _ in digests))
    return f"{base64.b64encode(whole.digest()).decode()}-{len(parts)}"


def _combined(algorithm: CrcAlgorithm, digests: Sequence[tuple[bytes, int]]) -> bytes:
    whole = 0
    for digest, size in digests:
        whole = algorithm.combine(whole, int.from_bytes(digest, "big"), size)
    return whole.to_bytes(algorithm.octets, "big")
