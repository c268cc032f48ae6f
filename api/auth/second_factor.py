"""The second factor of a login: a code from an authenticator app, or a recovery code.

A password alone proves nobody who has one. Secrets are sealed under a key derived from the master key and bound to
their user, codes work once, and guessing is slowed for each user: who guesses codes has the password already.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from dataclasses import dataclass
from typing import Any, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from api.auth import totp
from api.auth.derived_secrets import DerivedSecrets
from api.auth.users import Users
from controller.kit.clock import Clock
from controller.resources.registry import Registry
from controller.resources.strategy import WriteOptions
from crds.errors import BadRequest, Conflict, Forbidden, NotFound, TooManyRequests, Unauthorized
from crds.kinds.user import CREDENTIAL, Totp, User

Demand = Literal["none", "admins", "everybody"]
_TRIES, _WINDOW_SECONDS = 5, 300.0
_MOST_NAMES = 10_000
_NONCE = 12


class TotpRequired(Unauthorized):
    """The password was right; a code must come with it."""

    reason = "TotpRequired"


class TotpInvalid(Unauthorized):
    """A code came that is not, or no longer, right."""

    reason = "TotpInvalid"


class TotpEnrolmentRequired(Forbidden):
    """The password was right; this user must enrol before they may log in."""

    reason = "TotpEnrolmentRequired"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What is told once, to be put into an app: as text and as the address a picture is made of."""

    secret: str
    uri: str


