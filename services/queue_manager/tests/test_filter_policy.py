"""Filter policies: every operator, and what is none. Source of the cases: Amazon SNS Developer Guide."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.queue_manager.filter_policy import FilterPolicy, FilterPolicyError, TooMuchEffort, filterable


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


def nested(levels: int) -> str:
    return '{"a":' * levels + '["x"]' + "}" * levels


@pytest.mark.parametrize(
    "policy",
    [
        orjson.dumps({"a": [{"anything-but": [str(each) for each in range(4000)]}]}).decode(),
        orjson.dumps({"a": [{"anything-but": "x"}] * 151}).decode(),
        orjson.dumps({"$or": ["x"] * 151}).decode(),
        orjson.dumps({str(each): {} for each in range(6)}).decode(),
        nested(17),
        nested(900),
        nested(100_000),
        '{"a":["' + "é" * 131_072 + '"]}',
    ],
    ids=["anything-but", "values", "or", "empty", "deep", "deeper", "deepest", "long"],
)
def test_a_policy_that_costs_too_much_is_refused(policy: str) -> None:
    with pytest.raises(FilterPolicyError):
        FilterPolicy(policy, nested=True)


@pytest.mark.parametrize(
    "rule",
    [
        {"a": [{"prefix": str(each)} for each in range(140)]},
        {"a": {"b": [{"suffix": str(each)} for each in range(140)]}},
        {"a": [{"equals-ignore-case": str(each)} for each in range(150)]},
    ],
)
@pytest.mark.parametrize(
    "value",
    [["x"] * 60_000, [{"b": "x"}] * 20_000, [["x"] * 200] * 200, "x" * 250_000],
    ids=["flat", "objects", "lists", "text"],
)
def test_a_message_that_costs_too_much_is_given_up(rule: Any, value: Any) -> None:
    """And soon: what one publishes does not keep all others waiting."""
    begun = time.process_time()
    with suppress(TooMuchEffort):
        assert not matches(rule, {"a": value})
    assert time.process_time() - begun < 0.5


def test_many_plain_values_are_one_comparison() -> None:
    rule = {"a": [str(each) for each in range(150)]}
    assert not matches(rule, {"a": ["x"] * 40_000}) and matches(rule, {"a": ["x"] * 40_000 + ["149"]})


def test_lists_within_lists_have_no_bottom() -> None:
    value: Any = "x"
    for _ in range(5000):
        value = [value]
    assert matches({"a": ["x"]}, {"a": value}) and not matches({"a": ["y"]}, {"a": value})


def test_the_kinds_keep_no_policies() -> None:
    from services.queue_manager import filter_policy
    from services.queue_manager.topic_kinds import SubscriptionSpec

    before = filter_policy._kept.cache_info().currsize
    arn = "arn:aws:{}:us-east-1:111122223333:a".format
    SubscriptionSpec(topic_arn=arn("sns"), endpoint=arn("sqs"), filter_policy='{"a": ["nobody asked for this"]}')
    filter_policy.filter_policy('{"a": ["' + "x" * 10_000 + '"]}', nested=False)
    assert filter_policy._kept.cache_info().currsize == before
