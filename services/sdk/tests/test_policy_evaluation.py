"""The decision of all policies together: the rows of AWS's "Policy evaluation logic", and the words for it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from services.sdk.aws.policy import NamedPolicy, Outcome, Policies, Requester, Source, evaluate
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
    named,
    request,
    statement,
)

ALLOW, DENY, OTHERWISE = (named(each) for each in (statement(), statement("Deny"), statement(Action="ec2:*")))
ALLOWED, EXPLICIT, IMPLICIT = Outcome.ALLOWED, Outcome.EXPLICIT_DENY, Outcome.IMPLICIT_DENY
STRANGER = Requester("user", f"arn:aws:iam::{OTHER}:user/eve", OTHER)


def naming(*principals: str, effect: str = "Allow", kind: str = "AWS") -> NamedPolicy:
    return named(statement(effect, Principal={kind: list(principals)}))


EVERYBODY = naming("*")
ACCOUNT_WIDE = naming(ACCOUNT)
Row = tuple[str, Requester, dict[str, Any], Outcome, Source]
SAME: list[Row] = [
    ("nothing allows", ANN, {}, IMPLICIT, Source.IDENTITY),
    ("identity allows", ANN, {"identity": [ALLOW]}, ALLOWED, Source.IDENTITY),
    ("identity allows something else", ANN, {"identity": [OTHERWISE]}, IMPLICIT, Source.IDENTITY),
    ("identity denies", ANN, {"identity": [DENY]}, EXPLICIT, Source.IDENTITY),
    ("one of many allows", ANN, {"identity": [OTHERWISE, ALLOW]}, ALLOWED, Source.IDENTITY),
    ("one of many denies", ANN, {"identity": [ALLOW, DENY]}, EXPLICIT, Source.IDENTITY),
    ("root needs nothing", ROOT, {}, ALLOWED, Source.IDENTITY),
    ("root is denied by a resource", ROOT, {"resource": naming("*", effect="Deny")}, EXPLICIT, Source.RESOURCE),
    ("resource names the user", ANN, {"resource": naming(ANN.arn)}, ALLOWED, Source.RESOURCE),
    ("resource names everybody", ANN, {"resource": EVERYBODY}, ALLOWED, Source.RESOURCE),
    ("resource names the account", ANN, {"resource": ACCOUNT_WIDE}, IMPLICIT, Source.IDENTITY),
    ("account and identity", ANN, {"resource": ACCOUNT_WIDE, "identity": [ALLOW]}, ALLOWED, Source.IDENTITY),
    ("resource names another", ANN, {"resource": naming(ROLE)}, IMPLICIT, Source.IDENTITY),
    (
        "resource denies",
        ANN,
        {"resource": naming("*", effect="Deny"), "identity": [ALLOW]},
        EXPLICIT,
        Source.RESOURCE,
    ),
    ("identity denies a grant", ANN, {"resource": naming(ANN.arn), "identity": [DENY]}, EXPLICIT, Source.IDENTITY),
    ("boundary alone gives nothing", ANN, {"boundary": ALLOW}, IMPLICIT, Source.IDENTITY),
    ("boundary and identity", ANN, {"boundary": ALLOW, "identity": [ALLOW]}, ALLOWED, Source.IDENTITY),
    ("boundary lacks it", ANN, {"boundary": OTHERWISE, "identity": [ALLOW]}, IMPLICIT, Source.BOUNDARY),
    ("boundary denies", ANN, {"boundary": DENY, "identity": [ALLOW]}, EXPLICIT, Source.BOUNDARY),
    (
        "grant to a user goes beyond its boundary",
        ANN,
        {"boundary": OTHERWISE, "resource": naming(ANN.arn)},
        ALLOWED,
        Source.RESOURCE,
    ),
    ("boundary denies a grant", ANN, {"boundary": DENY, "resource": naming(ANN.arn)}, EXPLICIT, Source.BOUNDARY),
    ("role allows its session", SESSION, {"identity": [ALLOW]}, ALLOWED, Source.IDENTITY),
    ("session policy narrows", SESSION, {"identity": [ALLOW], "session": [OTHERWISE]}, IMPLICIT, Source.SESSION),
    ("session policy gives nothing", SESSION, {"session": [ALLOW]}, IMPLICIT, Source.IDENTITY),
    ("session policy and role", SESSION, {"identity": [ALLOW], "session": [ALLOW]}, ALLOWED, Source.IDENTITY),
    (
        "an empty session policy allows nothing",
        SESSION,
        {"identity": [ALLOW], "session": []},
        IMPLICIT,
        Source.SESSION,
    ),
    ("session policy denies", SESSION, {"identity": [ALLOW], "session": [DENY]}, EXPLICIT, Source.SESSION),
    ("grant to the role", SESSION, {"resource": naming(ROLE)}, ALLOWED, Source.RESOURCE),
    (
        "grant to the role within its boundary",
        SESSION,
        {"resource": naming(ROLE), "boundary": ALLOW},
        ALLOWED,
        Source.RESOURCE,
    ),
    (
        "grant to the role beyond its boundary",
        SESSION,
        {"resource": naming(ROLE), "boundary": OTHERWISE},
        IMPLICIT,
        Source.BOUNDARY,
    ),
    (
        "grant to the role beyond the session",
        SESSION,
        {"resource": naming(ROLE), "session": [OTHERWISE]},
        IMPLICIT,
        Source.SESSION,
    ),
    (
        "grant to the session",
        SESSION,
        {"resource": naming(SESSION_ARN), "session": [OTHERWISE], "boundary": OTHERWISE},
        ALLOWED,
        Source.RESOURCE,
    ),
    (
        "grant to everybody",
        SESSION,
        {"resource": EVERYBODY, "session": [OTHERWISE], "boundary": OTHERWISE},
        ALLOWED,
        Source.RESOURCE,
    ),
    (
        "grant to the session, denied by the session",
        SESSION,
        {"resource": naming(SESSION_ARN), "session": [DENY]},
        EXPLICIT,
        Source.SESSION,
    ),
    (
        "grant to the user of a federated one",
        FEDERATED,
        {"resource": naming(ANN.arn), "session": [OTHERWISE]},
        IMPLICIT,
        Source.SESSION,
    ),
    (
        "grant to the user within the session",
        FEDERATED,
        {"resource": naming(ANN.arn), "session": [ALLOW]},
        ALLOWED,
        Source.RESOURCE,
    ),
    (
        "grant to the federated session",
        FEDERATED,
        {"resource": naming(FEDERATED.arn), "session": [OTHERWISE]},
        ALLOWED,
        Source.RESOURCE,
    ),
    ("nobody without a grant", ANONYMOUS, {"identity": [ALLOW]}, IMPLICIT, Source.RESOURCE),
    ("nobody with a grant", ANONYMOUS, {"resource": EVERYBODY}, ALLOWED, Source.RESOURCE),
    ("a service without a grant", LAMBDA, {}, IMPLICIT, Source.RESOURCE),
    ("a service with a grant", LAMBDA, {"resource": naming(LAMBDA.arn, kind="Service")}, ALLOWED, Source.RESOURCE),
    (
        "a web identity that is trusted",
        WEB,
        {"resource": naming(WEB.arn, kind="Federated")},
        ALLOWED,
        Source.RESOURCE,
    ),
    ("a web identity that is not", WEB, {"resource": ACCOUNT_WIDE}, IMPLICIT, Source.RESOURCE),
    ("service control allows", ANN, {"identity": [ALLOW], "service_control": [[ALLOW]]}, ALLOWED, Source.IDENTITY),
    (
        "service control lacks it",
        ANN,
        {"identity": [ALLOW], "service_control": [[OTHERWISE]]},
        IMPLICIT,
        Source.SERVICE_CONTROL,
    ),
    (
        "service control without any",
        ANN,
        {"identity": [ALLOW], "service_control": [[]]},
        IMPLICIT,
        Source.SERVICE_CONTROL,
    ),
    (
        "each level must allow",
        ANN,
        {"identity": [ALLOW], "service_control": [[ALLOW], [OTHERWISE], [ALLOW]]},
        IMPLICIT,
        Source.SERVICE_CONTROL,
    ),
    (
        "one policy of a level is enough",
        ANN,
        {"identity": [ALLOW], "service_control": [[OTHERWISE, ALLOW]]},
        ALLOWED,
        Source.IDENTITY,
    ),
    (
        "service control denies",
        ANN,
        {"identity": [ALLOW], "service_control": [[ALLOW, DENY]]},
        EXPLICIT,
        Source.SERVICE_CONTROL,
    ),
    ("service control limits root", ROOT, {"service_control": [[OTHERWISE]]}, IMPLICIT, Source.SERVICE_CONTROL),
    (
        "service control limits a grant",
        ANN,
        {"resource": naming(ANN.arn), "service_control": [[OTHERWISE]]},
        IMPLICIT,
        Source.SERVICE_CONTROL,
    ),
    (
        "resource control denies",
        ANN,
        {"identity": [ALLOW], "resource_control": [[naming("*", effect="Deny")]]},
        EXPLICIT,
        Source.RESOURCE_CONTROL,
    ),
    (
        "resource control lacks it",
        ANN,
        {"identity": [ALLOW], "resource_control": [[OTHERWISE]]},
        IMPLICIT,
        Source.RESOURCE_CONTROL,
    ),
    (
        "resource control allows",
        ANN,
        {"identity": [ALLOW], "resource_control": [[EVERYBODY]]},
        ALLOWED,
        Source.IDENTITY,
    ),
    (
        "a deny counts before controls",
        ANN,
        {"identity": [DENY], "service_control": [[OTHERWISE]]},
        EXPLICIT,
        Source.IDENTITY,
    ),
]
BY_RESOURCE: list[Row] = [
    ("a key without a policy for us", ANN, {"identity": [ALLOW]}, IMPLICIT, Source.RESOURCE),
    (
        "a key that lets the account decide",
        ANN,
        {"identity": [ALLOW], "resource": ACCOUNT_WIDE},
        ALLOWED,
        Source.IDENTITY,
    ),
    (
        "a key that lets the account decide, which does not",
        ANN,
        {"resource": ACCOUNT_WIDE},
        IMPLICIT,
        Source.IDENTITY,
    ),
    ("a key that names the user", ANN, {"resource": naming(ANN.arn)}, ALLOWED, Source.RESOURCE),
    ("a key that names root only for root", ROOT, {"resource": ACCOUNT_WIDE}, ALLOWED, Source.RESOURCE),
    ("a key that does not name root", ROOT, {"resource": naming(ANN.arn)}, IMPLICIT, Source.RESOURCE),
]
ACROSS: list[Row] = [
    ("only the resource", STRANGER, {"resource": naming(STRANGER.arn)}, IMPLICIT, Source.IDENTITY),
    ("only the identity", STRANGER, {"identity": [ALLOW]}, IMPLICIT, Source.RESOURCE),
    ("both", STRANGER, {"identity": [ALLOW], "resource": naming(STRANGER.arn)}, ALLOWED, Source.IDENTITY),
    ("both, by account", STRANGER, {"identity": [ALLOW], "resource": naming(OTHER)}, ALLOWED, Source.IDENTITY),
    ("both, by everybody", STRANGER, {"identity": [ALLOW], "resource": EVERYBODY}, ALLOWED, Source.IDENTITY),
    ("the boundary counts", STRANGER, {"identity": [ALLOW], "resource": EVERYBODY, "boundary": OTHERWISE}, IMPLICIT,
     Source.BOUNDARY),
    ("the session counts", STRANGER, {"identity": [ALLOW], "resource": EVERYBODY, "session": [OTHERWISE]}, IMPLICIT,
     Source.SESSION),
    ("the resource denies", STRANGER, {"identity": [ALLOW], "resource": naming(STRANGER.arn, effect="Deny")},
     EXPLICIT, Source.RESOURCE),
    ("root of another account", Requester("root", f"arn:aws:iam::{OTHER}:root", OTHER), {"resource": naming(OTHER)},
     ALLOWED, Source.IDENTITY),
    ("root of another account that is not named", Requester("root", f"arn:aws:iam::{OTHER}:root", OTHER), {},
     IMPLICIT, Source.RESOURCE),
    ("nobody", ANONYMOUS, {"resource": EVERYBODY}, ALLOWED, Source.RESOURCE),
]  # fmt: skip


def check(row: Row, owner: str, *, decided_by_resource: bool) -> None:
    _, who, policies, outcome, source = row
    asked = request(who, owner=owner)
    found = evaluate(asked, Policies(decided_by_resource=decided_by_resource, **policies))
    assert (found.outcome, found.source) == (outcome, source)
    if outcome is not IMPLICIT and not (who.kind == "root" and found.match is None):
        assert found.match is not None
        assert found.match.source is source
        assert (found.match.statement.effect == "Allow") is found.allowed


@pytest.mark.parametrize("row", SAME, ids=lambda row: row[0])
def test_in_one_account(row: Row) -> None:
    check(row, "", decided_by_resource=False)
    if row[1].account:
        check(row, row[1].account, decided_by_resource=False)


@pytest.mark.parametrize("row", BY_RESOURCE, ids=lambda row: row[0])
def test_where_the_resource_decides(row: Row) -> None:
    check(row, ACCOUNT, decided_by_resource=True)


@pytest.mark.parametrize("row", ACROSS, ids=lambda row: row[0])
def test_across_accounts(row: Row) -> None:
    check(row, ACCOUNT, decided_by_resource=False)


GROUPS = ("identity", "resource", "boundary", "session", "service_control", "resource_control")


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("who", [ANN, ROOT, SESSION, FEDERATED, STRANGER], ids=lambda who: who.kind)
def test_a_deny_anywhere_wins_over_all_that_allow(group: str, who: Requester) -> None:
    allowing: dict[str, Any] = {
        "identity": [ALLOW], "resource": EVERYBODY, "boundary": ALLOW, "session": [ALLOW],
        "service_control": [[ALLOW]], "resource_control": [[EVERYBODY]],
    }  # fmt: skip
    denying = {**allowing, group: _denying(allowing[group])}
    assert evaluate(request(who, owner=ACCOUNT), Policies(**allowing)).allowed
    found = evaluate(request(who, owner=ACCOUNT), Policies(**denying))
    assert found.outcome is EXPLICIT
    assert found.match is not None and found.match.statement.effect == "Deny"


def _denying(allowing: Any) -> Any:
    denies = named(statement("Deny", Principal="*"))
    if isinstance(allowing, NamedPolicy):
        return denies
    return [[*allowing[0], denies]] if isinstance(allowing[0], list) else [*allowing, denies]


def test_the_order_of_policies_and_statements_decides_nothing() -> None:
    statements = [statement(), statement("Deny", Action="s3:Put*"), statement(Action="s3:GetObject")]
    for each in itertools.permutations(statements):
        assert evaluate(request(), Policies(identity=[named(*each)])).allowed
        assert not evaluate(request(action="s3:PutObject"), Policies(identity=[named(*each)])).allowed


def test_a_decision_names_the_statement_that_decided() -> None:
    policy = named(statement(Sid="All"), statement("Deny", Sid="NoPut", Action="s3:PutObject"), name="writers")
    found = evaluate(request(action="s3:PutObject"), Policies(identity=[policy]))
    assert found.match is not None
    assert (found.match.policy, found.match.statement.sid, found.match.statement.index) == ("writers", "NoPut", 1)


@pytest.mark.parametrize(
    ("policies", "end"),
    [
        ({}, "because no identity-based policy allows the s3:GetObject action"),
        (
            {"identity": [ALLOW], "boundary": OTHERWISE},
            "because no permissions boundary allows the s3:GetObject action",
        ),
        ({"identity": [ALLOW], "session": [OTHERWISE]}, "because no session policy allows the s3:GetObject action"),
        ({"decided_by_resource": True}, "because no resource-based policy allows the s3:GetObject action"),
        ({"identity": [DENY]}, "with an explicit deny in an identity-based policy"),
        ({"boundary": DENY}, "with an explicit deny in a permissions boundary"),
        ({"service_control": [[DENY]]}, "with an explicit deny in a service control policy"),
    ],
)
def test_a_refusal_says_what_aws_says(policies: dict[str, Any], end: str) -> None:
    asked = request()
    said = evaluate(asked, Policies(**policies)).refusal(asked)
    assert said == f"User: {ANN.arn} is not authorized to perform: s3:GetObject on resource: {BUCKET}/key {end}"
