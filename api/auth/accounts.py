"""Users, services and workers as the store knows them: logging in, proving an identity, AWS keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import anyio

from api.auth.derived import AccessKey, DerivedSecrets
from api.auth.passwords import hash_password, password_fits
from api.auth.principal import AUTHENTICATED, SERVICE_PREFIX, SERVICES, WORKER_PREFIX, WORKERS, Principal
from api.auth.tokens import Tokens
from controller.kit.clock import Clock
from controller.kit.threads import ThreadDoor
from controller.resources.forming import How
from controller.resources.registry import Registry
from crds.errors import NotFound, TooManyRequests, Unauthorized
from crds.kinds.service import SERVICE
from crds.kinds.service_account import SERVICE_ACCOUNT
from crds.kinds.user import CREDENTIAL, USER, User
from crds.kinds.worker import WORKER
from crds.meta import ObjectKey

T = TypeVar("T")
ACCESS_SECONDS = 900
REFRESH_SECONDS = 12 * 3600
IDENTITY_SECONDS = 600
REFRESH_AUDIENCE = "refresh"
_WRONG = "wrong user name or password"
_FAILURES_ALLOWED = 10
_HASHING, _WAITING = 2, 64
_NAMES_REMEMBERED = 10_000
_FAILURE_WINDOW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """Two tokens: one to use, one to get the next pair with. Lifetime in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int = ACCESS_SECONDS


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
        self._users: dict[str, tuple[int, User]] = {}
        self._failures: dict[str, list[float]] = {}
        self._hashing, self._waiting = anyio.Semaphore(_HASHING), 0

    async def log_in(self, name: str, password: str) -> LoggedIn:
        """Raises Unauthorized (the same words for every reason), TooManyRequests after ten failures in 5 minutes."""
        self._check_failures(name)
        record = self._registry.store.get(CREDENTIAL.key(name))
        kept = CREDENTIAL.parse(record.body).spec.password_hash if record else _NOBODY
        fits = await self._hashed(lambda: password_fits(password, kept))
        self._check_failures(name)  # again: many guesses at once must not all be judged by the first look
        user = self.user(name)
        if not fits or user is None or user.spec.disabled:
            self._note_failure(name)
            raise Unauthorized(_WRONG)
        self._failures.pop(name, None)
        return self._pair(user)

    def refresh(self, token: str) -> LoggedIn:
        """A new pair for a refresh token. Raises Unauthorized: also when the password was changed since."""
        claims = self._tokens.claims(token, REFRESH_AUDIENCE)
        user = self.user(claims["sub"])
        if user is None or user.spec.disabled:
            raise Unauthorized("this user no longer exists or is disabled")
        credential = self._registry.store.get(CREDENTIAL.key(user.metadata.name))
        if credential is None or claims["iat"] < int(credential.written_at.timestamp()):
            raise Unauthorized("the password was changed; log in again")
        return self._pair(user)

    def identity_token(self, client_id: str, client_secret: str, audience: str) -> str:
        """A token for `service:<name>` or `worker:<name>`. Raises Unauthorized."""
        sort, _, name = client_id.partition(":")
        key = {"service": SERVICE.key(name), "worker": WORKER.key(name)}.get(sort)
        uid = self._uid(key) if key else None
        if uid is None or not self._derived.client_secret_fits(client_id, uid, client_secret):
            raise Unauthorized(f"{client_id} is unknown here, or its secret is wrong")
        who = _service(name) if sort == "service" else _worker(name)
        return self._tokens.issue(who, seconds=IDENTITY_SECONDS, audience=audience)

    def client_secret(self, client_id: str, key: ObjectKey) -> str:
        """What that service or worker proves itself with. Raises NotFound."""
        uid = self._uid(key)
        if uid is None:
            raise NotFound(f"{client_id} has no resource", key=key)
        return self._derived.client_secret(client_id, uid)

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
        """The user of that name, or None. Asked at every request, so each version is parsed once."""
        record = self._registry.store.get(USER.key(name))
        if record is None:
            return None
        known = self._users.get(name)
        if known is None or known[0] != record.revision:
            known = self._users[name] = (record.revision, USER.parse(record.body))
        return known[1]

    def is_still(self, who: Principal) -> bool:
        """Whether the service account that identity was proven for is there: the very one, not its successor."""
        namespace, name = who.account or ("", "")
        return bool(who.uid) and self._uid(SERVICE_ACCOUNT.key(name, namespace)) == who.uid

    def _pair(self, user: User) -> LoggedIn:
        who = principal_of(user)
        return LoggedIn(
            self._tokens.issue(who, seconds=ACCESS_SECONDS),
            self._tokens.issue(who, seconds=REFRESH_SECONDS, audience=REFRESH_AUDIENCE),
        )

    def _uid(self, key: ObjectKey) -> str | None:
        record = self._registry.store.get(key)
        return record.uid if record else None

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


def principal_of(user: User) -> Principal:
    """The identity of a user: one group for each role."""
    groups = frozenset({f"aerekos:{role}" for role in user.spec.roles} | {AUTHENTICATED})
    return Principal(user.metadata.name, groups, user.spec.namespace)


def _service(name: str) -> Principal:
    return Principal(f"{SERVICE_PREFIX}{name}", frozenset({SERVICES, AUTHENTICATED}))


def _worker(name: str) -> Principal:
    return Principal(f"{WORKER_PREFIX}{name}", frozenset({WORKERS, AUTHENTICATED}))


# Compared for users that do not exist, so that the answer takes as long as for those that do.
_NOBODY = "scrypt$16384$8$1$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
