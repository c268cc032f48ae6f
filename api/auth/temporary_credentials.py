"""Temporary credentials: AWS key pairs with a session token, made by STS for a while.

The record says what the session is; secret and token are derived from the master key at each use and kept nowhere. A
credential counts until its time is over, and no longer than everything it hangs on (`Anchor`): looked up at each use,
so that what is taken away is gone at once, at every gateway that follows the store.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from api.auth.access_keys import AccessKeys
from api.auth.derived_secrets import DerivedSecrets, TemporaryKey
from api.auth.principal import AUTHENTICATED, Principal, Proof
from api.auth.users import Users, principal_of
from controller.kit.clock import Clock
from controller.resources.registry import Registry
from controller.resources.strategy import WriteOptions
from controller.store.records import Record
from crds.errors import Forbidden, NotFound, TooManyRequests
from crds.kind import Kind
from crds.kinds.iam import IAM_ROLE
from crds.kinds.service import SERVICE, Service
from crds.kinds.service_account import SERVICE_ACCOUNT
from crds.kinds.temporary_credential import (
    TEMPORARY_CREDENTIAL,
    Anchor,
    TemporaryCredential,
    TemporaryCredentialSpec,
)
from crds.kinds.user import USER
from services.sdk.aws.iam_names import resource_name

PREFIX = "ASIA"
ROLE_PREFIX = "system:assumed-role:"
MOST_IN_ACCOUNT, MOST_OF_ONE = 5000, 1000
# Whoever comes late hears that the token has expired, and not that nobody knows it.
KEPT_AFTER = timedelta(hours=1)
_NAMED: dict[str, Kind[Any]] = {"IamRole": IAM_ROLE, "ServiceAccount": SERVICE_ACCOUNT, "Service": SERVICE}


@dataclass(frozen=True, slots=True)
class IssuedCredential:
    """A credential as its holder gets it, once."""

    key: TemporaryKey
    spec: TemporaryCredentialSpec


@dataclass(frozen=True, slots=True)
class KnownCredential:
    """A credential that counts, or would if its time were not over; and who signs with it."""

    key: TemporaryKey
    spec: TemporaryCredentialSpec
    principal: Principal


class TemporaryCredentials:
    """Asked at each signed request: answers come from memory."""

    def __init__(
        self, registry: Registry, derived: DerivedSecrets, people: Users, keys: AccessKeys, clock: Clock
    ) -> None:
        self._registry, self._derived, self._people, self._keys = registry, derived, people, keys
        self._clock = clock

    def find(self, access_key_id: str) -> KnownCredential:
        """Raises NotFound for one that is unknown, revoked, or lost what it hangs on. Its end is not judged here."""
        record = self._registry.store.get(TEMPORARY_CREDENTIAL.key(access_key_id.lower()))
        spec = _typed(record).spec if record is not None else None
        if record is None or spec is None or spec.access_key_id != access_key_id or not self._stands(spec):
            raise NotFound(f"the access key {access_key_id} is unknown")
        key = self._derived.temporary_key(access_key_id, record.uid, spec.master_generation)
        return KnownCredential(key, spec, self._principal(spec, record.uid))

    async def issue(self, spec: TemporaryCredentialSpec, *, by: str) -> IssuedCredential:
        """Make it. The access key's id and the master key's generation are filled in here. Raises TooManyRequests."""
        self._require_room(spec)
        key_id = f"{PREFIX}{base64.b32encode(secrets.token_bytes(10)).decode()}"
        made = spec.model_copy(update={"access_key_id": key_id, "master_generation": self._derived.newest})
        body = {"metadata": {"name": key_id.lower()}, "spec": made.model_dump(mode="json", by_alias=True)}
        written = await self._registry.create(TEMPORARY_CREDENTIAL, "", body, WriteOptions(by=by))
        assert written.record is not None
        return IssuedCredential(self._derived.temporary_key(key_id, written.record.uid, self._derived.newest), made)

    async def revoke(self, access_key_id: str, *, by: str) -> int:
        """End that credential and all that were made with it; how many. Raises NotFound."""
        ended = [each.access_key_id for each in self.all() if access_key_id in (each.access_key_id, *each.parents)]
        if not ended:
            raise NotFound(f"the access key {access_key_id} is unknown")
        for each in ended:
            await self._delete(each, by)
        return len(ended)

    async def sweep(self) -> int:
        """Delete those that ended an hour ago, and those that hang on what is gone; how many."""
        before = self._clock.now() - KEPT_AFTER
        dead = [each.access_key_id for each in self.all() if each.expires_at <= before or not self._stands(each)]
        for each in dead:
            await self._delete(each, "system:conductor")
        return len(dead)

    def all(self) -> Iterator[TemporaryCredentialSpec]:
        """Every one there is a record of."""
        store = self._registry.store
        for record in store.list(TEMPORARY_CREDENTIAL.group, TEMPORARY_CREDENTIAL.plural).records:
            yield _typed(record).spec

    async def _delete(self, access_key_id: str, by: str) -> None:
        try:
            key = TEMPORARY_CREDENTIAL.key(access_key_id.lower())
            await self._registry.delete(TEMPORARY_CREDENTIAL, key, WriteOptions(by=by))
        except NotFound:
            return

    def _stands(self, spec: TemporaryCredentialSpec) -> bool:
        """Whether everything is there that it hangs on."""
        if not self._derived.holds(spec.master_generation):
            return False
        return all(self._is_there(each) and self._has_role(each, spec) for each in spec.anchors)

    def _has_role(self, anchor: Anchor, spec: TemporaryCredentialSpec) -> bool:
        """Whether the Service of a session still has its role. What is no Service has none to lose, and a managed one
        has those that people passed to what it works for.
        """
        if anchor.kind != "Service" or spec.role is None:
            return True
        record = self._registry.store.get(SERVICE.key(anchor.name, anchor.namespace))
        if record is None:
            return False
        if not isinstance(record.typed, Service):
            record.typed = SERVICE.decode(record.body)
        role, managed = record.typed.spec.role, record.typed.spec.managed
        return bool(managed) or (role is not None and resource_name(role) == spec.role.resource)

    def _is_there(self, anchor: Anchor) -> bool:
        if anchor.kind == "User":
            user = self._people.user(anchor.name)
            return user is not None and not user.spec.disabled and user.metadata.uid == anchor.uid
        if anchor.kind == "AccessKey":
            try:
                self._keys.owner_of(anchor.name)
            except NotFound:
                return False
            return True
        kind = _NAMED[anchor.kind]
        record = self._registry.store.get(kind.key(anchor.name, anchor.namespace))
        return record is not None and record.uid == anchor.uid

    def _principal(self, spec: TemporaryCredentialSpec, uid: str) -> Principal:
        """Of a role's session nobody of the cloud's roles; of a user's, the user as they are now. Raises NotFound."""
        proof = Proof({"akid": spec.access_key_id, "uid": uid}, spec.expires_at.timestamp())
        if spec.role is not None:
            name = f"{ROLE_PREFIX}{spec.namespace}:{spec.role.name}/{spec.session_name}"
            return Principal(name, frozenset({AUTHENTICATED}), spec.namespace, uid=uid, proof=proof)
        user = self._people.user(spec.user)
        if user is None:
            raise NotFound(f'users.aerekos.cloud "{spec.user}" not found', key=USER.key(spec.user))
        return replace(principal_of(user), uid=uid, proof=proof)

    def _require_room(self, spec: TemporaryCredentialSpec) -> None:
        """Raises TooManyRequests: what is kept for one account, and for one asker in it, has an end."""
        now, source = self._clock.now(), spec.anchors[0] if spec.anchors else None
        living = [each for each in self.all() if each.namespace == spec.namespace and each.expires_at > now]
        theirs = [each for each in living if each.anchors and each.anchors[0] == source]
        if len(living) >= MOST_IN_ACCOUNT or len(theirs) >= MOST_OF_ONE:
            text = f"{MOST_OF_ONE} of one identity and {MOST_IN_ACCOUNT} of one account"
            raise TooManyRequests(f"too many temporary credentials live: {text} is all", retry_after=60)


def is_temporary(access_key_id: str) -> bool:
    """Whether that is the id of a temporary credential, going by its beginning."""
    return access_key_id.startswith(PREFIX)


def require_lasting(who: Principal) -> None:
    """Raises Forbidden for temporary credentials: what is made with them would outlive them."""
    if who.proof is not None and is_temporary(str(who.proof.binding.get("akid", ""))):
        raise Forbidden("temporary credentials make, change and show no access keys")


def _typed(record: Record) -> TemporaryCredential:
    if not isinstance(record.typed, TemporaryCredential):
        record.typed = TEMPORARY_CREDENTIAL.decode(record.body)
    found: TemporaryCredential = record.typed
    return found
