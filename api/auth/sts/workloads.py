"""Credentials of Services that have a role (`spec.role`): what the container credentials endpoint hands out.

A Service proves itself with a token of its own, derived from the master key and the uid of the Service; the role must
trust `ecs-tasks.amazonaws.com`, under whose protocol it is asked. One credential is handed out for half of its life.
Source: AWS SDKs and tools reference guide, "Container credential provider".
"""

from __future__ import annotations

from typing import NamedTuple

from api.auth.derived_secrets import DerivedSecrets
from api.auth.sts.limits import HOUR
from api.auth.sts.role_sessions import RoleSessions
from api.auth.sts.trust import FoundRole, RoleTrust
from api.auth.sts.wanted import Limits
from api.auth.temporary_credentials import IssuedCredential, TemporaryCredentials
from controller.kit.clock import Clock
from controller.store.records import Record, Store
from crds.errors import Forbidden, NotFound, Unauthorized
from crds.kinds.service import SERVICE, Service
from crds.kinds.temporary_credential import Anchor
from services.sdk.aws.accounts import account_of
from services.sdk.aws.judgement import moment_facts
from services.sdk.aws.policy import Context, Request, Requester

PRINCIPAL = "ecs-tasks.amazonaws.com"
_LONGEST_NAME = 64
_REMEMBERED = 4096


class RoleCredential(NamedTuple):
    """A credential, and the ARN of its role."""

    issued: IssuedCredential
    role_arn: str


class WorkloadRoles:
    """One per process."""

    def __init__(
        self,
        store: Store,
        derived: DerivedSecrets,
        trust: RoleTrust,
        roles: RoleSessions,
        temporary: TemporaryCredentials,
        clock: Clock,
    ) -> None:
        self._store, self._derived, self._trust, self._roles = store, derived, trust, roles
        self._temporary, self._clock = temporary, clock
        self._issued: dict[tuple[str, str], RoleCredential] = {}

    def token(self, namespace: str, name: str, uid: str) -> str:
        """What that Service proves itself with."""
        return self._derived.workload_token(namespace, name, uid)

    async def credential(self, namespace: str, name: str, token: str) -> RoleCredential:
        """Raises Unauthorized for another token, NotFound without a role, Forbidden for one that does not trust."""
        record = self._store.get(SERVICE.key(name, namespace))
        uid = record.uid if record is not None else ""
        if record is None or not self._derived.workload_token_fits(namespace, name, uid, token):
            raise Unauthorized(f"this is no token of the Service {name}")
        found = self._role(record, namespace)
        known = self._issued.get((uid, found.of_session.uid))
        if known is not None and self._is_fresh(known):
            return known
        made = await self._made(found, record)
        if len(self._issued) >= _REMEMBERED:
            self._issued.clear()
        self._issued[uid, found.of_session.uid] = made
        return made

    def _role(self, record: Record, namespace: str) -> FoundRole:
        """Raises NotFound, Forbidden."""
        service: Service = SERVICE.decode(record.body)
        if not service.spec.role:
            raise NotFound(f"the Service {record.key.name} has no role")
        found = self._trust.role_named(service.spec.role, namespace)
        if found is None or not self._trusts(found):
            raise Forbidden(f"the role {service.spec.role} is not there, or does not trust {PRINCIPAL}")
        return found

    def _trusts(self, found: FoundRole) -> bool:
        facts = {**moment_facts(self._clock.now()), "aws:SourceAccount": found.account}
        request = Request(Requester("service", PRINCIPAL), "sts:AssumeRole", found.arn, Context(facts), found.account)
        return self._trust.decide_outside(found, request).decision.allowed

    def _is_fresh(self, known: RoleCredential) -> bool:
        spec = known.issued.spec
        if self._clock.now() >= spec.issued_at + (spec.expires_at - spec.issued_at) / 2:
            return False
        try:
            self._temporary.find(known.issued.key.id)
        except NotFound:  # taken back: the next one is another
            return False
        return True

    async def _made(self, found: FoundRole, record: Record) -> RoleCredential:
        session, key = f"{record.key.namespace}.{record.key.name}"[:_LONGEST_NAME], record.key
        spec = self._roles.session_of(found, Limits(), session, HOUR)
        spec.anchors = [Anchor(kind="Service", name=key.name, namespace=key.namespace, uid=record.uid), *spec.anchors]
        made = await self._roles.issue(spec, Limits(), by=f"system:workload:{key.namespace}:{key.name}")
        return RoleCredential(made.issued, found.arn)


def account_role_arn(namespace: str, role: str) -> str:
    """The ARN that policies about passing a role are asked about, where there is no such role yet."""
    return f"arn:aws:iam::{account_of(namespace)}:role/{role}"
