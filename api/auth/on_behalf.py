"""Services that act for who called them: by handing back the identity token they were called with, and nothing else.

The gateway gives each request to a service such a token: audience-bound, minutes of life, bound to what the caller
proved themselves with. Handed back as `X-Aerekos-On-Behalf-Of` beside the service's own bearer token, it makes the
request the caller's: the present user with the groups of now, limited to what the service's manifest says it does for
callers. A service that passes the request on to a peer is added to the chain (`act`, RFC 8693), which only narrows.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from api.auth.accounts import Accounts
from api.auth.principal import AUTHENTICATED, MASTERS, Principal, Proof
from api.auth.sessions import REFRESH_AUDIENCE
from api.auth.temporary_credentials import is_temporary
from api.auth.tokens import API_AUDIENCE, REGISTRY_AUDIENCE, STS_AUDIENCE, Tokens
from api.auth.users import principal_of
from controller.kit.clock import Clock
from crds.errors import Forbidden, NotFound, Unauthorized
from services.sdk.aws.verifier import Owner
from services.sdk.identity import actors_of

HEADER = b"x-aerekos-on-behalf-of"
IDENTITY_SECONDS = 300
# Tokens for these are for the conductor's own endpoints: no Service gets one, whatever it is called.
_OUR_AUDIENCES = frozenset({API_AUDIENCE, REGISTRY_AUDIENCE, REFRESH_AUDIENCE, STS_AUDIENCE})
# What ties an identity to something in the store, and so is carried on to the next one made of it.
_BINDING = ("sid", "pwd", "uid", "gen", "akid", "vouched")
_REMEMBERED = 10_000
_LEAST = timedelta(seconds=1)  # no identity lives shorter: in its last second none is made of a session
Claims = Mapping[str, Any]


class OnBehalf:
    """Judges such a token by what the store says now: access keys and users here, all else by `accounts.standing`."""

    def __init__(self, tokens: Tokens, accounts: Accounts) -> None:
        self._tokens, self._accounts = tokens, accounts

    def principal(self, actor: Principal, token: str) -> Principal:
        """The principal `token` names, acted for by `actor`. Raises Forbidden, Unauthorized."""
        if not actor.service or actor.acting:
            raise Forbidden(f'"{actor.name}" acts for nobody: only managed services do, for who called them')
        claims = self._tokens.claims(token, actor.service)
        if claims["exp"] - claims["iat"] > IDENTITY_SECONDS:
            raise Unauthorized("an identity lives five minutes at most")
        chain = (actor.name, *actors_of(claims))
        return replace(self._named(claims), acting=actor.name, actors=chain, proof=_proof(claims))

    def _named(self, claims: Claims) -> Principal:
        if "akid" in claims:
            return self._by_access_key(claims)
        if "vouched" in claims:
            return self._vouched(claims)
        return self._accounts.standing.principal(claims)

    def _by_access_key(self, claims: Claims) -> Principal:
        try:
            who = signer(self._accounts, str(claims["akid"])).who
        except NotFound as gone:
            raise Unauthorized("the access key is no longer known here") from gone
        if who.name != claims["sub"] or who.uid != claims.get("uid"):
            raise Unauthorized("the access key belongs to somebody else now")
        return who

    def _vouched(self, claims: Claims) -> Principal:
        """Proven by a certificate, which was verified minutes ago: the token says so. The local admin is no user."""
        if claims["vouched"] == MASTERS:
            return Principal(str(claims["sub"]), frozenset({MASTERS, AUTHENTICATED}))
        return principal_of(self._accounts.people.present(str(claims["sub"])))


class Identities:
    """Makes the tokens that tell a service who calls. One is used again for half of its life."""

    def __init__(self, tokens: Tokens, clock: Clock) -> None:
        self._tokens, self._clock = tokens, clock
        self._minted: dict[tuple[Principal, str, frozenset[tuple[str, Any]]], tuple[bytes, float]] = {}
        self._same: dict[tuple[int, str], tuple[Principal, bytes, float]] = {}

    def token(self, who: Principal, service: str) -> bytes:
        """An identity token for `service` alone. It ends with what the caller proved themselves with, and never
        outlives that. Raises Forbidden for a name that stands in tokens for an endpoint of our own.
        """
        now, same = self._clock.now().timestamp(), (id(who), service)
        known = self._same.get(same)
        if known is None or known[0] is not who or known[2] < now:
            if len(self._same) > _REMEMBERED:
                self._same.clear()
            known = self._same[same] = (who, *self._token(who, service, now))
        return known[1]

    def _token(self, who: Principal, service: str, now: float) -> tuple[bytes, float]:
        """The token of any principal like this one, and until when it is used."""
        if service in _OUR_AUDIENCES:
            raise Forbidden(f"no Service called {service} is told who calls: that name stands for the cloud itself")
        binding = _binding(who)
        key = (who, service, frozenset(binding.items()))
        minted = self._minted.get(key)
        if minted is None or minted[1] < now:
            if len(self._minted) > _REMEMBERED:
                self._minted.clear()
            minted = self._minted[key] = self._fresh(who, service, binding, now)
        return minted

    def _fresh(self, who: Principal, service: str, binding: dict[str, Any], now: float) -> tuple[bytes, float]:
        ends_at = min(now + IDENTITY_SECONDS, who.proof.ends_at if who.proof else now + IDENTITY_SECONDS)
        seconds = int(ends_at - now)
        if seconds < 1:
            raise Unauthorized("the identity this was asked with has ended")
        token = self._tokens.issue(who, seconds=seconds, audience=service, **binding, **_chain(who.actors))
        return token.encode(), now + seconds / 2


def _binding(who: Principal) -> dict[str, Any]:
    if who.proof is not None:
        return dict(who.proof.binding)
    return {"vouched": MASTERS if MASTERS in who.groups else "user"}


def _chain(actors: tuple[str, ...]) -> dict[str, Any]:
    act: dict[str, Any] = {}
    for name in reversed(actors):
        act = {"act": {"sub": name, **act}}
    return act


def _proof(claims: Claims) -> Proof:
    return Proof({name: claims[name] for name in _BINDING if name in claims}, float(claims["exp"]))


def signer(accounts: Accounts, access_key: str) -> Owner[Principal]:
    """The owner of that access key, as of now. Raises NotFound. The end of a temporary one is judged at each use."""
    if is_temporary(access_key):
        found = accounts.temporary.find(access_key)
        return Owner(found.principal, found.key.secret, found.key.token, found.spec.expires_at - _LEAST)
    user, pair = accounts.owner_of(access_key)
    uid = user.metadata.uid or ""
    proof = Proof({"akid": access_key, "uid": uid}, float("inf"))
    return Owner(replace(principal_of(user), uid=uid, proof=proof), pair.secret)


class RememberedSigners:
    """Owners of access keys, looked up once for as long as nothing has changed. `as_of`: another value after each
    change of anything that `find` looks at. Keys that are unknown are not remembered.
    """

    def __init__(self, find: Callable[[str], Owner[Principal]], as_of: Callable[[], Hashable]) -> None:
        self._find, self._as_of = find, as_of
        self._known: dict[str, Owner[Principal]] = {}
        self._known_as_of: Hashable = None

    def __call__(self, access_key: str) -> Owner[Principal]:
        """Raises NotFound."""
        if (now := self._as_of()) != self._known_as_of:
            self._known.clear()
            self._known_as_of = now
        found = self._known.get(access_key)
        if found is None:
            if len(self._known) > _REMEMBERED:
                self._known.clear()
            found = self._known[access_key] = self._find(access_key)
        return found
