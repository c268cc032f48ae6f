"""What KMS asks of its callers, for whoever explains decisions: also what a key's policy and its grants say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.key_manager.authorization import GIVEN_BY_POLICY, decide_by_key_policy
from services.key_manager.condition_keys import facts_of_key
from services.key_manager.grants import allows, is_for, is_of
from services.key_manager.key_state import key_arn, key_id
from services.key_manager.kinds import KEY, KEY_ALIAS, KEY_GRANT, Key
from services.key_manager.operations import OPERATIONS
from services.sdk.aws.access_rules import (
    AccessRules,
    Located,
    ResourceQuestion,
    ResourceVerdict,
    StoredObjects,
    permissions_of,
)
from services.sdk.aws.accounts import account_of
from services.sdk.aws.arns import Arn
from services.sdk.aws.policy import Context, Decision, Outcome, Request

_CONTEXT = "kms:EncryptionContext:"


def judge_key(asked: ResourceQuestion) -> ResourceVerdict | None:
    """As `KeyAuthorizer.require` decides."""
    keys = asked.objects.all(KEY, asked.namespace)
    key = next((each for each in keys if each.metadata.name == asked.name), None)
    if key is None:
        return None
    policy = asked.policy or key.spec.policy
    decision = _decision(asked, key, policy) if policy else None
    refused = decision is not None and not decision.allowed
    final = decision is not None and decision.outcome is Outcome.EXPLICIT_DENY
    if (refused or not asked.by_identity) and not final and (grant := _grant(asked, key)):
        return ResourceVerdict(True, decision, f"KeyGrant {asked.namespace}/{grant}", policy)
    if decision is None or refused:
        return ResourceVerdict(asked.by_identity and not refused, decision, document=policy)
    allowed = asked.by_identity or asked.verb in GIVEN_BY_POLICY
    return ResourceVerdict(allowed, decision, document=policy)


def _decision(asked: ResourceQuestion, key: Key, policy: str) -> Decision:
    known = asked.objects.all(KEY_ALIAS, asked.namespace)
    aliases = [each.spec.alias_name for each in known if each.spec.key == asked.name]
    own = {"kms:CallerAccount": asked.requester.account, "kms:EncryptionContextKeys": [*_pairs(asked.facts)]}
    context = Context({**facts_of_key(key, aliases), **own, **asked.facts})
    request = Request(asked.requester, asked.action, asked.arn, context, account_of(asked.namespace))
    return decide_by_key_policy(request, policy, by_role=asked.by_identity)


def _grant(asked: ResourceQuestion, key: Key) -> str:
    operation = asked.action.partition(":")[2]
    for each in asked.objects.all(KEY_GRANT, asked.namespace):
        if is_of(each, key) and is_for(each, asked.requester) and allows(each, operation, _pairs(asked.facts)):
            return each.metadata.name
    return ""


def _pairs(facts: Mapping[str, Any]) -> dict[str, str]:
    """The encryption context, as conditions name it."""
    return {name.removeprefix(_CONTEXT): str(text) for name, text in facts.items() if name.startswith(_CONTEXT)}


def locate(arn: Arn, objects: StoredObjects, namespace: str) -> Located:
    """The key of that id, or behind that alias; policies are asked about the key's own ARN."""
    for key in objects.all(KEY, namespace):
        if arn.name in (key_id(key), key.metadata.name) or arn.resource in key.status.aliases:
            return Located(key.metadata.name, key_arn(account_of(namespace), key_id(key), arn.region))
    return Located(arn.name, str(arn))


RULES = AccessRules(permissions_of("kms", OPERATIONS), locate, judge_key, has_policies=True)
