"""Reads RDB, what Valkey and Redis write of all their data, as far as putting it back takes: keys, when they end, and
each value as it stands there, which RESTORE takes with its checksum behind it. Pure.

Source: rdb.h, rdb.c of Redis 7.2 and Valkey 9 (Redis 7.0 to Valkey 9 write no other types); lzf_d.c; crc64.c.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

_EXPIRES_MS, _EXPIRES_S, _IDLE, _FREQUENCY, _AUX, _SIZES = 0xFC, 0xFD, 0xF8, 0xF9, 0xFA, 0xFB
_SELECT, _FUNCTION, _SLOT, _END = 0xFE, 0xF5, 0xF4, 0xFF
_HEAD = 9
_INT8, _INT16, _INT32, _LZF = range(4)


class NotRdb(Exception):
    """It is no RDB, or has what this version does not know; the text says which."""


class TooLarge(Exception):
    """A value of that database has more bytes than are read."""

    def __init__(self, database: int) -> None:
        super().__init__(f"a value of database {database}")
        self.database = database


class More(Exception):
    """It goes on in what has not been read yet. `least`: how many bytes there have to be."""

    def __init__(self, least: int) -> None:
        super().__init__(least)
        self.least = least


class Select(NamedTuple):
    """What follows is in that database."""

    database: int


class Function(NamedTuple):
    """A library of functions, as FUNCTION LOAD takes it."""

    code: bytes


class Key(NamedTuple):
    """`ends`: milliseconds since 1970; 0 for never. `value`: as RESTORE takes it."""

    name: bytes
    ends: int
    value: bytes


Entry = Select | Function | Key


class RdbReader:
    """`feed` it pieces in order, take its `entries` after each, and those that are `last` at the end. What is not
    there whole is read again once it is twice as long, so that all takes no longer than three times reading.
    `most`: bytes of one value; None for any. `builds`: whether values are wanted, which are empty otherwise.
    """

    def __init__(self, most: int | None = None, *, builds: bool = True) -> None:
        self._held, self._version, self.is_whole = bytearray(), 0, False
        self._most, self._builds, self._again, self._database = most, builds, 0, 0

    def feed(self, piece: bytes) -> None:
        self._held += piece

    def entries(self, *, last: bool = False) -> Iterator[Entry]:
        """Those that are there whole. `last`: nothing comes after it. Raises NotRdb, TooLarge."""
        if len(self._held) < self._again and not last:
            return
        at = 0
        try:
            if not self._version:
                at = self._head()
            while not self.is_whole:
                cursor = _Cursor(self._held, at)
                entry = self._entry(cursor)
                at = cursor.at
                if entry is not None:
                    yield entry
        except More as more:
            held, least = len(self._held) - at, more.least - at
            self._require_small(max(held, least))
            self._again = max(2 * held, least)
        del self._held[:at]

    def _require_small(self, size: int) -> None:
        if self._most is not None and size > self._most:
            raise TooLarge(self._database)

    def _head(self) -> int:
        if len(self._held) < _HEAD:
            raise More(_HEAD)
        magic = bytes(self._held[:_HEAD])
        digits = magic.removeprefix(b"REDIS").removeprefix(b"VALKEY")
        if digits == magic or not digits.isdigit():
            raise NotRdb("it does not begin as RDB does")
        self._version = int(digits)
        return _HEAD

    def _entry(self, cursor: _Cursor) -> Entry | None:
        ends = 0
        while True:
            kind = cursor.byte()
            if kind == _EXPIRES_MS:
                ends = cursor.number(8)
            elif kind == _EXPIRES_S:
                ends = cursor.number(4) * 1000
            elif kind == _IDLE:
                cursor.length()
            elif kind == _FREQUENCY:
                cursor.byte()
            else:
                break
        if kind == _SELECT:
            self._database = cursor.length()
            return Select(self._database)
        if kind == _FUNCTION:
            return Function(cursor.string())
        if kind in _PASSED_OVER:
            _PASSED_OVER[kind](cursor)
            return None
        if kind == _END:
            self.is_whole = True
            return None
        return self._key(cursor, kind, ends)

    def _key(self, cursor: _Cursor, kind: int, ends: int) -> Key:
        if kind not in _TYPES:
            raise NotRdb(f"it has a value of type {kind}, which is not known here")
        name, begins = cursor.string(), cursor.at
        _TYPES[kind](cursor)
        self._require_small(cursor.at - begins)
        return Key(name, ends, self._value(kind, cursor.since(begins)) if self._builds else b"")

    def _value(self, kind: int, content: bytes) -> bytes:
        value = bytearray([kind])
        value += content
        value += self._version.to_bytes(2, "little")
        value += crc64(value).to_bytes(8, "little")
        return bytes(value)


class _Cursor:
    """Reads on from `at`. Everything raises More where what is there ends."""

    def __init__(self, held: bytearray, at: int) -> None:
        self._held, self.at = held, at

    def since(self, begins: int) -> bytes:
        return bytes(self._held[begins : self.at])

    def take(self, size: int) -> bytes:
        if self.at + size > len(self._held):
            raise More(self.at + size)
        self.at += size
        return bytes(self._held[self.at - size : self.at])

    def skip(self, size: int) -> None:
        if self.at + size > len(self._held):
            raise More(self.at + size)
        self.at += size

    def byte(self) -> int:
        try:
            found = self._held[self.at]
        except IndexError:
            raise More(self.at + 1) from None
        self.at += 1
        return found

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def length(self) -> int:
        size, is_coded = self._size()
        if is_coded:
            raise NotRdb("a length in it cannot be read")
        return size

    def skip_string(self) -> None:
        begins = self.at
        if self.byte() < 0x40:  # most are short: this is what reading all of it takes its time for
            self.skip(self._held[begins])
            return
        self.at = begins
        size, is_coded = self._size()
        if not is_coded:
            self.skip(size)
        elif size == _LZF:
            packed, _ = self.length(), self.length()
            self.skip(packed)
        else:
            self.skip(_integer_size(size))

    def string(self) -> bytes:
        size, is_coded = self._size()
        if not is_coded:
            return self.take(size)
        if size == _LZF:
            packed, whole = self.length(), self.length()
            return unpacked(self.take(packed), whole)
        return str(int.from_bytes(self.take(_integer_size(size)), "little", signed=True)).encode()

    def _size(self) -> tuple[int, bool]:
        """The length, or how a string is coded."""
        first = self.byte()
        kind, rest = first >> 6, first & 0x3F
        if kind == 0:
            return rest, False
        if kind == 1:
            return rest << 8 | self.byte(), False
        if kind == 3:
            return rest, True
        if first in (0x80, 0x81):
            return int.from_bytes(self.take(4 if first == 0x80 else 8), "big"), False
        raise NotRdb("a length in it cannot be read")


def _integer_size(coding: int) -> int:
    if coding not in (_INT8, _INT16, _INT32):
        raise NotRdb(f"a string in it is coded in a way that is not known here ({coding})")
    return int(1 << coding)


def _strings(each: int = 1, more: int = 0) -> Callable[[_Cursor], None]:
    """Of a number of items: so many strings in each, and bytes behind them."""

    def skip(cursor: _Cursor) -> None:
        for _ in range(cursor.length()):
            for _ in range(each):
                cursor.skip_string()
            cursor.skip(more)

    return skip


def _old_scores(cursor: _Cursor) -> None:
    for _ in range(cursor.length()):
        cursor.skip_string()
        size = cursor.byte()
        cursor.skip(size if size < 253 else 0)


def _nodes(cursor: _Cursor) -> None:
    for _ in range(cursor.length()):
        cursor.length()
        cursor.skip_string()


def _stream(version: int) -> Callable[[_Cursor], None]:
    def skip(cursor: _Cursor) -> None:
        _strings(2)(cursor)
        for _ in range(3 if version == 1 else 8):
            cursor.length()
        for _ in range(cursor.length()):
            _group(cursor, version)

    return skip


def _group(cursor: _Cursor, version: int) -> None:
    cursor.skip_string()
    for _ in range(2 if version == 1 else 3):
        cursor.length()
    for _ in range(cursor.length()):
        cursor.skip(16 + 8)
        cursor.length()
    for _ in range(cursor.length()):
        cursor.skip_string()
        cursor.skip(16 if version == 3 else 8)
        cursor.skip(16 * cursor.length())


_Skip = Callable[[_Cursor], None]
_TYPES: dict[int, _Skip] = {
    0: _Cursor.skip_string,
    1: _strings(),
    2: _strings(),
    3: _old_scores,
    4: _strings(2),
    5: _strings(1, 8),
    **dict.fromkeys((9, 10, 11, 12, 13, 16, 17, 20), _Cursor.skip_string),
    14: _strings(),
    15: _stream(1),
    18: _nodes,
    19: _stream(2),
    21: _stream(3),
    22: _strings(2, 8),
}
"""How each type of value is passed over."""


def _lengths(number: int) -> _Skip:
    def skip(cursor: _Cursor) -> None:
        for _ in range(number):
            cursor.length()

    return skip


def _two_strings(cursor: _Cursor) -> None:
    cursor.skip_string()
    cursor.skip_string()


_PASSED_OVER: dict[int, _Skip] = {_AUX: _two_strings, _SIZES: _lengths(2), _SLOT: _lengths(3)}


def unpacked(packed: bytes, size: int) -> bytes:
    """Of LZF. Raises NotRdb."""
    out, at = bytearray(), 0
    try:
        while at < len(packed):
            control, at = packed[at], at + 1
            if control < 32:
                out += packed[at : at + control + 1]
                at += control + 1
                continue
            long = control >> 5
            if long == 7:
                long, at = long + packed[at], at + 1
            back, at = (control & 31) << 8 | packed[at], at + 1
            begins = len(out) - back - 1
            if begins < 0:
                raise NotRdb("a string in it cannot be unpacked")
            for each in range(begins, begins + long + 2):
                out.append(out[each])
    except IndexError:
        raise NotRdb("a string in it cannot be unpacked") from None
    if len(out) != size:
        raise NotRdb("a string in it cannot be unpacked")
    return bytes(out)


def _table() -> tuple[int, ...]:
    found = []
    for each in range(256):
        for _ in range(8):
            each = each >> 1 ^ (0x95AC9329AC4BC9B5 if each & 1 else 0)
        found.append(each)
    return tuple(found)


_CRC = _table()


def crc64(content: bytes | bytearray) -> int:
    """CRC-64 of Jones, as Redis has it."""
    crc, table = 0, _CRC
    for each in content:
        crc = table[(crc ^ each) & 0xFF] ^ crc >> 8
    return crc
