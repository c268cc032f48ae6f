"""Whether a password is that of a user: slow on purpose, the same time and words for every reason to refuse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from api.auth.attempts import Attempts
from api.auth.passwords import hash_password, is_outdated, nobody, password_fits
from api.auth.users import Users
from controller.kit.clock import Clock
from controller.kit.threads import BlockingExecutor
from crds.errors import TooManyRequests, Unauthorized
from crds.kinds.user import Credential, User

T = TypeVar("T")
Rehash = Callable[[str, str], Awaitable[None]]
WRONG = "wrong user name or password"
_HASHING, _WAITING = 2, 64


class Passwords:
    """Hashing runs on the blocking executor. Only two at once: each takes 128 MiB for a moment, and the same
    threads write to the disk; a flood of logins must not hold up everybody else.
    """

    def __init__(
        self,
        people: Users,
        clock: Clock,
        threads: BlockingExecutor,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._people, self._clock, self._threads = people, clock, threads
        self._attempts = Attempts(clock, sleep)
        self._turns, self._waiting = anyio.Semaphore(_HASHING), Counter[str]()

    async def proven(self, name: str, password: str, address: str, rehash: Rehash) -> User:
        """Raises Unauthorized, TooManyRequests. `rehash` keeps a hash that was made with too little work anew."""
        async with self._attempts.attempt(address, name) as judged:
            credential = self._people.credential(name)
            kept = credential.spec.password_hash if credential else nobody()
            fits = await self._hashed(lambda: password_fits(password, kept))
            user = self._people.user(name)
            right = fits and user is not None and not user.spec.disabled
            judged(right)
        if not right or user is None or credential is None:
            raise Unauthorized(WRONG)
        self._require_in_time(credential)
        if is_outdated(kept):
            await rehash(name, await self.hash(password))
        return user

    async def hash(self, password: str) -> str:
        """The hash that is kept of a password."""
        return await self._hashed(lambda: hash_password(password))

    def _require_in_time(self, credential: Credential) -> None:
        spec = credential.spec
        if spec.one_time and spec.expires_at is not None and spec.expires_at <= self._clock.now():
            name = credential.metadata.name
            raise Unauthorized(
                f"the one-time password has expired; on the cloud's machine: aerekos user passwd {name}"
            )

    async def _hashed(self, work: Callable[[], T]) -> T:
        if self._waiting.total() >= _WAITING:
            raise TooManyRequests("too many people are logging in at this moment", retry_after=1)
        self._waiting["all"] += 1
        try:
            async with self._turns:
                return await self._threads.run(work)
        finally:
            self._waiting["all"] -= 1
