"""Action, Resource, Principal and their Not... forms as AWS documents them: each row is one rule."""

from __future__ import annotations

from typing import Any

import pytest

from services.sdk.aws.policy import Naming, Policies, Requester, evaluate
from services.sdk.aws.policy.principals import principals_of
from services.sdk.tests.policies import (
    ACCOUNT,
    ANN,
    ANONYMOUS,
    BUCKET,
    FEDERATED,
    LAMBDA,
    OTHER,
    ROLE,
    ROOT,
    SESSION,
    SESSION_ARN,
    WEB,
    identity,
    named,
    request,
    statement,
)

ACTIONS = [
    ("*", "s3:GetObject", True),
    ("s3:*", "s3:GetObject", True),
    ("s3:*", "s3-object-lambda:GetObject", False),
    ("s3:GetObject", "s3:GetObject", True),
    ("s3:getobject", "s3:GetObject", True),
    ("S3:GETOBJECT", "s3:GetObject", True),
    ("s3:Get*", "s3:GetObject", True),
    ("s3:Get*", "s3:PutObject", False),
    ("s3:*Object", "s3:GetObject", True),
    ("s3:*Object", "s3:GetObjectAcl", False),
    ("s3:?etObject", "s3:GetObject", True),
    ("s3:?GetObject", "s3:GetObject", False),
    ("iam:*AccessKey*", "iam:ListAccessKeys", True),
    (["s3:PutObject", "s3:GetObject"], "s3:GetObject", True),
    (["s3:PutObject", "s3:Delete*"], "s3:GetObject", False),
    ("s3:GetObject", "s3:GetObjectVersion", False),
    ("", "s3:GetObject", False),
    ([], "s3:GetObject", False),
    ("${aws:username}", "s3:GetObject", False),
]
RESOURCES = [
    ("*", f"{BUCKET}/key", True),
    ("*", "*", True),
    (BUCKET, "*", False),
    ("arn:aws:s3:::*", "*", False),
    (BUCKET, BUCKET, True),
    (BUCKET, f"{BUCKET}/key", False),
    (f"{BUCKET}/*", f"{BUCKET}/key", True),
    (f"{BUCKET}/*", BUCKET, False),
    (f"{BUCKET}*", f"{BUCKET}/a/b/c", True),
    (f"{BUCKET}/a/?", f"{BUCKET}/a/b", True),
    (f"{BUCKET}/a/?", f"{BUCKET}/a/bc", False),
    ("arn:aws:s3:::BUCKET", BUCKET, False),
    ([f"{BUCKET}/x", f"{BUCKET}/key"], f"{BUCKET}/key", True),
    ("arn:aws:sqs:*:1:q", "arn:aws:sqs:eu-central-1:1:q", True),
    ("arn:aws:sqs:*:1:q", "arn:aws:sqs:eu:2:q", False),
    ("arn:aws:sqs:*:q", "arn:aws:sqs:eu:1:q", False),
    ("arn:aws:sqs", "arn:aws:sqs:eu:1:q", True),
    ("arn:aws:sqs:eu", "arn:aws:sqs:eu:1:q", True),
    ("arn:aws:sqs:eu", "arn:aws:sqs:us:1:q", False),
    ("arn:aws:iam::1:user/*", "arn:aws:iam::1:user/dev/ann", True),
    ("arn:aws:logs:eu:1:log-group:*", "arn:aws:logs:eu:1:log-group:a:log-stream:b", True),
    ("arn:*:s3:::bucket", BUCKET, True),
    ("arn:aws:s3:::${aws:username}", "arn:aws:s3:::ann", True),
    ("arn:aws:s3:::${aws:username}/*", "arn:aws:s3:::bob/x", False),
    ("arn:aws:s3:::${aws:nothing}", "arn:aws:s3:::", False),
    ("arn:aws:s3:::${aws:nothing, 'all'}", "arn:aws:s3:::all", True),
    ("arn:aws:s3:::b${*}", "arn:aws:s3:::b*", True),
    ("arn:aws:s3:::b${*}", "arn:aws:s3:::bx", False),
    ("arn:aws:sqs:eu:${aws:colons}:q", "arn:aws:sqs:eu:1:2:q", False),
    ([], BUCKET, False),
]
NOT_RESOURCES = [
    (BUCKET, "Allow", BUCKET, False),
    (BUCKET, "Allow", f"{BUCKET}/key", True),
    ([BUCKET, f"{BUCKET}/*"], "Allow", f"{BUCKET}/key", False),
    (BUCKET, "Allow", "*", True),
    ("arn:aws:s3:::${aws:nothing}", "Allow", BUCKET, False),
    ("arn:aws:s3:::${aws:username}", "Allow", BUCKET, True),
]


@pytest.mark.parametrize(("texts", "action", "named_by_it"), ACTIONS)
def test_actions(texts: Any, action: str, named_by_it: bool) -> None:
    assert evaluate(request(action=action), identity(statement(Action=texts))).allowed is named_by_it
    assert evaluate(request(action=action), identity(statement(NotAction=texts))).allowed is not named_by_it
    both = identity(statement(), statement("Deny", NotAction=texts))
    assert evaluate(request(action=action), both).allowed is named_by_it


@pytest.mark.parametrize(("texts", "resource", "named_by_it"), RESOURCES)
def test_resources(texts: Any, resource: str, named_by_it: bool) -> None:
    asked = request(resource=resource, context={"aws:username": "ann", "aws:colons": "1:2"})
    assert evaluate(asked, identity(statement(Resource=texts))).allowed is named_by_it
    denied = identity(statement(), statement("Deny", Resource=texts))
    assert evaluate(asked, denied).allowed is not named_by_it


