"""Whether the caller of a request may do something with a bucket or an object: what has a say is gathered here, and
decided by `configuration.access`.

A caller in their own account, with a bucket that has neither policy nor ACLs, is decided about by roles and IAM.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from services.sdk.aws.accounts import account_of
from services.sdk.aws.judgement import DeniedByPolicy
from services.sdk.aws.policy import Context, NamedPolicy, Outcome, Request, Requester
from services.sdk.aws.policy.context import Given
from services.sdk.aws.role_policy import whatever_roles_allow
from services.storage_manager.caller_rights import object_arn
from services.storage_manager.configuration.access import (
    OF_POLICY,
    Attempt,
    BucketRules,
    ObjectRules,
    decide,
    needs_object,
)
from services.storage_manager.configuration.condition_keys import existing_tag_facts, facts_of
from services.storage_manager.configuration.owners import account_of_canonical
from services.storage_manager.configuration.rules import rules_of
from services.storage_manager.errors import S3Error
from services.storage_manager.interfaces import BucketDirectory, BucketRef, Caller
from services.storage_manager.metadata import MetadataIndex, Object
from services.storage_manager.operations import Verb

if TYPE_CHECKING:
    from services.storage_manager.context import S3Request

_EXISTING_TAG = "s3:existingobjecttag/"


_READS = frozenset({"s3:GetObject", "s3:GetObjectVersion"})


class Target(NamedTuple):
    """What is asked for. `verb`: of the role that gives it; `source`: whether it is what a copy reads."""

    ref: BucketRef
    action: str
    key: str
    verb: Verb
    version: str | None = None
    source: bool = False

    @property
    def arn(self) -> str:
        return object_arn(self.ref.name, self.key)


async def authorize(directory: BucketDirectory, metadata: MetadataIndex, request: S3Request, target: Target) -> None:
    """Raises S3Error AccessDenied."""
    caller, ref = request.caller, target.ref
    rules = _rules(metadata, ref)
    role = await directory.has_role(caller, target.verb, ref.name)
    if _is_plain(caller, target, rules):
        if not role:
            raise S3Error("AccessDenied", f"{caller.name} has no role that gives {target.action} on {target.arn}")
        return
    found = _object_of(metadata, target, rules)
    root = role and target.action in OF_POLICY and await directory.has_role(caller, "delete", ref.name)
    attempt = _attempt(request, target, rules, found, role=role, root=root)
    decision = decide(attempt, rules, _object_rules(rules, found))
    if not decision.allowed:
        asked = Request(attempt.requester, attempt.action, attempt.resource)
        denial = DeniedByPolicy(decision, asked)
        if decision.outcome is not Outcome.EXPLICIT_DENY and target.action in _READS:
            await _tell_absence(directory, metadata, request, target)
        raise S3Error("AccessDenied", str(denial)) from denial


async def _tell_absence(
    directory: BucketDirectory, metadata: MetadataIndex, request: S3Request, target: Target
) -> None:
    """Raises S3Error NoSuchKey where there is no such object, to who may list it."""
    if _found(metadata, target) is not None:
        return
    listed = replace(request, query={"prefix": target.key})
    try:
        await authorize(directory, metadata, listed, Target(target.ref, "s3:ListBucket", "", "list"))
    except S3Error:
        return
    raise S3Error("NoSuchKey", "The specified key does not exist.")


async def require_keeps_access(directory: BucketDirectory, request: S3Request, ref: BucketRef, policy: str) -> None:
    """Raises S3Error AccessDenied for a policy whose writer could not write another one, whom no role lets either."""
    target = Target(ref, "s3:PutBucketPolicy", "", "update")
    role = await directory.has_role(request.caller, "update", ref.name)
    root = role and await directory.has_role(request.caller, "delete", ref.name)
    rules = BucketRules(account_of(ref.namespace), policy)
    if not decide(_attempt(request, target, rules, None, role=role, root=root), rules).allowed:
        why = "This policy would deny its writer s3:PutBucketPolicy; x-amz-confirm-remove-self-bucket-access says so"
        raise S3Error("AccessDenied", why)


def _rules(metadata: MetadataIndex, ref: BucketRef) -> BucketRules:
    """The bucket's side, made once while its documents stay as they are."""
    recent = metadata.recent(ref.id)
    rules: BucketRules | None = recent.derived.get(ref.namespace)
    if rules is None:
        rules = recent.derived[ref.namespace] = rules_of(account_of(ref.namespace), recent.documents)
    return rules


def requester_of(caller: Caller) -> Requester:
    """The caller as policies name them."""
    if caller.anonymous:
        return Requester("anonymous")
    if caller.rights.policies is not None:
        return caller.rights.policies.requester
    account = account_of(caller.namespace)
    return Requester("user", f"arn:aws:iam::{account}:user/{caller.name}", account)


def _is_plain(caller: Caller, target: Target, rules: BucketRules) -> bool:
    """Whether roles alone decide."""
    own = not caller.anonymous and caller.namespace == target.ref.namespace
    return own and caller.rights.policies is None and not rules.policy and not needs_object(rules, target.action)


def _object_of(metadata: MetadataIndex, target: Target, rules: BucketRules) -> Object | None:
    """The object as it is, where its list or its tags may decide."""
    if not target.key or not (needs_object(rules, target.action) or _EXISTING_TAG in rules.policy.lower()):
        return None
    return _found(metadata, target)


def _found(metadata: MetadataIndex, target: Target) -> Object | None:
    id, version = target.ref.id, target.version
    if version is None:
        return metadata.find(id, target.key)
    return metadata.find_version(id, target.key, "" if version == "null" else version)


def _object_rules(rules: BucketRules, found: Object | None) -> ObjectRules | None:
    acl = getattr(found, "attributes", {}).get("acl")
    if acl is None:
        return None
    return ObjectRules(account_of_canonical(acl["Owner"]["ID"]) or rules.owner, acl)


def _attempt(
    request: S3Request, target: Target, rules: BucketRules, found: Object | None, *, role: bool, root: bool
) -> Attempt:
    policies = request.caller.rights.policies
    identity: tuple[NamedPolicy, ...] = policies.identity if policies else ()
    return Attempt(
        requester_of(request.caller),
        target.action,
        target.arn,
        Context(_facts(request, target, rules, found)),
        (*identity, whatever_roles_allow()) if role else identity,
        policies.boundary if policies else None,
        policies.session if policies else None,
        root=root,
    )


def _facts(request: S3Request, target: Target, rules: BucketRules, found: Object | None) -> Mapping[str, Given]:
    caller, now = request.caller, request.caller.rights.now()
    facts: dict[str, Given] = dict(caller.rights.policies.facts) if caller.rights.policies else _facts_of(caller)
    facts |= {"aws:CurrentTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"), "aws:EpochTime": int(now.timestamp())}
    facts |= {"aws:SecureTransport": True}
    facts |= facts_of(request.headers, {} if target.source else request.query, rules.owner)
    return facts | existing_tag_facts(getattr(found, "attributes", {}).get("tags", {}))


def _facts_of(caller: Caller) -> dict[str, Given]:
    """Of those IAM knows nothing of."""
    who = requester_of(caller)
    if who.kind == "anonymous":
        return {"aws:PrincipalType": "Anonymous"}
    return {
        "aws:username": caller.name,
        "aws:PrincipalArn": who.arn,
        "aws:PrincipalAccount": who.account,
        "aws:PrincipalType": "User",
    }
