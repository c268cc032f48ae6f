"""Frames, chunked bodies, listings and the blob folder keep their promises."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.storage_manager.aws_chunked import Decoder
from services.storage_manager.blob_format import FRAME, AesGcmCipher
from services.storage_manager.blobs import Blobs
from services.storage_manager.errors import Corrupt, S3Error
from services.storage_manager.listing import page
from services.storage_manager.metadata import MetadataIndex, Object, Part, Piece, Upload

BOX = AesGcmCipher(b"k" * 32, "b" * 32)
SIZES = st.sampled_from([0, 1, FRAME - 1, FRAME, FRAME + 1, 2 * FRAME, 3 * FRAME + 7])


def written(root: Path, body: bytes) -> Blobs:
    blobs = Blobs(root)
    writer = blobs.write("b" * 32, BOX)
    writer.feed(body)
    writer.commit()
    return blobs


@settings(max_examples=40, deadline=None)
@given(size=SIZES, data=st.data())
def test_any_range_comes_back(tmp_path_factory: pytest.TempPathFactory, size: int, data: st.DataObject) -> None:
    body = bytes(i % 251 for i in range(size))
    blobs = written(tmp_path_factory.mktemp("b"), body)
    start = data.draw(st.integers(0, size))
    stop = data.draw(st.integers(start, size))
    assert b"".join(blobs.read("b" * 32, BOX, size, start, stop)) == body[start:stop]


@settings(max_examples=40, deadline=None)
@given(at=st.integers(0, 2 * FRAME + 40), cut=st.booleans())
def test_tampering_is_noticed(tmp_path_factory: pytest.TempPathFactory, at: int, cut: bool) -> None:
    body = b"plaintext" * (2 * FRAME // 9)
    blobs = written(tmp_path_factory.mktemp("b"), body)
    raw = bytearray(blobs.path("b" * 32).read_bytes())
    assert b"plaintextplaintext" not in raw
    raw[at % len(raw)] ^= 1
    blobs.path("b" * 32).write_bytes(raw[: at % len(raw)] if cut else raw)
    with pytest.raises(Corrupt):
        list(blobs.read("b" * 32, BOX, len(body), 0, len(body)))


@given(chunks=st.lists(st.binary(min_size=1, max_size=50)), step=st.integers(1, 40))
def test_unsigned_chunks_in_any_cut(chunks: list[bytes], step: int) -> None:
    raw = b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks) + b"0\r\nx-amz-checksum-crc32:AA==\r\n\r\n"
    decoder = Decoder(None, True)
    out = b"".join(decoder.feed(raw[i : i + step]) for i in range(0, len(raw), step))
    decoder.finish()
    assert out == b"".join(chunks)
    assert decoder.trailers == {"x-amz-checksum-crc32": "AA=="}


@given(raw=st.binary(max_size=200))
def test_noise_never_crashes_the_decoder(raw: bytes) -> None:
    decoder = Decoder(None, True)
    try:
        decoder.feed(raw)
        decoder.finish()
    except S3Error:
        pass


def listed(keys: list[str], prefix: str, delimiter: str, limit: int) -> list[str]:
    rows = [Object(k, 0, "", 0, {}, ()) for k in sorted(keys)]

    def fetch(after: str, inclusive: bool, count: int) -> list[Object]:
        return [r for r in rows if r.key > after or (inclusive and r.key == after)][:count]

    out: list[str] = []
    after = ""
    while True:
        got = page(fetch, prefix=prefix, delimiter=delimiter, after=after, limit=limit)
        assert len(got) <= limit
        out += sorted([o.key for o in got.objects] + got.prefixes)
        if not got.truncated:
            return out
        after = got.last


KEYS = st.lists(st.text("ab/", min_size=1, max_size=5), unique=True, max_size=30)


@given(
    keys=KEYS,
    prefix=st.text("ab/", max_size=2),
    delimiter=st.sampled_from(["", "/"]),
    limit=st.integers(1, 4),
)
def test_listing_agrees_with_a_model(keys: list[str], prefix: str, delimiter: str, limit: int) -> None:
    model = set()
    for key in keys:
        if key.startswith(prefix):
            rest = key[len(prefix) :]
            model.add(prefix + rest.split("/")[0] + "/" if delimiter and "/" in rest else key)
    assert listed(keys, prefix, delimiter, limit) == sorted(model)


def test_a_replaced_blob_stays_for_its_readers_then_goes(tmp_path: Path) -> None:
    metadata = MetadataIndex(tmp_path / "m.db", clock=lambda: 100.0)
    metadata.put("b", Object("k", 1, "e", 0.0, {}, (Piece("one", 1, ""),)))
    metadata.put("b", Object("k", 1, "e", 0.0, {}, (Piece("two", 1, ""),)))
    assert metadata.known_blobs() == {"one", "two"}
    assert (metadata.garbage_blobs(before=100.0), metadata.garbage_blobs(before=100.1)) == ([], ["one"])
    metadata.mark_deleted(["one"])
    assert metadata.known_blobs() == {"two"}
    assert metadata.usage("b") == (1, 1)


def test_a_closed_bucket_takes_nothing_new(tmp_path: Path) -> None:
    metadata, thing = MetadataIndex(tmp_path / "m.db"), Object("k", 1, "e", 0.0, {}, (Piece("one", 1, ""),))
    metadata.put("b", thing)
    assert metadata.seal_bucket("b") == 1
    metadata.put("b", thing)
    metadata.remove("b", "k")
    assert metadata.seal_bucket("b") == 0
    with pytest.raises(S3Error, match="being deleted"):
        metadata.put("b", thing)
    metadata.unseal_bucket("b")
    metadata.put("b", thing)


def test_uploads_nobody_completes_expire(tmp_path: Path) -> None:
    metadata = MetadataIndex(tmp_path / "m.db")
    upload = Upload("u", "b", "k", created=10.0, headers={})
    metadata.begin(upload)
    metadata.put_part(upload, Part(1, 1, "e", 10.0, Piece("one", 1, "")))
    assert (metadata.expire(before=10.0), metadata.expire(before=11.0)) == (0, 1)
    assert metadata.uploads("b", "") == [] and metadata.garbage_blobs(before=1e12) == ["one"]


def test_completing_twice_gives_the_same_answer(tmp_path: Path) -> None:
    metadata = MetadataIndex(tmp_path / "m.db")
    upload = Upload("u", "b", "k", created=10.0, headers={})
    metadata.begin(upload)
    metadata.put_part(upload, Part(1, 1, "e", 10.0, Piece("one", 1, "")))
    metadata.complete(upload, Object("k", 1, "tag-1", 10.0, {}, (Piece("one", 1, ""),)), lambda _: None)
    assert metadata.finished("b", "k", "u") == ("tag-1", "") and metadata.finished("b", "other", "u") is None


def test_a_listing_reads_what_it_shows_and_little_more() -> None:
    """Whatever is below: a common prefix of a million keys costs as much as one of ten."""
    keys = [f"{group:03}/{each:04}" for group in range(100) for each in range(1000)]
    read = 0

    def fetch(at: str, inclusive: bool, most: int) -> list[Object]:
        nonlocal read
        first = (bisect_left if inclusive else bisect_right)(keys, at)
        found = [Object(key, 1, "e", 0.0, {}, ()) for key in keys[first : first + most]]
        read += len(found)
        return found

    found = page(fetch, prefix="", delimiter="/", after="", limit=1000)
    assert len(found.prefixes) == 100 and read <= 5 * 100
    read = 0
    assert len(page(fetch, prefix="", delimiter="", after="", limit=3).objects) == 3 and read <= 4
    read = 0
    assert len(page(fetch, prefix="050/", delimiter="/", after="", limit=1000).objects) == 1000 and read <= 2500
