"""Lines of one stream as one compressed block: columns of times, numbers and lengths, then the text.

    version (1 byte), zstd of: count (4 bytes), times, numbers (8 bytes each, as differences), lengths of lines,
    lengths of fields (4 bytes each), lines, fields

A line is found in the text before anything is taken apart: most blocks of a search have none.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

VERSION = 1
FRESH_LEVEL, SEALED_LEVEL = 1, 5
"""How hard zstd tries: while lines come in, and for what stays."""


class Entry(NamedTuple):
    """`time`: ns since 1970. `number`: of all lines of this store, in the order they came. `line`: UTF-8. `fields`:
    what is known besides, as JSON of an object, empty for nothing.
    """

    time: int
    number: int
    line: bytes
    fields: bytes = b""


def packed(entries: Sequence[Entry], level: int) -> bytes:
    """`entries`: in the order of their times, then numbers."""
    import cramjam

    lines, fields = [each.line for each in entries], [each.fields for each in entries]
    parts = (
        len(entries).to_bytes(4, "little"),
        _differences([each.time for each in entries]),
        _differences([each.number for each in entries]),
        _lengths(lines),
        _lengths(fields),
        *lines,
        *fields,
    )
    return bytes([VERSION]) + bytes(cramjam.zstd.compress(b"".join(parts), level=level))


class Block:
    """One that was packed. Raises ValueError for a version that is not known."""

    __slots__ = ("_fields", "_fields_at", "_lines_at", "_numbers", "text", "times")

    def __init__(self, data: bytes) -> None:
        import cramjam

        if data[0] != VERSION:
            raise ValueError(f"a block of log lines has version {data[0]}; version {VERSION} is read here")
        raw = bytes(cramjam.zstd.decompress(data[1:]))
        count = int.from_bytes(raw[:4], "little")
        at = 4 + 8 * count
        self.times = list(accumulate(_numbers("q", raw[4:at])))
        self._numbers = list(accumulate(_numbers("q", raw[at : at + 8 * count])))
        at += 8 * count
        self._lines_at = [0, *accumulate(_numbers("I", raw[at : at + 4 * count]))]
        at += 4 * count
        self._fields_at = [0, *accumulate(_numbers("I", raw[at : at + 4 * count]))]
        at += 4 * count
        self.text = raw[at : at + self._lines_at[-1]]
        self._fields = raw[at + self._lines_at[-1] :]

    def __len__(self) -> int:
        return len(self.times)

    def entry(self, i: int) -> Entry:
        lines, fields = self._lines_at, self._fields_at
        line, more = self.text[lines[i] : lines[i + 1]], self._fields[fields[i] : fields[i + 1]]
        return Entry(self.times[i], self._numbers[i], line, more)

    def entries(self) -> list[Entry]:
        return [self.entry(i) for i in range(len(self))]

    def holding(self, needle: bytes) -> Iterator[int]:
        """Which lines hold these bytes, in order."""
        text, ends, at = self.text, self._lines_at, 0
        while (at := text.find(needle, at)) >= 0:
            i = bisect_right(ends, at) - 1
            if at + len(needle) <= ends[i + 1]:
                yield i
                at = ends[i + 1]
            else:
                at += 1


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """By time, then number."""
    return sorted(entries, key=lambda each: each[:2])


def _differences(values: Sequence[int]) -> bytes:
    return _bytes("q", [after - before for before, after in zip([0, *values], values, strict=False)])


def _lengths(values: Sequence[bytes]) -> bytes:
    return _bytes("I", [len(each) for each in values])


def _bytes(type: str, values: Sequence[int]) -> bytes:
    found = array(type, values)
    if sys.byteorder == "big":
        found.byteswap()
    return found.tobytes()


def _numbers(type: str, data: bytes) -> array[int]:
    found: array[int] = array(type)
    found.frombytes(data)
    if sys.byteorder == "big":
        found.byteswap()
    return found
