"""Samples as bytes: times as differences, values byte plane by byte plane, which zlib then finds much in.

Layout of version 1: one byte 1; then zlib of: the number of samples (8 bytes, little endian), as many times (int64:
the first as it is, the others less the one before), and the values (float64) as eight planes of one byte of each.
"""

from __future__ import annotations

import sys
import zlib
from array import array
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.metrics_manager.promql.values import Floats, Times

_VERSION = 1
_LEVEL = 6
assert sys.byteorder == "little", "chunks are written as this machine has them"


class UnreadableChunk(ValueError):
    """It was written by something newer, or is damaged."""


def packed(times: Sequence[int], values: array[float]) -> bytes:
    """A chunk. The times rise."""
    count = len(times)
    deltas = array("q", [times[0], *(after - before for before, after in pairwise(times))])
    raw = values.tobytes()
    planes = b"".join(raw[i::8] for i in range(8))
    body = count.to_bytes(8, "little") + deltas.tobytes() + planes
    return bytes((_VERSION,)) + zlib.compress(body, _LEVEL)


def unpacked(chunk: bytes) -> tuple[Times, Floats]:
    """Times in ms, and values. Raises UnreadableChunk."""
    import numpy as np

    if not chunk or chunk[0] != _VERSION:
        raise UnreadableChunk(f"a chunk is of version {chunk[0] if chunk else 'none'}; this reads {_VERSION}")
    try:
        body = zlib.decompress(chunk[1:])
    except zlib.error as error:
        raise UnreadableChunk(f"a chunk is damaged: {error}") from error
    count = int.from_bytes(body[:8], "little")
    if len(body) != 8 + 16 * count:
        raise UnreadableChunk("a chunk is not as long as it says")
    times = np.cumsum(np.frombuffer(body, dtype=np.int64, count=count, offset=8))
    planes = np.frombuffer(body, dtype=np.uint8, offset=8 + 8 * count).reshape(8, count)
    return times, np.ascontiguousarray(planes.T).reshape(-1).view(np.float64)
