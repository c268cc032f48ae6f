"""Logins by ID token: a User record that names them, so that disabling it ends everything.

A User is found by `externalId` (prefix and claim, any characters), or by its own name when that is the same. Who has
a password here is never found by name alone: an issuer's `admin` is not ours.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from api.auth.oidc.keys import IssuerKeys
from api.auth.oidc.options import OidcOptions
from api.auth.oidc.verification import Verifier, Vouched
from api.auth.principal import Principal
from api.auth.sessions import Sessions, TokenPair
from api.auth.users import Users, principal_of
from controller.kit.clock import Clock
from controller.resources.registry import Registry
from controller.resources.strategy import WriteOptions
from crds.errors import AlreadyExists, Unauthorized
from crds.kinds.user import USER, User

# The issuer's word on groups is as old as the login.
LONGEST = timedelta(hours=12)
_BY = "system:conductor"
_SLUG = 40


class Federation:
    """See the module."""

    def __init__(
        self, verifier: Verifier, registry: Registry, people: Users, sessions: Sessions, *, create_users: bool
    ) -> None:
        self._verifier, self._registry = verifier, registry
        self._people, self._sessions, self._create = people, sessions, create_users
        self._names: dict[str, str] = {}

    def is_of_issuer(self, token: str) -> bool:
        return self._verifier.is_of_issuer(token)

    async def prepare(self, token: str) -> None:
        """Wait for what reading the token needs: the issuer's key, and a new User."""
        await self._verifier.prepare(token)
        if not self._create:
            return
        with suppress(Unauthorized):
            vouched = self._verifier.verify(token)
            if self._find(vouched) is None:
                await self._make(vouched)

    def principal(self, token: str) -> Principal:
        """The principal of an ID token, with the issuer's groups besides the roles here. Raises Unauthorized."""
        vouched = self._verifier.verify(token)
        user = self._present(vouched)
        who = principal_of(user)
        return replace(who, groups=who.groups | vouched.groups)

    async def log_in(self, token: str, *, browser: bool, address: str, agent: str) -> tuple[TokenPair, str]:
        """A session, and whose it is. Raises Unauthorized."""
        await self.prepare(token)
        vouched = self._verifier.verify(token)
        user = self._present(vouched)
        pair = await self._sessions.open(
            user, browser=browser, address=address, agent=agent, groups=vouched.groups, longest=LONGEST
        )
        return pair, user.metadata.name

    def _present(self, vouched: Vouched) -> User:
        user = self._find(vouched)
        if user is None or user.spec.disabled:
            raise Unauthorized(f"{vouched.name} has no user in this cloud, or it is disabled; ask an admin")
        return user

    def _find(self, vouched: Vouched) -> User | None:
        known = self._people.user(self._names.get(vouched.name, ""))
        if known is None or known.spec.external_id != vouched.name:
            known = self._searched(vouched.name)
        if known is not None:
            self._names[vouched.name] = known.metadata.name
            return known
        named = self._people.user(vouched.name)
        if named is None or named.spec.external_id or self._people.credential(vouched.name) is not None:
            return None
        return named

    def _searched(self, external: str) -> User | None:
        for record in self._registry.store.list(USER.group, USER.plural).records:
            user = self._people.user(record.key.name)
            if user is not None and user.spec.external_id == external:
                return user
        return None

    async def _make(self, vouched: Vouched) -> None:
        """Without roles: what they may, bindings to their groups say, or an admin."""
        spec = {"roles": [], "externalId": vouched.name, "displayName": vouched.claim[:100]}
        with suppress(AlreadyExists):
            await self._registry.create(
                USER, "", {"metadata": {"name": _slug(vouched)}, "spec": spec}, WriteOptions(by=_BY)
            )


def federation_of(
    options: OidcOptions, registry: Registry, people: Users, sessions: Sessions, clock: Clock, *, create_users: bool
) -> Federation:
    """The logins of that issuer. `create_users`: False where none can be made, whatever the options say."""
    verifier = Verifier(options, IssuerKeys(options, clock), clock)
    return Federation(verifier, registry, people, sessions, create_users=create_users and options.create_users)


def _slug(vouched: Vouched) -> str:
    """A name people recognise, and that no other claim has."""
    kept = "".join(each if each.isascii() and each.isalnum() else "-" for each in vouched.claim.lower())
    readable = kept.strip("-")[:_SLUG].strip("-") or "user"
    return f"{readable}-{hashlib.sha256(vouched.name.encode()).hexdigest()[:10]}"
