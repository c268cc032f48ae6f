"""Passing a role: whoever writes a Service that has one gives what it runs all that the role may; a Schedule, what
it calls.

They need the verb `use` on that IamRole, by a role of the cloud, or `iam:PassRole` on it by IAM's policies, whose
Deny and boundary refuse in any case. Asked with every write that changes what is done, not only with the one that
names the role: whoever changes the command has the credentials as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.auth.authorizer import Authorizer
from api.auth.iam_policies import IamPolicies
from api.auth.principal import Principal
from api.auth.rules import Action
from api.auth.sts.workloads import account_role_arn
from controller.kit.clock import Clock
from crds.errors import Forbidden
from crds.kind import GROUP, Kind
from crds.kinds.iam import IAM_ROLE
from crds.passed_roles import PassedRoles
from services.sdk.aws.accounts import account_of
from services.sdk.aws.caller_policies import known_caller
from services.sdk.aws.iam_names import iam_arn, resource_name
from services.sdk.aws.judgement import decide

USE = "use"
Body = Mapping[str, Any]


class RolePassing:
    """One per process."""

    def __init__(self, authorizer: Authorizer, policies: IamPolicies, clock: Clock) -> None:
        self._authorizer, self._policies, self._clock = authorizer, policies, clock

    def refuse(
        self, who: Principal, kind: Kind[Any], namespace: str, before: Body, after: Body, *, partly: bool = False
    ) -> None:
        """Raises Forbidden when `who` may not pass the roles a resource of that kind would have. `partly`: `after`
        says only what is to be changed.
        """
        passes = kind.passes
        if passes is None:
            return
        old, new = _spec(before), _spec(after)
        named = [each for each in ((old, new) if partly else (new,)) if any(passes.names(each))]
        if not named or (not partly and _same(passes, old, new)):
            return
        for role in sorted({role for each in named for role in passes.names(each)}):
            self._require(who, kind, passes.to, namespace, role)

    def _require(self, who: Principal, kind: Kind[Any], to: str, namespace: str, role: str) -> None:
        """Raises Forbidden."""
        resource = resource_name(role)
        by_role = self._authorizer.allows(who, Action(USE, GROUP, IAM_ROLE.plural, namespace, resource))
        caller = known_caller(self._policies.of(who))
        if caller is not None and caller.counts:
            facts, arn, now = {"iam:PassedToService": to}, self._arn(namespace, role), self._clock.now()
            judged = decide(caller, "iam:PassRole", arn, facts, now)
            if judged.refuses:
                raise judged.denial
            if judged.allows and caller.requester.account == account_of(namespace) and who.namespace == namespace:
                return
        if not by_role:
            raise Forbidden(
                f'iamroles.{GROUP} "{resource}" is forbidden: User "{who.name}" may not pass the role {role} to a '
                f'{kind.name} in the namespace "{namespace}": that needs the verb {USE} on it, or iam:PassRole'
            )

    def _arn(self, namespace: str, role: str) -> str:
        found = self._policies.role(namespace, role)
        if found is None:
            return account_role_arn(namespace, role)
        return iam_arn(account_of(namespace), "role", found.spec.path, found.spec.role_name)


def _spec(body: Body) -> Mapping[str, Any]:
    found = body.get("spec")
    return found if isinstance(found, dict) else {}


def _same(passes: PassedRoles, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether the same is done, with the same roles."""
    names = (set(old) | set(new)) - passes.harmless
    return any(passes.names(old)) and all(old.get(each) == new.get(each) for each in names)
