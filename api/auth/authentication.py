"""Finds out who asks: a bearer token, or a client certificate signed by our CA (CN = user).

Both only name somebody. What that one is and may is looked up at each request: nobody keeps the groups of yesterday.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from api.asgi import Scope
from api.auth.accounts import Accounts
from api.auth.authorizer import Action, Authorizer
from api.auth.oidc.login import Federation
from api.auth.on_behalf import HEADER as ON_BEHALF_OF
from api.auth.on_behalf import OnBehalf
from api.auth.principal import AUTHENTICATED, MASTERS, Principal, account_groups
from api.auth.sessions import MUST_CHOOSE
from api.auth.tokens import API_AUDIENCE, Tokens
from api.auth.users import principal_of
from api.cookies import is_foreign
from crds.errors import BadRequest, Forbidden, Unauthorized
from services.sdk.edge.connections import prove

WHO = "aerekos.who"
# What a session that began with a one-time password may ask.
_CHOOSING_PASSWORD = frozenset({"/auth/password", "/auth/whoami", "/auth/logout"})
# Where a service acts for its caller: where the authorizer is asked, which knows what its manifest allows. All else
# believes the name or the groups alone; access keys ask `require_acting`.
_ACTED_FOR = ("/api/", "/apis/", "/services/", "/auth/access-keys", "/auth/sts/")
_ACTED_FOR_BESIDES = frozenset({"/auth/signing-keys", "/auth/whoami", "/auth/policies"})
ANONYMOUS = Principal("system:anonymous", frozenset({"system:unauthenticated"}))


class Authenticator:
    """Reads credentials off a request; impersonation headers are honoured for those who may."""

    def __init__(
        self, tokens: Tokens, accounts: Accounts, authorizer: Authorizer, federation: Federation | None = None
    ) -> None:
        self._tokens, self._accounts, self._authorizer = tokens, accounts, authorizer
        self._on_behalf = OnBehalf(tokens, accounts)
        self.federation = federation

    async def prepare(self, scope: Scope) -> None:
        """Wait for what reading this request's credentials needs: an issuer's keys. Costs nothing for our own."""
        if self.federation is None:
            return
        authorization = _header(scope["headers"], b"authorization")
        if authorization[:7].lower() == "bearer ":
            token = authorization[7:].strip()
            if self.federation.is_of_issuer(token):
                await self.federation.prepare(token)

    def authenticate(self, scope: Scope) -> Principal:
        """Raises Unauthorized when nobody known asks, Forbidden and BadRequest for impersonation.

        Leaves the answer in the scope, for the audit log.
        """
        found = scope[WHO] = self._found(scope, API_AUDIENCE)
        prove(scope)
        return found

    def still(self, scope: Scope, audience: str = API_AUDIENCE) -> Principal:
        """The principal that the credentials of a request that began earlier prove now. Raises as `authenticate`.

        An access token is short so that it is worth little when it is lost; what was begun with it may go on for as
        long as its session, or the secret it came from.
        """
        return self._found(scope, audience, begun=True)

    def _found(self, scope: Scope, audience: str, *, begun: bool = False) -> Principal:
        authorization, user, groups, tokens = _credentials(scope["headers"])
        if authorization[:7].lower() == "bearer ":
            judged = self._named if scope.get("path") in _CHOOSING_PASSWORD else self.by_token
            asker = judged(authorization[7:].strip(), audience, begun=begun)
        else:
            asker = self._certified(scope)
        if not begun:
            scope[WHO] = asker  # who is refused below is noted, too
        if tokens:
            if user or groups or len(tokens) > 1:
                raise BadRequest("one caller is acted for, by their own identity token, and nobody is impersonated")
            path = str(scope.get("path", ""))
            if not path.startswith(_ACTED_FOR) and path not in _ACTED_FOR_BESIDES:
                raise Forbidden(f"services do not act for others at {path}")
            return self._on_behalf.principal(asker, tokens[0])
        if groups and not user:
            raise BadRequest("requested groups without impersonating a user; send Impersonate-User too")
        if user:
            return self._impersonated(asker, user, groups)
        return asker

    def require_acting(self, who: Principal, action: Action) -> None:
        """Raises Forbidden where a service acts for `who` and does not do this for its callers."""
        if not self._authorizer.acts(who, action):
            raise Forbidden(f"{who.acting} does not {action.verb} {action.resource} for its callers")

    def by_token(self, token: str, audience: str = API_AUDIENCE, *, begun: bool = False) -> Principal:
        """The principal that bearer token proves. Raises Unauthorized. `begun`: see `still`."""
        found = self._named(token, audience, begun=begun)
        if found.proof is not None and found.proof.restricted:
            raise Forbidden(MUST_CHOOSE)
        return found

    def _named(self, token: str, audience: str, *, begun: bool) -> Principal:
        if self.federation is not None and audience == API_AUDIENCE and self.federation.is_of_issuer(token):
            return self.federation.principal(token)  # its own end is the end of what was begun with it
        claims = self._tokens.claims(token, audience, expired=begun)
        if begun and not {"sid", "gen"} & claims.keys():
            claims = self._tokens.claims(token, audience)  # bound to nothing that ends: its own end is the end
        return self._accounts.standing.principal(claims)

    def _certified(self, scope: Scope) -> Principal:
        """Raises Unauthorized. The local admin's certificate is believed; all others name a user."""
        # A browser shows its user's certificate to whatever page asks: to those of other origins it does not count.
        foreign = is_foreign(scope["headers"])
        subject = () if foreign else (scope.get("extensions") or {}).get("aerekos.peer") or ()
        names = [value for field in subject for name, value in field if name == "commonName"]
        groups = [value for field in subject for name, value in field if name == "organizationName"]
        if not names:
            raise Unauthorized("nobody is logged in; send a bearer token or a client certificate")
        if MASTERS in groups:
            return Principal(names[0], frozenset(groups) | {AUTHENTICATED})
        if names[0].startswith("system:"):
            raise Unauthorized(f"a certificate of {names[0]} proves nobody here")
        return principal_of(self._accounts.people.present(names[0]))

    def _impersonated(self, asker: Principal, user: str, groups: list[str]) -> Principal:
        if not self._authorizer.may_impersonate(asker, user, groups):
            raise Forbidden(f'users "{user}" is forbidden: User "{asker.name}" cannot impersonate resource "users"')
        found = self._accounts.user(user)
        who = Principal(user, frozenset(groups) | {AUTHENTICATED}, acting=asker.name)
        if who.account and not groups:
            who = replace(who, groups=who.groups | account_groups(who.account[0]))
        namespace = found.spec.namespace if found else who.account[0] if who.account else "default"
        return replace(who, namespace=namespace)


def is_master(who: Principal) -> bool:
    """Whether this is the conductor itself, or the local admin's certificate."""
    return MASTERS in who.groups


def _credentials(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, str, list[str], list[str]]:
    """The Authorization header, the user and the groups to impersonate, and the tokens of callers acted for."""
    authorization = user = ""
    groups: list[str] = []
    tokens: list[str] = []
    for name, value in headers:
        if name == b"authorization":
            authorization = authorization or value.decode("latin-1")
        elif name == b"impersonate-user":
            user = user or value.decode("latin-1")
        elif name == b"impersonate-group":
            groups.append(value.decode("latin-1"))
        elif name == ON_BEHALF_OF:
            tokens.append(value.decode("latin-1"))
    return authorization, user, groups, tokens


def _header(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> str:
    for name, value in headers:
        if name == wanted:
            return value.decode("latin-1")
    return ""
