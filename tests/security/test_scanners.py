"""What reads a stranger's bytes takes time in proportion to them, says no to nonsense, and never fails.

Each attack is the longest text of its kind, made to be understood in as many ways as possible. Four times as much may
take four times as long; what takes nine times as long is not linear.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.edge.cookies import LONGEST_COOKIES, with_plain_cookies
from api.gateway.aws_routing import signed_for
from api.kube.parsing import parse_json, parse_yaml
from api.kube.request import find_target
from controller.kit.patterns import MOST_WORK, PatternError, Work, WorkSpent, compile_pattern, found_in
from controller.resources.selector_parsing import parse_requirements
from controller.resources.selectors import by_fields, by_labels, field_at
from controller.resources.structural_schema import faults
from crds.catalog import CORE_KINDS, Catalog
from crds.errors import ApiError, BadRequest
from crds.names import label_key_fault, label_value_fault, subdomain_fault
from crds.numbers import whole_number
from services.sdk.asgi import read_params
from services.sdk.aws.authorization_header import (
    LONGEST,
    AuthorizationHeader,
    Credential,
    parse_authorization,
    parse_credential,
)
from services.sdk.aws.errors import SignatureError
from services.sdk.aws.rest_xml import parse
from services.sdk.aws.sigv4 import RawRequest, read_signature

SIZES = 16_384, 65_536
MOST_RATIO = 9.0
CATALOG = Catalog(CORE_KINDS)
REFUSALS = (ApiError, SignatureError, ValueError)


def seconds(scan: Callable[[int], Any], size: int) -> float:
    """The best of some tries, so that what else the machine does is no fault of ours."""
    taken = []
    for _ in range(5):
        began = time.process_time()
        with suppress(*REFUSALS):
            scan(size)
        taken.append(time.process_time() - began)
    return min(taken)


def signed(value: bytes) -> None:
    signed_for([(b"authorization", b"AWS4-HMAC-SHA256 " + value)], b"X-Amz-Credential=" + value)
    with suppress(SignatureError):
        text = value.decode("latin-1")
        read_signature(RawRequest("GET", "/", "", [("authorization", "AWS4-HMAC-SHA256 " + text)]))
        read_signature(RawRequest("GET", "/", f"X-Amz-Credential={text}", []))


ATTACKS: dict[str, Callable[[int], Any]] = {
    "commas and spaces in a signature": lambda n: signed(b", " * (n // 2)),
    "credentials in a signature": lambda n: signed(b"Credential=a/" * (n // 13)),
    "slashes in a signature": lambda n: signed(b"Credential=" + b"/" * n),
    "quoted cookies": lambda n: with_plain_cookies(
        [(b"cookie", b'a="' + b"\\" * min(n, LONGEST_COOKIES - 9) + b'"')]
    ),
    "spaces in a label selector": lambda n: by_labels("a" + " " * n + "!"),
    "words in a label selector": lambda n: by_labels("a" * n + "("),
    "brackets in a label selector": lambda n: by_labels("a in " + "(" * n),
    "commas in a label selector": lambda n: by_labels("a in (" + "," * n + ")"),
    "equals in a field selector": lambda n: by_fields("metadata.name" + "=" * n, frozenset({"metadata.name"})),
    "numbers in base 60": lambda n: parse_yaml(b"a: " + b"1:" * (n // 2) + b"1"),
    "long numbers": lambda n: parse_yaml(b"a: " + b"1" * n),
    "a key that stands twice, over much": lambda n: parse_json(
        b'{"' + b"k" * (n // 2) + b'":[' + b"{}," * (n // 6) + b'{"a":1,"a":2}], "b": 1}', []
    ),
    "the same key": lambda n: parse_json(b'{"a": 1' + b',"a":1' * (n // 6) + b"}", []),
    "the same key in YAML": lambda n: parse_yaml(b"{a: 1" + b",a: 1" * (n // 6) + b"}", []),
    "dashes in a name": lambda n: (subdomain_fault("a" + "-" * n), label_key_fault("a/" + "-" * n)),
    "dots in a name": lambda n: subdomain_fault("a." * (n // 2)),
    "slashes in a path": lambda n: find_target("/api" + "/" * n, CATALOG),
    "percents in a path": lambda n: find_target("/api/v1/" + "%2f" * (n // 3), CATALOG),
    "parameters": lambda n: read_params(b"a=1&" * (n // 4)),
    "elements": lambda n: parse(b"<a>" + b"<b/>" * (n // 4) + b"</a>"),
    "nested elements": lambda n: parse(b"<a>" * (n // 7) + b"</a>" * (n // 7)),
    "an evil pattern": lambda n: found_in("^(a+)+$", "a" * n + "!"),
    "another evil pattern": lambda n: found_in("(x+x+)+y", "x" * n),
    "a list of many": lambda n: list(
        faults(list(map(str, range(n // 16))), {"type": "array", "x-kubernetes-list-type": "set", "items": {}})
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_twice_the_text_takes_twice_the_time(attack: str) -> None:
    small, large = SIZES
    one, four = seconds(ATTACKS[attack], small), seconds(ATTACKS[attack], large)
    # What is over in a millisecond is over: no ratio can be told, and no harm done.
    assert four < 0.002 or four < MOST_RATIO * max(one, 0.0002), f"{one * 1000:.2f} ms became {four * 1000:.2f} ms"


@given(st.text(max_size=300) | st.text(alphabet="CredentialSgu/=,; 0A4-", max_size=300))
def test_a_claim_is_read_as_it_was_written_or_not_at_all(text: str) -> None:
    found = parse_authorization("AWS4-HMAC-SHA256 " + text)
    if found is not None:
        parts = {f"Credential={found.credential}", f"SignedHeaders={found.signed_headers}",
                 f"Signature={found.signature}"}  # fmt: skip
        assert {part.strip(" \t") for part in text.split(",")} == parts


NAMES = st.text(alphabet="ABCabc019-", min_size=1, max_size=20)


@given(NAMES, st.from_regex(r"[0-9]{8}", fullmatch=True), NAMES, st.sampled_from(["s3", "kms", "execute-api"]))
def test_what_clients_send_is_understood(key: str, date: str, region: str, service: str) -> None:
    credential = f"{key}/{date}/{region}/{service}/aws4_request"
    assert parse_credential(credential) == Credential(key, date, region, service)
    for gap in (", ", ","):
        header = f"AWS4-HMAC-SHA256 Credential={credential}{gap}SignedHeaders=host;x-amz-date{gap}Signature=00ff"
        expected = AuthorizationHeader("AWS4-HMAC-SHA256", credential, "host;x-amz-date", "00ff")
        assert parse_authorization(header) == expected
        assert signed_for([(b"authorization", header.encode())], b"") == service


@pytest.mark.parametrize(
    "header",
    [
        "AWS4-HMAC-SHA256 Credential=a/20260101/r/s3/aws4_request, SignedHeaders=host",
        "AWS4-HMAC-SHA256 Credential=a/20260101/r/s3/aws4_request, SignedHeaders=host, Signature=1, Signature=2",
        "AWS4-HMAC-SHA256 Credential=a/20260101/r/s3/aws4_request, SignedHeaders=host, Signature=1, Other=2",
        "AWS4-HMAC-SHA256 Credential=a/20260101/r/s3/aws4_request, SignedHeaders=ho st, Signature=1",
        "AWS4-HMAC-SHA256 Credential=a/20260101/r/s3/aws4_request, SignedHeaders=, Signature=1",
        "AWS4-HMAC-SHA256 Credential=" + "a" * LONGEST + "/20260101/r/s3/aws4_request, SignedHeaders=h, Signature=1",
    ],
)
def test_a_claim_that_could_be_read_in_two_ways_is_none(header: str) -> None:
    assert parse_authorization(header) is None


@pytest.mark.parametrize("expires", ["9" * 5000, "0", "-1", "1.5", "", "٣", "604801", " 1"])
def test_an_expiry_that_is_no_number_of_seconds_is_refused(expires: str) -> None:
    query = (
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a/20260101/r/s3/aws4_request&X-Amz-Date=20260101T000000Z"
        f"&X-Amz-SignedHeaders=host&X-Amz-Signature=00&X-Amz-Expires={expires}"
    )
    with pytest.raises(SignatureError):
        read_signature(RawRequest("GET", "/", query, []))


@given(st.text(max_size=40))
def test_whole_numbers_are_what_digits_say(text: str) -> None:
    found = whole_number(text)
    assert found is None or (found == int(text) and text.isascii())


def test_five_thousand_digits_are_no_number() -> None:
    assert whole_number("9" * 5000) is None and whole_number("10", 9) is None and whole_number("7", 9) == 7


LABELS = st.from_regex(r"[a-z0-9]([a-z0-9._-]{0,8}[a-z0-9])?", fullmatch=True)


@given(st.lists(st.tuples(LABELS, st.sampled_from(["=", "==", "!=", " in ", " notin "]), LABELS), max_size=6))
def test_a_selector_says_what_was_written(parts: list[tuple[str, str, str]]) -> None:
    text = ",".join(f"{key}{op}({value})" if "in" in op else f"{key}{op}{value}" for key, op, value in parts)
    found = [(each.key, each.operator, set(each.values)) for each in parse_requirements(text)]
    assert found == [(key, op.strip(), {value}) for key, op, value in parts]


@given(st.text(alphabet="ab ,()=!<>in\t9-", max_size=60))
def test_a_selector_is_read_or_refused(text: str) -> None:
    with suppress(BadRequest):
        parse_requirements(text)


def test_a_selector_has_an_end() -> None:
    with pytest.raises(BadRequest, match="requirements"):
        by_labels(",".join(["a"] * 300))


@given(st.binary(max_size=200))
def test_plain_cookies_stay_and_quoted_ones_go(value: bytes) -> None:
    kept = with_plain_cookies([(b"cookie", value), (b"cookie", b"aerekos-refresh=abc.def-1"), (b"x", b"y")])
    assert (b"x", b"y") in kept
    cookies = next(each for name, each in kept if name == b"cookie")
    assert b"aerekos-refresh=abc.def-1" in cookies and b'"' not in cookies and b"\\" not in cookies


@pytest.mark.parametrize("path", ["items[]", "items[x]", "items[-1]", "items[" + "9" * 5000 + "]", "items[99999]"])
def test_a_place_that_is_none_holds_nothing(path: str) -> None:
    assert field_at({"items": [1, 2]}, path) is None


@pytest.mark.parametrize("pattern", ["(?=a)b", "(a", "a{1001}", "(a{1000}){1000}", "a" * 5000, "\\1"])
def test_what_no_linear_engine_runs_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        compile_pattern(pattern)


def test_a_document_may_cost_so_much_and_no_more() -> None:
    work = Work()
    with pytest.raises(WorkSpent):
        for _ in range(MOST_WORK):
            found_in("(a?){200}b", "a" * 10_000, work)
    schema = {"type": "array", "items": {"type": "string", "pattern": "(a?){200}b"}}
    found = list(faults(["a" * 10_000] * 300, schema))
    assert found[-1].reason == "FieldValueTooLong"


def test_the_letters_of_go_are_understood() -> None:
    assert found_in(r"^\pL+$", "äöü") and found_in(r"\Aa\z", "a") and not found_in(r"^\d+$", "٣")


def test_a_hidden_document_type_is_refused() -> None:
    bomb = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'
    for encoding in ("utf-8", "utf-16", "utf-16-le", "cp037"):
        with pytest.raises(ValueError, match=r"."):
            parse(bomb.replace('"1.0"', f'"1.0" encoding="{encoding}"').encode(encoding))
    head = b'<?xml version="1.0" encoding="cp037"?>'
    with pytest.raises(ValueError, match=r"."):
        parse(head + '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'.encode("cp037"))


@given(st.text(max_size=80))
def test_names_are_judged_as_before(text: str) -> None:
    """The hand-written rules against the expressions they came from."""
    import re

    label = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
    assert (subdomain_fault(text) is None) == bool(re.fullmatch(rf"{label}(\.{label})*", text))
    assert (label_value_fault(text) is None) == (
        not text or (len(text) <= 63 and bool(re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?", text)))
    )
