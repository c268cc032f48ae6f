"""KMS operations about rotation: by a period, at once, and what has been. Symmetric keys alone rotate."""

from __future__ import annotations

from typing import Any

from crds.model import rfc3339_micro
from services.key_manager import errors
from services.key_manager.key_lookup import ResolvedKey
from services.key_manager.key_state import material_id, next_rotation
from services.key_manager.kinds import KEY, KeyMaterial
from services.key_manager.operations.key_access import KeyAccess, require_enabled
from services.key_manager.pages import Pages
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.resources import Clock

Json = dict[str, Any]
ROTATED_BY_HAND = "aerekos.cloud/rotatedByHandAt"
DEFAULT_ROTATION_DAYS = 365
MOST_ON_DEMAND = 10
_LIST = ("KeyId", "IncludeKeyMaterial", "Limit", "Marker")


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
        if sum(each.spec.rotation == "ON_DEMAND" for each in self._keyring.history(found.key)) >= MOST_ON_DEMAND:
            raise errors.rotated_too_often(found.arn)
        await self._keyring.add_material(found.key, newest.spec.version + 1, "ON_DEMAND")
        # The reconciler tells of new material when it looks at the key, which a change makes it do.
        noted = {ROTATED_BY_HAND: rfc3339_micro(self._clock.now())}
        await self._keys.patch(call, found, {"metadata": {"annotations": noted}})
        return {"KeyId": found.arn}

    @operation("GetKeyRotationStatus", permission=("get", KEY), understands=("KeyId",))
    async def get_key_rotation_status(self, call: RequestContext, request: Json) -> Json:
        found = await self._keys.resolve(call, request)
        _require_symmetric(found)
        days = found.key.spec.rotate_every
        answer: Json = {"KeyId": found.arn, "KeyRotationEnabled": days is not None}
        if days is not None:
            due = next_rotation(found.key, self._keyring.rotation_base(found.key))
            answer |= {"RotationPeriodInDays": days, "NextRotationDate": due}
        return answer

    @operation("ListKeyRotations", permission=("get", KEY), understands=_LIST)
    async def list_key_rotations(self, call: RequestContext, request: Json) -> Json:
        found = await self._keys.resolve(call, request)
        _require_symmetric(found)
        history = self._keyring.history(found.key)
        whole = request.get("IncludeKeyMaterial") == "ALL_KEY_MATERIAL"
        rows = [_row(found, each, history[-1]) for each in history if whole or each.spec.version > 1]
        answer = self._pages.page(call, rows, "Order", request, 100)
        shown = [{name: value for name, value in row.items() if name != "Order"} for row in answer.pop("items")]
        return {"Rotations": shown, **answer}

    async def _rotating(self, call: RequestContext, request: Json) -> ResolvedKey:
        found = await self._keys.require_changeable(call, request)
        require_enabled(found)
        _require_symmetric(found)
        return found


def _row(found: ResolvedKey, material: KeyMaterial, newest: KeyMaterial) -> Json:
    """A rotation as AWS lists it. `Order`: what pages are cut by."""
    spec = material.spec
    row: Json = {"Order": f"{spec.version:010d}", "KeyId": found.id, "KeyMaterialId": material_id(material)}
    row["KeyMaterialState"] = "CURRENT" if material is newest else "NON_CURRENT"
    if spec.version > 1:
        # What was made before rotations were told apart is taken for the common sort.
        row |= {"RotationDate": material.metadata.creation_timestamp, "RotationType": spec.rotation or "AUTOMATIC"}
    return row


def _require_symmetric(found: ResolvedKey) -> None:
    if not found.is_symmetric:
        raise errors.unsupported("")
