"""State of a key: whether it can be used, when it rotates next, how it is called. Pure: resources and a moment in,
answers out.

Everything follows from the Key's spec and its materials, so an operation need not wait for any status.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid4

from services.key_manager.conditions import KeyState
from services.key_manager.kinds import Key, KeyMaterial

REGION = "us-east-1"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MULTI_REGION = re.compile(r"mrk-[0-9a-f]{32}")
_SAFE = re.compile(r"[^a-z0-9-]+")


def new_key_id(*, multi_region: bool) -> str:
    """A random KeyId."""
    return f"mrk-{uuid4().hex}" if multi_region else str(uuid4())


def state_of(key: Key, version: int, *, imported: bool = True) -> KeyState:
    """`version`: newest material there is, 0 when none. `imported`: whether all that was imported is there."""
    if key.spec.deletion_date is not None or key.metadata.deletion_timestamp is not None:
        return KeyState.PENDING_DELETION
    if key.spec.origin == "EXTERNAL" and not (version and imported):
        return KeyState.PENDING_IMPORT
    if not version:
        return KeyState.CREATING
    return KeyState.ENABLED if key.spec.enabled else KeyState.DISABLED


def next_rotation(key: Key, last: datetime | None) -> datetime | None:
    """Return when new material is due, `last` being when the first was made or the period made the latest; None when
    the key does not rotate by itself.
    """
    if key.spec.rotate_every is None or last is None or key.spec.deletion_date is not None:
        return None
    return last + timedelta(days=key.spec.rotate_every)


def key_id(key: Key) -> str:
    """The AWS KeyId: the name of a key made through AWS, of a replica that of its family, else the uid."""
    name = key.metadata.name
    return key.spec.replica_of or (name if is_key_id(name) else key.metadata.uid or "")


def is_uuid(text: str) -> bool:
    """Return whether the text looks like a KeyId."""
    return _UUID.fullmatch(text) is not None


def is_key_id(text: str) -> bool:
    """Return whether AWS could have given a key that id: a uuid, or that of a multi-Region key."""
    return is_uuid(text) or _MULTI_REGION.fullmatch(text) is not None


def uid_of(key: Key) -> str:
    """The uid that material and ciphertexts name, in their spelling: of a replica, that of its first sibling."""
    return _canonical(key.spec.material_of or key.metadata.uid or "")


@lru_cache(maxsize=4096)
def _canonical(uid: str) -> str:
    return str(UUID(uid))


def is_there(material: KeyMaterial, now: datetime) -> bool:
    """Return whether material can be used: imported one may have been removed, or have expired."""
    spec = material.spec
    return not spec.removed and (spec.valid_to is None or spec.valid_to > now)


def expiration_of(material: KeyMaterial) -> dict[str, Any]:
    """What AWS says of imported material besides; nothing of that made here."""
    spec = material.spec
    if not spec.imported or spec.removed:
        return {}
    if spec.valid_to is None:
        return {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
    return {"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": spec.valid_to}


def material_id(material: KeyMaterial) -> str:
    """What AWS calls a KeyMaterialId: 64 hex digits, which tell nothing of the material."""
    spec = material.spec
    return spec.material_id or hashlib.sha256(f"{spec.key_uid}\x00{spec.version}".encode()).hexdigest()


def key_arn(account: str, id: str, region: str = REGION) -> str:
    return f"arn:aws:kms:{region}:{account}:key/{id}"


def alias_arn(account: str, alias: str, region: str = REGION) -> str:
    """`alias` starts with `alias/`."""
    return f"arn:aws:kms:{region}:{account}:{alias}"


def alias_resource_name(alias: str) -> str:
    """The resource that keeps an AWS alias: readable, safe, and different for different aliases."""
    plain = alias.removeprefix("alias/")
    safe = _SAFE.sub("-", plain.lower()).strip("-")[:40]
    if safe == plain:
        return safe
    digest = hashlib.sha256(plain.encode()).hexdigest()[:10]
    return f"{safe}-{digest}" if safe else f"alias-{digest}"


def material_name(uid: str, version: int) -> str:
    """Named by uid: a new Key with an old one's name never meets the old one's material."""
    return f"{uid}-v{version}"
