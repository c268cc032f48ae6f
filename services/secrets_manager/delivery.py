"""Delivery: the current value of a secret as a Kubernetes Secret, which Services mount as they mount any other.

A value that is a JSON object becomes a key for each of its members, anything else the key `value`. The Secret belongs
to the ManagedSecret and goes with it; one that somebody else made is left alone. When the value changes, so does the
Secret, and with it every Service that takes something from it.
"""

from __future__ import annotations

import base64
import json
from contextlib import suppress

from crds.errors import AlreadyExists, NotFound
from crds.kinds.secret import SECRET, Secret
from crds.meta import OwnerReference
from crds.names import config_key_fault
from services.sdk.resources import Resources
from services.secrets_manager.envelope import SecretValue
from services.secrets_manager.kinds import MANAGED_SECRET
from services.secrets_manager.secret import FoundSecret
from services.secrets_manager.secret_store import SecretStore

VERSION = "aerekos.cloud/secret-version"
VALUE = "value"


class DeliveryFailure(Exception):
    """A value that is not where it should be, and why."""


class SecretDelivery:
    """`own`: the service's own resources. `store` raises AwsError for what cannot be opened in its name."""

    def __init__(self, own: Resources, store: SecretStore) -> None:
        self._own, self._store = own, store

    async def deliver(self, found: FoundSecret) -> str:
        """Bring the Secret to the current version, and return its name; empty where there is none. Raises
        DeliveryFailure, AwsError.
        """
        wanted, before = found.spec.delivery, found.secret.status.delivered_to
        if before and (wanted is None or wanted.secret != before):
            await self._take_back(found, before)
        if wanted is None or found.current is None or not found.has_value(found.current):
            return ""
        there = await self._read(wanted.secret, found.namespace)
        if there is not None and not _is_ours(there, found):
            text = f"the Secret {wanted.secret} is not this secret's: delete it, or deliver under another name"
            raise DeliveryFailure(text)
        if there is None or (there.metadata.annotations or {}).get(VERSION) != found.current:
            await self._write(found, wanted.secret, there)
        return wanted.secret

    async def _write(self, found: FoundSecret, name: str, there: Secret | None) -> None:
        assert found.current is not None
        data = data_of(await self._store.value(found, found.current, None))
        made = there or SECRET.new(name, namespace=found.namespace)
        made.data = {key: base64.b64encode(content).decode() for key, content in data.items()}
        made.metadata.annotations = {**(made.metadata.annotations or {}), VERSION: found.current}
        if there is not None:
            await self._own.replace(SECRET, made)
            return
        made.metadata.owner_references = [_owner(found)]
        try:
            await self._own.create(SECRET, made)
        except AlreadyExists:
            raise DeliveryFailure(f"the Secret {name} was made by somebody else just now") from None

    async def _take_back(self, found: FoundSecret, name: str) -> None:
        there = await self._read(name, found.namespace)
        if there is not None and _is_ours(there, found):
            with suppress(NotFound):
                await self._own.delete(SECRET, name, found.namespace, uid=there.metadata.uid)

    async def _read(self, name: str, namespace: str) -> Secret | None:
        try:
            return await self._own.get(SECRET, name, namespace)
        except NotFound:
            return None


def data_of(value: SecretValue) -> dict[str, bytes]:
    """What the Secret holds. Members that are no texts are written as JSON. Raises DeliveryFailure."""
    members = None if value.binary else _members(value.content)
    if members is None:
        return {VALUE: value.content}
    if any(config_key_fault(each) for each in members):
        raise DeliveryFailure("a member of the value has a name that no key of a Secret may have")
    return {name: (each if isinstance(each, str) else json.dumps(each)).encode() for name, each in members.items()}


def _members(content: bytes) -> dict[str, object] | None:
    try:
        read = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) and read else None


def _is_ours(there: Secret, found: FoundSecret) -> bool:
    return any(each.uid == found.uid for each in there.metadata.owner_references or ())


def _owner(found: FoundSecret) -> OwnerReference:
    kind = MANAGED_SECRET
    return OwnerReference(
        api_version=kind.api_version, kind=kind.name, name=found.name, uid=found.uid, controller=True
    )
