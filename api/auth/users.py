"""Users and what they log in with, as the store has them now."""

from __future__ import annotations

import hashlib

from api.auth.principal import AUTHENTICATED, Principal
from controller.resources.registry import Registry
from controller.store.records import Record
from crds.errors import Unauthorized
from crds.kinds.user import CREDENTIAL, USER, Credential, User


class Users:
    """Asked at every request, so each version of a record is parsed once."""

    def __init__(self, registry: Registry) -> None:
        self._store = registry.store

    def user(self, name: str) -> User | None:
        """The user of that name, or None."""
        record = self._store.get(USER.key(name))
        return _typed_user(record) if record else None

    def present(self, name: str) -> User:
        """The user, who may come in. Raises Unauthorized."""
        user = self.user(name)
        if user is None or user.spec.disabled:
            raise Unauthorized(f"the user {name} no longer exists or is disabled")
        return user

    def credential(self, name: str) -> Credential | None:
        """What that user logs in with here, or None: others may vouch for them."""
        record = self._store.get(CREDENTIAL.key(name))
        if record is None:
            return None
        if not isinstance(record.typed, Credential):
            record.typed = CREDENTIAL.decode(record.body)
        return record.typed

    def digest(self, name: str) -> str:
        """Changes whenever a password is set or the user is signed out everywhere; empty without a credential."""
        credential = self.credential(name)
        if credential is None:
            return ""
        text = f"{credential.spec.token_generation}\x00{credential.spec.password_hash}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def principal_of(user: User) -> Principal:
    """The identity of a user: one group for each role."""
    groups = frozenset({f"aerekos:{role}" for role in user.spec.roles} | {AUTHENTICATED})
    return Principal(user.metadata.name, groups, user.spec.namespace)


def _typed_user(record: Record) -> User:
    if not isinstance(record.typed, User):
        record.typed = USER.decode(record.body)
    found: User = record.typed
    return found
