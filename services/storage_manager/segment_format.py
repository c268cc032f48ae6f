"""The format of a segment: small blobs one after the other in one file that is only ever appended to.

    segment  b"AKS1" + version (2) + oldest reader (2) + segment id (8), then records, then zeros
    record   b"AKR1" + mode (1) + 3 zero bytes + length of the body (4) + birth: segment id (8), offset (4)
             + CRC32C of all that and of the body (4), then the body: one sealed frame (blob_format)

The CRC finds rot without any key. A record carries its birthplace, which is its blob's id: moving it changes no byte.
Pure: no I/O.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from awscrt.checksums import crc32c

from crds.formats import FormatVersion, versions_due
from services.storage_manager.blob_format import FRAME, TAG
from services.storage_manager.errors import Corrupt

OWN = FormatVersion(version=1, oldest_reader=1)
LARGEST_BODY = FRAME + TAG
_SEGMENT = struct.Struct(">4sHHQ")
_RECORD = struct.Struct(">4sB3xIQI")
_CRC = struct.Struct(">I")
SEGMENT_HEADER, RECORD_HEADER = _SEGMENT.size, _RECORD.size + _CRC.size
_ID_LENGTH = 25


class SmallBlobId(NamedTuple):
    """Where a small blob was born: no other is ever born there. Its text begins with `s`, other blobs' do not."""

    segment: int
    offset: int

    def __str__(self) -> str:
        return f"s{self.segment:016x}{self.offset:08x}"


def is_small(blob: str) -> bool:
    """Whether that blob's id is a small blob's."""
    return len(blob) == _ID_LENGTH and blob[0] == "s"


def small_blob_id(blob: str) -> SmallBlobId:
    """The inverse of `str`. Raises ValueError."""
    return SmallBlobId(int(blob[1:17], 16), int(blob[17:], 16))


def segment_header(id: int) -> bytes:
    """The first bytes of a segment."""
    return _SEGMENT.pack(b"AKS1", *OWN, id)


def check_segment_header(data: bytes, id: int, name: str) -> None:
    """Raises NewerFormat for one that only a newer version reads, Corrupt for what is none."""
    if len(data) != SEGMENT_HEADER or data[:4] != b"AKS1":
        raise Corrupt(f"{name} is no segment")
    _, version, oldest_reader, found = _SEGMENT.unpack(data)
    versions_due(name, FormatVersion(version, oldest_reader), OWN)
    if found != id:
        raise Corrupt(f"{name} holds the segment {found:016x}")


def record_length(size: int) -> int:
    """Bytes that a blob of `size` plaintext bytes takes in a segment."""
    return RECORD_HEADER + size + TAG


def record(id: SmallBlobId, mode: int, body: bytes) -> bytes:
    """A small blob as it lies in a segment."""
    head = _RECORD.pack(b"AKR1", mode, len(body), *id)
    return b"".join((head, _CRC.pack(crc32c(body, crc32c(head))), body))


def read_record(id: SmallBlobId, data: bytes) -> tuple[int, bytes]:
    """The mode and the body. Raises Corrupt for anything but the whole record of that blob as it was written."""
    if len(data) < RECORD_HEADER:
        raise Corrupt(f"blob {id}: the segment ends before it")
    head, body = data[: _RECORD.size], data[RECORD_HEADER:]
    magic, mode, length, *born = _RECORD.unpack(head)
    if magic != b"AKR1" or length != len(body) or tuple(born) != id:
        raise Corrupt(f"blob {id}: another record lies in its place")
    if _CRC.unpack_from(data, _RECORD.size)[0] != crc32c(body, crc32c(head)):
        raise Corrupt(f"blob {id}: its bytes are not what was written")
    return mode, body
