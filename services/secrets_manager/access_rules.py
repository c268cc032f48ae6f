"""What Secrets Manager asks of its callers, for whoever explains decisions: also what a secret's policy says."""

from __future__ import annotations

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
from services.sdk.aws.policy import Context, Request
from services.secrets_manager.authorization import decide_by_secret_policy
from services.secrets_manager.condition_keys import facts_of
from services.secrets_manager.kinds import MANAGED_SECRET
from services.secrets_manager.operations import OPERATIONS


def locate(arn: Arn, objects: StoredObjects, namespace: str) -> Located:
    """The secret of that ARN; one without the six signs at its end means it as well."""
    for each in objects.all(MANAGED_SECRET, namespace):
        if each.status.arn == str(arn) or each.status.arn[:-7] == str(arn):
            return Located(each.metadata.name, each.status.arn)
    return Located(arn.resource.partition(":")[2], str(arn))


def judge_secret(asked: ResourceQuestion) -> ResourceVerdict | None:
    """As `SecretAuthorizer.require` decides."""
    known = asked.objects.all(MANAGED_SECRET, asked.namespace)
    secret = next((each for each in known if each.metadata.name == asked.name), None)
    policy = asked.policy or (secret.spec.policy if secret is not None else "")
    if secret is None or not policy:
        return None
    operation = asked.action.partition(":")[2]
    facts = facts_of(operation, {"SecretId": asked.arn}, secret.spec.tags or {})
    owner = account_of(asked.namespace)
    request = Request(asked.requester, asked.action, asked.arn, Context({**facts, **asked.facts}), owner)
    decision = decide_by_secret_policy(request, policy, allowed=asked.by_identity)
    return ResourceVerdict(decision.allowed, decision, document=policy)


RULES = AccessRules(permissions_of("secretsmanager", OPERATIONS), locate, judge_secret, has_policies=True)
