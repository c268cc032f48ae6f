"""The AWS key pairs of users: two at most, so that one can take the other's place; each can be switched off.

Every user has a first key without asking, derived from what the user is by the oldest master key we hold; but not
whom IAM made, who has the keys that are made for them. Each key goes with the master key that derived it, when that
is dropped. Whatever is said of a key is looked up at each use.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from api.auth.derived_secrets import AccessKey, DerivedSecrets
from api.auth.users import Users
from controller.kit.clock import Clock
from controller.resources.registry import Registry
from controller.resources.strategy import WriteOptions
from controller.store.records import Record
from crds.errors import Conflict, NotFound
from crds.kinds.access_key import ACCESS_KEY, AccessKeySpec, State
from crds.kinds.user import MADE_BY, USER, User
from crds.model import rfc3339

MOST_KEYS = 2
USE_NOTED_EVERY = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """One key as its owner sees it."""

    pair: AccessKey
    state: State
    created_at: datetime | None
    last_used_at: datetime | None
    last_used_service: str


class AccessKeys:
    """Asked at each signed request: answers come from memory."""

    def __init__(self, registry: Registry, derived: DerivedSecrets, people: Users, clock: Clock) -> None:
        self._registry, self._derived, self._people, self._clock = registry, derived, people, clock
        self._first_keys: tuple[Sequence[Record], int, dict[str, str]] = ((), -1, {})
        self._first_ids: dict[tuple[str, str, int], str] = {}
        self._used: dict[str, tuple[datetime, str]] = {}

    def of(self, name: str) -> list[KeyInfo]:
        """The keys of that user, the first one first. Raises NotFound when there is no such user."""
        user = self._user(name)
        first = self._derived.access_key(name, user.metadata.uid or "")
        record = self._registry.store.get(ACCESS_KEY.key(first.id.lower()))
        gone = _spec(record).state == "Deleted" if record else self._has_no_first(user)
        found = [] if gone else [self._told(first, record)]
        others = (each for each in self._records(user) if _spec(each).access_key_id != first.id)
        return found + [self._told(self._pair(_spec(each)), each) for each in others]

    def _has_no_first(self, user: User) -> bool:
        """Of users whose first key has no record."""
        return (user.metadata.labels or {}).get(MADE_BY) == "iam" or self._lost_its_first(user.metadata.uid or "")

    def _lost_its_first(self, uid: str) -> bool:
        """Whoever had another first key, of a master key that was dropped, gets none unasked: it may have been
        deleted. Where it was in use, its owner makes the next one.
        """
        if self._derived.oldest == 0:
            return False  # nothing was ever dropped: no signed request looks through all keys for that
        records = self._registry.store.list(ACCESS_KEY.group, ACCESS_KEY.plural).records
        theirs = (spec for spec in map(_spec, records) if spec.user_uid == uid)
        return any(not self._derived.holds(each.master_generation) for each in theirs)

    def usable(self, name: str) -> AccessKey:
        """The first key of that user which is not switched off. Raises NotFound."""
        for key in self.of(name):
            if key.state == "Active":
                return key.pair
        raise NotFound(f"{name} has no access key that is active; make one: aerekos user access-key create")

    def owner_of(self, access_key_id: str) -> tuple[User, AccessKey]:
        """The owner of that key. Raises NotFound for keys unknown or switched off, and users who may not come in."""
        record = self._registry.store.get(ACCESS_KEY.key(access_key_id.lower()))
        if record is not None:
            spec = _spec(record)
            name, uid = spec.user, spec.user_uid
            good = spec.state == "Active" and spec.access_key_id == access_key_id
            good = good and self._derived.holds(spec.master_generation)
            pair = self._pair(spec) if good else AccessKey("", "")
        else:
            name = self._owners_of_first_keys().get(access_key_id, "")
            pair, uid, good = AccessKey("", ""), "", bool(name)
        user = self._people.user(name) if good else None
        if user is None or user.spec.disabled or (uid and user.metadata.uid != uid):
            raise NotFound(f"the access key {access_key_id} is unknown")
        if record is None and self._has_no_first(user):
            raise NotFound(f"the access key {access_key_id} is unknown")
        return user, pair if record else self._derived.access_key(name, user.metadata.uid or "")

    def used(self, access_key_id: str, service: str) -> None:
        """Remembers that it was used just now; `note_uses` writes it down."""
        self._used[access_key_id] = (self._clock.now(), service)

    async def note_uses(self) -> None:
        """Writes down when keys were used last, each at most once in a quarter of an hour."""
        used, self._used = self._used, {}
        for key_id, (at, service) in used.items():
            try:
                user, pair = self.owner_of(key_id)
            except NotFound:
                continue
            record = self._registry.store.get(ACCESS_KEY.key(key_id.lower()))
            before = _spec(record).last_used_at if record else None
            if before is None or at - before >= USE_NOTED_EVERY:
                change = {"lastUsedAt": rfc3339(at), "lastUsedService": service}
                await self._write(user, pair.id, change, by="system:conductor")

    async def create(self, name: str, *, by: str) -> KeyInfo:
        """Another key. Raises Conflict when there are two already."""
        user = self._user(name)
        if len(self.of(name)) >= MOST_KEYS:
            raise Conflict(f"{name} has {MOST_KEYS} access keys already; delete one first")
        key_id = f"AKIA{base64.b32encode(secrets.token_bytes(10)).decode()}"
        await self._write(user, key_id, {"state": "Active"}, by=by, master=self._derived.newest)
        return self._one(name, key_id)

    async def set_state(self, name: str, key_id: str, state: State, *, by: str) -> KeyInfo | None:
        """Switch on or off, or delete. Raises NotFound when that user has no such key."""
        self._one(name, key_id)
        await self._write(self._user(name), key_id, {"state": state}, by=by)
        return None if state == "Deleted" else self._one(name, key_id)

    def _one(self, name: str, key_id: str) -> KeyInfo:
        for key in self.of(name):
            if key.pair.id == key_id:
                return key
        raise NotFound(f"{name} has no access key {key_id}")

    def _user(self, name: str) -> User:
        user = self._people.user(name)
        if user is None:
            raise NotFound(f'users.aerekos.cloud "{name}" not found', key=USER.key(name))
        return user

    def _records(self, user: User) -> Iterator[Record]:
        for record in self._registry.store.list(ACCESS_KEY.group, ACCESS_KEY.plural).records:
            spec = _spec(record)
            counts = spec.state != "Deleted" and self._derived.holds(spec.master_generation)
            if spec.user_uid == user.metadata.uid and counts:
                yield record

    def _pair(self, spec: AccessKeySpec) -> AccessKey:
        first = self._derived.access_key(spec.user, spec.user_uid, spec.master_generation)
        if first.id == spec.access_key_id:
            return first
        return self._derived.further_access_key(spec.user, spec.user_uid, spec.access_key_id, spec.master_generation)

    def _owners_of_first_keys(self) -> dict[str, str]:
        users = self._registry.store.list(USER.group, USER.plural).records
        oldest = self._derived.oldest
        if users is not self._first_keys[0] or oldest != self._first_keys[1]:
            self._first_keys = (users, oldest, {self._first_id(each): each.key.name for each in users})
        return self._first_keys[2]

    def _first_id(self, user: Record) -> str:
        who = (user.key.name, user.uid, self._derived.oldest)
        if who not in self._first_ids:
            if len(self._first_ids) > 10_000:
                self._first_ids.clear()
            self._first_ids[who] = self._derived.access_key(*who).id
        return self._first_ids[who]

    def _told(self, pair: AccessKey, record: Record | None) -> KeyInfo:
        if record is None:
            return KeyInfo(pair, "Active", None, None, "")
        spec, made = _spec(record), ACCESS_KEY.decode(record.body).metadata.creation_timestamp
        return KeyInfo(pair, spec.state, made, spec.last_used_at, spec.last_used_service)

    async def _write(
        self, user: User, key_id: str, change: dict[str, Any], *, by: str, master: int | None = None
    ) -> None:
        """`master`: what derived it; without it the record is of a first key."""
        key, how = ACCESS_KEY.key(key_id.lower()), WriteOptions(by=by)
        if self._registry.store.get(key) is not None:
            await self._registry.merge(ACCESS_KEY, key, {"spec": change}, how)
            return
        name, uid = user.metadata.name, user.metadata.uid
        owner = {"apiVersion": USER.api_version, "kind": USER.name, "name": name, "uid": uid}
        meta = {"name": key.name, "ownerReferences": [owner]}
        derived_by = self._derived.oldest if master is None else master
        spec = {"accessKeyId": key_id, "user": name, "userUid": uid, "masterGeneration": derived_by, **change}
        await self._registry.create(ACCESS_KEY, "", {"metadata": meta, "spec": spec}, how)


def _spec(record: Record) -> AccessKeySpec:
    spec: AccessKeySpec = ACCESS_KEY.decode(record.body).spec if record.typed is None else record.typed.spec
    return spec
