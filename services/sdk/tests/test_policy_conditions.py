"""Conditions as AWS documents them: each row is one rule of "Condition operators", "Set operators for multivalued
context keys" or "Variables and tags" of the IAM user guide.
"""

from __future__ import annotations

from typing import Any

import pytest

from services.sdk.aws.policy import evaluate
from services.sdk.aws.policy.dates import seconds_of
from services.sdk.tests.policies import identity, request, statement

Row = tuple[str, Any, Any, bool]
"""Operator, the policy's values, the request's (None: no such key), whether it holds."""

STRINGS: list[Row] = [
    ("StringEquals", "red", "red", True),
    ("StringEquals", "red", "Red", False),
    ("StringEquals", "red", "reddish", False),
    ("StringEquals", ["red", "blue"], "blue", True),
    ("StringEquals", ["red", "blue"], "green", False),
    ("StringEquals", "r*", "red", False),
    ("StringEquals", "r*", "r*", True),
    ("StringEquals", "r?d", "red", False),
    ("StringEquals", "", "", True),
    ("StringEquals", [], "red", False),
    ("StringEquals", "red", None, False),
    ("StringEquals", "5", 5, True),
    ("StringEquals", True, "true", True),
    ("StringNotEquals", "red", "red", False),
    ("StringNotEquals", "red", "Red", True),
    ("StringNotEquals", ["red", "blue"], "blue", False),
    ("StringNotEquals", ["red", "blue"], "green", True),
    ("StringNotEquals", "red", None, True),
    ("StringNotEquals", [], "red", True),
    ("StringEqualsIgnoreCase", "Red", "rED", True),
    ("StringEqualsIgnoreCase", "Red", "blue", False),
    ("StringEqualsIgnoreCase", "R*", "red", False),
    ("StringEqualsIgnoreCase", "Red", None, False),
    ("StringNotEqualsIgnoreCase", "Red", "rED", False),
    ("StringNotEqualsIgnoreCase", "Red", "blue", True),
    ("StringNotEqualsIgnoreCase", "Red", None, True),
    ("StringLike", "r*", "red", True),
    ("StringLike", "r*", "r", True),
    ("StringLike", "r*", "Red", False),
    ("StringLike", "r?d", "red", True),
    ("StringLike", "r?d", "rd", False),
    ("StringLike", "*e*", "red", True),
    ("StringLike", "*", "", True),
    ("StringLike", "?", "", False),
    ("StringLike", "*d", "red", True),
    ("StringLike", "a*b*c", "aXbYc", True),
    ("StringLike", "a*b*c", "aXcYb", False),
    ("StringLike", "red", "red", True),
    ("StringLike", ["x*", "r*"], "red", True),
    ("StringLike", "r*", None, False),
    ("StringNotLike", "r*", "red", False),
    ("StringNotLike", "r*", "blue", True),
    ("StringNotLike", ["r*", "b*"], "blue", False),
    ("StringNotLike", "r*", None, True),
]
NUMBERS: list[Row] = [
    ("NumericEquals", "10", "10", True),
    ("NumericEquals", "10", "10.0", True),
    ("NumericEquals", 10, "10", True),
    ("NumericEquals", "10", 10, True),
    ("NumericEquals", ["1", "2"], "2", True),
    ("NumericEquals", "1e1", "10", True),
    ("NumericEquals", "0.1", "0.10", True),
    ("NumericEquals", "10", "ten", False),
    ("NumericEquals", "ten", "ten", False),
    ("NumericEquals", "NaN", "NaN", False),
    ("NumericEquals", "1_0", "10", False),
    ("NumericEquals", "10", None, False),
    ("NumericNotEquals", "10", "11", True),
    ("NumericNotEquals", "10", "10.0", False),
    ("NumericNotEquals", ["10", "11"], "11", False),
    ("NumericNotEquals", "10", None, True),
    ("NumericLessThan", "10", "9.99", True),
    ("NumericLessThan", "10", "10", False),
    ("NumericLessThan", ["5", "10"], "7", True),
    ("NumericLessThan", "9", "10", False),
    ("NumericLessThanEquals", "10", "10", True),
    ("NumericLessThanEquals", "10", "11", False),
    ("NumericLessThanEquals", "10", None, False),
    ("NumericGreaterThan", "10", "11", True),
    ("NumericGreaterThan", "10", "10", False),
    ("NumericGreaterThan", "-1", "0", True),
    ("NumericGreaterThanEquals", "10", "10", True),
    ("NumericGreaterThanEquals", "10", "9", False),
    ("NumericGreaterThanEquals", "99999999999999999999", "100000000000000000000", True),
]
DATES: list[Row] = [
    ("DateEquals", "2020-04-01T00:00:00Z", "2020-04-01T00:00:00Z", True),
    ("DateEquals", "2020-04-01", "2020-04-01T00:00:00Z", True),
    ("DateEquals", "2020-04-01T02:00:00+02:00", "2020-04-01T00:00:00Z", True),
    ("DateEquals", "2020-03-31T22:00:00-02:00", "2020-04-01T00:00:00Z", True),
    ("DateEquals", "1585699200", "2020-04-01T00:00:00Z", True),
    ("DateEquals", "2020-04-01T00:00:00Z", "1585699200", True),
    ("DateEquals", "2020-04", "2020-04-01", True),
    ("DateEquals", "2020", "2020-01-01", True),
    ("DateEquals", "2020-04-01T00:00:00.5Z", "2020-04-01T00:00:00Z", False),
    ("DateEquals", "2020-04-01", None, False),
    ("DateNotEquals", "2020-04-01", "2020-04-02", True),
    ("DateNotEquals", "2020-04-01", "2020-04-01", False),
    ("DateNotEquals", "2020-04-01", None, True),
    ("DateLessThan", "2020-04-01", "2020-03-31T23:59:59Z", True),
    ("DateLessThan", "2020-04-01", "2020-04-01", False),
    ("DateLessThan", "2020-04-01T00:00:00Z", "2020-04-01T00:00:00+01:00", True),
    ("DateLessThanEquals", "2020-04-01", "2020-04-01", True),
    ("DateLessThanEquals", "2020-04-01", "2020-04-01T00:00:01Z", False),
    ("DateGreaterThan", "2020-04-01", "2020-04-01T00:00:01Z", True),
    ("DateGreaterThan", "2020-04-01", "2020-04-01", False),
    ("DateGreaterThan", "2020-04-01", "yesterday", False),
    ("DateGreaterThanEquals", "2020-04-01", "2020-04-01", True),
    ("DateGreaterThanEquals", "2020-04-01", "2020-03-31", False),
    ("DateGreaterThanEquals", "2020-04-01", None, False),
]
OTHERS: list[Row] = [
    ("Bool", "true", True, True),
    ("Bool", "true", "TRUE", True),
    ("Bool", True, "true", True),
    ("Bool", "false", "false", True),
    ("Bool", "true", "false", False),
    ("Bool", "false", None, False),
    ("Bool", "true", "yes", False),
    ("Bool", ["true", "false"], "false", True),
    ("BinaryEquals", "QmluYXJ5VmFsdWVJbkJhc2U2NA==", "QmluYXJ5VmFsdWVJbkJhc2U2NA==", True),
    ("BinaryEquals", "QmluYXJ5", "QmluYXJ6", False),
    ("BinaryEquals", "not base64!", "not base64!", False),
    ("BinaryEquals", "QmluYXJ5", None, False),
    ("IpAddress", "203.0.113.0/24", "203.0.113.7", True),
    ("IpAddress", "203.0.113.0/24", "203.0.114.7", False),
    ("IpAddress", "203.0.113.7", "203.0.113.7", True),
    ("IpAddress", "203.0.113.7", "203.0.113.8", False),
    ("IpAddress", "203.0.113.9/24", "203.0.113.7", True),
    ("IpAddress", "0.0.0.0/0", "8.8.8.8", True),
    ("IpAddress", "0.0.0.0/0", "2001:db8::1", False),
    ("IpAddress", "2001:DB8:1234:5678::/64", "2001:db8:1234:5678::9", True),
    ("IpAddress", "2001:DB8:1234:5678::/64", "2001:db8:1234:5679::9", False),
    ("IpAddress", ["10.0.0.0/8", "192.168.0.0/16"], "192.168.4.4", True),
    ("IpAddress", "10.0.0.0/8", "somewhere", False),
    ("IpAddress", "10.0.0.0/8", None, False),
    ("NotIpAddress", "203.0.113.0/24", "203.0.113.7", False),
    ("NotIpAddress", "203.0.113.0/24", "203.0.114.7", True),
    ("NotIpAddress", ["10.0.0.0/8", "192.168.0.0/16"], "192.168.4.4", False),
    ("NotIpAddress", "203.0.113.0/24", None, True),
    ("ArnEquals", "arn:aws:sns:us-east-1:1:topic", "arn:aws:sns:us-east-1:1:topic", True),
    ("ArnEquals", "arn:aws:sns:*:1:topic", "arn:aws:sns:us-east-1:1:topic", True),
    ("ArnEquals", "arn:aws:sns:*:1:TOPIC", "arn:aws:sns:us-east-1:1:topic", False),
    ("ArnLike", "arn:aws:sns:us-east-?:1:t*", "arn:aws:sns:us-east-1:1:topic", True),
    ("ArnLike", "arn:aws:s3:::bucket/*", "arn:aws:s3:::bucket/a:b/c", True),
    ("ArnLike", "arn:aws:*:topic", "arn:aws:sns:us-east-1:1:topic", False),
    ("ArnLike", "arn:aws:sns", "arn:aws:sns:us-east-1:1:topic", False),
    ("ArnLike", "arn:aws:sns:*:*:*", "topic", False),
    ("ArnLike", ["arn:aws:sqs:*:*:*", "arn:aws:sns:*:*:*"], "arn:aws:sns:us-east-1:1:topic", True),
    ("ArnLike", "arn:aws:sns:*:*:*", None, False),
    ("ArnNotEquals", "arn:aws:sns:*:1:topic", "arn:aws:sns:us-east-1:1:topic", False),
    ("ArnNotEquals", "arn:aws:sns:*:1:topic", "arn:aws:sns:us-east-1:2:topic", True),
    ("ArnNotLike", "arn:aws:sns:*:1:*", "arn:aws:sns:us-east-1:1:topic", False),
    ("ArnNotLike", "arn:aws:sns:*:1:*", None, True),
    ("Null", "true", None, True),
    ("Null", "true", "there", False),
    ("Null", "false", None, False),
    ("Null", "false", "there", True),
    ("Null", True, None, True),
    ("Null", "true", [], True),
    ("Null", ["true", "false"], "there", True),
]
SETS: list[Row] = [
    ("StringEqualsIfExists", "red", None, True),
    ("StringEqualsIfExists", "red", "red", True),
    ("StringEqualsIfExists", "red", "blue", False),
    ("StringNotEqualsIfExists", "red", None, True),
    ("StringNotEqualsIfExists", "red", "red", False),
    ("NumericLessThanIfExists", "10", None, True),
    ("NumericLessThanIfExists", "10", "11", False),
    ("BoolIfExists", "true", None, True),
    ("BoolIfExists", "true", "false", False),
    ("IpAddressIfExists", "10.0.0.0/8", None, True),
    ("ArnLikeIfExists", "arn:aws:sns:*:*:*", None, True),
    ("DateGreaterThanIfExists", "2020-01-01", None, True),
    ("ForAllValues:StringEquals", ["a", "b"], ["a"], True),
    ("ForAllValues:StringEquals", ["a", "b"], ["a", "b"], True),
    ("ForAllValues:StringEquals", ["a", "b"], ["a", "c"], False),
    ("ForAllValues:StringEquals", ["a", "b"], None, True),
    ("ForAllValues:StringEquals", ["a", "b"], [], True),
    ("ForAllValues:StringLike", ["a*"], ["ab", "ac"], True),
    ("ForAllValues:StringLike", ["a*"], ["ab", "bc"], False),
    ("ForAllValues:StringNotEquals", ["a"], ["b", "c"], True),
    ("ForAllValues:StringNotEquals", ["a"], ["b", "a"], False),
    ("ForAllValues:StringEqualsIgnoreCase", ["A"], ["a"], True),
    ("ForAllValues:ArnLike", ["arn:aws:sns:*:*:*"], ["arn:aws:sns:r:1:t", "arn:aws:sqs:r:1:t"], False),
    ("ForAllValues:NumericLessThan", "5", ["1", "6"], False),
    ("ForAnyValue:StringEquals", ["a", "b"], ["c", "b"], True),
    ("ForAnyValue:StringEquals", ["a", "b"], ["c", "d"], False),
    ("ForAnyValue:StringEquals", ["a", "b"], None, False),
    ("ForAnyValue:StringEquals", ["a", "b"], [], False),
    ("ForAnyValue:StringLike", ["a*"], ["bc", "ac"], True),
    ("ForAnyValue:StringNotEquals", ["a"], ["a", "b"], True),
    ("ForAnyValue:StringNotEquals", ["a"], ["a"], False),
    ("ForAnyValue:StringNotEquals", ["a"], None, False),
    ("ForAnyValue:StringEqualsIfExists", ["a"], None, True),
    ("ForAllValues:StringEqualsIfExists", ["a"], ["b"], False),
    ("ForAnyValue:IpAddress", ["10.0.0.0/8"], ["1.1.1.1", "10.1.1.1"], True),
]
VARIABLES: list[Row] = [
    ("StringEquals", "${aws:username}", "ann", True),
    ("StringEquals", "${AWS:UserName}", "ann", True),
    ("StringEquals", "${aws:username}", "bob", False),
    ("StringEquals", "x-${aws:username}-y", "x-ann-y", True),
    ("StringLike", "${aws:username}-*", "ann-1", True),
    ("StringLike", "${aws:PrincipalTag/glob}", "anything", False),
    ("StringLike", "${aws:PrincipalTag/glob}", "*", True),
    ("StringEquals", "${aws:PrincipalTag/missing}", "", False),
    ("StringEquals", "${aws:PrincipalTag/missing, 'none'}", "none", True),
    ("StringEquals", "${aws:username, 'none'}", "none", False),
    ("StringEquals", "${aws:username,'none'}", "ann", True),
    ("StringNotEquals", "${aws:PrincipalTag/missing}", "x", True),
    ("StringEquals", "${*}", "*", True),
    ("StringLike", "${*}", "*", True),
    ("StringLike", "${*}", "x", False),
    ("StringLike", "${?}", "?", True),
    ("StringLike", "${?}", "x", False),
    ("StringLike", "${$}", "$", True),
    ("StringEquals", "${aws:username", "${aws:username", True),
    ("StringEquals", "${aws:list}", "a", False),
    ("ArnEquals", "arn:aws:iam::1:user/${aws:username}", "arn:aws:iam::1:user/ann", True),
    ("ArnEquals", "${aws:PrincipalArn}", "arn:aws:iam::1:user/ann", True),
    ("ArnEquals", "${aws:PrincipalArn}", "arn:aws:iam::1:user/bob", False),
    ("NumericEquals", "${aws:number}", "5", False),
]
KNOWN: dict[str, Any] = {
    "aws:username": "ann",
    "aws:PrincipalTag/glob": "*",
    "aws:PrincipalArn": "arn:aws:iam::1:user/ann",
    "aws:list": ["a", "b"],
    "aws:number": "5",
}
ROWS = [*STRINGS, *NUMBERS, *DATES, *OTHERS, *SETS, *VARIABLES]


