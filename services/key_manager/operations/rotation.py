"""KMS operations about rotation: by a period, at once, and what has been. Symmetric keys alone rotate."""

from __future__ import annotations

from typing import Any

from crds.model import rfc3339_micro
from services.key_manager import errors
from services.key_manager.key_lookup import ResolvedKey
from services.key_manager.key_state import next_rotation
from services.key_manager.kinds import KEY
from services.key_manager.operations.key_access import KeyAccess, require_enabled
from services.key_manager.pages import Pages
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.resources import Clock

Json = dict[str, Any]
ROTATED_BY_HAND = "aerekos.cloud/rotatedByHandAt"
DEFAULT_ROTATION_DAYS = 365


class RotationOperations:
    """One declared method per operation."""

    def __init__(self, keys: KeyAccess, clock: Clock, pages: Pages) -> None:
        self._keys, self._keyring, self._clock, self._pages = keys, keys.keyring, clock, pages

    @operation("EnableKeyRotation", permission=("patch", KEY), understands=("KeyId", "RotationPeriodInDays"))
    async def enable_key_rotation(self, call: RequestContext, request: Json) -> Json:
        found = await self._rotating(call, request)
        days = request.get("RotationPeriodInDays") or found.key.spec.rotate_every or DEFAULT_ROTATION_DAYS
        await self._keys.change(call, found, {"rotateEvery": days})
        return {}

    @operation("DisableKeyRotation", permission=("patch", KEY), understands=("KeyId",))
    async def disable_key_rotation(self, call: RequestContext, request: Json) -> Json:
        await self._keys.change(call, await self._rotating(call, request), {"rotateEvery": None})
        return {}

    @operation("RotateKeyOnDemand", permission=("patch", KEY), understands=("KeyId",))
    async def rotate_key_on_demand(self, call: RequestContext, request: Json) -> Json:
        found = await self._rotating(call, request)
        newest = await self._keyring.ensure_material(found.key)
        await self._keyring.add_material(found.key, newest.spec.version + 1)
        # The reconciler tells of new material when it looks at the key, which a change makes it do.
        noted = {ROTATED_BY_HAND: rfc3339_micro(self._clock.now())}
        await self._keys.patch(call, found, {"metadata": {"annotations": noted}})
        return {"KeyId": found.arn}

    @operation("GetKeyRotationStatus", permission=("get", KEY), understands=("KeyId",))
    async def get_key_rotation_status(self, call: RequestContext, request: Json) -> Json:
        found = await self._keys.resolve(call, request)
        _require_symmetric(found)
        days, newest = found.key.spec.rotate_every, self._keyring.newest(found.key)
        answer: Json = {"KeyId": found.arn, "KeyRotationEnabled": days is not None}
        if days is not None:
            made = newest.metadata.creation_timestamp if newest else None
            answer |= {"RotationPeriodInDays": days, "NextRotationDate": next_rotation(found.key, made)}
        return answer

    async def _rotating(self, call: RequestContext, request: Json) -> ResolvedKey:
        found = await self._keys.require_changeable(call, request)
        require_enabled(found)
        _require_symmetric(found)
        return found


def _require_symmetric(found: ResolvedKey) -> None:
    if not found.is_symmetric:
        raise errors.unsupported("")