class SecondFactors:
    """Kept in the credentials of users. `demand`: who must have one."""

    def __init__(
        self,
        registry: Registry,
        people: Users,
        derived: DerivedSecrets,
        clock: Clock,
        demand: Demand = "none",
        issuer: str = "aerekos",
    ) -> None:
        self._registry, self._people, self._clock, self._issuer = registry, people, clock, issuer
        self._derived = derived
        self.demand: Demand = demand
        self._failures: dict[str, list[float]] = {}

    def enrolled(self, name: str) -> Totp | None:
        """The confirmed second factor of that user, or None."""
        credential = self._people.credential(name)
        kept = credential.spec.totp if credential else None
        return kept if kept and kept.confirmed else None

    def demanded_of(self, user: User) -> bool:
        """Whether the settings want that user to have one."""
        return self.demand == "everybody" or (self.demand == "admins" and "admin" in user.spec.roles)

    async def check(self, user: User, code: str) -> None:
        """After the password was right. Raises TotpRequired, TotpInvalid, TotpEnrolmentRequired, TooManyRequests."""
        name = user.metadata.name
        kept = self.enrolled(name)
        if kept is None:
            if self.demanded_of(user):
                raise TotpEnrolmentRequired(
                    f"{name} must have a second factor to log in; enrol: aerekos user totp enrol --user {name}"
                )
            return
        if not code:
            raise TotpRequired("this user has a second factor; send its code as well")
        await self._use(user, kept, code)

    def require_none(self, user: User) -> None:
        """Raises Unauthorized where a code cannot be asked: a password alone is not enough for these users."""
        if self.enrolled(user.metadata.name) or self.demanded_of(user):
            raise Unauthorized("this user has a second factor: log in, and use a token in place of the password")

    async def begin(self, user: User) -> Enrolment:
        """A new secret, good for nothing until it is confirmed. Raises Conflict, NotFound."""
        name = user.metadata.name
        if self.enrolled(name):
            raise Conflict(f"{name} has a second factor already; disable it first")
        secret = totp.new_secret()
        await self._write(
            name, {"sealed": self._sealed(user, secret), "confirmed": False, "lastStep": 0, "recovery": []}
        )
        return Enrolment(totp.base32(secret), totp.provisioning_uri(secret, name, self._issuer))

    async def confirm(self, user: User, code: str) -> list[str]:
        """Takes it into use; the recovery codes, told this once. Raises TotpInvalid, BadRequest."""
        name = user.metadata.name
        credential = self._people.credential(name)
        kept = credential.spec.totp if credential else None
        if kept is None or kept.confirmed:
            raise BadRequest(f"{name} has no second factor that waits to be confirmed")
        self._check_tries(name)
        step = totp.matching_step(self._opened(user, kept), code, self._now(), kept.last_step)
        if step is None:
            self._note_failure(name)
            raise TotpInvalid("that code is not right; is the phone's clock?")
        codes = totp.recovery_codes()
        hashed = [totp.hash_recovery(each) for each in codes]
        await self._write(name, {"confirmed": True, "lastStep": step, "recovery": hashed})
        return codes

    async def remove(self, name: str, by: str) -> None:
        """Takes it away. Raises NotFound."""
        credential = self._people.credential(name)
        if credential is None or credential.spec.totp is None:
            raise NotFound(f"{name} has no second factor")
        await self._write(name, None, by)

    async def _use(self, user: User, kept: Totp, code: str) -> None:
        """A code that works, works once: of two logins with it at one time, one is refused."""
        name = user.metadata.name
        self._check_tries(name)
        step = totp.matching_step(self._opened(user, kept), code, self._now(), kept.last_step)
        left = kept.recovery if step is not None else _without(kept.recovery, code)
        if step is None and left is None:
            self._note_failure(name)
            raise TotpInvalid("that code is not right, or was used before")
        change = {"lastStep": step} if step is not None else {"recovery": left}
        before = self._registry.store.get(CREDENTIAL.key(name))
        version = str(before.revision) if before else ""
        if self.enrolled(name) != kept:
            raise TotpInvalid("that code was just used")
        try:
            await self._write(name, change, version=version)
        except Conflict as taken:
            raise TotpInvalid("that code was just used") from taken
        self._failures.pop(name, None)

    async def _write(self, name: str, totp_: dict[str, Any] | None, by: str = "", version: str = "") -> None:
        body: dict[str, Any] = {"spec": {"totp": totp_}}
        if version:
            body["metadata"] = {"resourceVersion": version}
        await self._registry.merge(
            CREDENTIAL, CREDENTIAL.key(name), body, WriteOptions(by=by or name, validation="Strict")
        )

    def _sealed(self, user: User, secret: bytes) -> str:
        nonce = secrets.token_bytes(_NONCE)
        return base64.b64encode(nonce + self._seals()[0].encrypt(nonce, secret, _bound_to(user))).decode()

    def _seals(self) -> list[AESGCM]:
        return [AESGCM(each) for each in self._derived.sealing_keys("totp")]

    async def seal_again(self) -> int:
        """Every second factor under the newest master key; how many are not, because somebody used them just now.

        What opens with no key we hold is lost already, and not counted.
        """
        left = 0
        for record in self._registry.store.list(CREDENTIAL.group, CREDENTIAL.plural).records:
            kept, user = CREDENTIAL.decode(record.body).spec.totp, self._people.user(record.key.name)
            if kept is None or user is None or (plain := self._plain(user, kept, older_only=True)) is None:
                continue
            try:
                change = {"sealed": self._sealed(user, plain)}
                await self._write(record.key.name, change, by="system:conductor", version=str(record.revision))
            except (Conflict, NotFound):
                left += 1
        return left

    def _plain(self, user: User, kept: Totp, *, older_only: bool = False) -> bytes | None:
        raw = base64.b64decode(kept.sealed)
        for number, seal in enumerate(self._seals()):
            try:
                plain = seal.decrypt(raw[:_NONCE], raw[_NONCE:], _bound_to(user))
            except (InvalidTag, ValueError):
                continue
            return None if older_only and number == 0 else plain
        return None

    def _opened(self, user: User, kept: Totp) -> bytes:
        """Raises Unauthorized for a seal that is not this user's."""
        plain = self._plain(user, kept)
        if plain is None:
            raise Unauthorized("the second factor of this user cannot be read; an admin must remove it")
        return plain

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _check_tries(self, name: str) -> None:
        since = self._clock.monotonic() - _WINDOW_SECONDS
        recent = [moment for moment in self._failures.get(name, ()) if moment > since]
        if len(recent) >= _TRIES:
            raise TooManyRequests("too many wrong codes; wait five minutes", retry_after=int(_WINDOW_SECONDS))

    def _note_failure(self, name: str) -> None:
        since = self._clock.monotonic() - _WINDOW_SECONDS
        if len(self._failures) >= _MOST_NAMES:
            del self._failures[next(iter(self._failures))]
        recent = [moment for moment in self._failures.get(name, ()) if moment > since]
        self._failures[name] = [*recent, self._clock.monotonic()]


def _bound_to(user: User) -> bytes:
    return f"{user.metadata.name}\x00{user.metadata.uid}".encode()


def _without(recovery: list[str], code: str) -> list[str] | None:
    """The recovery codes left after that one was used; None when it is none of them."""
    hashed = totp.hash_recovery(code)
    if not any(hmac.compare_digest(hashed, each) for each in recovery):
        return None
    return [each for each in recovery if each != hashed]
