"""KMS operations about keys themselves: create, describe, list, enable, delete.

Source: AWS KMS API reference. A key made here is a Key resource named by a uuid; `kubectl get keys` shows it at once.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from crds.model import rfc3339
from services.key_manager import errors
from services.key_manager.conditions import KeyState
from services.key_manager.key_lookup import ResolvedKey, asked_region
from services.key_manager.key_specs import ALGORITHMS, ALGORITHMS_MEMBER, SYMMETRIC, algorithms_of, is_compatible
from services.key_manager.key_state import expiration_of, material_id, new_key_id, state_of
from services.key_manager.kinds import KEY, Key, KeyMaterial, KeySpec
from services.key_manager.operations.key_access import KeyAccess
from services.key_manager.operations.policies import require_policy
from services.key_manager.operations.tags import wanted_tags
from services.key_manager.pages import Pages
from services.key_manager.regions import configuration_of, family_of, is_in
from services.sdk.aws.accounts import account_of
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.resources import Clock

Json = dict[str, Any]
DEFAULT_WINDOW_DAYS = 30
_CREATE = (
    "Description",
    "KeyUsage",
    "CustomerMasterKeySpec",
    "KeySpec",
    "Origin",
    "MultiRegion",
    "Policy",
    "BypassPolicyLockoutSafetyCheck",
    "Tags",
)


class KeyOperations:
    """One declared method per operation."""

    def __init__(self, keys: KeyAccess, clock: Clock, pages: Pages) -> None:
        self._keys, self._clock, self._pages = keys, clock, pages
        self._keyring, self._resolver, self._access = keys.keyring, keys.resolver, keys.access

    @operation("CreateKey", permission=("create", KEY), understands=_CREATE)
    async def create_key(self, call: RequestContext, request: Json) -> Json:
        spec = _wanted_spec(call, request)
        name, namespace = new_key_id(multi_region=spec.multi_region), call.namespace
        acting = await self._access.resources_for(call, name, namespace)
        wanted = KEY.new(name, namespace=namespace, spec=spec)
        found = self._resolver.resolved(call, wanted)
        self._keys.authorizer.require_owner_kept(call, found, request, spec.policy)
        key = self._keyring.keys.put(await acting.create(KEY, wanted))
        if spec.origin == "AWS_KMS":
            await self._keyring.ensure_material(key)
        return {"KeyMetadata": self.metadata(self._resolver.resolved(call, key))}

    @operation("DescribeKey", permission=("get", KEY), understands=("KeyId", "GrantTokens"))
    async def describe_key(self, call: RequestContext, request: Json) -> Json:
        return {"KeyMetadata": self.metadata(await self._keys.resolve(call, request))}

    @operation("ListKeys", permission=("list", KEY), understands=("Limit", "Marker"))
    async def list_keys(self, call: RequestContext, request: Json) -> Json:
        await self._access.require(call)
        region = asked_region(call)
        known = [each for each in self._keyring.keys.all(call.namespace) if is_in(each, region)]
        found = [self._resolver.resolved(call, key) for key in known]
        rows = [{"KeyId": each.id, "KeyArn": each.arn} for each in found]
        answer = self._pages.page(call, rows, "KeyId", request, 100)
        return {"Keys": answer.pop("items"), **answer}

    @operation("UpdateKeyDescription", permission=("patch", KEY), understands=("KeyId", "Description"))
    async def update_key_description(self, call: RequestContext, request: Json) -> Json:
        await self._keys.change(
            call, await self._keys.require_changeable(call, request), {"description": request["Description"]}
        )
        return {}

    @operation("EnableKey", permission=("patch", KEY), understands=("KeyId",))
    async def enable_key(self, call: RequestContext, request: Json) -> Json:
        await self._keys.change(call, await self._keys.require_changeable(call, request), {"enabled": True})
        return {}

    @operation("DisableKey", permission=("patch", KEY), understands=("KeyId",))
    async def disable_key(self, call: RequestContext, request: Json) -> Json:
        await self._keys.change(call, await self._keys.require_changeable(call, request), {"enabled": False})
        return {}

    @operation("ScheduleKeyDeletion", permission=("patch", KEY), understands=("KeyId", "PendingWindowInDays"))
    async def schedule_key_deletion(self, call: RequestContext, request: Json) -> Json:
        found = await self._keys.require_changeable(call, request)
        days = request.get("PendingWindowInDays") or DEFAULT_WINDOW_DAYS
        if not 7 <= days <= 30:
            raise errors.invalid("PendingWindowInDays must be between 7 and 30")
        when = (self._clock.now() + timedelta(days=days)).replace(microsecond=0)
        await self._keys.change(call, found, {"deletionDate": rfc3339(when), "enabled": False})
        return {
            "KeyId": found.arn,
            "DeletionDate": when,
            "KeyState": KeyState.PENDING_DELETION,
            "PendingWindowInDays": days,
        }

    @operation("CancelKeyDeletion", permission=("patch", KEY), understands=("KeyId",))
    async def cancel_key_deletion(self, call: RequestContext, request: Json) -> Json:
        found = await self._keys.resolve(call, request)
        if found.key.spec.deletion_date is None:
            raise errors.wrong_state(f"{found.arn} is not pending deletion.")
        await self._keys.change(call, found, {"deletionDate": None})
        return {"KeyId": found.arn}

    def _family(self, found: ResolvedKey) -> list[Key]:
        if not found.key.spec.multi_region:
            return []
        return family_of(found.key, self._keyring.keys.all(found.namespace))

    def metadata(self, found: ResolvedKey) -> Json:
        """A key as AWS describes it."""
        key, newest = found.key, self._keyring.newest(found.key)
        imported = key.spec.origin == "AWS_KMS" or self._keyring.is_imported(key, self._clock.now())
        state = state_of(key, newest.spec.version if newest else key.status.current_version, imported=imported)
        return {
            "AWSAccountId": account_of(found.namespace),
            "KeyId": found.id,
            "Arn": found.arn,
            "CreationDate": key.metadata.creation_timestamp,
            "Enabled": key.spec.enabled and state in (KeyState.ENABLED, KeyState.CREATING),
            "Description": key.spec.description,
            "KeyUsage": key.spec.usage,
            "KeyState": state,
            "DeletionDate": key.spec.deletion_date,
            "Origin": key.spec.origin,
            "KeyManager": "AWS" if self._resolver.is_platform(found) else "CUSTOMER",
            "CustomerMasterKeySpec": key.spec.key_spec,
            "KeySpec": key.spec.key_spec,
            ALGORITHMS_MEMBER[key.spec.usage]: list(algorithms_of(key.spec.key_spec, key.spec.usage)),
            **configuration_of(key, self._family(found), account_of(found.namespace)),
            **_current_material(key, newest),
            **(expiration_of(newest) if newest else {}),
        }


def _current_material(key: Key, newest: KeyMaterial | None) -> Json:
    """Of symmetric keys alone, whose material may change."""
    if newest is None or key.spec.key_spec != SYMMETRIC:
        return {}
    return {"CurrentKeyMaterialId": material_id(newest)}


def _wanted_spec(call: RequestContext, request: Json) -> KeySpec:
    """The Key that CreateKey asks for. Raises AwsError."""
    key_spec = request.get("KeySpec") or request.get("CustomerMasterKeySpec") or SYMMETRIC
    if key_spec not in ALGORITHMS:
        raise errors.unsupported(f"KeySpec {key_spec} is not supported here; use one of {', '.join(ALGORITHMS)}")
    usage = request.get("KeyUsage")
    if usage is None and key_spec != SYMMETRIC:
        text = "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys."
        raise errors.invalid(text)
    usage = usage or "ENCRYPT_DECRYPT"
    if not is_compatible(key_spec, usage):
        raise errors.invalid(f"KeyUsage {usage} is not compatible with KeySpec {key_spec}")
    origin = request.get("Origin", "AWS_KMS")
    if origin not in ("AWS_KMS", "EXTERNAL"):
        raise errors.unsupported(f"Origin {origin} is not supported: there are no key stores outside")
    multi = bool(request.get("MultiRegion"))
    return KeySpec(
        description=request.get("Description", ""),
        key_spec=key_spec,
        usage=usage,
        origin=origin,
        multi_region=multi,
        region=call.region,
        primary_region=call.region if multi else "",
        policy=require_policy(request["Policy"]) if request.get("Policy") else "",
        tags=wanted_tags(request.get("Tags", ())),
    )
