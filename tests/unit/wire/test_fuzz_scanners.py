"""Nonsense for everything that reads a stranger's bytes: understood, or refused in words, and never anything else.

`AEREKOS_FUZZ_EXAMPLES=20000 pytest tests/unit/wire/test_fuzz_scanners.py` goes on for minutes.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from api.edge.cookies import with_plain_cookies
from api.edge.user_content import guarded
from api.gateway.aws_door import signed_for
from api.wire.parsing import parse_json, parse_yaml
from controller.resources.json_patch import json_patch
from controller.resources.patching import merge_patch
from controller.resources.selecting import by_fields, by_labels
from controller.resources.structural import faults
from crds.errors import ApiError
from services.sdk.aws.errors import SignatureFault
from services.sdk.aws.rest_xml import parse
from services.sdk.aws.sigv4 import RawRequest, read_signature
from services.sdk.edge.heads import head_fault

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
        with suppress(SignatureFault):
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
