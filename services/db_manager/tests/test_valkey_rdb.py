"""Reading RDB: checksums, packed strings, pieces of any size, and what is no RDB."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.db_manager.valkey import rdb
from services.db_manager.valkey.rdb import Entry, Function, Key, NotRdb, RdbReader, Select, TooLarge, crc64, unpacked

HEAD = b"REDIS0010"
WHOLE = (
    HEAD
    + b"\xfa\x09redis-ver\x057.0.0"
    + b"\xfe\x00\xfb\x02\x01"
    + b"\xf5\x04code"
    + b"\xfc\x10\x27\x00\x00\x00\x00\x00\x00\x00\x01a\x01b"
    + b"\x00\x01n\xc0\xfe"
    + b"\x04\x01h\x01\x01f\x01v"
    + b"\xff"
    + bytes(8)
)


def read(content: bytes, *cuts: int) -> tuple[list[Entry], bool]:
    reader, at = RdbReader(), 0
    found: list[Entry] = []
    for cut in (*sorted(cuts), len(content)):
        reader.feed(content[at:cut])
        found += list(reader.entries())
        at = cut
    found += list(reader.entries(last=True))
    return found, reader.is_whole


def test_it_has_what_is_in_it_and_the_checksum_is_that_of_redis() -> None:
    assert crc64(b"123456789") == 0xE9C6D914C4B8D9CA
    found, is_whole = read(WHOLE)
    assert is_whole and found[:2] == [Select(0), Function(b"code")]
    keys = [each for each in found if isinstance(each, Key)]
    assert [(each.name, each.ends, each.value[:-10]) for each in keys] == [
        (b"a", 10_000, b"\x00\x01b"),
        (b"n", 0, b"\x00\xc0\xfe"),
        (b"h", 0, b"\x04\x01\x01f\x01v"),
    ]
    assert all(each.value[-10:-8] == b"\x0a\x00" for each in keys)
    assert all(crc64(each.value[:-8]) == int.from_bytes(each.value[-8:], "little") for each in keys)


@given(st.lists(st.integers(0, len(WHOLE)), max_size=6))
def test_pieces_are_as_good_as_all_at_once(cuts: list[int]) -> None:
    assert read(WHOLE, *cuts) == read(WHOLE)


@given(st.integers(0, len(WHOLE) - 10))
def test_what_is_cut_off_is_not_whole(size: int) -> None:
    assert not read(WHOLE[:size])[1]


@pytest.mark.parametrize(
    "content", [b"PGDMP0010\x00", HEAD + b"\x07\x01k\x00", HEAD + b"\xf7\x00", HEAD + b"\xfe\xc0"]
)
def test_what_is_not_known_is_refused(content: bytes) -> None:
    with pytest.raises(NotRdb):
        read(content)


@given(st.binary(max_size=400))
def test_whatever_it_is_it_is_refused_or_read(content: bytes) -> None:
    with suppress(NotRdb):
        read(HEAD + content)


def test_a_packed_string_is_what_it_was() -> None:
    assert unpacked(b"\x01ab\xe0\x4f\x01", 2 + 7 + 0x4F + 2) == b"ab" * 45
    for packed, size in ((b"\x20\x05", 3), (b"\x01ab", 3), (b"\xe0", 9)):
        with pytest.raises(NotRdb):
            unpacked(packed, size)


LARGE = HEAD + b"\xfe\x03\x01\x01k\x80" + (60_000).to_bytes(4, "big") + b"\x03abc" * 60_000 + b"\xff" + bytes(8)


def test_a_large_value_is_read_a_few_times_and_not_with_each_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    looked, skip = [0], rdb._Cursor.skip_string

    def counted(cursor: rdb._Cursor) -> None:
        looked[0] += 1
        skip(cursor)

    monkeypatch.setattr(rdb._Cursor, "skip_string", counted)
    monkeypatch.setitem(rdb._TYPES, 1, rdb._strings())
    monkeypatch.setattr(rdb, "crc64", lambda content: 0)
    found, is_whole = read(LARGE, *range(0, len(LARGE), 2_000))
    assert is_whole and len(found) == 2
    assert looked[0] < 3 * 60_000


@pytest.mark.parametrize("cuts", [(), tuple(range(0, len(LARGE), 10_000))])
@pytest.mark.parametrize("content", [LARGE, HEAD + b"\xfe\x03\x00\x01k\x80\x00\x02\x00\x00" + bytes(1 << 17)])
def test_a_value_that_is_too_large_is_refused_before_it_is_held(content: bytes, cuts: tuple[int, ...]) -> None:
    reader, at = RdbReader(100_000, builds=False), 0
    with pytest.raises(TooLarge) as refused:
        for cut in (*cuts, len(content)):
            reader.feed(content[at:cut])
            at = cut
            list(reader.entries())
        list(reader.entries(last=True))
    assert refused.value.database == 3


def test_who_wants_no_values_gets_none() -> None:
    reader = RdbReader(100, builds=False)
    reader.feed(WHOLE)
    assert {each.value for each in reader.entries(last=True) if isinstance(each, Key)} == {b""} and reader.is_whole
