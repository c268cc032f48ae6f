"""Who may do what to a bucket: the decision of identity, role, policy, lists and public access block."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sdk.aws.accounts import account_of
from services.sdk.aws.policy import Context, NamedPolicy, Requester, parse_policy
from services.sdk.aws.role_policy import whatever_roles_allow
from services.storage_manager.configuration.access import Attempt, BucketRules, ObjectRules, decide
from services.storage_manager.configuration.acl import canned_acl
from services.storage_manager.configuration.owners import owner_of
from services.storage_manager.configuration.ownership import Ownership
from services.storage_manager.configuration.public_access import ALL, PublicAccessBlock

OWNER, OTHER = account_of("owner"), account_of("other")
NOBODY = Requester("anonymous")
OPEN = PublicAccessBlock()
ACTIONS = {"s3:GetObject": "arn:aws:s3:::b/k", "s3:ListBucket": "arn:aws:s3:::b", "s3:PutObject": "arn:aws:s3:::b/k"}


def user(account: str) -> Requester:
    return Requester("user", f"arn:aws:iam::{account}:user/u", account)


def policy(effect: str, principal: Any, action: str = "s3:*", **more: Any) -> str:
    resources = ["arn:aws:s3:::b", "arn:aws:s3:::b/*"]
    one = {"Effect": effect, "Principal": principal, "Action": action, "Resource": resources, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [one]})


def attempt(who: Requester, action: str = "s3:GetObject", *, role: bool = False, **more: Any) -> Attempt:
    identity = (whatever_roles_allow(),) if role else ()
    given = {"identity": identity, "context": Context({"aws:SourceIp": "192.0.2.1"}), **more}
    return Attempt(who, action, ACTIONS.get(action, "arn:aws:s3:::b"), **given)


def may(tried: Attempt, rules: BucketRules, object_: ObjectRules | None = None) -> bool:
    return decide(tried, rules, object_).allowed


PUBLIC = policy("Allow", "*", "s3:GetObject")
FOR_OTHER = policy("Allow", {"AWS": f"arn:aws:iam::{OTHER}:root"})
DENY = policy("Deny", "*")


@pytest.mark.parametrize(
    ("who", "role", "rules", "allowed"),
    [
        (user(OWNER), True, BucketRules(OWNER), True),
        (user(OWNER), False, BucketRules(OWNER), False),
        (user(OWNER), False, BucketRules(OWNER, PUBLIC, block=OPEN), True),
        (user(OWNER), False, BucketRules(OWNER, PUBLIC, block=ALL), True),
        (user(OWNER), True, BucketRules(OWNER, DENY), False),
        (user(OTHER), True, BucketRules(OWNER), False),
        (user(OTHER), True, BucketRules(OWNER, FOR_OTHER), True),
        (user(OTHER), False, BucketRules(OWNER, FOR_OTHER), False),
        (user(OTHER), True, BucketRules(OWNER, PUBLIC, block=OPEN), True),
        (user(OTHER), True, BucketRules(OWNER, PUBLIC, block=ALL), False),
        (NOBODY, False, BucketRules(OWNER), False),
        (NOBODY, False, BucketRules(OWNER, FOR_OTHER, block=OPEN), False),
        (NOBODY, False, BucketRules(OWNER, PUBLIC, block=OPEN), True),
        (NOBODY, False, BucketRules(OWNER, PUBLIC, block=ALL), False),
    ],
)
def test_policies(who: Requester, role: bool, rules: BucketRules, allowed: bool) -> None:
    assert may(attempt(who, role=role), rules) is allowed


def test_conditions_of_a_policy() -> None:
    here = policy("Allow", "*", Condition={"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}})
    there = policy("Allow", "*", Condition={"IpAddress": {"aws:SourceIp": "198.51.100.0/24"}})
    assert may(attempt(NOBODY), BucketRules(OWNER, here))
    assert not may(attempt(NOBODY), BucketRules(OWNER, there))
    unknown = attempt(NOBODY, context=Context({}))
    assert not may(unknown, BucketRules(OWNER, here))


def listed(acl: str, ownership: Ownership = Ownership.WRITER, block: PublicAccessBlock = OPEN) -> BucketRules:
    return BucketRules(OWNER, acl=canned_acl(acl, owner_of("owner")), block=block, ownership=ownership)


@pytest.mark.parametrize(
    ("who", "action", "rules", "allowed"),
    [
        (NOBODY, "s3:ListBucket", listed("public-read"), True),
        (NOBODY, "s3:PutObject", listed("public-read"), False),
        (NOBODY, "s3:PutObject", listed("public-read-write"), True),
        (NOBODY, "s3:ListBucket", listed("authenticated-read"), False),
        (user(OTHER), "s3:ListBucket", listed("authenticated-read"), True),
        (NOBODY, "s3:ListBucket", listed("public-read", block=ALL), False),
        (NOBODY, "s3:ListBucket", listed("public-read", Ownership.ENFORCED), False),
        (user(OTHER), "s3:ListBucket", listed("private"), False),
        (NOBODY, "s3:GetBucketPolicy", listed("public-read-write"), False),
        (NOBODY, "s3:DeleteBucket", listed("public-read-write"), False),
        (NOBODY, "s3:DeleteObject", listed("public-read-write"), False),
    ],
)
def test_lists_of_buckets(who: Requester, action: str, rules: BucketRules, allowed: bool) -> None:
    assert may(attempt(who, action, role=who is not NOBODY), rules) is allowed


def test_lists_of_objects() -> None:
    rules = listed("private")
    shown = ObjectRules(OWNER, canned_acl("public-read", owner_of("owner")))
    hidden = ObjectRules(OWNER, canned_acl("private", owner_of("owner")))
    assert may(attempt(NOBODY), rules, shown)
    assert not may(attempt(NOBODY), rules, hidden)
    assert not may(attempt(NOBODY), listed("private", block=ALL), shown)
    assert not may(attempt(NOBODY), listed("private", Ownership.ENFORCED), shown)
    denied = BucketRules(OWNER, DENY, rules.acl, OPEN, Ownership.WRITER)
    assert not may(attempt(NOBODY), denied, shown)


def test_an_object_of_another_account_is_theirs() -> None:
    theirs = ObjectRules(OTHER, canned_acl("private", owner_of("other"), owner_of("owner")))
    given = ObjectRules(OTHER, canned_acl("bucket-owner-full-control", owner_of("other"), owner_of("owner")))
    rules = BucketRules(OWNER, PUBLIC, canned_acl("private", owner_of("owner")), OPEN, Ownership.WRITER)
    owner = attempt(user(OWNER), role=True)
    assert not may(owner, rules, theirs)
    assert may(owner, rules, given)
    assert may(attempt(user(OTHER), role=True), rules, theirs)
    assert not may(attempt(NOBODY), rules, theirs)
    enforced = BucketRules(OWNER, PUBLIC, rules.acl, OPEN, Ownership.ENFORCED)
    assert may(owner, enforced, theirs)


def test_who_may_delete_the_bucket_can_mend_its_policy() -> None:
    for action in ("s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"):
        assert may(attempt(user(OWNER), action, role=True, root=True), BucketRules(OWNER, DENY))
        assert not may(attempt(user(OWNER), action, role=True), BucketRules(OWNER, DENY))
        assert not may(attempt(user(OTHER), action, role=True, root=True), BucketRules(OWNER, DENY))
    assert not may(attempt(user(OWNER), role=True, root=True), BucketRules(OWNER, DENY))


def test_a_boundary_limits_what_lists_give() -> None:
    nothing = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:*","Resource":"*"}}'
    bound = attempt(user(OTHER), "s3:ListBucket", role=True, boundary=NamedPolicy("b", parse_policy(nothing)))
    assert not may(bound, listed("public-read"))


WHO = st.sampled_from([NOBODY, user(OWNER), user(OTHER)])
RULES = st.builds(
    BucketRules,
    st.just(OWNER),
    st.sampled_from(["", PUBLIC, FOR_OTHER, policy("Allow", "*")]),
    st.sampled_from([None, *(canned_acl(each, owner_of("owner")) for each in ("private", "public-read-write"))]),
    st.builds(PublicAccessBlock, st.booleans(), st.booleans(), st.booleans(), st.booleans()),
    st.sampled_from(Ownership),
)


@given(WHO, st.sampled_from([*ACTIONS, "s3:PutBucketAcl"]), st.booleans(), RULES)
def test_a_deny_wins_and_blocked_public_access_is_none(
    who: Requester, action: str, role: bool, rules: BucketRules
) -> None:
    tried = attempt(who, action, role=role and who is not NOBODY)
    denied = BucketRules(OWNER, DENY, rules.acl, rules.block, rules.ownership)
    assert not may(tried, denied)
    blocked = BucketRules(OWNER, rules.policy, rules.acl, ALL, rules.ownership)
    if who is NOBODY:
        assert not may(tried, blocked)
    assert not may(tried, blocked) or may(tried, rules)