@pytest.mark.parametrize(("operator", "wanted", "found", "holds"), ROWS)
def test_a_condition_holds_as_documented(operator: str, wanted: Any, found: Any, holds: bool) -> None:
    policies = identity(statement(Condition={operator: {"aws:Key": wanted}}))
    given: dict[str, Any] = dict(KNOWN) if found is None else {**KNOWN, "AWS:key": found}
    assert evaluate(request(context=given), policies).allowed is holds


@pytest.mark.parametrize(
    ("operator", "wanted", "found", "holds"), [each for each in ROWS if each[2] is not None][::7]
)
def test_a_condition_decides_about_a_deny_too(operator: str, wanted: Any, found: Any, holds: bool) -> None:
    policies = identity(statement(), statement("Deny", Condition={operator: {"aws:Key": wanted}}))
    assert evaluate(request(context={**KNOWN, "aws:key": found}), policies).allowed is not holds


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        ({"StringEquals": {"a:x": "1", "a:y": "2"}}, True),
        ({"StringEquals": {"a:x": "1", "a:y": "3"}}, False),
        ({"StringEquals": {"a:x": "1"}, "NumericLessThan": {"a:y": "3"}}, True),
        ({"StringEquals": {"a:x": "1"}, "NumericLessThan": {"a:y": "2"}}, False),
        ({"StringEquals": {"a:x": ["0", "1"]}, "StringNotEquals": {"a:y": ["3", "4"]}}, True),
        ({"StringEquals": {"a:x": ["0", "1"]}, "StringNotEquals": {"a:y": ["2", "4"]}}, False),
        ({}, True),
        ({"StringEquals": {}}, True),
    ],
)
def test_all_operators_and_keys_must_hold_and_one_value_is_enough(conditions: Any, holds: bool) -> None:
    asked = request(context={"a:x": "1", "a:y": "2"})
    assert evaluate(asked, identity(statement(Condition=conditions))).allowed is holds


def test_variables_are_plain_text_in_the_old_version() -> None:
    old = identity(statement(Condition={"StringEquals": {"a:k": "${aws:username}"}}), version="2008-10-17")
    assert not evaluate(request(context={"aws:username": "ann", "a:k": "ann"}), old).allowed
    assert evaluate(request(context={"aws:username": "ann", "a:k": "${aws:username}"}), old).allowed


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01", 0),
        ("1970", 0),
        ("0", 0),
        ("1969-12-31T23:59:59Z", -1),
        ("2000-02-29T12:30Z", 951827400),
        ("2000-02-29t12:30:15z", 951827415),
        ("2000-02-29T12+01:00", 951822000),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", None),
        ("2000-13-01", None),
        ("2000-01-32", None),
        ("2000-01-01T24", None),
        ("2000-01-01T00:60", None),
        ("2000-01-01T00:00:00+1", None),
        ("2000-01-01T00:00:00Zx", None),
        ("-1", -62198755200),
        ("", None),
        ("soon", None),
        ("٢٠٠٠", None),
    ],
)
def test_dates_are_read_as_iso_8601_or_seconds(text: str, seconds: int | None) -> None:
    assert seconds_of(text) == seconds
