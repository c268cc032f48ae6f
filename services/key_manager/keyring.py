"""Keys, aliases and their material: found, opened, made. Shared by the operations and the reconciler.

Stateless: everything is a resource. Informers make reading cheap; a miss is read through. Opened material is kept in
memory for keys in use, because unsealing costs more than encrypting.
"""

from __future__ import annotations

import asyncio
import base64
from datetime import datetime
from typing import Any, Literal
from weakref import WeakValueDictionary

from anyio import to_thread

from crds.errors import AlreadyExists, NotFound
from crds.meta import OwnerReference
from crds.model import rfc3339
from services.key_manager.ciphertext import KeyVersion
from services.key_manager.key_specs import SYMMETRIC
from services.key_manager.key_state import alias_resource_name, is_there, is_uuid, material_name, uid_of
from services.key_manager.kinds import (
    KEY,
    KEY_ALIAS,
    KEY_GRANT,
    KEY_MATERIAL,
    Key,
    KeyAlias,
    KeyGrant,
    KeyMaterial,
    KeyMaterialSpec,
)
from services.key_manager.material import is_slow_to_make, new_material, private_key
from services.key_manager.root_key import NotYetOurs, RootKeyCipher, Unsealable
from services.sdk.context import ServiceContext

_OPENED_LIMIT = 4096
Rotation = Literal["", "AUTOMATIC", "ON_DEMAND"]


