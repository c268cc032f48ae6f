"""CBOR as Smithy RPC v2 uses it: one data item of maps, lists, text, bytes, numbers, booleans, null and moments.

Reading is bounded: nothing is made that is longer than what is there, nothing is nested deeper than requests are.
Source: RFC 8949; Smithy "RPC v2 CBOR" (tag 1 alone; definite and indefinite lengths; half, single and double floats).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn

from services.sdk.aws.protocols.timestamps import from_epoch

DEEPEST = 100
_ENDLESS, _BREAK = 31, 0xFF
_FLOATS = {25: struct.Struct(">e"), 26: struct.Struct(">f"), 27: struct.Struct(">d")}
_SIMPLE = {20: False, 21: True, 22: None, 23: None}
_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _LIST, _MAP, _TAG, _OTHER = range(8)
_WIDTH = {24: 1, 25: 2, 26: 4, 27: 8}
_MOMENT = 1


def decode(data: bytes) -> Any:
    """The one item in `data`. Raises ValueError."""
    reader = _Decoder(data)
    found = reader.item(0)
    if reader.at != len(data):
        _refuse("there is something after the end")
    return found


def encode_head(major: int, number: int) -> bytes:
    """The first bytes of an item: what it is, and how long or how much."""
    if number < 24:
        return bytes((major << 5 | number,))
    for info, width in _WIDTH.items():
        if number < 1 << 8 * width:
            return bytes((major << 5 | info,)) + number.to_bytes(width)
    raise OverflowError("no number of 64 bits")


def encode_integer(value: int) -> bytes:
    return encode_head(_UNSIGNED, value) if value >= 0 else encode_head(_NEGATIVE, -1 - value)


def encode_float(value: float) -> bytes:
    return b"\xfb" + _FLOATS[27].pack(value)


def encode_bytes(value: bytes) -> bytes:
    return encode_head(_BYTES, len(value)) + value


def encode_text(value: str) -> bytes:
    content = value.encode()
    return encode_head(_TEXT, len(content)) + content


def encode_boolean(value: bool) -> bytes:
    return b"\xf5" if value else b"\xf4"


def encode_moment(value: datetime) -> bytes:
    seconds = value.timestamp()
    return encode_head(_TAG, _MOMENT) + (
        encode_integer(int(seconds)) if seconds.is_integer() else encode_float(seconds)
    )


def map_head(count: int) -> bytes:
    return encode_head(_MAP, count)


def list_head(count: int) -> bytes:
    return encode_head(_LIST, count)


class _Decoder:
    def __init__(self, data: bytes) -> None:
        self._data, self.at = data, 0
        self._majors: tuple[Callable[[int, int], Any], ...] = (
            lambda info, depth: self._number(info),
            lambda info, depth: -1 - self._number(info),
            lambda info, depth: self._string(_BYTES, info),
            lambda info, depth: _utf8(self._string(_TEXT, info)),
            self._list,
            self._map,
            self._tagged,
            self._other,
        )

    def item(self, depth: int) -> Any:
        if depth > DEEPEST:
            _refuse("nested too deep")
        first = self._take(1)[0]
        return self._majors[first >> 5](first & 31, depth + 1)

    def _take(self, count: int) -> bytes:
        found = self._data[self.at : self.at + count]
        if len(found) != count:
            _refuse("it ends too early")
        self.at += count
        return found

    def _number(self, info: int) -> int:
        if info < 24:
            return info
        width = _WIDTH.get(info)
        if width is None:
            _refuse("no such number")
        return int.from_bytes(self._take(width))

    def _string(self, major: int, info: int) -> bytes:
        if info != _ENDLESS:
            return self._take(self._number(info))
        parts = []
        while not self._ends():
            first = self._take(1)[0]
            if first >> 5 != major or first & 31 == _ENDLESS:
                _refuse("a part of a string is no string")
            parts.append(self._take(self._number(first & 31)))
        return b"".join(parts)

    def _list(self, info: int, depth: int) -> list[Any]:
        if info == _ENDLESS:
            found = []
            while not self._ends():
                found.append(self.item(depth))
            return found
        return [self.item(depth) for _ in range(self._count(info))]

    def _map(self, info: int, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if info == _ENDLESS:
            while not self._ends():
                self._pair(found, depth)
        else:
            for _ in range(self._count(info)):
                self._pair(found, depth)
        return found

    def _pair(self, found: dict[str, Any], depth: int) -> None:
        key = self.item(depth)
        if type(key) is not str:
            _refuse("a key is no text")
        found[key] = self.item(depth)

    def _count(self, info: int) -> int:
        """How many items follow: each has at least one byte."""
        count = self._number(info)
        if count > len(self._data) - self.at:
            _refuse("it ends too early")
        return count

    def _tagged(self, info: int, depth: int) -> datetime:
        if self._number(info) != _MOMENT:
            _refuse("tag 1 is the only one")
        seconds = self.item(depth)
        if type(seconds) not in (int, float):
            _refuse("a moment is a number of seconds")
        return from_epoch(seconds)

    def _other(self, info: int, depth: int) -> Any:
        if info in _SIMPLE:
            return _SIMPLE[info]
        form = _FLOATS.get(info)
        if form is None:
            _refuse("no such simple value")
        return form.unpack(self._take(form.size))[0]

    def _ends(self) -> bool:
        if self.at >= len(self._data):
            _refuse("it ends too early")
        if self._data[self.at] != _BREAK:
            return False
        self.at += 1
        return True


def _utf8(content: bytes) -> str:
    return content.decode()  # UnicodeDecodeError is a ValueError


def _refuse(why: str) -> NoReturn:
    raise ValueError(f"no CBOR: {why}")
