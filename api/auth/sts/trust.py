"""The trust of a role: whether whoever asks may become it, by its trust policy and by policies of their own.

In one account either suffices as AWS has it (a trust policy that names the user alone, or the account together with
a policy of the user's); from another account both are needed. A role of the cloud that may `use` the IamRole counts
as such a policy of the user's. Nobody learns from a refusal whether there is such a role.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from api.auth.authorizer import Action, Authorizer
from api.auth.iam_policies import IamPolicies
from api.auth.sts.callers import StsCaller
from controller.kit.clock import Clock
from controller.store.records import Store
from crds.kind import GROUP
from crds.kinds.iam import IAM_ROLE, IamRole
from crds.kinds.namespace import NAMESPACE
from crds.kinds.temporary_credential import SessionRole
from services.sdk.aws.accounts import account_of
from services.sdk.aws.arns import parse_arn
from services.sdk.aws.caller_policies import CallerPolicies
from services.sdk.aws.iam_names import iam_arn
from services.sdk.aws.judgement import context_of
from services.sdk.aws.managed_policies import DOCUMENTS
from services.sdk.aws.policy import (
    Decision,
    NamedPolicy,
    Policies,
    PolicyError,
    Request,
    evaluate,
    parse_policy,
)
from services.sdk.aws.policy.context import Given

_EVERYTHING = NamedPolicy(
    "a role of the cloud", parse_policy(DOCUMENTS["arn:aws:iam::aws:policy/AdministratorAccess"])
)


class FoundRole(NamedTuple):
    """A role, the namespace that is its account, and its ARN."""

    role: IamRole
    namespace: str
    arn: str

    @property
    def account(self) -> str:
        return account_of(self.namespace)

    @property
    def of_session(self) -> SessionRole:
        spec, meta = self.role.spec, self.role.metadata
        return SessionRole(name=spec.role_name, path=spec.path, resource=meta.name, uid=meta.uid or "")


class TrustDecision(NamedTuple):
    """What policies say of one action, and the request they were asked about."""

    request: Request
    decision: Decision


class RoleTrust:
    """One per process."""

    def __init__(self, store: Store, policies: IamPolicies, authorizer: Authorizer, clock: Clock) -> None:
        self._store, self._policies, self._authorizer, self._clock = store, policies, authorizer, clock

    def role(self, arn: str) -> FoundRole | None:
        """The role of that very ARN, path included."""
        parsed = parse_arn(arn)
        if parsed is None or parsed.service != "iam" or parsed.region or parsed.kind != "role":
            return None
        namespaces = self._namespaces(parsed.account)
        if len(namespaces) != 1:  # nobody can tell whose it is
            return None
        role = self._policies.role(namespaces[0], arn.rpartition("/")[2])
        if role is None:
            return None
        found = FoundRole(role, namespaces[0], iam_arn(parsed.account, "role", role.spec.path, role.spec.role_name))
        return found if found.arn == arn else None

    def role_named(self, name: str, namespace: str) -> FoundRole | None:
        """The role of that name in the account that is that namespace."""
        role = self._policies.role(namespace, name)
        if role is None or role.spec.role_name.lower() != name.lower():
            return None
        arn = iam_arn(account_of(namespace), "role", role.spec.path, role.spec.role_name)
        return FoundRole(role, namespace, arn)

    def decide(
        self, caller: StsCaller, found: FoundRole, action: str, facts: Mapping[str, Given]
    ) -> TrustDecision | None:
        """The word on `action` (`sts:AssumeRole`). None where the account's number alone is that of the role."""
        iam = self._with_roles_of_the_cloud(caller, found)
        if iam.requester.account == found.account and caller.who.namespace != found.namespace:
            return None
        tags = {f"iam:ResourceTag/{name}": text for name, text in found.role.spec.tags.items()}
        tags |= {f"aws:ResourceTag/{name}": text for name, text in found.role.spec.tags.items()}
        context = context_of(iam, {**tags, **facts}, self._clock.now())
        request = Request(iam.requester, action, found.arn, context, found.account)
        policies = replace(iam.all, resource=_trust_of(found.role), decided_by_resource=True)
        return TrustDecision(request, evaluate(request, policies))

    def decide_outside(self, found: FoundRole, request: Request) -> TrustDecision:
        """The word on somebody who has no policies of their own: all there is is the role's trust policy."""
        return TrustDecision(
            request, evaluate(request, Policies(resource=_trust_of(found.role), decided_by_resource=True))
        )

    def managed(self, arn: str, namespace: str) -> str:
        """The document of a managed policy; empty when there is none."""
        return self._policies.managed(arn, namespace)

    def _with_roles_of_the_cloud(self, caller: StsCaller, found: FoundRole) -> CallerPolicies:
        wanted = Action("use", GROUP, IAM_ROLE.plural, found.namespace, found.role.metadata.name)
        if caller.in_role or not self._authorizer.allows(caller.who, wanted):
            return caller.iam
        return replace(caller.iam, identity=(*caller.iam.identity, _EVERYTHING))

    def _namespaces(self, account: str) -> list[str]:
        records = self._store.list(NAMESPACE.group, NAMESPACE.plural).records
        return [each.key.name for each in records if account_of(each.key.name) == account]


def _trust_of(role: IamRole) -> NamedPolicy | None:
    """None for one that cannot be read: it trusts nobody."""
    try:
        return NamedPolicy("trust policy", parse_policy(role.spec.trust))
    except PolicyError:
        return None
