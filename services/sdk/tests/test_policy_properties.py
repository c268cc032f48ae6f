"""The evaluator and a slow model of AWS's rules agree about whatever policies and requests there are."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.sdk.aws.policy import Context, NamedPolicy, Policies, Request, Requester, evaluate, parse_policy
from services.sdk.aws.policy.wildcards import matcher, pattern_of
from services.sdk.tests import policy_model as model

Json = dict[str, Any]
ACCOUNT = "111122223333"
WHO = {
    "user": Requester("user", f"arn:aws:iam::{ACCOUNT}:user/ann", ACCOUNT),
    "session": Requester(
        "session", f"arn:aws:sts::{ACCOUNT}:assumed-role/r/s", ACCOUNT, behind="arn:aws:iam::1:role/r"
    ),
}
OPERATORS = [
    "StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "ArnLike", "ArnNotLike", "IpAddress",
    "NotIpAddress", "NumericLessThan",
]  # fmt: skip
TEXTS = {
    "String": ["a", "ab", "b*", "?", "*", "A"],
    "Arn": ["arn:aws:s:r:1:a/b", "arn:aws:s:*:1:a/*", "arn:aws:?:r:1:a*", "arn:aws:s:r:2:x:y"],
    "Ip": ["10.0.0.1", "10.0.0.2", "11.1.1.1"],
    "Numeric": ["1", "2", "3"],
}
VALUES = {**TEXTS, "Ip": ["10.0.0.0/31", "10.0.0.1", "0.0.0.0/1"]}
KEYS = ["s:one", "s:Two"]


def family(operator: str) -> str:
    return next((each for each in TEXTS if each in operator), "String")


@st.composite
def conditions(draw: st.DrawFn) -> Json:
    found: Json = {}
    for key in draw(st.lists(st.sampled_from(KEYS), max_size=2, unique=True)):
        # Each key has values of one family in the request, so that no value is of another.
        wanted = ("String", "Numeric") if key == "s:one" else ("Ip",)
        operators = [each for each in OPERATORS if family(each) in wanted]
        operator = draw(st.sampled_from([*operators, "Null"]))
        if operator == "Null":
            name, values = operator, draw(st.lists(st.sampled_from(["true", "false"]), min_size=1, max_size=2))
        else:
            sets = draw(st.sampled_from(["", "ForAllValues:", "ForAnyValue:"]))
            name = sets + operator + draw(st.sampled_from(["", "IfExists"]))
            values = draw(st.lists(st.sampled_from(VALUES[family(operator)]), max_size=3))
        found.setdefault(name, {})[key] = values
    return found


ACTIONS = st.lists(st.sampled_from(["*", "s:*", "s:Get", "S:get*", "s:?ut", "t:*"]), min_size=1, max_size=2)
RESOURCES = st.lists(
    st.sampled_from(["*", "arn:aws:s:r:1:a/*", "arn:aws:s:*:1:a/b", "arn:aws:s:r:1:?", "arn:aws:*:r:1:a*"]),
    min_size=1,
    max_size=2,
)
NAMES = st.lists(
    st.sampled_from(["*", ACCOUNT, *(each.arn for each in WHO.values()), "arn:aws:iam::1:role/r", "999999999999"]),
    min_size=1,
    max_size=2,
)


@st.composite
def statements(draw: st.DrawFn, *, of_resource: bool = False) -> Json:
    found: Json = {
        "Effect": draw(st.sampled_from(["Allow", "Allow", "Allow", "Deny"])),
        draw(st.sampled_from(["Action", "Action", "NotAction"])): draw(ACTIONS),
        draw(st.sampled_from(["Resource", "Resource", "NotResource"])): draw(RESOURCES),
    }
    if draw(st.booleans()):
        found["Condition"] = draw(conditions())
    if of_resource:
        found["Principal"] = {"AWS": draw(NAMES)}
    return found


def policies(*, of_resource: bool = False) -> st.SearchStrategy[Json]:
    every = st.lists(statements(of_resource=of_resource), min_size=1, max_size=3)
    return every.map(lambda each: {"Version": "2012-10-17", "Statement": each})


CONTEXTS = st.fixed_dictionaries(
    {},
    optional={
        "S:one": st.lists(st.sampled_from(TEXTS["Numeric"]), min_size=1, max_size=2),
        "s:two": st.lists(st.sampled_from(TEXTS["Ip"]), min_size=1, max_size=2),
    },
)


def compiled(policy: Json | None) -> NamedPolicy | None:
    return None if policy is None else NamedPolicy("p", parse_policy(json.dumps(policy)))


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(sorted(WHO)),
    st.booleans(),
    st.sampled_from(["s:Get", "s:Put", "t:Get"]),
    st.sampled_from(["arn:aws:s:r:1:a/b", "arn:aws:s:q:1:a/b", "arn:aws:s:r:1:x", "*"]),
    CONTEXTS,
    policies(),
    st.none() | policies(of_resource=True),
    st.none() | policies(),
    st.none() | policies(),
)
def test_the_evaluator_agrees_with_the_model(
    kind: str,
    same: bool,
    action: str,
    resource: str,
    context: dict[str, list[str]],
    identity: Json,
    of_resource: Json | None,
    boundary: Json | None,
    session: Json | None,
) -> None:
    who = WHO[kind]
    asked = {
        "kind": kind, "self": who.arn, "role": who.behind, "account": who.account, "same": same, "action": action,
        "resource": resource, "context": context,
    }  # fmt: skip
    all_policies = {"identity": identity, "resource": of_resource, "boundary": boundary, "session": session}
    named = {name: compiled(each) for name, each in all_policies.items()}
    found = evaluate(
        Request(who, action, resource, Context(context), ACCOUNT if same else "999999999999"),
        Policies(
            identity=[each] if (each := named["identity"]) else [],
            resource=named["resource"],
            boundary=named["boundary"],
            session=[each] if (each := named["session"]) else None,
        ),
    )
    assert str(found.outcome) == model.decide(asked, all_policies)


@settings(max_examples=500, deadline=None)
@given(st.text("ab*?", max_size=10), st.text("ab*?é", max_size=12))
def test_wildcards_match_what_trying_everything_matches(pattern: str, text: str) -> None:
    assert matcher(pattern_of(pattern))(text) is model.glob(pattern, text)


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(["", "ForAllValues:", "ForAnyValue:"]),
    st.sampled_from(OPERATORS),
    st.sampled_from(["", "IfExists"]),
    st.data(),
)
def test_one_condition_is_as_the_model_says(sets: str, operator: str, suffix: str, data: st.DataObject) -> None:
    wanted = data.draw(st.lists(st.sampled_from(VALUES[family(operator)]), max_size=3))
    found = data.draw(st.lists(st.sampled_from(TEXTS[family(operator)]), max_size=3))
    name = f"{sets}{operator}{suffix}"
    policy = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {name: {"a:K": wanted}}}
    ]}  # fmt: skip
    asked = Request(WHO["user"], "s:Get", "*", Context({"A:k": found}))
    allowed = evaluate(asked, Policies(identity=[NamedPolicy("p", parse_policy(json.dumps(policy)))])).allowed
    assert allowed is model.condition(name, wanted, found)


class Counted(str):
    """A text that counts how many of its characters are looked at."""

    looked = 0

    def find(self, piece: str, at: int = 0, end: int | None = None) -> int:  # type: ignore[override]
        found = str.find(self, piece, at, end)
        self.looked += (found + len(piece) if found >= 0 else end or len(self)) - at
        return found

    def __iter__(self) -> Any:
        for each in str.__iter__(self):
            self.looked += 1
            yield each


@given(st.integers(1, 60), st.sampled_from(["a", "ab", "a?", "?", "?a?"]), st.sampled_from(["b", "c", "", "a"]))
def test_a_match_looks_at_no_character_twice(stars: int, piece: str, end: str) -> None:
    matches = matcher(pattern_of("*" + "*".join([piece] * stars) + "*" + end + "*"))
    text = Counted("a" * 2000)
    matches(text)
    assert text.looked <= len(text)
