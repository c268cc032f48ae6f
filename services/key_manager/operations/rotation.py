"""KMS operations about rotation: by a period, at once, and what has been. Symmetric keys alone rotate."""

from __future__ import annotations

from typing import Any

from crds.model import rfc3339_micro
from services.key_manager import errors
from services.key_manager.key_lookup import ResolvedKey
from services.key_manager.key_state import expiration_of, is_there, material_id, next_rotation
from services.key_manager.kinds import KEY, KeyMaterial
from services.key_manager.operations.key_access import KeyAccess
from services.key_manager.pages import Pages
from services.key_manager.regions import is_primary
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
        found = await self._changeable(call, request)
        _require_symmetric(found)
        _require_primary(found)
        if sum(each.spec.rotation == "ON_DEMAND" for each in self._keyring.history(found.key)) >= MOST_ON_DEMAND:
            raise errors.rotated_too_often(found.arn)
        if found.key.spec.origin == "EXTERNAL":
            await self._use_pending(found)
        else:
            newest = await self._keyring.ensure_material(found.key)
            await self._keyring.add_material(found.key, newest.spec.version + 1, "ON_DEMAND")
        # The reconciler tells of new material when it looks at the key, which a change makes it do.
        noted = {ROTATED_BY_HAND: rfc3339_micro(self._clock.now())}
        await self._keys.patch(call, found, {"metadata": {"annotations": noted}})
        return {"KeyId": found.arn}

    @operation("GetKeyRotationStatus", permission=("get", KEY), understands=("KeyId",))
    async def get_key_rotation_status(self, call: RequestContext, request: Json) -> Json:
        """Of keys that never rotate too: asymmetric ones, and those of HMAC."""
        found = await self._keys.resolve(call, request)
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
        whole = request.get("IncludeKeyMaterial") == "ALL_KEY_MATERIAL"
        history, pending = self._keyring.history(found.key), self._keyring.pending(found.key)
        rows = [self._row(found, each, history[-1]) for each in history if whole or each.spec.version > 1]
        if whole and pending is not None:
            rows.append(self._row(found, pending, history[-1]))
        answer = self._pages.page(call, rows, "Order", request, 100)
        shown = [{name: value for name, value in row.items() if name != "Order"} for row in answer.pop("items")]
        return {"Rotations": shown, **answer}

    def _row(self, found: ResolvedKey, material: KeyMaterial, newest: KeyMaterial) -> Json:
        """A rotation as AWS lists it. `Order`: what pages are cut by."""
        spec = material.spec
        row: Json = {"Order": f"{spec.version:010d}", "KeyId": found.id, "KeyMaterialId": material_id(material)}
        state = "CURRENT" if material is newest else "NON_CURRENT"
        row["KeyMaterialState"] = "PENDING_ROTATION" if spec.pending else state
        if spec.version > 1 and not spec.pending:
            # What was made before rotations were told apart is taken for the common sort.
            row |= {
                "RotationDate": material.metadata.creation_timestamp,
                "RotationType": spec.rotation or "AUTOMATIC",
            }
        if spec.imported:
            there = is_there(material, self._clock.now())
            row |= {"ImportState": "IMPORTED" if there else "PENDING_IMPORT", **expiration_of(material)}
            row["KeyMaterialDescription"] = spec.description
        return row

    async def _rotating(self, call: RequestContext, request: Json) -> ResolvedKey:
        """A key whose material is made anew by itself."""
        found = await self._changeable(call, request)
        _require_symmetric(found)
        if found.key.spec.origin != "AWS_KMS":
            raise errors.wrong_origin(found.arn, found.key.spec.origin)
        _require_primary(found)
        return found

    async def _changeable(self, call: RequestContext, request: Json) -> ResolvedKey:
        found = await self._keys.require_changeable(call, request)
        self._keys.require_enabled(found)
        return found

    async def _use_pending(self, found: ResolvedKey) -> None:
        pending = self._keyring.pending(found.key)
        if pending is None or not is_there(pending, self._clock.now()):
            raise errors.wrong_state(f"No available key material pending rotation for the key: {found.arn}.")
        await self._keyring.use_pending(pending)


def _require_primary(found: ResolvedKey) -> None:
    """A family rotates as one, by its primary key."""
    if found.key.spec.multi_region and not is_primary(found.key):
        raise errors.unsupported(f"{found.arn} is not a multi-region primary key.")


def _require_symmetric(found: ResolvedKey) -> None:
    if not found.is_symmetric:
        raise errors.unsupported("")
