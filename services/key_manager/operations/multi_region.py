"""KMS operations about multi-Region keys: replicas in other regions of the same account.

A replica is made by key-manager itself, once the caller may create keys and the primary's policy lets them replicate:
whoever could name a key's material in a Key of theirs could use it. Source: AWS KMS API reference, ReplicateKey,
UpdatePrimaryRegion; AWS KMS Developer Guide, "Multi-Region keys in AWS KMS".
"""

from __future__ import annotations

from typing import Any

from services.key_manager import errors
from services.key_manager.conditions import KeyState
from services.key_manager.key_lookup import ResolvedKey
from services.key_manager.key_policy import default_policy
from services.key_manager.key_state import uid_of
from services.key_manager.kinds import KEY, Key, KeySpec
from services.key_manager.operations.key_access import KeyAccess
from services.key_manager.operations.keys import KeyOperations
from services.key_manager.operations.policies import require_policy
from services.key_manager.operations.tags import wanted_tags
from services.key_manager.regions import REGION, family_of, is_primary, replica_name
from services.sdk.aws.accounts import account_of
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.aws.tags import tag_list

Json = dict[str, Any]
_REPLICATE = ("KeyId", "ReplicaRegion", "Policy", "BypassPolicyLockoutSafetyCheck", "Description", "Tags")


class MultiRegionOperations:
    """One declared method per operation."""

    def __init__(self, keys: KeyAccess, described: KeyOperations) -> None:
        self._keys, self._keyring, self._described = keys, keys.keyring, described

    @operation("ReplicateKey", permission=("create", KEY), understands=_REPLICATE)
    async def replicate_key(self, call: RequestContext, request: Json) -> Json:
        found, region = await self._primary(call, request), _required_region(request["ReplicaRegion"])
        if any(each.spec.region == region for each in self._family(found)):
            raise AwsError("AlreadyExistsException", f"{found.arn} is in {region} already")
        spec = _replica_spec(found, region, request)
        wanted = KEY.new(replica_name(found.id, region), namespace=found.namespace, spec=spec)
        replica = self._keys.resolver.resolved(call, wanted)
        self._keys.authorizer.require_owner_kept(call, replica, request, spec.policy)
        made = await self._keyring.create_replica(wanted)
        return {
            "ReplicaKeyMetadata": _begun(self._described.metadata(self._keys.resolver.resolved(call, made))),
            "ReplicaPolicy": spec.policy or default_policy(account_of(found.namespace)),
            **({"ReplicaTags": tag_list(spec.tags, "TagKey", "TagValue")} if spec.tags else {}),
        }

    @operation("UpdatePrimaryRegion", permission=("patch", KEY), understands=("KeyId", "PrimaryRegion"))
    async def update_primary_region(self, call: RequestContext, request: Json) -> Json:
        found, region = await self._primary(call, request), _required_region(request["PrimaryRegion"])
        family = self._family(found)
        if all(each.spec.region != region for each in family):
            raise errors.invalid(f"{found.arn} has no replica in {region}")
        # The one that is the primary now comes last: until then the change can be asked for again.
        for each in sorted(family, key=is_primary):
            member = self._keys.resolver.resolved(call, each)
            days = found.key.spec.rotate_every if each.spec.region == region else None
            await self._keys.change(call, member, {"primaryRegion": region, "rotateEvery": days})
        return {}

    async def _primary(self, call: RequestContext, request: Json) -> ResolvedKey:
        found = await self._keys.require_changeable(call, request)
        self._keys.require_enabled(found)
        if not is_primary(found.key):
            raise errors.unsupported(f"{found.arn} is not a multi-region primary key.")
        return found

    def _family(self, found: ResolvedKey) -> list[Key]:
        return family_of(found.key, self._keyring.keys.all(found.namespace))


def _begun(metadata: Json) -> Json:
    """As AWS answers, whose replicas take a moment: clients wait for them. Ours can be used at once."""
    kept = {name: value for name, value in metadata.items() if name != "CurrentKeyMaterialId"}
    return {**kept, "KeyState": KeyState.CREATING, "Enabled": False}


def _replica_spec(found: ResolvedKey, region: str, request: Json) -> KeySpec:
    """What is the family's stays; policy, description and tags are the replica's own."""
    spec = found.key.spec
    return KeySpec(
        description=request.get("Description", ""),
        key_spec=spec.key_spec,
        usage=spec.usage,
        origin=spec.origin,
        multi_region=True,
        region=region,
        primary_region=spec.primary_region,
        replica_of=found.id,
        material_of=uid_of(found.key),
        policy=require_policy(request["Policy"]) if request.get("Policy") else "",
        tags=wanted_tags(request.get("Tags", ())),
    )


def _required_region(region: str) -> str:
    if not REGION.fullmatch(region):
        raise errors.invalid(f"{region[:100]} is not a region")
    return region
