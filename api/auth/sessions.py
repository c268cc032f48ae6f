"""Sessions of users: opened by a login, gone on with by refresh tokens that each work once, ended at any moment.

A refresh token names its session and how often that was refreshed before. One that was used already ends the
session: two hold it, and one of them is a thief. Only the one right before the newest may come again for a few
seconds, for its answer may have been lost.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from api.auth.principal import Principal, Proof
from api.auth.proven_identities import Proven, ProvenIdentities
from api.auth.tokens import Tokens
from api.auth.users import Users, principal_of
from controller.kit.clock import Clock
from controller.resources.registry import Registry
from controller.resources.strategy import WriteOptions
from controller.store.records import Record
from crds.errors import Conflict, NotFound, Unauthorized
from crds.kinds.session import SESSION, Session
from crds.kinds.user import CREDENTIAL, USER, User
from crds.model import rfc3339

ACCESS_SECONDS = 900
IDLE = timedelta(hours=12)
LONGEST = timedelta(days=7)
RESTRICTED_LONGEST = timedelta(minutes=15)
REFRESH_SECONDS = int(IDLE.total_seconds())
REFRESH_AUDIENCE = "refresh"
REPEAT_SECONDS = 20.0
MOST_SESSIONS = 32
MUST_CHOOSE = "a one-time password is good for choosing another: POST /auth/password, or aerekos login"
_ENDED = "this session has ended; log in again"


@dataclass(frozen=True, slots=True)
class TokenPair:
    """Two tokens: one to use, one to get the next pair with. Lifetime in seconds. `key`: what a browser keeps beside
    its cookie, told once. `restricted`: good for nothing but choosing a password.
    """

    access_token: str
    refresh_token: str
    expires_in: int = ACCESS_SECONDS
    key: str = ""
    restricted: bool = False


class Sessions:
    """The sessions in the store. Every question is answered from its memory."""

    def __init__(
        self, registry: Registry, tokens: Tokens, people: Users, clock: Clock, proven: ProvenIdentities
    ) -> None:
        self._registry, self._tokens, self._people, self._clock = registry, tokens, people, clock
        self._proven = proven

    async def open(
        self,
        user: User,
        *,
        browser: bool = False,
        restricted: bool = False,
        address: str = "",
        agent: str = "",
        groups: Iterable[str] = (),
        longest: timedelta = LONGEST,
    ) -> TokenPair:
        """A new session of somebody who has proven who they are. The least used one goes when there are too many.

        `groups`: those an issuer of ID tokens told, besides the roles of the user.
        """
        name, now, key = user.metadata.name, self._clock.now(), secrets.token_urlsafe(32) if browser else ""
        await self._make_room(name)
        spec = {
            "user": name,
            "userUid": user.metadata.uid,
            "credential": self._people.digest(name),
            "expiresAt": rfc3339(now + (RESTRICTED_LONGEST if restricted else longest)),
            "refreshedAt": rfc3339(now),
            "keySha256": _digest(key) if key else "",
            "restricted": restricted,
            "address": address[:64],
            "userAgent": "".join(each for each in agent if each.isprintable())[:256],
            "groups": sorted(groups),
        }
        owner = {"apiVersion": USER.api_version, "kind": USER.name, "name": name, "uid": user.metadata.uid}
        meta = {"name": secrets.token_hex(16), "ownerReferences": [owner]}
        written = await self._registry.create(SESSION, "", {"metadata": meta, "spec": spec}, WriteOptions(by=name))
        return replace(self._pair(SESSION.decode(written.body), user), key=key)

    async def refresh(self, token: str, key: str = "") -> TokenPair:
        """The next pair. Raises Unauthorized; for a token that was used already, after ending its session."""
        claims = self.claims(token)
        while True:
            record, session, user = self._judged(claims)
            if session.spec.key_sha256 and not hmac.compare_digest(_digest(key), session.spec.key_sha256):
                raise Unauthorized("a browser's refresh token is worth nothing without its key; log in again")
            given, now = claims.get("rot"), self._clock.now()
            if given != session.spec.rotation:
                if self._may_repeat(given, session, now):
                    return self._pair(session, user)
                await self.end(session.metadata.name, by=user.metadata.name)
                raise Unauthorized("this refresh token was used before; the session has ended, log in again")
            try:
                return self._pair(await self._rotated(record, session, now), user)
            except Conflict:
                continue  # somebody else was faster: judged again, by what they left
            except NotFound as gone:
                raise Unauthorized(_ENDED) from gone

    def claims(self, token: str) -> Mapping[str, Any]:
        """What a refresh token of ours says. Raises Unauthorized."""
        return self._tokens.claims(token, REFRESH_AUDIENCE)

    def principal(self, claims: Mapping[str, Any]) -> Principal:
        """The holder of a session, as that user is now. Raises Unauthorized when the session has ended."""
        token = (str(claims.get("sid") or ""), str(claims["sub"]), float(claims["exp"]))
        return self._proven.principal(token, lambda: self._prove(claims))

    def _prove(self, claims: Mapping[str, Any]) -> Proven:
        _, session, user = self._judged(claims)
        spec, name = session.spec, user.metadata.name
        proven_until = min(spec.expires_at.timestamp(), float(claims["exp"]))
        proof = Proof({"sid": session.metadata.name}, proven_until, spec.restricted)
        who = principal_of(user)
        who = replace(who, groups=who.groups | frozenset(spec.groups), proof=proof)
        ends_at = min(spec.expires_at, spec.refreshed_at + IDLE).timestamp()
        keys = SESSION.key(session.metadata.name), USER.key(name), CREDENTIAL.key(name)
        return Proven(who, self._proven.records(*keys), ends_at)

    def of(self, name: str) -> list[tuple[Record, Session]]:
        """The sessions of that user which are good still, the one used last first."""
        found = [(record, session) for record, session in self._all() if session.spec.user == name]
        living = [each for each in found if not self._ending(each[1])]
        return sorted(living, key=lambda each: each[1].spec.refreshed_at, reverse=True)

    async def end(self, sid: str, *, by: str) -> bool:
        """Whether there was such a session."""
        try:
            await self._registry.delete(SESSION, SESSION.key(sid), WriteOptions(by=by))
        except NotFound:
            return False
        return True

    async def end_all(self, name: str, *, by: str) -> None:
        """Every session of that user."""
        for record, session in self._all():
            if session.spec.user == name:
                await self.end(record.key.name, by=by)

    async def sweep(self) -> int:
        """Delete those that have ended; how many there were."""
        dead = [record.key.name for record, session in self._all() if self._ending(session)]
        for sid in dead:
            await self.end(sid, by="system:conductor")
        return len(dead)

    def find(self, sid: str) -> tuple[Record, Session] | None:
        """The session of that id, ended or not."""
        record = self._registry.store.get(SESSION.key(sid))
        return (record, _typed(record)) if record is not None else None

    def _judged(self, claims: Mapping[str, Any]) -> tuple[Record, Session, User]:
        found = self.find(str(claims.get("sid") or ""))
        if found is None or found[1].spec.user != claims["sub"]:
            raise Unauthorized(_ENDED)
        user = self._people.present(found[1].spec.user)
        if why := self._ending(found[1]):
            raise Unauthorized(why)
        return *found, user

    def _ending(self, session: Session) -> str:
        """Why the session is over; empty when it is not."""
        spec, now, user = session.spec, self._clock.now(), self._people.user(session.spec.user)
        if user is None or user.metadata.uid != spec.user_uid:
            return f"the user {spec.user} no longer exists or is disabled"
        if spec.credential != self._people.digest(spec.user):
            return "the password was changed, or all were signed out; log in again"
        if now >= spec.expires_at or now >= spec.refreshed_at + IDLE:
            return "the session has expired; log in again"
        return ""

    def _may_repeat(self, given: object, session: Session, now: datetime) -> bool:
        since = (now - session.spec.refreshed_at).total_seconds()
        return given == session.spec.rotation - 1 and since <= REPEAT_SECONDS

    async def _rotated(self, record: Record, session: Session, now: datetime) -> Session:
        spec = {"rotation": session.spec.rotation + 1, "refreshedAt": rfc3339(now)}
        patch = {"metadata": {"resourceVersion": str(record.revision)}, "spec": spec}
        written = await self._registry.merge(SESSION, record.key, patch, WriteOptions(by=session.spec.user))
        return SESSION.decode(written.body)

    async def _make_room(self, name: str) -> None:
        for record, _ in self.of(name)[MOST_SESSIONS - 1 :]:
            await self.end(record.key.name, by=name)

    def _pair(self, session: Session, user: User) -> TokenPair:
        who, sid, spec = principal_of(user), session.metadata.name, session.spec
        left = (spec.expires_at - self._clock.now()).total_seconds()
        seconds, idle = max(1, min(ACCESS_SECONDS, int(left))), max(1, min(REFRESH_SECONDS, int(left)))
        access = self._tokens.issue(who, seconds=seconds, sid=sid)
        more = {"sid": sid, "rot": spec.rotation}
        refresh = self._tokens.issue(who, seconds=idle, audience=REFRESH_AUDIENCE, **more)
        return TokenPair(access, refresh, seconds, restricted=spec.restricted)

    def _all(self) -> list[tuple[Record, Session]]:
        records = self._registry.store.list(SESSION.group, SESSION.plural).records
        return [(record, _typed(record)) for record in records]


def _typed(record: Record) -> Session:
    if not isinstance(record.typed, Session):
        record.typed = SESSION.decode(record.body)
    found: Session = record.typed
    return found


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
