"""Finds out who asks: a bearer token, or a client certificate signed by our CA (CN = user, O = groups)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from api.auth.accounts import Accounts
from api.auth.authorizer import Authorizer
from api.auth.principal import AUTHENTICATED, MASTERS, Principal, account_groups
from api.auth.tokens import Tokens
from api.wire.answering import Scope
from crds.errors import BadRequest, Forbidden, Unauthorized

WHO = "aerekos.who"
ANONYMOUS = Principal("system:anonymous", frozenset({"system:unauthenticated"}))


class Authenticator:
    """Reads credentials off a request; impersonation headers are honoured for those who may."""

    def __init__(self, tokens: Tokens, accounts: Accounts, authorizer: Authorizer) -> None:
        self._tokens, self._accounts, self._authorizer = tokens, accounts, authorizer

    def who(self, scope: Scope) -> Principal:
        """Raises Unauthorized when nobody known asks, Forbidden and BadRequest for impersonation.

        Leaves the answer in the scope, for the audit log.
        """
        found = scope[WHO] = self._found(scope)
        return found

    def _found(self, scope: Scope) -> Principal:
        headers = scope["headers"]
        authorization = _header(headers, b"authorization")
        if authorization[:7].lower() == "bearer ":
            asker = self.by_token(authorization[7:].strip())
        else:
            asker = _certified(scope)
        groups = [value.decode("latin-1") for name, value in headers if name == b"impersonate-group"]
        user = _header(headers, b"impersonate-user")
        if groups and not user:
            raise BadRequest("requested groups without impersonating a user; send Impersonate-User too")
        if user:
            return self._impersonated(asker, user, groups)
        return asker

    def by_token(self, token: str) -> Principal:
        """Whom that bearer token proves. Raises Unauthorized."""
        asker = self._tokens.read(token)
        self._check_still_there(asker)
        return asker

    def _check_still_there(self, asker: Principal) -> None:
        """A token outlives the deletion of its user, or service account, by nothing."""
        if asker.account and not self._accounts.is_still(asker):
            raise Unauthorized(f"the service account {asker.name} no longer exists")
        if asker.name.startswith("system:"):
            return
        user = self._accounts.user(asker.name)
        if user is None or user.spec.disabled:
            raise Unauthorized(f"the user {asker.name} no longer exists or is disabled")

    def _impersonated(self, asker: Principal, user: str, groups: list[str]) -> Principal:
        if not self._authorizer.may_impersonate(asker, user, groups):
            raise Forbidden(f'users "{user}" is forbidden: User "{asker.name}" cannot impersonate resource "users"')
        found = self._accounts.user(user)
        who = Principal(user, frozenset(groups) | {AUTHENTICATED}, acting=asker.name)
        if who.account and not groups:
            who = replace(who, groups=who.groups | account_groups(who.account[0]))
        namespace = found.spec.namespace if found else who.account[0] if who.account else "default"
        return replace(who, namespace=namespace)


def _certified(scope: Scope) -> Principal:
    subject = (scope.get("extensions") or {}).get("aerekos.peer") or ()
    names = [value for field in subject for name, value in field if name == "commonName"]
    groups = [value for field in subject for name, value in field if name == "organizationName"]
    if not names:
        raise Unauthorized("nobody is logged in; send a bearer token or a client certificate")
    return Principal(names[0], frozenset(groups) | {AUTHENTICATED})


def is_master(who: Principal) -> bool:
    """Whether this is the conductor itself, or the local admin's certificate."""
    return MASTERS in who.groups


def _header(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> str:
    for name, value in headers:
        if name == wanted:
            return value.decode("latin-1")
    return ""


def peer_subject(transport: Any) -> tuple[Any, ...]:
    """The subject of the certificate the client showed (already verified by TLS); empty without one."""
    tls = transport.get_extra_info("ssl_object")
    certificate = tls.getpeercert() if tls is not None else None
    return tuple(certificate.get("subject", ())) if certificate else ()
