"""Sessions of users: GetSessionToken and GetFederationToken. A user asks for both with an access key of their own."""

from __future__ import annotations

from datetime import timedelta

from api.auth.iam_policies import IamPolicies
from api.auth.sts.callers import StsCaller
from api.auth.sts.limits import check_policies, checked_tags, packed_percent, seconds_of
from api.auth.sts.refusals import denied
from api.auth.sts.role_sessions import RoleSession
from api.auth.sts.wanted import FederationWanted, SessionTokenWanted
from api.auth.temporary_credentials import IssuedCredential, TemporaryCredentials
from controller.kit.clock import Clock
from crds.kinds.temporary_credential import SessionKind, TemporaryCredentialSpec
from services.sdk.aws.accounts import account_of

HALF_A_DAY, MOST_SECONDS = 43_200, 129_600
_BEYOND = f"DurationSeconds must be at most {MOST_SECONDS}."


class UserSessions:
    """One per process."""

    def __init__(self, policies: IamPolicies, temporary: TemporaryCredentials, clock: Clock) -> None:
        self._policies, self._temporary, self._clock = policies, temporary, clock

    async def session_token(self, caller: StsCaller, wanted: SessionTokenWanted) -> IssuedCredential:
        """The user themselves, for a while. Raises Forbidden, BadRequest, TooManyRequests."""
        _require_own_key(caller, "GetSessionToken")
        seconds = seconds_of(wanted.duration_seconds, HALF_A_DAY, MOST_SECONDS, _BEYOND)
        return await self._temporary.issue(self._session(caller, "User", seconds), by=caller.who.name)

    async def federated(self, caller: StsCaller, wanted: FederationWanted) -> RoleSession:
        """Somebody under a name of the user's choice, who may what the user may as far as the session's policies
        allow: nothing without any. Raises Forbidden, BadRequest, TooManyRequests.
        """
        _require_own_key(caller, "GetFederationToken")
        namespace = caller.who.namespace
        tags = checked_tags(wanted.tags)
        check_policies(wanted, account_of(namespace), lambda arn: self._policies.managed(arn, namespace))
        seconds = seconds_of(wanted.duration_seconds, HALF_A_DAY, MOST_SECONDS, _BEYOND)
        spec = self._session(caller, "FederatedUser", seconds)
        spec.session_name, spec.limited = wanted.name, True
        spec.policy, spec.policy_arns, spec.tags = wanted.policy, wanted.policy_arns, tags.tags
        percent = packed_percent(wanted, tags.tags)
        return RoleSession(await self._temporary.issue(spec, by=caller.who.name), percent)

    def _session(self, caller: StsCaller, session: SessionKind, seconds: int) -> TemporaryCredentialSpec:
        now = self._clock.now()
        return TemporaryCredentialSpec(
            access_key_id="",
            session=session,
            namespace=caller.who.namespace,
            issued_at=now,
            expires_at=now + timedelta(seconds=seconds),
            user=caller.who.name,
            anchors=caller.anchors,
        )


def _require_own_key(caller: StsCaller, operation: str) -> None:
    """Raises Forbidden for whoever calls with temporary credentials: they would live on by making others."""
    if caller.session is not None:
        raise denied(f"Cannot call {operation} with session credentials")
