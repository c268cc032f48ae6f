"""KMS operations about aliases. An alias is a KeyAlias resource that remembers what AWS calls it."""

from __future__ import annotations

from typing import Any

from services.key_manager import errors
from services.key_manager.invariants import RESERVED
from services.key_manager.key_lookup import ResolvedKey, asked_region
from services.key_manager.key_state import alias_arn, alias_resource_name, key_id
from services.key_manager.kinds import KEY_ALIAS, KeyAlias, KeyAliasSpec
from services.key_manager.operations.key_access import KeyAccess
from services.key_manager.pages import Pages
from services.key_manager.regions import is_in
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext, operation

Json = dict[str, Any]


class AliasOperations:
    """One declared method per operation."""

    def __init__(self, keys: KeyAccess, pages: Pages) -> None:
        self._keyring, self._resolver, self._access, self._pages = keys.keyring, keys.resolver, keys.access, pages

    @operation("CreateAlias", permission=("create", KEY_ALIAS), understands=("AliasName", "TargetKeyId"))
    async def create_alias(self, call: RequestContext, request: Json) -> Json:
        alias = _require_allowed(request["AliasName"])
        target = await self._target(call, request)
        if await self._keyring.alias(alias, call.namespace) is not None:
            arn = alias_arn(call.account, alias, call.region)
            raise AwsError("AlreadyExistsException", f"An alias with the name {arn} already exists")
        name = alias_resource_name(alias)
        acting = await self._access.resources_for(call, name, call.namespace)
        spec = KeyAliasSpec(key=target.key.metadata.name, alias_name=alias)
        created = await acting.create(KEY_ALIAS, KEY_ALIAS.new(name, namespace=call.namespace, spec=spec))
        self._keyring.aliases.put(created)
        return {}

    @operation("UpdateAlias", permission=("patch", KEY_ALIAS), understands=("AliasName", "TargetKeyId"))
    async def update_alias(self, call: RequestContext, request: Json) -> Json:
        alias = await self._existing(call, _require_allowed(request["AliasName"]))
        target = await self._target(call, request)
        name = alias.metadata.name
        acting = await self._access.resources_for(call, name, call.namespace)
        patch = {"spec": {"key": target.key.metadata.name}}
        self._keyring.aliases.put(await acting.patch(KEY_ALIAS, name, patch, call.namespace))
        return {}

    @operation("DeleteAlias", permission=("delete", KEY_ALIAS), understands=("AliasName",))
    async def delete_alias(self, call: RequestContext, request: Json) -> Json:
        alias = await self._existing(call, _require_allowed(request["AliasName"]))
        name = alias.metadata.name
        acting = await self._access.resources_for(call, name, call.namespace)
        await acting.delete(KEY_ALIAS, name, call.namespace, uid=alias.metadata.uid)
        self._keyring.aliases.drop(alias)
        return {}

    @operation("ListAliases", permission=("list", KEY_ALIAS), understands=("KeyId", "Limit", "Marker"))
    async def list_aliases(self, call: RequestContext, request: Json) -> Json:
        await self._access.require(call)
        target = await self._resolver.find(call, request["KeyId"]) if request.get("KeyId") else None
        name = target.key.metadata.name if target else None
        chosen = [each for each in self._keyring.aliases.all(call.namespace) if name in (None, each.spec.key)]
        rows = [row for alias in chosen if (row := await self._alias_entry(call, alias)) is not None]
        answer = self._pages.page(call, rows, "AliasName", request, 50)
        return {"Aliases": answer.pop("items"), **answer}

    async def _alias_entry(self, call: RequestContext, alias: KeyAlias) -> Json | None:
        """None for an alias of a key in another region."""
        key = await self._keyring.key(alias.spec.key, call.namespace)
        if key is not None and not is_in(key, asked_region(call)):
            return None
        name = alias.spec.alias_name
        row: Json = {"AliasName": name, "AliasArn": alias_arn(call.account, name, call.region)}
        row["CreationDate"] = row["LastUpdatedDate"] = alias.metadata.creation_timestamp
        return row | ({"TargetKeyId": key_id(key)} if key else {})

    async def _existing(self, call: RequestContext, name: str) -> KeyAlias:
        alias = await self._keyring.alias(name, call.namespace)
        if alias is None:
            raise errors.no_alias(alias_arn(call.account, name, call.region))
        return alias

    async def _target(self, call: RequestContext, request: Json) -> ResolvedKey:
        wanted = str(request["TargetKeyId"])
        if wanted.startswith("alias/") or ":alias/" in wanted:
            raise errors.invalid("Aliases must refer to keys. Not aliases")
        target = await self._resolver.find(call, wanted)
        if target.key.spec.deletion_date is not None:
            raise errors.pending_deletion(target.arn)
        return target


def _require_allowed(alias: str) -> str:
    """The alias, if people may name one so."""
    if alias.startswith(RESERVED):
        raise AwsError("NotAuthorizedException", f"{RESERVED} is reserved for this cloud's own services", 400)
    plain = alias.removeprefix("alias/")
    if plain == alias:
        where = "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html"
        raise errors.invalid(f'Alias must start with the prefix "alias/". Please see {where}')
    if not plain or ":" in plain:
        raise AwsError("InvalidAliasNameException", "Invalid identifier: an alias has a name behind alias/")
    return alias
