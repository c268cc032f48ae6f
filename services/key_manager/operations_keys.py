"""KMS operations about keys themselves: create, describe, list, enable, rotate, delete.

Source: AWS KMS API reference. A key made here is a Key resource named by a uuid; `kubectl get keys` shows it at once.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

from services.key_manager import errors
from services.key_manager.conditions import KeyState
from services.key_manager.key_lookup import ResolvedKey, Resolver
from services.key_manager.key_state import next_rotation, state_of
from services.key_manager.keyring import Keyring
from services.key_manager.kinds import KEY, Key, KeySpec
from services.key_manager.pages import Pages
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.accounts import account_of
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.resources import Clock

Json = dict[str, Any]
SYMMETRIC = "SYMMETRIC_DEFAULT"
ROTATED_BY_HAND = "aerekos.cloud/rotatedByHandAt"
DEFAULT_WINDOW_DAYS, DEFAULT_ROTATION_DAYS = 30, 365
_CREATE = ("Description", "KeyUsage", "CustomerMasterKeySpec", "KeySpec", "Origin", "MultiRegion")


class KeyOperations:
    """One declared method per operation."""

    def __init__(
        self, keyring: Keyring, resolver: Resolver, access: CallerAccess, clock: Clock, pages: Pages
    ) -> None:
        self._keyring, self._resolver, self._access, self._clock = keyring, resolver, access, clock
        self._pages = pages

    @operation("CreateKey", permission=("create", KEY), understands=_CREATE)
    async def create_key(self, call: RequestContext, request: Json) -> Json:
        _only_symmetric(request)
        name, namespace = str(uuid4()), call.namespace
        acting = await self._access.resources_for(call, name, namespace)
        wanted = KEY.new(name, namespace=namespace, spec=KeySpec(description=request.get("Description", "")))
        key = self._keyring.keys.put(await acting.create(KEY, wanted))
        await self._keyring.ensure_material(key)
        return {"KeyMetadata": self._metadata(self._resolver.resolved(call, key))}

    @operation("DescribeKey", permission=("get", KEY), understands=("KeyId",))
    async def describe_key(self, call: RequestContext, request: Json) -> Json:
        return {"KeyMetadata": self._metadata(await self._resolve(call, request))}

    @operation("ListKeys", permission=("list", KEY), understands=("Limit", "Marker"))
    async def list_keys(self, call: RequestContext, request: Json) -> Json:
        await self._access.require(call)
        found = [self._resolver.resolved(call, key) for key in self._keyring.keys.all(call.namespace)]
        rows = [{"KeyId": each.id, "KeyArn": each.arn} for each in found]
        answer = self._pages.page(call, rows, "KeyId", request, 100)
        return {"Keys": answer.pop("items"), **answer}

    @operation("UpdateKeyDescription", permission=("patch", KEY), understands=("KeyId", "Description"))
    async def update_key_description(self, call: RequestContext, request: Json) -> Json:
        await self._change(
            call, await self._require_not_deleting(call, request), {"description": request["Description"]}
        )
        return {}

    @operation("EnableKey", permission=("patch", KEY), understands=("KeyId",))
    async def enable_key(self, call: RequestContext, request: Json) -> Json:
        await self._change(call, await self._require_not_deleting(call, request), {"enabled": True})
        return {}

    @operation("DisableKey", permission=("patch", KEY), understands=("KeyId",))
    async def disable_key(self, call: RequestContext, request: Json) -> Json:
        await self._change(call, await self._require_not_deleting(call, request), {"enabled": False})
        return {}

    @operation("EnableKeyRotation", permission=("patch", KEY), understands=("KeyId", "RotationPeriodInDays"))
    async def enable_key_rotation(self, call: RequestContext, request: Json) -> Json:
        found = await self._require_not_deleting(call, request)
        if not found.key.spec.enabled:
            raise errors.disabled(found.arn)
        days = request.get("RotationPeriodInDays") or found.key.spec.rotate_every or DEFAULT_ROTATION_DAYS
        await self._change(call, found, {"rotateEvery": days})
        return {}

    @operation("DisableKeyRotation", permission=("patch", KEY), understands=("KeyId",))
    async def disable_key_rotation(self, call: RequestContext, request: Json) -> Json:
        found = await self._require_not_deleting(call, request)
        if not found.key.spec.enabled:
            raise errors.disabled(found.arn)
        await self._change(call, found, {"rotateEvery": None})
        return {}

    @operation("RotateKeyOnDemand", permission=("patch", KEY), understands=("KeyId",))
    async def rotate_key_on_demand(self, call: RequestContext, request: Json) -> Json:
        found = await self._require_not_deleting(call, request)
        if not found.key.spec.enabled:
            raise errors.disabled(found.arn)
        newest = await self._keyring.ensure_material(found.key)
        await self._keyring.add_material(found.key, newest.spec.version + 1)
        # The reconciler tells of new material when it looks at the key, which a change makes it do.
        await self._touch(call, found)
        return {"KeyId": found.arn}

    @operation("GetKeyRotationStatus", permission=("get", KEY), understands=("KeyId",))
    async def get_key_rotation_status(self, call: RequestContext, request: Json) -> Json:
        found = await self._resolve(call, request)
        days, newest = found.key.spec.rotate_every, self._keyring.newest(found.key)
        answer: Json = {"KeyId": found.arn, "KeyRotationEnabled": days is not None}
        if days is not None:
            made = newest.metadata.creation_timestamp if newest else None
            answer |= {"RotationPeriodInDays": days, "NextRotationDate": next_rotation(found.key, made)}
        return answer

    @operation("ScheduleKeyDeletion", permission=("patch", KEY), understands=("KeyId", "PendingWindowInDays"))
    async def schedule_key_deletion(self, call: RequestContext, request: Json) -> Json:
        found = await self._require_not_deleting(call, request)
        days = request.get("PendingWindowInDays") or DEFAULT_WINDOW_DAYS
        if not 7 <= days <= 30:
            raise errors.invalid("PendingWindowInDays must be between 7 and 30")
        when = (self._clock.now() + timedelta(days=days)).replace(microsecond=0)
        await self._change(call, found, {"deletionDate": when.isoformat().replace("+00:00", "Z"), "enabled": False})
        return {
            "KeyId": found.arn,
            "DeletionDate": when,
            "KeyState": KeyState.PENDING_DELETION,
            "PendingWindowInDays": days,
        }

    @operation("CancelKeyDeletion", permission=("patch", KEY), understands=("KeyId",))
    async def cancel_key_deletion(self, call: RequestContext, request: Json) -> Json:
        found = await self._resolve(call, request)
        if found.key.spec.deletion_date is None:
            raise errors.wrong_state(f"{found.arn} is not pending deletion.")
        await self._change(call, found, {"deletionDate": None})
        return {"KeyId": found.arn}

    async def _resolve(self, call: RequestContext, request: Json) -> ResolvedKey:
        found = await self._resolver.find(call, request["KeyId"])
        await self._access.require(call, found.key.metadata.name, found.namespace)
        return found

    async def _require_not_deleting(self, call: RequestContext, request: Json) -> ResolvedKey:
        """A key that may still be changed, by this caller: others do not hear what state it is in."""
        if str(request["KeyId"]).startswith("alias/"):
            raise errors.invalid("KeyId must be a key id or a key ARN here")
        found = await self._resolve(call, request)
        if self._resolver.is_platform(found):
            raise errors.platform(found.arn)
        if found.key.spec.deletion_date is not None:
            raise errors.pending_deletion(found.arn)
        return found

    async def _change(self, call: RequestContext, found: ResolvedKey, spec: Json) -> Key:
        return await self._patch(call, found, {"spec": spec})

    async def _touch(self, call: RequestContext, found: ResolvedKey) -> Key:
        now = self._clock.now().isoformat().replace("+00:00", "Z")
        return await self._patch(call, found, {"metadata": {"annotations": {ROTATED_BY_HAND: now}}})

    async def _patch(self, call: RequestContext, found: ResolvedKey, change: Json) -> Key:
        name = found.key.metadata.name
        acting = await self._access.resources_for(call, name, found.namespace)
        return self._keyring.keys.put(await acting.patch(KEY, name, change, found.namespace))

    def _metadata(self, found: ResolvedKey) -> Json:
        key, newest = found.key, self._keyring.newest(found.key)
        return {
            "AWSAccountId": account_of(found.namespace),
            "KeyId": found.id,
            "Arn": found.arn,
            "CreationDate": key.metadata.creation_timestamp,
            "Enabled": key.spec.enabled and key.spec.deletion_date is None,
            "Description": key.spec.description,
            "KeyUsage": key.spec.usage,
            "KeyState": state_of(key, newest.spec.version if newest else key.status.current_version),
            "DeletionDate": key.spec.deletion_date,
            "Origin": "AWS_KMS",
            "KeyManager": "AWS" if self._resolver.is_platform(found) else "CUSTOMER",
            "CustomerMasterKeySpec": SYMMETRIC,
            "KeySpec": SYMMETRIC,
            "EncryptionAlgorithms": [SYMMETRIC],
            "MultiRegion": False,
        }


def _only_symmetric(request: Json) -> None:
    wanted = request.get("KeySpec") or request.get("CustomerMasterKeySpec") or SYMMETRIC
    if wanted != SYMMETRIC:
        raise errors.unsupported(f"KeySpec {wanted} is not supported; use {SYMMETRIC}")
    if request.get("KeyUsage", "ENCRYPT_DECRYPT") != "ENCRYPT_DECRYPT":
        raise errors.unsupported(f"KeyUsage {request['KeyUsage']} is not supported; use ENCRYPT_DECRYPT")
    if request.get("Origin", "AWS_KMS") != "AWS_KMS" or request.get("MultiRegion"):
        raise errors.unsupported("only single-region keys of origin AWS_KMS are supported")
