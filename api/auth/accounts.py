"""Users, services and workers as the store knows them: logging in, proving an identity, AWS keys."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import anyio

from api.auth.access_keys import AccessKeys
from api.auth.clients import Clients
from api.auth.derived_secrets import AccessKey, DerivedSecrets
from api.auth.password_check import Passwords
from api.auth.password_policy import check_password
from api.auth.principal import (
    AUTHENTICATED,
    CONDUCTOR,
    SERVICE_PREFIX,
    SERVICES,
    WORKER_PREFIX,
    WORKERS,
    Principal,
    Proof,
)
from api.auth.proven_identities import ProvenIdentities
from api.auth.second_factor import SecondFactors
from api.auth.sessions import ACCESS_SECONDS, MUST_CHOOSE, REFRESH_SECONDS, Sessions, TokenPair
from api.auth.temporary_credentials import TemporaryCredentials
from api.auth.token_validity import TokenValidity
from api.auth.tokens import Tokens
from api.auth.users import Users, principal_of
from controller.kit.clock import Clock
from controller.kit.threads import BlockingExecutor
from controller.resources.registry import Registry
from controller.resources.strategy import WriteOptions
from crds.errors import Forbidden, Unauthorized
from crds.kinds.user import CREDENTIAL, USER, User
from crds.meta import ObjectKey
from crds.model import rfc3339

__all__ = ["ACCESS_SECONDS", "REFRESH_SECONDS", "Accounts", "TokenPair", "principal_of"]
IDENTITY_SECONDS = 600
ONE_TIME_LASTS = timedelta(days=7)


class Accounts:
    """Proves identities against the store. `sleep`: how who guesses passwords is made to wait."""

    def __init__(
        self,
        registry: Registry,
        tokens: Tokens,
        derived: DerivedSecrets,
        clock: Clock,
        threads: BlockingExecutor,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._registry, self._tokens, self._derived, self._clock = registry, tokens, derived, clock
        self.people, self.clients = Users(registry), Clients(registry, derived)
        self.access_keys = AccessKeys(registry, derived, self.people, clock)
        self.temporary = TemporaryCredentials(registry, derived, self.people, self.access_keys, clock)
        proven = ProvenIdentities(registry.store, clock)
        self.sessions = Sessions(registry, tokens, self.people, clock, proven)
        self.factors = SecondFactors(registry, self.people, derived, clock)
        self.standing = TokenValidity(self.people, self.sessions, self.clients, proven)
        self._passwords = Passwords(self.people, clock, threads, sleep)

    async def log_in(
        self, name: str, password: str, *, code: str = "", browser: bool = False, address: str = "", agent: str = ""
    ) -> TokenPair:
        """A new session; after a one-time password, one that is good for choosing another. Raises as `first_factor`,
        and as `SecondFactors.check` for the code.
        """
        user = await self.first_factor(name, password, address)
        await self.factors.check(user, code)
        restricted = self._is_one_time(name)
        return await self.sessions.open(user, browser=browser, restricted=restricted, address=address, agent=agent)

    async def prove(self, name: str, password: str, *, address: str = "") -> Principal:
        """The principal of that password, without a session. Raises as `first_factor`, and Forbidden for a one-time
        password.
        """
        user = await self.first_factor(name, password, address)
        self.factors.require_none(user)
        if self._is_one_time(name):
            raise Forbidden(MUST_CHOOSE)
        binding = {"pwd": self.people.digest(name), "uid": user.metadata.uid or ""}
        return replace(principal_of(user), proof=Proof(binding, float("inf")))

    async def first_factor(self, name: str, password: str, address: str = "") -> User:
        """The user of that password: no login yet, for some have a second factor. Raises Unauthorized (in one form of
        words for every reason), TooManyRequests.
        """
        return await self._passwords.proven(name, password, address, self._rehashed)

    def _is_one_time(self, name: str) -> bool:
        credential = self.people.credential(name)
        return credential is not None and credential.spec.one_time

    async def _rehashed(self, name: str, hashed: str) -> None:
        await self._registry.merge(
            CREDENTIAL, CREDENTIAL.key(name), {"spec": {"passwordHash": hashed}}, WriteOptions(by=CONDUCTOR)
        )

    async def refresh(self, token: str, key: str = "") -> TokenPair:
        """A new pair for a refresh token. Raises Unauthorized: also when the password was changed since."""
        return await self.sessions.refresh(token, key)

    def identity_token(self, client_id: str, client_secret: str, audience: str) -> str:
        """A token for `service:<name>` or `worker:<name>`. Raises Unauthorized."""
        binding = self.clients.binding(client_id)
        if binding is None or not self.clients.fits(client_id, client_secret):
            raise Unauthorized(f"{client_id} is unknown here, or its secret is wrong")
        sort, _, name = client_id.partition(":")
        who = _service(name) if sort == "service" else _worker(name)
        return self._tokens.issue(who, seconds=IDENTITY_SECONDS, audience=audience, **binding)

    def client_secret(self, client_id: str, key: ObjectKey) -> str:
        """The secret that service or worker proves itself with. Raises NotFound."""
        return self.clients.secret(client_id, key)

    async def set_password(self, name: str, password: str, *, one_time: bool, by: str) -> None:
        """Replace (or make) the credential of that user, which ends all of their sessions. Raises Invalid for a bad
        password, NotFound.
        """
        check_password(password, name)
        user = self._registry.get(USER, USER.key(name)).object
        hashed = await self._passwords.hash(password)
        until = rfc3339(self._clock.now() + ONE_TIME_LASTS) if one_time else None
        spec = {"passwordHash": hashed, "oneTime": one_time, "expiresAt": until}
        key, how = CREDENTIAL.key(name), WriteOptions(by=by, validation="Strict")
        if self._registry.store.get(key):
            await self._registry.merge(CREDENTIAL, key, {"spec": spec}, how)
            return
        owner = {
            "apiVersion": USER.api_version,
            "kind": USER.name,
            "name": name,
            "uid": user["metadata"]["uid"],
        }
        meta = {"name": name, "ownerReferences": [owner]}
        await self._registry.create(CREDENTIAL, "", {"metadata": meta, "spec": spec}, how)

    async def sign_out(self, name: str, *, by: str) -> None:
        """Ends everything that user was ever let in by: sessions, and tokens that came from their password."""
        credential = self.people.credential(name)
        if credential is not None:
            spec = {"tokenGeneration": credential.spec.token_generation + 1}
            await self._registry.merge(CREDENTIAL, CREDENTIAL.key(name), {"spec": spec}, WriteOptions(by=by))
        await self.sessions.end_all(name, by=by)

    def access_key(self, name: str) -> AccessKey:
        """The AWS key pair of that user which counts. Raises NotFound."""
        return self.access_keys.usable(name)

    def owner_of(self, access_key_id: str) -> tuple[User, AccessKey]:
        """The user an access key belongs to. Raises NotFound for unknown keys, those switched off, disabled users."""
        return self.access_keys.owner_of(access_key_id)

    def user(self, name: str) -> User | None:
        """The user of that name, or None."""
        return self.people.user(name)


def _service(name: str) -> Principal:
    return Principal(f"{SERVICE_PREFIX}{name}", frozenset({SERVICES, AUTHENTICATED}))


def _worker(name: str) -> Principal:
    return Principal(f"{WORKER_PREFIX}{name}", frozenset({WORKERS, AUTHENTICATED}))
