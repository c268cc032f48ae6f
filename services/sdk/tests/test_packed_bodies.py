"""Bodies that came compressed become no more than they may."""

from __future__ import annotations

import gzip

import cramjam
import pytest

from crds.errors import BadRequest, TooLarge, UnsupportedMedia
from services.sdk.packed_bodies import unpacked, unpacked_snappy

MOST = 1 << 10


def snappy(body: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(body))


@pytest.mark.parametrize("body", [b"", b"a line", bytes(MOST)])
def test_what_was_packed_comes_back(body: bytes) -> None:
    assert unpacked(gzip.compress(body), "GZIP", MOST) == body
    assert unpacked(body, "identity", MOST) == body
    assert unpacked_snappy(snappy(body), MOST) == body


def test_what_is_larger_or_unfinished_or_something_else_is_refused() -> None:
    for packed in (gzip.compress(bytes(MOST + 1)), gzip.compress(bytes(10 << 20)), gzip.compress(b"line")[:-1]):
        with pytest.raises(TooLarge):
            unpacked(packed, "gzip", MOST)
    with pytest.raises(BadRequest, match="not gzip"):
        unpacked(b"a line", "gzip", MOST)
    with pytest.raises(UnsupportedMedia, match="zstd is not"):
        unpacked(b"a line", "zstd", MOST)
    with pytest.raises(BadRequest, match="more than 1024 bytes"):
        unpacked_snappy(snappy(bytes(MOST + 1)), MOST)
    for packed in (b"a line", snappy(bytes(MOST))[:-1], b"\xff" * 20, b"\xff"):
        with pytest.raises(BadRequest, match="block format"):
            unpacked_snappy(packed, MOST)
