"""The validity of a verified token now: it names somebody, and what it is bound to; both are looked up at each use.

Nothing a token says of groups is believed. Bindings: `sid` a session, `pwd` a password (registry tokens), `uid` the
resource of a worker, a service or a service account, `gen` how often that one's secret was replaced.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from api.auth.clients import Clients
from api.auth.principal import (
    ACCOUNT_PREFIX,
    AUTHENTICATED,
    CONDUCTOR,
    MASTERS,
    SERVICE_PREFIX,
    SERVICES,
    WORKER_PREFIX,
    WORKERS,
    Principal,
    Proof,
    account_groups,
)
from api.auth.proven_identities import Proven, ProvenIdentities
from api.auth.sessions import Sessions
from api.auth.users import Users, principal_of
from crds.errors import Unauthorized
from crds.kinds.service_account import SERVICE_ACCOUNT

Claims = Mapping[str, Any]


class TokenValidity:
    """Turns the claims of a token whose signature is good into who that is today."""

    def __init__(self, people: Users, sessions: Sessions, clients: Clients, proven: ProvenIdentities) -> None:
        self._people, self._sessions, self._clients, self._proven = people, sessions, clients, proven

    def principal(self, claims: Claims) -> Principal:
        """Raises Unauthorized when what the token was bound to is gone, or another one."""
        name = str(claims["sub"])
        if name.startswith((SERVICE_PREFIX, WORKER_PREFIX)):
            bound = (name, claims.get("uid"), claims.get("gen"), claims["exp"])
            found = self._proven.principal(bound, lambda: self._client(name, claims))
        elif name.startswith(ACCOUNT_PREFIX):
            bound = (name, claims.get("uid"), None, claims["exp"])
            found = self._proven.principal(bound, lambda: self._account(name, claims))
        elif name == CONDUCTOR:
            found = Principal(CONDUCTOR, frozenset({MASTERS, AUTHENTICATED}))
        elif name.startswith("system:"):
            raise Unauthorized(f"tokens prove no {name}")
        elif "sid" in claims:
            found = self._sessions.principal(claims)
        else:
            found = self._by_password(name, claims)
        ends_at = float(claims["exp"])
        if found.proof is not None and found.proof.ends_at <= ends_at:
            return found
        before = found.proof or Proof({}, ends_at)
        return replace(found, proof=Proof(before.binding, min(ends_at, before.ends_at), before.restricted))

    def _client(self, name: str, claims: Claims) -> Proven:
        sort, _, own = name.removeprefix("system:").partition(":")
        binding = self._clients.binding(f"{sort}:{own}")
        if binding is None or any(claims.get(each) != value for each, value in binding.items()):
            raise Unauthorized(f"the {sort} {own} no longer exists, or has another secret now")
        group, uid, ends_at = SERVICES if sort == "service" else WORKERS, str(binding["uid"]), float(claims["exp"])
        who = Principal(name, frozenset({group, AUTHENTICATED}), uid=uid, proof=Proof(binding, ends_at))
        return Proven(who, self._proven.records(*self._clients.keys(f"{sort}:{own}")), ends_at)

    def _account(self, name: str, claims: Claims) -> Proven:
        namespace, _, own = name.removeprefix(ACCOUNT_PREFIX).partition(":")
        ((key, record),) = self._proven.records(SERVICE_ACCOUNT.key(own, namespace))
        if record is None or record.uid != claims.get("uid"):
            raise Unauthorized(f"the service account {name} no longer exists")
        groups, ends_at = account_groups(namespace) | {AUTHENTICATED}, float(claims["exp"])
        proof = Proof({"uid": record.uid}, ends_at)
        return Proven(Principal(name, groups, namespace, uid=record.uid, proof=proof), ((key, record),), ends_at)

    def _by_password(self, name: str, claims: Claims) -> Principal:
        user = self._people.present(name)
        digest, uid = self._people.digest(name), user.metadata.uid
        given = str(claims.get("pwd") or "")
        if not given or not hmac.compare_digest(given.encode(), digest.encode()) or claims.get("uid") != uid:
            raise Unauthorized("this token belongs to no session; log in again")
        return replace(principal_of(user), proof=Proof({"pwd": digest, "uid": str(uid)}, float(claims["exp"])))
