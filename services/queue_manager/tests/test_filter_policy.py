"""Filter policies: every operator, and what is none. Source of the cases: Amazon SNS Developer Guide."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.queue_manager.filter_policy import FilterPolicy, FilterPolicyError, filterable


def matches(rule: Any, document: dict[str, Any]) -> bool:
    return FilterPolicy(orjson.dumps(rule).decode(), nested=True).matches(document)


@pytest.mark.parametrize(
    ("condition", "yes", "no"),
    [
        ("red", "red", "Red"),
        (1, 1.0, "1"),
        (True, True, 1),
        (None, None, ""),
        ({"prefix": "bas"}, "baseball", "football"),
        ({"suffix": "ball"}, "baseball", "balls"),
        ({"equals-ignore-case": "Tennis"}, "tENNIS", "tennis!"),
        ({"wildcard": "*ba*ll"}, "baseball", "balls"),
        ({"wildcard": "a*a"}, "aa", "a"),
        ({"anything-but": ["red", 1]}, "blue", "red"),
        ({"anything-but": {"prefix": "re"}}, "blue", "red"),
        ({"numeric": [">", 0, "<=", 150]}, 150, 0),
        ({"numeric": ["=", 301.5]}, 301.5, "301.5"),
        ({"cidr": "10.0.0.0/24"}, "10.0.0.255", "10.0.1.0"),
        ({"exists": True}, "anything", ...),
        ({"exists": False}, ..., None),
    ],
)
def test_an_operator(condition: Any, yes: Any, no: Any) -> None:
    for value, wanted in ((yes, True), (no, False)):
        document = {} if value is ... else {"key": value}
        assert matches({"key": [condition]}, document) is wanted


def test_all_keys_and_any_value_of_each() -> None:
    rule = {"a": ["x", "y"], "b": [{"exists": False}]}
    assert matches(rule, {"a": ["z", "y"]}) and not matches(rule, {"a": "x", "b": 1}) and not matches(rule, {})


def test_or_and_what_is_below() -> None:
    rule = {"$or": [{"a": ["x"]}, {"b": {"c": [{"numeric": [">", 1]}]}}]}
    assert matches(rule, {"b": [{"c": 1}, {"c": 2}]}) and matches(rule, {"a": "x"}) and not matches(rule, {"b": 2})


@pytest.mark.parametrize(
    "wrong",
    ["", "[]", '{"a": "b"}', '{"a": []}', '{"a": [{"prefix": 1}]}', '{"a": [{"like": "x"}]}', '{"a": [[1]]}',
     '{"a": [{"numeric": ["~", 1]}]}', '{"a": [{"exists": "x"}]}', '{"a": [{"anything-but": []}]}',
     '{"a": {"b": ["c"]}}', '{"a":[1],"b":[1],"c":[1],"d":[1],"e":[1],"f":[1]}',
     '{"a": [{"prefix": "a", "suffix": "b"}]}'],
)  # fmt: skip
def test_what_is_no_filter_policy_is_refused(wrong: str) -> None:
    with pytest.raises(FilterPolicyError):
        FilterPolicy(wrong, nested=False)


@given(st.text(alphabet="ab", max_size=8), st.text(alphabet="ab*", min_size=1, max_size=6))
def test_wildcards_are_as_those_of_shells(text: str, pattern: str) -> None:
    from fnmatch import fnmatchcase

    assert matches({"key": [{"wildcard": pattern}]}, {"key": text}) is fnmatchcase(text, pattern)


def test_attributes_are_values() -> None:
    attributes: dict[str, dict[str, Any]] = {
        "s": {"DataType": "String", "StringValue": "1"},
        "n": {"DataType": "Number", "StringValue": "1.5"},
        "l": {"DataType": "String.Array", "StringValue": '["a", 1]'},
        "b": {"DataType": "Binary", "BinaryValue": b"x"},
    }
    assert filterable(attributes) == {"s": "1", "n": 1.5, "l": ["a", 1]}
