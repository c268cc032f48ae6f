"""The Key reconciler: makes missing material, rotates when due, deletes when the date has come, says what is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from crds.errors import ApiError, Conflict, Forbidden, NotFound
from crds.kind import Kind, key_of
from crds.meta import ObjectKey
from services.key_manager.conditions import KeyReason
from services.key_manager.key_state import REGION, is_there, key_arn, key_id, next_rotation, state_of
from services.key_manager.keyring import Keyring
from services.key_manager.kinds import KEY, KEY_ALIAS, KEY_GRANT, Key, KeyAlias, KeyMaterial
from services.sdk.aws.accounts import account_of
from services.sdk.reconcile import AlsoWatch, Lister, Outcome, Temporary, World, again, done

_LONGEST_REQUEUE_SECONDS = 86400.0
_REQUEUE_SECONDS = 300.0


def _keys_of(alias: KeyAlias, seen: Lister) -> Iterable[ObjectKey]:
    """The key that alias leads to, and the one it led to before."""
    name = alias.spec.alias_name
    keys = seen.list(KEY, alias.metadata.namespace)
    return [key_of(KEY, each) for each in keys if each.metadata.name == alias.spec.key or name in each.status.aliases]


class KeyReconciler:
    """Reads and writes through the Keyring of the operations."""

    kind = KEY
    finalizer: str | None = None
    also_watch: Sequence[AlsoWatch[Any]] = (AlsoWatch(KEY_ALIAS, _keys_of),)

    def __init__(self, keyring: Keyring) -> None:
        self.keyring = keyring

    async def reconcile(self, resource: Key, world: World) -> Outcome:
        now = world.clock.now()
        try:
            if await _deleted(resource, world, now):
                return done("deleted as scheduled", reason=KeyReason.DELETED)
        except (Conflict, Forbidden) as refused:
            # Somebody began to need it after its deletion was scheduled, or our clock is ahead of the conductor's.
            return again(_REQUEUE_SECONDS, refused.message, reason=KeyReason.IN_USE)
        try:
            if resource.spec.origin == "EXTERNAL":
                return await self._reconcile_imported(resource, world)
            newest = await self._material(resource, now)
        except ApiError as error:
            raise Temporary(f"material: {error}", reason=KeyReason.KEY_MATERIAL_UNAVAILABLE) from error
        resource.status.aliases = _aliases_of(resource, world)
        due = _update_status(resource, newest, self.keyring.rotation_base(resource))
        return done(reason=resource.status.key_state, requeue_after=_seconds(now, due))

    async def finalize(self, resource: Key, world: World) -> Outcome:
        return done()

    async def _reconcile_imported(self, key: Key, world: World) -> Outcome:
        """Forget imported material whose time is over. Without material, a key waits for it."""
        now, known, pending = world.clock.now(), self.keyring.history(key), self.keyring.pending(key)
        for each in [*known, *([pending] if pending else [])]:
            if not each.spec.removed and not is_there(each, now):
                await self.keyring.remove_imported(each)
        key.status.aliases = _aliases_of(key, world)
        due = _update_status(key, known[-1] if known else None, None, imported=self.keyring.is_imported(key, now))
        ends = [each.spec.valid_to for each in known if each.spec.valid_to is not None and is_there(each, now)]
        nearest = min([*ends, *([due] if due else [])], default=None)
        return done(reason=key.status.key_state, requeue_after=_seconds(now, nearest))

    async def _material(self, key: Key, now: datetime) -> KeyMaterial:
        newest = await self.keyring.ensure_material(key)
        while (later := await self.keyring.next_material(newest)) is not None:
            newest = later
        due = next_rotation(key, self.keyring.rotation_base(key))
        if due is not None and due <= now and key.spec.enabled:
            newest = await self.keyring.add_material(key, newest.spec.version + 1, "AUTOMATIC")
        return newest


def _aliases_of(key: Key, world: World) -> list[str]:
    aliases = world.seen.list(KEY_ALIAS, key.metadata.namespace)
    return sorted(each.spec.alias_name for each in aliases if each.spec.key == key.metadata.name)


async def _deleted(key: Key, world: World, now: datetime) -> bool:
    if key.spec.deletion_date is None or key.spec.deletion_date > now:
        return False
    meta = key.metadata
    # Read again: the wish to delete may have been taken back since.
    try:
        fresh = await world.resources.get(KEY, meta.name, meta.namespace)
        if fresh.spec.deletion_date is None or fresh.spec.deletion_date > now:
            return False
        await world.resources.delete(KEY, meta.name, meta.namespace, uid=meta.uid)
    except NotFound:
        pass
    await _delete_dependents(KEY_ALIAS, meta.name, meta.namespace, world)
    await _delete_dependents(KEY_GRANT, meta.name, meta.namespace, world)
    return True


async def _delete_dependents(kind: Kind[Any], key: str, namespace: str | None, world: World) -> None:
    """Aliases and grants go with their key, as in KMS: nobody else's key may come to stand behind them unnoticed."""
    for each in (await world.resources.list(kind, namespace)).items:
        if each.spec.key == key:
            with suppress(NotFound, Conflict):
                await world.resources.delete(kind, each.metadata.name, namespace, uid=each.metadata.uid)


def _update_status(
    key: Key, newest: KeyMaterial | None, rotation_base: datetime | None, *, imported: bool = True
) -> datetime | None:
    """Fill the status; returns when to look again."""
    status, version = key.status, newest.spec.version if newest else 0
    status.key_id = key_id(key)
    status.arn = key_arn(account_of(key.metadata.namespace or "default"), status.key_id, key.spec.region or REGION)
    status.current_version = version
    status.key_state = state_of(key, version, imported=imported)
    status.rotated_at = newest.metadata.creation_timestamp if newest and version > 1 else None
    status.next_rotation_at = next_rotation(key, rotation_base)
    status.deletion_date = key.spec.deletion_date
    return key.spec.deletion_date or status.next_rotation_at


def _seconds(now: datetime, due: datetime | None) -> float | None:
    return None if due is None else min(max((due - now).total_seconds(), 1.0), _LONGEST_REQUEUE_SECONDS)
