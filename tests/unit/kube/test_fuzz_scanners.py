"""Nonsense for everything that reads a stranger's bytes: understood, or refused in words, and never anything else.

`AEREKOS_FUZZ_EXAMPLES=20000 pytest tests/unit/kube/test_fuzz_scanners.py` goes on for minutes.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.edge.cookies import with_plain_cookies
from api.edge.user_content import guarded
from api.gateway.aws_routing import signed_for
from api.kube.parsing import parse_json, parse_yaml
from controller.resources.json_patch import json_patch
from controller.resources.merge_patch import merge_patch
from controller.resources.selectors import by_fields, by_labels
from controller.resources.structural_schema import faults
from crds.errors import ApiError
from services.sdk.aws.errors import SignatureError
from services.sdk.aws.rest_xml import parse
from services.sdk.aws.sigv4 import RawRequest, read_signature
from services.sdk.edge.heads import head_fault
from services.storage_manager.aws_chunked import LINE_LIMIT, Decoder, Signing
from services.storage_manager.errors import S3Error

fuzzed = settings(max_examples=int(os.environ.get("AEREKOS_FUZZ_EXAMPLES", "100")))
HEADERS = st.lists(
    st.tuples(
        st.sampled_from([b"host", b"content-length", b"transfer-encoding", b"cookie", b"authorization"])
        | st.binary(max_size=10),
        st.binary(max_size=60),
    ),
    max_size=12,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)
CLAIM = st.text(alphabet='Credential=SgHeadrsu/,; 0A\t"%', max_size=120)


@fuzzed
@given(st.binary(max_size=100), HEADERS, st.sampled_from(["1.0", "1.1"]))
def test_heads(url: bytes, headers: list[tuple[bytes, bytes]], version: str) -> None:
    fault = head_fault(url, headers, version)
    assert fault is None or fault.code in (400, 414, 431)
    with_plain_cookies(headers)
    guarded(headers, headers, shared=True)


@fuzzed
@given(CLAIM, st.text(max_size=60), HEADERS)
def test_signatures(claim: str, query: str, headers: list[tuple[bytes, bytes]]) -> None:
    signed_for([*headers, (b"authorization", b"AWS4-HMAC-SHA256 " + claim.encode())], query.encode())
    for sent in ([("authorization", f"AWS4-HMAC-SHA256 {claim}"), ("x-amz-date", query)], []):
        with suppress(SignatureError):
            read_signature(RawRequest("GET", "/", f"X-Amz-Credential={claim}&{query}", sent))


@fuzzed
@given(st.text(max_size=80) | st.text(alphabet="ab ,()=!<>in\t9-./", max_size=80))
def test_selectors(text: str) -> None:
    for read in (by_labels, lambda text: by_fields(text, frozenset({"metadata.name"}))):
        with suppress(ApiError):
            if test := read(text):
                test({"metadata": {"labels": {"a": "9"}, "name": "x"}})


@fuzzed
@given(st.binary(max_size=120) | JSON.map(lambda value: json.dumps(value).encode()))
def test_documents(body: bytes) -> None:
    for read in (parse_json, parse_yaml):
        with suppress(ApiError):
            read(body)
    with suppress(ValueError):
        parse(body)
    with suppress(ValueError):
        parse(b"<a>" + body + b"</a>")


OPERATIONS = st.lists(
    st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "remove", "test", "move", "copy"]), "path": st.text("/-0919~ab", max_size=12)},
        optional={"value": JSON, "from": st.text(max_size=6)},
    ),
    max_size=4,
)


@fuzzed
@given(JSON, JSON, OPERATIONS)
def test_patches(document: Any, patch: Any, operations: list[dict[str, Any]]) -> None:
    with suppress(ApiError):
        merge_patch(document, patch)
    with suppress(ApiError):
        json_patch(document, operations)


@fuzzed
@given(JSON, st.text(max_size=30))
def test_schemas(value: Any, pattern: str) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}},
              "additionalProperties": {"pattern": pattern, "x-kubernetes-list-type": "set"}}  # fmt: skip
    list(faults(value, schema))


PAYLOADS = st.lists(st.binary(min_size=1, max_size=40), max_size=5)
SIGNING = Signing(b"k" * 32, "20260102T030405Z", "20260102/us-east-1/s3/aws4_request", "0" * 64)


def as_chunks(payloads: list[bytes], trailers: bytes = b"") -> bytes:
    """An unsigned aws-chunked body."""
    return b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in payloads) + b"0\r\n" + trailers + b"\r\n"


@fuzzed
@given(PAYLOADS, st.binary(max_size=8), st.integers(0, 200), st.integers(0, 8), st.integers(1, 64), st.booleans())
def test_chunks(payloads: list[bytes], bent: bytes, at: int, gone: int, step: int, signed: bool) -> None:
    """A body bent in one place is understood or refused, the same however it is cut; and holds back no more than a
    line, whatever follows its end.
    """
    whole = as_chunks(payloads, b"x-amz-checksum-crc32:AA==\r\n")
    body = whole[:at] + bent + whole[at + gone :] if at < len(whole) else whole + bent
    outcomes = set()
    for size in (step, len(body) or 1):
        decoder, payload = Decoder(SIGNING if signed else None, trailing=True), b""
        try:
            for place in range(0, len(body), size):
                payload += decoder.feed(body[place : place + size])
                assert len(decoder._buffer) <= LINE_LIMIT + 2
            decoder.finish()
        except S3Error as refused:
            outcomes.add(refused.code)
        else:
            outcomes.add(payload.hex() + repr(sorted(decoder.trailers.items())))
            if body == whole:
                assert payload == b"".join(payloads)
    assert len(outcomes) == 1


@pytest.mark.parametrize("after", [b"x", b"0\r\n\r\n", b"y" * 100_000])
def test_nothing_follows_the_last_chunk(after: bytes) -> None:
    for cut in (0, len(as_chunks([b"abc"]))):
        decoder = Decoder(None, trailing=False)
        with pytest.raises(S3Error):
            body = as_chunks([b"abc"]) + after
            decoder.feed(body[:cut]) if cut else None
            decoder.feed(body[cut:])
