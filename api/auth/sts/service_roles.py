"""Roles that managed services assume to do what people asked them for: a schedule's calls, an event rule's.

A service says in its manifest which services of AWS it stands for (`assumes_as`); a role must trust that one. The
service answers for whom it does it: whoever made the schedule had to be allowed to pass the role. A trust policy is
told of whose resource it is about (`aws:SourceAccount`, `aws:SourceArn`).
"""

from __future__ import annotations

from collections.abc import Iterable

from api.auth.principal import Principal
from api.auth.sts.limits import HOUR
from api.auth.sts.role_sessions import RoleSession, RoleSessions
from api.auth.sts.trust import FoundRole, RoleTrust
from api.auth.sts.wanted import Limits, ServiceRoleWanted
from controller.kit.clock import Clock
from crds.errors import Forbidden
from crds.kinds.temporary_credential import Anchor
from crds.managed import ManagedService
from services.sdk.aws.accounts import account_of
from services.sdk.aws.judgement import moment_facts
from services.sdk.aws.policy import Context, Request, Requester

_LIVES_IN = "default"
"""The namespace of the Services that managed services are."""


class ServiceRoles:
    """One per process. `services`: all that may ask."""

    def __init__(
        self, trust: RoleTrust, roles: RoleSessions, clock: Clock, services: Iterable[ManagedService]
    ) -> None:
        self._trust, self._roles, self._clock = trust, roles, clock
        self._stands_for = {each.service_name: each.assumes_as for each in services}

    async def assume(self, who: Principal, wanted: ServiceRoleWanted) -> RoleSession:
        """Raises Forbidden for who does not stand for that principal, and for a role that does not trust it."""
        if who.acting or wanted.principal not in self._stands_for.get(who.service, ()):
            raise Forbidden(f"{who.name} does not stand for {wanted.principal}")
        found = self._trust.role(wanted.role_arn)
        if found is None or found.namespace != wanted.namespace or not self._trusts(found, wanted):
            raise Forbidden(
                f"the role {wanted.role_arn} is not there in the namespace {wanted.namespace}, or does not trust "
                f"{wanted.principal}"
            )
        spec = self._roles.session_of(found, Limits(), wanted.role_session_name, HOUR)
        service = Anchor(kind="Service", name=who.service, namespace=_LIVES_IN, uid=who.uid)
        spec.anchors = [service, *spec.anchors]
        return await self._roles.issue(spec, Limits(), by=who.name)

    def _trusts(self, found: FoundRole, wanted: ServiceRoleWanted) -> bool:
        facts = {
            **moment_facts(self._clock.now()),
            "aws:SourceAccount": account_of(wanted.namespace),
            "aws:SourceArn": wanted.source_arn,
            "sts:RoleSessionName": wanted.role_session_name,
        }
        requester = Requester("service", wanted.principal)
        request = Request(requester, "sts:AssumeRole", found.arn, Context(facts), found.account)
        return self._trust.decide_outside(found, request).decision.allowed
