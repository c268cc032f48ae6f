"""Checksums against their published check values, and joined ones against those of the whole."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.storage_manager.checksums import CHECKSUMS, CRCS, PREFIX, of_parts, requested_checksums
from services.storage_manager.errors import S3Error


def value(name: str, *data: bytes) -> str:
    each = CHECKSUMS[name]()
    for block in data:
        each.update(block)
    return base64.b64encode(each.digest()).decode()


@pytest.mark.parametrize(
    ("name", "check"),
    [("crc32", "cbf43926"), ("crc32c", "e3069283"), ("crc64nvme", "ae8b14860a799888")],
)
def test_the_published_check_values(name: str, check: str) -> None:
    assert base64.b64decode(value(PREFIX + name, b"123456789")).hex() == check


@given(name=st.sampled_from(sorted(CRCS)), blocks=st.lists(st.binary(max_size=40), max_size=6))
def test_crcs_of_parts_make_the_crc_of_the_whole(name: str, blocks: list[bytes]) -> None:
    whole = value(name, b"".join(blocks))
    assert value(name, *blocks) == whole
    assert of_parts(name, "FULL_OBJECT", [(value(name, each), len(each)) for each in blocks]) == whole


def test_a_composite_one_counts_its_parts() -> None:
    name = f"{PREFIX}sha256"
    digests = [value(name, b"a"), value(name, b"b")]
    expected = value(name, b"".join(base64.b64decode(each) for each in digests))
    assert of_parts(name, "COMPOSITE", [(each, 1) for each in digests]) == f"{expected}-2"


def test_what_an_upload_may_ask_for() -> None:
    assert requested_checksums({}) == {}
    assert requested_checksums({f"{PREFIX}algorithm": "crc64nvme"})[f"{PREFIX}type"] == "FULL_OBJECT"
    for wrong in ({f"{PREFIX}algorithm": "MD4"}, {f"{PREFIX}algorithm": "SHA1", f"{PREFIX}type": "FULL_OBJECT"}):
        with pytest.raises(S3Error):
            requested_checksums(wrong)