@pytest.mark.parametrize(("texts", "effect", "resource", "applies"), NOT_RESOURCES)
def test_not_resource(texts: Any, effect: str, resource: str, applies: bool) -> None:
    asked = request(resource=resource, context={"aws:username": "ann"})
    assert evaluate(asked, identity(statement(effect, NotResource=texts))).allowed is applies


def test_a_name_nobody_can_make_excepts_nothing_from_a_deny() -> None:
    policies = identity(statement(), statement("Deny", NotResource="arn:aws:s3:::${aws:nothing}"))
    assert not evaluate(request(), policies).allowed


PRINCIPALS: list[tuple[Any, Requester, Naming]] = [
    ({"AWS": ["*"]}, ANN, Naming.DIRECT),
    ({"AWS": ["*"]}, ANONYMOUS, Naming.DIRECT),
    ({"AWS": ["*"]}, LAMBDA, Naming.DIRECT),
    ({"AWS": [ACCOUNT]}, ANN, Naming.ACCOUNT),
    ({"AWS": [f"arn:aws:iam::{ACCOUNT}:root"]}, ANN, Naming.ACCOUNT),
    ({"AWS": [f"arn:aws:iam::{ACCOUNT}:root"]}, SESSION, Naming.ACCOUNT),
    ({"AWS": [f"arn:aws:iam::{ACCOUNT}:root"]}, ROOT, Naming.DIRECT),
    ({"AWS": [OTHER]}, ANN, Naming.NOT),
    ({"AWS": [ANN.arn]}, ANN, Naming.DIRECT),
    ({"AWS": [ANN.arn]}, ROOT, Naming.NOT),
    ({"AWS": ["AIDAANN"]}, ANN, Naming.DIRECT),
    ({"AWS": [ANN.arn.replace("ann", "bob")]}, ANN, Naming.NOT),
    ({"AWS": [ANN.arn.replace("ann", "*")]}, ANN, Naming.NOT),
    ({"AWS": [ROLE]}, SESSION, Naming.ROLE),
    ({"AWS": [SESSION_ARN]}, SESSION, Naming.DIRECT),
    ({"AWS": [SESSION_ARN.replace("monday", "*")]}, SESSION, Naming.NOT),
    ({"AWS": [ROLE, SESSION_ARN]}, SESSION, Naming.DIRECT),
    ({"AWS": [ACCOUNT, ROLE]}, SESSION, Naming.ROLE),
    ({"AWS": [ANN.arn]}, FEDERATED, Naming.ROLE),
    ({"AWS": [FEDERATED.arn]}, FEDERATED, Naming.DIRECT),
    ({"AWS": [ACCOUNT]}, ANONYMOUS, Naming.NOT),
    ({"Service": ["lambda.amazonaws.com"]}, LAMBDA, Naming.DIRECT),
    ({"Service": ["ec2.amazonaws.com"]}, LAMBDA, Naming.NOT),
    ({"Service": ["lambda.amazonaws.com"]}, ANN, Naming.NOT),
    ({"Federated": [WEB.arn]}, WEB, Naming.DIRECT),
    ({"Federated": ["accounts.google.com"]}, WEB, Naming.NOT),
    ({"CanonicalUser": ["79a5"]}, ANN, Naming.NOT),
    ({}, ANN, Naming.NOT),
]


@pytest.mark.parametrize(("names", "who", "naming"), PRINCIPALS)
def test_principals(names: Any, who: Requester, naming: Naming) -> None:
    assert principals_of(names).naming(who) is naming


NOT_PRINCIPALS: list[tuple[Any, Requester, bool]] = [
    ([ANN.arn, ACCOUNT], ANN, True),
    ([ANN.arn, f"arn:aws:iam::{ACCOUNT}:root"], ANN, True),
    ([ANN.arn], ANN, False),
    ([ACCOUNT], ANN, False),
    ([ACCOUNT], ROOT, True),
    ([ACCOUNT, ROLE, SESSION_ARN], SESSION, True),
    ([ACCOUNT, ROLE], SESSION, False),
    ([ACCOUNT, SESSION_ARN], SESSION, False),
    ([OTHER], ANONYMOUS, False),
    (["*"], ANN, True),
]


@pytest.mark.parametrize(("names", "who", "spared"), NOT_PRINCIPALS)
def test_a_deny_of_all_but_some_spares_who_is_named_with_account_role_and_session(
    names: list[str], who: Requester, spared: bool
) -> None:
    resource = named(statement(Principal="*"), statement("Deny", NotPrincipal={"AWS": names}))
    assert evaluate(request(who), Policies(resource=resource)).allowed is spared


def test_a_deny_of_all_but_some_denies_whoever_has_a_boundary() -> None:
    resource = named(statement("Deny", NotPrincipal={"AWS": [ACCOUNT, ANN.arn]}))
    free = Policies(identity=[named(statement())], resource=resource)
    bound = Policies(identity=[named(statement())], resource=resource, boundary=named(statement()))
    assert evaluate(request(), free).allowed
    assert not evaluate(request(), bound).allowed


def test_an_allow_of_all_but_some_leaves_out_who_is_named_in_any_way() -> None:
    resource = named(statement(NotPrincipal={"AWS": ACCOUNT}))
    assert not evaluate(request(), Policies(resource=resource)).allowed
    stranger = Requester("user", f"arn:aws:iam::{OTHER}:user/eve", OTHER)
    theirs = Policies(identity=[named(statement())], resource=resource)
    assert evaluate(request(stranger, owner=ACCOUNT), theirs).allowed
