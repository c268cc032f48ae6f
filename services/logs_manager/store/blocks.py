"""Lines of one stream as one compressed block: columns of times, numbers and lengths, then the text.

    version (1 byte), how it is packed (1 byte: 0 not, 1 zstd), then: count (4 bytes), times, numbers (8 bytes each,
    as differences), lengths of lines, lengths of fields (4 bytes each), lines, fields

A line is found in the text before anything is taken apart: most blocks of a search have none.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from operator import sub
from typing import NamedTuple

VERSION, _FIRST = 2, 1
LINE_BYTES = 24
"""What a line counts besides its text: its columns, unpacked."""
SEALED_LEVEL = 5
"""How hard zstd tries, for what stays."""
_PLAIN, _ZSTD = 0, 1


class Unreadable(ValueError):
    """A block is damaged, or of a version to come."""


class Entry(NamedTuple):
    """`time`: ns since 1970. `number`: of all lines of this store, in the order they came. `line`: UTF-8. `fields`:
    what is known besides, as JSON of an object, empty for nothing.
    """

    time: int
    number: int
    line: bytes
    fields: bytes = b""

    @property
    def text(self) -> str:
        """The line; what is no UTF-8 in it is replaced."""
        return self.line.decode("utf-8", "replace")


def packed(entries: Sequence[Entry], level: int) -> bytes:
    """`entries`: in the order of their times, then numbers. `level`: 0 leaves them as they are."""
    lines, fields = [each.line for each in entries], [each.fields for each in entries]
    return Columns(
        _differences([each.time for each in entries]),
        _differences([each.number for each in entries]),
        array("I", map(len, lines)),
        array("I", map(len, fields)),
        b"".join(lines),
        b"".join(fields),
    ).packed(level)


class Columns(NamedTuple):
    """What a block is made of. Times and numbers as differences, the first to zero."""

    times: array[int]
    numbers: array[int]
    line_lengths: array[int]
    field_lengths: array[int]
    lines: bytes
    fields: bytes

    def packed(self, level: int) -> bytes:
        raw = b"".join((len(self.times).to_bytes(4, "little"), *map(_bytes, self[:4]), self.lines, self.fields))
        if not level:
            return bytes((VERSION, _PLAIN)) + raw
        import cramjam

        return bytes((VERSION, _ZSTD)) + bytes(cramjam.zstd.compress(raw, level=level))


def columns_of(data: bytes) -> Columns:
    """Of a block that was packed. Raises Unreadable."""
    raw = _raw(data)
    count = int.from_bytes(raw[:4], "little")
    first, second, third, fourth, fifth = accumulate((4, 8 * count, 8 * count, 4 * count, 4 * count))
    if not count or len(raw) < fifth:
        raise Unreadable("a block of log lines is shorter than it says")
    lengths, field_lengths = _numbers("I", raw[third:fourth]), _numbers("I", raw[fourth:fifth])
    end = fifth + sum(lengths)
    if len(raw) != end + sum(field_lengths):
        raise Unreadable("a block of log lines has not the length that it says")
    return Columns(
        _numbers("q", raw[first:second]),
        _numbers("q", raw[second:third]),
        lengths,
        field_lengths,
        raw[fifth:end],
        raw[end:],
    )


def _raw(data: bytes) -> bytes:
    version, packing = data[:1], data[1:2]
    if version not in (bytes([VERSION]), bytes([_FIRST])):
        raise Unreadable(f"a block of log lines has version {version.hex()}; version {VERSION} is read here")
    if packing == bytes([_PLAIN]):
        return data[2:]
    if packing == bytes([_ZSTD]):
        return _decompressed(data[2:])
    if version == bytes([_FIRST]):
        # The first of these did not say how they are packed: all were by zstd.
        return _decompressed(data[1:])
    raise Unreadable(f"a block of log lines is packed as {packing.hex()}, which is not known here")


def _decompressed(data: bytes) -> bytes:
    import cramjam

    try:
        return bytes(cramjam.zstd.decompress(data))
    except cramjam.DecompressionError as error:
        raise Unreadable(f"a block of log lines cannot be unpacked: {error}") from None


def joined(parts: Sequence[Columns]) -> Columns | None:
    """One after the other, where each begins no earlier than the one before it ends; None where they overlap."""
    time = number = 0
    times, numbers = array("q"), array("q")
    for part in parts:
        if part.times[0] < time or part.numbers[0] < number:
            return None
        times.append(part.times[0] - time)
        numbers.append(part.numbers[0] - number)
        times.extend(part.times[1:])
        numbers.extend(part.numbers[1:])
        time, number = sum(part.times), sum(part.numbers)
    return Columns(
        times,
        numbers,
        _chained([each.line_lengths for each in parts]),
        _chained([each.field_lengths for each in parts]),
        b"".join(each.lines for each in parts),
        b"".join(each.fields for each in parts),
    )


def _chained(parts: Sequence[array[int]]) -> array[int]:
    found: array[int] = array("I")
    for each in parts:
        found.extend(each)
    return found


class Block:
    """One that was packed, to be searched. Raises Unreadable."""

    def __init__(self, data: bytes) -> None:
        self._columns = columns_of(data)
        self.text = self._columns.lines

    def __len__(self) -> int:
        return len(self._columns.times)

    @cached_property
    def times(self) -> list[int]:
        return list(accumulate(self._columns.times))

    @cached_property
    def _numbers(self) -> list[int]:
        return list(accumulate(self._columns.numbers))

    @cached_property
    def _lines_at(self) -> list[int]:
        return [0, *accumulate(self._columns.line_lengths)]

    @cached_property
    def _fields_at(self) -> list[int] | None:
        return [0, *accumulate(self._columns.field_lengths)] if self._columns.fields else None

    def entry(self, i: int) -> Entry:
        lines, fields = self._lines_at, self._fields_at
        more = b"" if fields is None else self._columns.fields[fields[i] : fields[i + 1]]
        return Entry(self.times[i], self._numbers[i], self.text[lines[i] : lines[i + 1]], more)

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


def _differences(values: Sequence[int]) -> array[int]:
    return array("q", map(sub, values, [0, *values[:-1]]))


def _bytes(values: array[int]) -> bytes:
    """Little-endian, on every machine."""
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return values.tobytes()


def _numbers(type: str, data: bytes) -> array[int]:
    found: array[int] = array(type)
    found.frombytes(data)
    if sys.byteorder == "big":
        found.byteswap()
    return found
