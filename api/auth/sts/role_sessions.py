"""Sessions of roles: AssumeRole."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple

from api.auth.sts.authorization_messages import AuthorizationMessages
from api.auth.sts.callers import StsCaller
from api.auth.sts.limits import HOUR, SessionTags, check_policies, checked_tags, packed_percent, seconds_of
from api.auth.sts.refusals import denied
from api.auth.sts.trust import FoundRole, RoleTrust, TrustDecision
from api.auth.sts.wanted import Limits, RoleSessionWanted
from api.auth.temporary_credentials import IssuedCredential, TemporaryCredentials
from controller.kit.clock import Clock
from crds.kinds.temporary_credential import Anchor, TemporaryCredentialSpec
from services.sdk.aws.policy.context import Given

NO_TAGS = SessionTags({})
Facts = dict[str, Given]
_CHAINED = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
BEYOND = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."


class RoleSession(NamedTuple):
    """A session as it was made, and how much of what it may carry it takes."""

    issued: IssuedCredential
    packed_percent: int


class RoleSessions:
    """One per process."""

    def __init__(
        self, trust: RoleTrust, temporary: TemporaryCredentials, messages: AuthorizationMessages, clock: Clock
    ) -> None:
        self._trust, self._temporary, self._messages, self._clock = trust, temporary, messages, clock

    async def assume(self, caller: StsCaller, wanted: RoleSessionWanted) -> RoleSession:
        """Raises Forbidden for who may not, BadRequest for what no session can be."""
        if caller.session is not None and caller.session.session == "FederatedUser":
            raise denied("Cannot call AssumeRole with federation credentials")
        tags = checked_tags(wanted.tags, wanted.transitive_tag_keys, caller.transitive_tags)
        identity = _source_identity(caller, wanted)
        found = self._trust.role(wanted.role_arn)
        self._require_trusted(caller, found, wanted, tags, identity)
        assert found is not None
        longest = HOUR if caller.in_role else found.role.spec.max_session_seconds
        seconds = seconds_of(wanted.duration_seconds, HOUR, longest, _CHAINED if caller.in_role else BEYOND)
        spec = self.session_of(found, wanted, wanted.role_session_name, seconds, tags)
        spec.anchors = [*caller.anchors, *spec.anchors]
        spec.parents, spec.source_identity = caller.parents, identity
        return await self.issue(spec, wanted, by=caller.who.name)

    def session_of(
        self, found: FoundRole, limits: Limits, name: str, seconds: int, tags: SessionTags = NO_TAGS
    ) -> TemporaryCredentialSpec:
        """A session of that role, for now and `seconds`. Raises BadRequest for policies that are none."""
        check_policies(limits, found.account, lambda arn: self._trust.managed(arn, found.namespace))
        now, role = self._clock.now(), found.of_session
        return TemporaryCredentialSpec(
            access_key_id="",
            session="AssumedRole",
            namespace=found.namespace,
            issued_at=now,
            expires_at=now + timedelta(seconds=seconds),
            session_name=name,
            role=role,
            anchors=[Anchor(kind="IamRole", name=role.resource, namespace=found.namespace, uid=role.uid)],
            limited=bool(limits.policy or limits.policy_arns),
            policy=limits.policy,
            policy_arns=limits.policy_arns,
            tags=tags.tags,
            transitive_tags=list(tags.transitive),
        )

    async def issue(self, spec: TemporaryCredentialSpec, limits: Limits, *, by: str) -> RoleSession:
        """Raises BadRequest, TooManyRequests."""
        percent = packed_percent(limits, spec.tags)
        return RoleSession(await self._temporary.issue(spec, by=by), percent)

    def _require_trusted(
        self,
        caller: StsCaller,
        found: FoundRole | None,
        wanted: RoleSessionWanted,
        tags: SessionTags,
        identity: str,
    ) -> None:
        """Raises Forbidden, in the same words whatever the reason; that one is told sealed, to who may know it."""
        facts = _facts(wanted, tags, identity)
        for action in _actions(wanted, tags):
            decided = self._trust.decide(caller, found, action, facts) if found is not None else None
            if decided is None or not decided.decision.allowed:
                raise denied(self._refusal(caller, action, wanted.role_arn, found, decided))

    def _refusal(
        self, caller: StsCaller, action: str, arn: str, found: FoundRole | None, decided: TrustDecision | None
    ) -> str:
        said = f"User: {caller.iam.requester} is not authorized to perform: {action} on resource: {arn}"
        namespace = found.namespace if found is not None else caller.who.namespace
        return f"{said}. {self._messages.told(namespace, decided, caller.iam.requester, action, arn)}"


def _actions(wanted: RoleSessionWanted, tags: SessionTags) -> Iterator[str]:
    """Everything the trust policy has to allow."""
    yield "sts:AssumeRole"
    if tags.tags:
        yield "sts:TagSession"
    if wanted.source_identity:
        yield "sts:SetSourceIdentity"


def _facts(wanted: RoleSessionWanted, tags: SessionTags, identity: str) -> Facts:
    facts: Facts = {"sts:RoleSessionName": wanted.role_session_name}
    if wanted.external_id:
        facts["sts:ExternalId"] = wanted.external_id
    if identity:
        facts["sts:SourceIdentity"] = identity
    facts |= {f"aws:RequestTag/{name}": text for name, text in wanted.tags.items()}
    if wanted.tags:
        facts["aws:TagKeys"] = list(wanted.tags)
    if tags.transitive:
        facts["sts:TransitiveTagKeys"] = list(tags.transitive)
    return facts


def _source_identity(caller: StsCaller, wanted: RoleSessionWanted) -> str:
    """Once set, it stays for all sessions that are made with this one. Raises Forbidden for another."""
    known = caller.session.source_identity if caller.session is not None else ""
    if known and wanted.source_identity and wanted.source_identity != known:
        raise denied("The source identity of a session cannot be changed by the sessions made with it")
    return known or wanted.source_identity or ""
