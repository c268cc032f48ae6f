"""What is no policy is refused, in AWS's words and AWS's order; and whatever comes, nothing else happens."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sdk.aws.policy import Policy, PolicyError, check_identity, check_resource, check_trust, parse_policy

SYNTAX = "Syntax errors in policy."
LEGACY = "The policy failed legacy parsing"
OLD = "Policy document must be version 2012-10-17 or greater."
NO_ACTION, NO_RESOURCE = "Policy statement must contain actions.", "Policy statement must contain resources."
GOOD: dict[str, Any] = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
TRUST: dict[str, Any] = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}
IAM_PATHS = (
    'IAM resource path must either be "*" or start with user/, federated-user/, role/, group/, instance-profile/, '
    "mfa/, server-certificate/, policy/, sms-mfa/, saml-provider/, oidc-provider/, report/, access-report/."
)


def document(*statements: Any, **more: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements), **more})


def without(name: str) -> dict[str, Any]:
    return {key: each for key, each in GOOD.items() if key != name}


def about(resource: Any) -> str:
    return document({**GOOD, "Resource": resource})


BAD = [
    ("", SYNTAX),
    ("[]", SYNTAX),
    ('"policy"', SYNTAX),
    ("{", SYNTAX),
    ("{}", SYNTAX),
    ('{"Version": "2012-10-17"}', SYNTAX),
    ("[" * 100_000, SYNTAX),
    (f'{{"Version": "2012-10-17", "Id": "{"x" * 131_072}"}}', SYNTAX),
    ('{"Version": "2012-10-17", "Version": "2012-10-17", "Statement": []}', SYNTAX),
    ('{"Version": NaN, "Statement": [{}]}', SYNTAX),
    (document(), SYNTAX),
    (document("x"), SYNTAX),
    (document(GOOD, Extra=1), SYNTAX),
    (document(GOOD, Version="2013-10-17"), SYNTAX),
    (document(GOOD, Version="2012-10-17 "), SYNTAX),
    (document(GOOD, Id=5), SYNTAX),
    (document({**GOOD, "effect": "Allow"}), SYNTAX),
    (document({**GOOD, "Effect": "Permit"}), SYNTAX),
    (document({**GOOD, "Effect": 1}), SYNTAX),
    (document(without("Effect")), SYNTAX),
    (document({**GOOD, "Action": 5}), SYNTAX),
    (document({**GOOD, "Action": ["s3:*", 5]}), SYNTAX),
    (document({**GOOD, "Action": {"a": "b"}}), SYNTAX),
    (document({**GOOD, "NotAction": "s3:*"}), SYNTAX),
    (document({**GOOD, "NotResource": "*"}), SYNTAX),
    (document({**GOOD, "Resource": 1}), SYNTAX),
    (document({**GOOD, "Sid": 5}), SYNTAX),
    (document({**GOOD, "Condition": "x"}), SYNTAX),
    (document({**GOOD, "Condition": {"StringEquals": "x"}}), SYNTAX),
    (document({**GOOD, "Condition": {"StringEquals": {"a:k": {}}}}), SYNTAX),
    (document({**GOOD, "Condition": {"StringEquals": {"a:k": [["x"]]}}}), SYNTAX),
    (document({**GOOD, "Condition": {"StringEquals": {"a:k": None}}}), SYNTAX),
    (document({**GOOD, "Condition": {"StringIs": {"a:k": "x"}}}), SYNTAX),
    (document({**GOOD, "Condition": {"ForSomeValues:StringEquals": {"a:k": "x"}}}), SYNTAX),
    (document({**GOOD, "Condition": {"NullIfExists": {"a:k": "true"}}}), SYNTAX),
    (json.dumps({"Statement": [GOOD]}), OLD),
    (document(GOOD, Version="2008-10-17"), OLD),
    (document({**GOOD, "Principal": "*"}), "Policy document should not specify a principal."),
    (document({**GOOD, "NotPrincipal": {"AWS": "*"}}), "Policy document should not specify a principal."),
    (document({**GOOD, "Effect": "allow"}), LEGACY),
    (document({**GOOD, "Condition": {"DateLessThan": {"a:k": "soon"}}}), LEGACY),
    (document({**GOOD, "Condition": {"DateEqualsIfExists": {"a:k": ["2020-01-01", "2020-13-01"]}}}), LEGACY),
    (document({**GOOD, "Sid": "a"}, {**GOOD, "Sid": "a"}), "Statement IDs (SID) in a single policy must be unique."),
    (
        document({**GOOD, "Sid": "a b"}),
        "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression "
        "[0-9A-Za-z]*",
    ),
    (document(without("Action")), NO_ACTION),
    (document({**GOOD, "Action": []}), NO_ACTION),
    (document(without("Resource")), NO_RESOURCE),
    (document({**GOOD, "Resource": []}), NO_RESOURCE),
    (document({"Effect": "Allow"}), NO_ACTION),
    (about("bucket"), 'Resource bucket must be in ARN format or "*".'),
    (about(["*", "bucket"]), 'Resource bucket must be in ARN format or "*".'),
    (about("arn:aws"), "Resource vendor must be fully qualified and cannot contain regexes."),
    (about("arn:aws:s*:::b"), "Resource vendor must be fully qualified and cannot contain regexes."),
    (about("arn:aws:s3::b"), LEGACY),
    (about("arn:aws:::x:y:z"), LEGACY),
    (about("arn:cloud:s3:::b"), 'Partition "cloud" is not valid for resource "arn:cloud:s3:::b".'),
    (about("x:y"), 'Partition "y" is not valid for resource "x:y:*:*:*:*".'),
    (about("arn:aws:s3:us-east-1::b"), "Resource arn:aws:s3:us-east-1::b can not contain region information."),
    (about("arn:aws:iam:eu:1:user/a"), "IAM resource arn:aws:iam:eu:1:user/a cannot contain region information."),
    (about("arn:aws:iam::1:people/ann"), IAM_PATHS),
    (
        document({**GOOD, "Action": "GetObject"}),
        "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
    ),
    (document({**GOOD, "Action": "s3:a:b"}), "Actions/Condition can contain only one colon."),
    (document({**GOOD, "Action": "s_3:a"}), "Vendor s_3 is not valid"),
    (document({**without("Action"), "NotAction": "s*:a"}), "Vendor s* is not valid"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_an_identitys_policy_is_refused_in_the_words_of_aws(text: str, message: str) -> None:
    with pytest.raises(PolicyError) as refused:
        check_identity(text)
    assert refused.value.message == message


@pytest.mark.parametrize(
    "text",
    [
        document(GOOD),
        json.dumps({"Version": "2012-10-17", "Statement": GOOD}),
        document({**GOOD, "Sid": ""}, {**GOOD, "Sid": ""}),
        document({**GOOD, "Action": ["*"]}),
        document({**GOOD, "Resource": "arn:aws:iam::1:role/x"}),
        document({**GOOD, "Resource": "arn:aws:sqs"}),
        document({**GOOD, "Condition": {"Bool": {"aws:SecureTransport": False}}}),
        document({**GOOD, "Condition": {"NumericLessThan": {"s3:max-keys": 10}}}),
        document({**GOOD, "Condition": {"DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}}}),
        document({**GOOD, "Condition": {"Unknown": {}}}),
        document(GOOD, Id="x"),
    ],
)
def test_what_is_a_policy_is_taken(text: str) -> None:
    assert check_identity(text).document == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (document({**TRUST, "Resource": "*"}), "Has prohibited field Resource"),
        (document({**TRUST, "NotResource": "*"}), "Has prohibited field NotResource"),
        (document({**TRUST, "Action": "s3:GetObject"}), "AssumeRole policy may only specify STS AssumeRole actions."),
        (document({"Effect": "Allow", "Action": "sts:AssumeRole"}), "Missing required field Principal"),
        (document({**TRUST, "Principal": {}}), SYNTAX),
        (document({**TRUST, "Principal": "ann"}), SYNTAX),
        (document({**TRUST, "Principal": {"People": "ann"}}), SYNTAX),
        (document({**TRUST, "Principal": {"AWS": 5}}), SYNTAX),
        (document({**TRUST, "Action": []}), NO_ACTION),
    ],
)
def test_a_trust_policy_is_refused_in_the_words_of_aws(text: str, message: str) -> None:
    with pytest.raises(PolicyError) as refused:
        check_trust(text)
    assert refused.value.message == message


@pytest.mark.parametrize("version", ["2008-10-17", "2012-10-17"])
def test_a_trust_policy_may_be_old(version: str) -> None:
    assert check_trust(document(TRUST, Version=version)).version == version


def test_a_resources_policy_needs_a_principal_and_a_resource() -> None:
    for lacking, message in [
        (GOOD, "Missing required field Principal"),
        ({**without("Resource"), "Principal": "*"}, NO_RESOURCE),
    ]:
        with pytest.raises(PolicyError) as refused:
            check_resource(document(lacking))
        assert refused.value.message == message
    assert check_resource(document({**GOOD, "Principal": "*"})).statements[0].principals is not None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Version", "Statement", "Effect", "Action", "Resource", "Principal", "Condition", "Sid"])
            | st.text(max_size=6),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_nothing_but_policy_error_comes_of_a_document(value: Any) -> None:
    _only_policy_errors(json.dumps(value))


@given(st.text(max_size=60))
def test_nothing_but_policy_error_comes_of_a_text(text: str) -> None:
    _only_policy_errors(text)


def _only_policy_errors(text: str) -> None:
    readers: list[Callable[[str], Policy]] = [parse_policy, check_identity, check_trust, check_resource]
    for read in readers:
        try:
            read(text)
        except PolicyError as refused:
            assert refused.message