class Keyring:
    """Holds keys, aliases and opened material in memory. One per process."""

    def __init__(self, context: ServiceContext, cipher: RootKeyCipher) -> None:
        self._resources, self._cipher = context.resources, cipher
        self.keys, self.aliases = context.informer(KEY), context.informer(KEY_ALIAS)
        self.materials, self.grants = context.informer(KEY_MATERIAL), context.informer(KEY_GRANT)
        self._opened: dict[KeyVersion, bytes] = {}
        self._private: dict[KeyVersion, Any] = {}
        self._making: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def key(self, name: str, namespace: str) -> Key | None:
        """Find a key by resource name."""
        return await self.keys.read(name, namespace)

    async def key_by_id(self, id: str, namespace: str) -> Key | None:
        """Find a key by uid, else by name: a name can be chosen, a uid cannot."""
        found = self.keys.by_uid(id)
        if found is not None and found.metadata.namespace == namespace:
            return found
        return await self.keys.read(id, namespace) or await self.key_by_uid(id, namespace)

    async def key_by_uid(self, uid: str, namespace: str, *, anywhere: bool = False) -> Key | None:
        """Find a key in memory; on a miss the namespace is listed: another replica may just have made it."""
        found = self.keys.by_uid(uid)
        if found is None and is_uuid(uid):
            for each in (await self._resources.list(KEY, namespace)).items:
                self.keys.put(each)
            found = self.keys.by_uid(uid)
        return found if found is not None and (anywhere or found.metadata.namespace == namespace) else None

    async def alias(self, name: str, namespace: str) -> KeyAlias | None:
        """Find an alias by its AWS name (`alias/...`), however the resource is called."""
        for each in self.aliases.all(namespace):
            if each.spec.alias_name == name:
                return each
        found = await self.aliases.read(alias_resource_name(name), namespace)
        return found if found is not None and found.spec.alias_name == name else None

    def newest(self, key: Key) -> KeyMaterial | None:
        """The newest material in use known here."""
        uid, namespace = uid_of(key), key.metadata.namespace or "default"
        version, found = max(key.status.current_version, 1), None
        while (here := self.materials.get(material_name(uid, version), namespace)) is not None:
            if here.spec.pending:
                break
            version, found = version + 1, here
        return found

    def pending(self, key: Key) -> KeyMaterial | None:
        """Imported material that waits for its rotation; there is one at most, and it is the newest."""
        newest = self.newest(key)
        version = newest.spec.version + 1 if newest else 1
        return self.materials.get(material_name(uid_of(key), version), key.metadata.namespace or "default")

    def is_imported(self, key: Key, now: datetime) -> bool:
        """Return whether all material that ciphertexts of an imported key may need is there."""
        known = self.history(key)
        return bool(known) and all(is_there(each, now) for each in known)

    async def ensure_material(self, key: Key) -> KeyMaterial:
        """The newest material, made when there is none. Racing is harmless: one wins, all use the winner's.

        Raises NotFound for a key whose material is to be imported, and ApiError.
        """
        found = self.newest(key)
        if found is not None:
            return found
        if key.spec.origin == "EXTERNAL":
            raise NotFound(f"key {key.metadata.name} has no imported material")
        lock = self._making.setdefault(uid_of(key), asyncio.Lock())
        async with lock:  # an RSA key takes a second: the operation and the reconciler of one process make one
            return self.newest(key) or await self._made(key)

    async def _made(self, key: Key) -> KeyMaterial:
        version = max(key.status.current_version, 1)
        namespace = key.metadata.namespace or "default"
        found = await self.materials.read(material_name(uid_of(key), version), namespace)
        return found or await self.add_material(key, 1)

    async def next_material(self, material: KeyMaterial) -> KeyMaterial | None:
        """The version after this one, if it was made."""
        name = material_name(material.spec.key_uid, material.spec.version + 1)
        return await self.materials.read(name, material.metadata.namespace or "default")

    def history(self, key: Key) -> list[KeyMaterial]:
        """All material in use known here, the oldest first."""
        newest, uid, namespace = self.newest(key), uid_of(key), key.metadata.namespace or "default"
        versions = range(1, newest.spec.version + 1) if newest else ()
        found = (self.materials.get(material_name(uid, each), namespace) for each in versions)
        return [each for each in found if each is not None]

    def rotation_base(self, key: Key) -> datetime | None:
        """What its period counts from: rotating by hand does not change when it rotates by itself."""
        scheduled = [each for each in self.history(key) if each.spec.rotation != "ON_DEMAND"]
        return scheduled[-1].metadata.creation_timestamp if scheduled else None

    async def add_material(self, key: Key, version: int, rotation: Rotation = "") -> KeyMaterial:
        """Make that version unless somebody else just did. Raises ApiError."""
        uid = uid_of(key)
        sealed = self._sealed(await _made_material(key.spec.key_spec), uid, version)
        spec = KeyMaterialSpec(key_uid=uid, version=version, sealed=sealed, rotation=rotation)
        try:
            return await self._create(key, spec)
        except AlreadyExists:
            name, namespace = material_name(uid, version), key.metadata.namespace or "default"
            return self.materials.put(await self._resources.get(KEY_MATERIAL, name, namespace))

    async def import_material(
        self, key: Key, version: int, material: bytes, id: str, valid_to: datetime | None, description: str
    ) -> KeyMaterial:
        """Add material from outside; but the first waits for a rotation. Raises ApiError."""
        spec = KeyMaterialSpec(
            key_uid=uid_of(key),
            version=version,
            sealed=self._sealed(material, uid_of(key), version),
            material_id=id,
            rotation="ON_DEMAND" if version > 1 else "",
            imported=True,
            pending=version > 1,
            valid_to=valid_to,
            description=description,
        )
        return await self._create(key, spec)

    async def import_again(
        self, here: KeyMaterial, material: bytes, valid_to: datetime | None, description: str | None
    ) -> None:
        """Put the same material back, or change until when it is valid. Raises ApiError."""
        spec: dict[str, Any] = {
            "sealed": self._sealed(material, here.spec.key_uid, here.spec.version),
            "removed": False,
            "validTo": None if valid_to is None else rfc3339(valid_to),
        }
        await self._patch(here, spec if description is None else {**spec, "description": description})

    async def remove_imported(self, here: KeyMaterial) -> None:
        """Forget imported material; its id stays, so that only the same can come again. Raises ApiError."""
        # In its place lies what nobody knows: a version before, which does not read `removed`, must not use nothing.
        unknown = self._sealed(new_material(SYMMETRIC), here.spec.key_uid, here.spec.version)
        await self._patch(here, {"sealed": unknown, "removed": True, "validTo": None})
        self._forget(here)

    async def use_pending(self, here: KeyMaterial) -> None:
        """Begin to encrypt with imported material. Raises ApiError."""
        await self._patch(here, {"pending": False})

    async def _create(self, key: Key, spec: KeyMaterialSpec) -> KeyMaterial:
        name = material_name(spec.key_uid, spec.version)
        namespace = key.metadata.namespace or "default"
        wanted = KEY_MATERIAL.new(name, namespace=namespace, spec=spec)
        wanted.metadata.owner_references = [
            OwnerReference(
                api_version=KEY.api_version, kind=KEY.name, name=key.metadata.name, uid=key.metadata.uid or ""
            )
        ]
        return self.materials.put(await self._resources.create(KEY_MATERIAL, wanted))

    async def _patch(self, here: KeyMaterial, spec: dict[str, Any]) -> None:
        change = {"metadata": {"resourceVersion": here.metadata.resource_version}, "spec": spec}
        namespace = here.metadata.namespace or "default"
        self.materials.put(await self._resources.patch(KEY_MATERIAL, here.metadata.name, change, namespace))

    def _forget(self, here: KeyMaterial) -> None:
        key_version = KeyVersion(here.spec.key_uid, here.spec.version)
        self._opened.pop(key_version, None)
        self._private.pop(key_version, None)

    async def create_replica(self, key: Key) -> Key:
        """Make a Key that shares another one's material, for who may. Raises ApiError."""
        return self.keys.put(await self._resources.create(KEY, key))

    async def delete_grant(self, grant: KeyGrant) -> None:
        """End it, for who may without a role. Raises ApiError."""
        name, namespace = grant.metadata.name, grant.metadata.namespace or "default"
        await self._resources.delete(KEY_GRANT, name, namespace, uid=grant.metadata.uid)
        self.grants.drop(grant)

    async def reseal(self, material: KeyMaterial) -> bool:
        """Seal it under the newest root key; False when it is already. Raises ApiError, Unsealable."""
        uid, version = material.spec.key_uid, material.spec.version
        before = base64.b64decode(material.spec.sealed)
        if self._cipher.is_current(before):
            return False
        plain = self._cipher.open(before, uid, version)
        await self._patch(material, {"sealed": self._sealed(plain, uid, version)})
        return True

    async def open(self, key_version: KeyVersion, namespace: str) -> bytes:
        """The material of that key version. Raises NotFound, Unsealable."""
        material = self._opened.get(key_version)
        if material is None:
            found = await self.materials.read(material_name(key_version.uid, key_version.version), namespace)
            if found is None or found.spec.key_uid != key_version.uid or found.spec.removed:
                raise NotFound(f"key {key_version.uid} has no material {key_version.version}")
            material = self._cipher.open(base64.b64decode(found.spec.sealed), key_version.uid, key_version.version)
            if len(self._opened) >= _OPENED_LIMIT:
                self._opened.clear()
            self._opened[key_version] = material
        return material

    async def private_key(self, key: Key) -> Any:
        """The private key of an asymmetric Key. Raises NotFound, Unsealable, BadMaterial."""
        newest = await self.ensure_material(key)
        key_version = KeyVersion(newest.spec.key_uid, newest.spec.version)
        found = self._private.get(key_version)
        if found is None:
            material = await self.open(key_version, key.metadata.namespace or "default")
            if len(self._private) >= _OPENED_LIMIT:
                self._private.clear()
            found = self._private[key_version] = private_key(key.spec.key_spec, material)
        return found

    def sealing_fault(self, material: KeyMaterial) -> str | None:
        """Why that material does not open, or None; one of a newer root key than ours is no fault of ours."""
        try:
            sealed = base64.b64decode(material.spec.sealed)
            self._cipher.open(sealed, material.spec.key_uid, material.spec.version)
        except NotYetOurs:
            return None
        except (Unsealable, ValueError) as error:
            return str(error)
        return None

    def gave_up(self, material: KeyMaterial) -> bool:
        """Return whether it is sealed under a root key that was given up: older than any we have."""
        try:
            return self._cipher.gave_up(base64.b64decode(material.spec.sealed))
        except (Unsealable, ValueError):
            return False

    def _sealed(self, material: bytes, uid: str, version: int) -> str:
        return base64.b64encode(self._cipher.close(material, uid, version)).decode()


async def _made_material(key_spec: str) -> bytes:
    if is_slow_to_make(key_spec):
        return await to_thread.run_sync(new_material, key_spec)
    return new_material(key_spec)
