"""Users, services and workers as the store knows them: logging in, proving an identity, AWS keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

import anyio

from api.auth.clients import Clients
from api.auth.derived import AccessKey, DerivedSecrets
from api.auth.passwords import hash_password, password_fits
from api.auth.people import People, principal_of
from api.auth.principal import AUTHENTICATED, SERVICE_PREFIX, SERVICES, WORKER_PREFIX, WORKERS, Principal, Proof
from api.auth.second_factor import SecondFactors
from api.auth.sessions import ACCESS_SECONDS, REFRESH_SECONDS, LoggedIn, Sessions
from api.auth.standing import Standing
from api.auth.tokens import Tokens
from controller.kit.clock import Clock
from controller.kit.threads import ThreadDoor
from controller.resources.forming import How
from controller.resources.registry import Registry
from crds.errors import NotFound, TooManyRequests, Unauthorized
from crds.kinds.user import CREDENTIAL, USER, User
from crds.meta import ObjectKey

__all__ = ["ACCESS_SECONDS", "REFRESH_SECONDS", "Accounts", "LoggedIn", "principal_of"]
T = TypeVar("T")
IDENTITY_SECONDS = 600
_WRONG = "wrong user name or password"
_FAILURES_ALLOWED = 10
_HASHING, _WAITING = 2, 64
_NAMES_REMEMBERED = 10_000
_FAILURE_WINDOW = timedelta(minutes=5)


class Accounts:
    """Proves identities against the store.

    Password hashing runs behind the thread door: it is slow on purpose. Only two at once, because the same threads
    write to the disk: a flood of logins must not hold up everybody else.
    """

    def __init__(
        self, registry: Registry, tokens: Tokens, derived: DerivedSecrets, clock: Clock, threads: ThreadDoor
    ) -> None:
        self._registry, self._tokens, self._derived = registry, tokens, derived
        self._clock, self._threads = clock, threads
        self.people, self.clients = People(registry), Clients(registry, derived)
        self.sessions = Sessions(registry, tokens, self.people, clock)
        self.factors = SecondFactors(registry, self.people, derived, clock)
        self.standing = Standing(registry, self.people, self.sessions, self.clients)
        self._failures: dict[str, list[float]] = {}
        self._hashing, self._waiting = anyio.Semaphore(_HASHING), 0

    async def log_in(
        self, name: str, password: str, *, code: str = "", browser: bool = False, address: str = "", agent: str = ""
    ) -> LoggedIn:
        """A new session. Raises as `first_factor`, and as `SecondFactors.check` for the code."""
        user = await self._proven(name, password)
        await self.factors.check(user, code)
        return await self.sessions.open(user, browser=browser, address=address, agent=agent)

    async def prove(self, name: str, password: str) -> Principal:
        """Who that is, without a session. Raises Unauthorized (the same words for every reason), TooManyRequests."""
        user = await self._proven(name, password)
        self.factors.require_none(user)
        binding = {"pwd": self.people.digest(name), "uid": user.metadata.uid or ""}
        return replace(principal_of(user), proof=Proof(binding, float("inf")))

    async def first_factor(self, name: str, password: str) -> User:
        """Whose password that is: no login yet, for some have a second factor. Raises Unauthorized."""
        return await self._proven(name, password)

    async def _proven(self, name: str, password: str) -> User:
        self._check_failures(name)
        credential = self.people.credential(name)
        kept = credential.spec.password_hash if credential else _NOBODY
        fits = await self._hashed(lambda: password_fits(password, kept))
        self._check_failures(name)  # again: many guesses at once must not all be judged by the first look
        user = self.user(name)
        if not fits or user is None or user.spec.disabled:
            self._note_failure(name)
            raise Unauthorized(_WRONG)
        self._failures.pop(name, None)
        return user

    async def refresh(self, token: str, key: str = "") -> LoggedIn:
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
        """What that service or worker proves itself with. Raises NotFound."""
        return self.clients.secret(client_id, key)

    async def set_password(self, name: str, password: str, *, one_time: bool, by: str) -> None:
        """Replace (or make) the credential of that user."""
        hashed = await self._hashed(lambda: hash_password(password))
        user = self._registry.get(USER, USER.key(name)).object
        spec = {"passwordHash": hashed, "oneTime": one_time}
        key, how = CREDENTIAL.key(name), How(by=by, validation="Strict")
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
            await self._registry.merge(CREDENTIAL, CREDENTIAL.key(name), {"spec": spec}, How(by=by))
        await self.sessions.end_all(name, by=by)

    def access_key(self, name: str) -> AccessKey:
        """The AWS key pair of that user. Raises NotFound."""
        record = self._registry.get(USER, USER.key(name))
        return self._derived.access_key(name, record.uid)

    def owner_of(self, access_key_id: str) -> tuple[User, AccessKey]:
        """The user an access key belongs to. Raises NotFound for unknown keys and disabled users."""
        for record in self._registry.store.list(USER.group, USER.plural).records:
            pair = self._derived.access_key(record.key.name, record.uid)
            if pair.id == access_key_id:
                user = USER.parse(record.body)
                if not user.spec.disabled:
                    return user, pair
        raise NotFound(f"the access key {access_key_id} is unknown")

    def user(self, name: str) -> User | None:
        """The user of that name, or None."""
        return self.people.user(name)

    async def _hashed(self, work: Callable[[], T]) -> T:
        if self._waiting >= _WAITING:
            raise TooManyRequests("too many people are logging in at this moment", retry_after=1)
        self._waiting += 1
        try:
            async with self._hashing:
                return await self._threads.run(work)
        finally:
            self._waiting -= 1

    def _note_failure(self, name: str) -> None:
        if len(self._failures) >= _NAMES_REMEMBERED:
            # Made-up names must not fill the memory; the oldest goes.
            del self._failures[next(iter(self._failures))]
        self._failures.setdefault(name, []).append(self._clock.monotonic())

    def _check_failures(self, name: str) -> None:
        since = self._clock.monotonic() - _FAILURE_WINDOW.total_seconds()
        recent = [moment for moment in self._failures.get(name, ()) if moment > since]
        self._failures[name] = recent
        if len(recent) >= _FAILURES_ALLOWED:
            raise TooManyRequests("too many wrong passwords; wait five minutes", retry_after=300)
        if not recent:
            del self._failures[name]


def _service(name: str) -> Principal:
    return Principal(f"{SERVICE_PREFIX}{name}", frozenset({SERVICES, AUTHENTICATED}))


def _worker(name: str) -> Principal:
    return Principal(f"{WORKER_PREFIX}{name}", frozenset({WORKERS, AUTHENTICATED}))


# Compared for users that do not exist, so that the answer takes as long as for those that do.
_NOBODY = "scrypt$16384$8$1$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
