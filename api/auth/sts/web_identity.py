"""Sessions of roles by a web identity: a token of a service account of this cloud, or of an issuer that the role's
account knows (`CreateOpenIDConnectProvider`). The token is the proof, and the role's trust policy decides alone.

The cloud's own issuer is a provider of every account, `arn:aws:iam::ACCOUNT:oidc-provider/aerekos`: conditions say
`aerekos:sub` (`system:serviceaccount:NAMESPACE:NAME`) and `aerekos:aud`. Its tokens open roles of their namespace.
Source: AWS STS API reference, AssumeRoleWithWebIdentity; OpenID Connect Core, 3.1.3.7.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from jose import jwt
from jose.exceptions import JOSEError

from api.auth.accounts import Accounts
from api.auth.oidc.keys import Fetch, IssuerKeys
from api.auth.oidc.options import OidcOptions
from api.auth.oidc.verification import SKEW_SECONDS
from api.auth.sts.limits import HOUR, seconds_of
from api.auth.sts.refusals import denied, refused
from api.auth.sts.role_sessions import BEYOND, RoleSession, RoleSessions
from api.auth.sts.trust import FoundRole, RoleTrust
from api.auth.sts.wanted import WebIdentityWanted
from api.auth.tokens import ISSUER, STS_AUDIENCE, Tokens
from controller.kit.clock import Clock
from controller.store.records import Store
from crds.errors import Unauthorized
from crds.kinds.oidc_provider import OIDC_PROVIDER, OidcProviderSpec
from crds.kinds.temporary_credential import Anchor
from services.sdk.aws.iam_names import resource_name
from services.sdk.aws.judgement import moment_facts
from services.sdk.aws.policy import Context, Request, Requester
from services.sdk.aws.policy.context import Given

ACTION = "sts:AssumeRoleWithWebIdentity"
ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")
_SESSION_TAGS = "https://aws.amazon.com/tags"
_MOST_ISSUERS = 256
_CHECKED_HERE = ("verify_exp", "verify_nbf", "verify_iat", "verify_at_hash", "verify_aud")
Claims = Mapping[str, Any]


class WebIdentity(NamedTuple):
    """Whom a token proves: by which provider, and what a session of theirs hangs on besides the role."""

    provider: str
    subject: str
    audience: str
    anchors: tuple[Anchor, ...] = ()


class WebIdentitySession(NamedTuple):
    """A session, and the identity it was made for."""

    made: RoleSession
    identity: WebIdentity


class WebIdentities:
    """One per process. `fetch`: gets an issuer's documents, where that is not the network."""

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
        tokens: Tokens,
        trust: RoleTrust,
        roles: RoleSessions,
        clock: Clock,
        fetch: Fetch | None = None,
    ) -> None:
        self._store, self._accounts, self._tokens = store, accounts, tokens
        self._trust, self._roles, self._clock, self._fetch = trust, roles, clock, fetch
        self._keys: dict[str, IssuerKeys] = {}

    async def assume(self, wanted: WebIdentityWanted) -> WebIdentitySession:
        """Raises BadRequest for a token that proves nobody, Forbidden for whom the role does not trust."""
        head, claims = _read(wanted.web_identity_token)
        found = self._trust.role(wanted.role_arn)
        if claims.get("iss") == ISSUER:
            identity = self._own(wanted.web_identity_token, found)
        else:
            identity = await self._of_provider(wanted.web_identity_token, head, claims, found)
        if found is None or not self._trusts(found, identity, wanted):
            raise denied(f"Not authorized to perform {ACTION}")
        seconds = seconds_of(wanted.duration_seconds, HOUR, found.role.spec.max_session_seconds, BEYOND)
        spec = self._roles.session_of(found, wanted, wanted.role_session_name, seconds)
        spec.anchors = [*identity.anchors, *spec.anchors]
        spec.federated_provider = _arn(found, identity.provider)
        return WebIdentitySession(await self._roles.issue(spec, wanted, by=identity.subject[:253]), identity)

    def _own(self, token: str, found: FoundRole | None) -> WebIdentity:
        """A service account of this cloud, of the namespace of the role. Raises BadRequest, Forbidden."""
        try:
            claims = self._tokens.claims(token, STS_AUDIENCE)
            who = self._accounts.standing.principal(claims)
        except Unauthorized as wrong:
            raise refused("InvalidIdentityToken", wrong.message, "webIdentityToken") from wrong
        if who.account is None:
            raise refused("InvalidIdentityToken", f"{who.name} is no service account", "webIdentityToken")
        namespace, name = who.account
        if found is None or found.namespace != namespace:
            raise denied(f"Not authorized to perform {ACTION}")
        anchor = Anchor(kind="ServiceAccount", name=name, namespace=namespace, uid=who.uid)
        return WebIdentity(ISSUER, who.name, STS_AUDIENCE, (anchor,))

    async def _of_provider(self, token: str, head: Claims, claims: Claims, found: FoundRole | None) -> WebIdentity:
        """Somebody an issuer vouches for, which the role's account knows. Raises BadRequest, Forbidden."""
        url = str(claims.get("iss", "")).removeprefix("https://")
        provider = self._provider(url, found.namespace) if found is not None else None
        if provider is None or url == ISSUER:  # that name is the cloud's own
            raise refused("InvalidIdentityToken", "No OpenIDConnect provider found in your account for this token")
        audience = _audience(claims, provider)
        await self._verify(token, head, f"https://{url}")
        self._check_times(claims)
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isprintable():
            raise refused("IDPRejectedClaim", "The token names no subject of up to 255 characters")
        if _SESSION_TAGS in claims:
            raise refused("IDPRejectedClaim", f"The claim {_SESSION_TAGS} is not understood here")
        return WebIdentity(url, subject, audience)

    async def _verify(self, token: str, head: Claims, issuer: str) -> None:
        """Raises BadRequest."""
        kid, algorithm = str(head.get("kid", "")), head.get("alg")
        if algorithm not in ALGORITHMS or "crit" in head:
            raise refused("InvalidIdentityToken", f"Tokens signed by {str(algorithm)[:20]!r} are not taken here")
        keys = self._issuer_keys(issuer)
        await keys.ensure(kid)
        key = keys.find(kid, algorithm)
        if key is None:
            raise refused("InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider")
        try:
            jwt.decode(token, key, algorithms=[algorithm], issuer=issuer, options=dict.fromkeys(_CHECKED_HERE, False))
        except (JOSEError, ValueError, TypeError) as wrong:
            raise refused("InvalidIdentityToken", f"The token is not valid: {wrong}") from wrong

    def _issuer_keys(self, issuer: str) -> IssuerKeys:
        """Raises BadRequest for an address that none can have."""
        if issuer not in self._keys:
            if len(self._keys) >= _MOST_ISSUERS:
                self._keys.clear()
            try:
                options = OidcOptions(issuer=issuer, client_id=STS_AUDIENCE, algorithms=ALGORITHMS)
            except ValueError as wrong:
                raise refused("InvalidIdentityToken", str(wrong)) from wrong
            self._keys[issuer] = IssuerKeys(options, self._clock, self._fetch)
        return self._keys[issuer]

    def _check_times(self, claims: Claims) -> None:
        """Raises BadRequest."""
        now = self._clock.now().timestamp()
        ends, begins = claims.get("exp"), claims.get("nbf", 0)
        if not all(isinstance(each, int | float) and not isinstance(each, bool) for each in (ends, begins)):
            raise refused("InvalidIdentityToken", "The token's times are no numbers")
        if float(ends or 0) + SKEW_SECONDS <= now:
            raise refused("ExpiredTokenException", "Token expired")
        if float(begins) > now + SKEW_SECONDS:
            raise refused("InvalidIdentityToken", "The token is not valid yet")

    def _provider(self, url: str, namespace: str) -> OidcProviderSpec | None:
        record = self._store.get(OIDC_PROVIDER.key(resource_name(url), namespace)) if url else None
        if record is None:
            return None
        spec: OidcProviderSpec = OIDC_PROVIDER.decode(record.body).spec
        return spec if spec.url == url else None

    def _trusts(self, found: FoundRole, identity: WebIdentity, wanted: WebIdentityWanted) -> bool:
        provider = _arn(found, identity.provider)
        facts: dict[str, Given] = {
            **moment_facts(self._clock.now()),
            f"{identity.provider}:sub": identity.subject,
            f"{identity.provider}:aud": identity.audience,
            "aws:FederatedProvider": provider,
            "sts:RoleSessionName": wanted.role_session_name,
        }
        who = Requester("web-identity", provider)
        request = Request(who, ACTION, found.arn, Context(facts), found.account)
        return self._trust.decide_outside(found, request).decision.allowed


def _read(token: str) -> tuple[Claims, Claims]:
    """Head and claims as the token says them: nothing is proven. Raises BadRequest."""
    try:
        return jwt.get_unverified_header(token), jwt.get_unverified_claims(token)
    except (JOSEError, ValueError) as wrong:
        raise refused("InvalidIdentityToken", "The ID token provided is not a valid JWT.") from wrong


def _audience(claims: Claims, provider: OidcProviderSpec) -> str:
    """The client of the provider that it was made for. Raises BadRequest."""
    told = claims.get("aud")
    given = [told] if isinstance(told, str) else told if isinstance(told, list) else []
    if len(given) > 1:  # of several, the one that asked for it
        given = [claims.get("azp")] if claims.get("azp") in given else []
    found = next((each for each in given if each in provider.client_ids), None)
    if not isinstance(found, str):
        raise refused("InvalidIdentityToken", "Incorrect token audience")
    return found


def _arn(found: FoundRole, provider: str) -> str:
    return f"arn:aws:iam::{found.account}:oidc-provider/{provider}"
