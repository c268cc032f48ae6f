"""DB parameter groups as they are stored, and the caller's right to each.

`default.postgres15` is there for each family without being stored: it changes nothing, and cannot be changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from crds.errors import AlreadyExists, Conflict, NotFound
from services.db_manager.rds import errors
from services.db_manager.rds.condition_keys import facts_of
from services.db_manager.rds.names import DEFAULT_REGION, identifier_fault, is_named, name_in, rds_arn
from services.db_manager.rds.parameter_group import (
    DATABASE_PARAMETER_GROUP,
    DatabaseParameterGroup,
    DatabaseParameterGroupSpec,
)
from services.db_manager.rds.settings_table import families, family_of
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.operations import RequestContext
from services.sdk.context import ServiceContext
from services.sdk.permissions import Permission

Json = dict[str, Any]
DEFAULT = "default."
_ATTEMPTS = 8


class GroupStore:
    """One per process."""

    def __init__(self, context: ServiceContext, access: CallerAccess) -> None:
        self._own, self._access = context.resources, access

    async def all(self, call: RequestContext) -> list[DatabaseParameterGroup]:
        """Those that clients of this region see, the defaults first. The caller's right is not asked for."""
        listing = await self._own.list(DATABASE_PARAMETER_GROUP, call.namespace)
        seen = [each for each in listing.items if each.spec.region in ("", call.region)]
        return [*map(_default_group, families()), *sorted(seen, key=lambda each: each.metadata.name)]

    async def require_all(self, call: RequestContext, request: Json) -> None:
        """Raises Forbidden unless the caller may do this with every group."""
        await self._access.require(_about(call, rds_arn(call.region, call.account, "pg", "*"), request, {}))

    async def find(self, call: RequestContext, name: str) -> DatabaseParameterGroup | None:
        """By its name. The caller's right is not asked for."""
        lowered = name.lower()
        if lowered.startswith(DEFAULT):
            family = lowered.removeprefix(DEFAULT)
            return _default_group(family) if family in families() else None
        if identifier_fault(lowered):
            return None
        try:
            found = await self._own.get(DATABASE_PARAMETER_GROUP, lowered, call.namespace)
        except NotFound:
            return None
        return found if found.spec.region in ("", call.region) else None

    async def resolve(self, call: RequestContext, name: str, request: Json) -> DatabaseParameterGroup:
        """That group, by its name or ARN, for who may do this with it. Raises Forbidden, DBParameterGroupNotFound."""
        meant = name_in(name)
        found = await self.find(call, meant)
        if found is not None and not is_named(group_arn(call, found), name):
            found = None
        about = _of(call, found, request) if found else _about(call, _arn(call, meant), request, {})
        await self._access.require(about, meant, call.namespace)
        if found is None:
            raise errors.group_not_found(name)
        return found

    async def chosen(
        self, call: RequestContext, name: str | None, version: str | None
    ) -> DatabaseParameterGroup | None:
        """The group an instance of that version is to have. Raises Forbidden for whom policies refuse the operation
        with that group, and who may not see it; DBParameterGroupNotFound; InvalidParameterCombination for one of
        another version.
        """
        if not name:
            return None
        sees_group = replace(call.declared, permission=Permission("get", DATABASE_PARAMETER_GROUP))
        found = await self.resolve(call._replace(declared=sees_group), name, {})
        if version and family_of(version) != found.spec.family:
            raise errors.invalid_combination(
                f"The parameter group {name} with DBParameterGroupFamily {found.spec.family} can't be used for this "
                f"instance. Please use a parameter group with DBParameterGroupFamily {family_of(version)}"
            )
        return found

    async def create(
        self, call: RequestContext, name: str, spec: DatabaseParameterGroupSpec, request: Json
    ) -> DatabaseParameterGroup:
        """Raises Forbidden, InvalidParameterValue, DBParameterGroupAlreadyExists."""
        lowered = name.lower()
        about = _about(call, _arn(call, lowered), request, {})
        acting = await self._access.resources_for(about, lowered, call.namespace)
        if fault := identifier_fault(name):
            raise errors.invalid_value(f"The parameter DBParameterGroupName is not a valid identifier. {fault}")
        try:
            made = DATABASE_PARAMETER_GROUP.new(lowered, namespace=call.namespace, spec=spec)
            return await acting.create(DATABASE_PARAMETER_GROUP, made)
        except AlreadyExists:
            raise errors.group_exists(lowered) from None

    async def change(
        self,
        call: RequestContext,
        found: DatabaseParameterGroup,
        request: Json,
        change: Callable[[DatabaseParameterGroupSpec], None],
    ) -> DatabaseParameterGroup:
        """Change it as it is now, and once more when somebody else has changed it meanwhile."""
        if is_default(found):
            raise errors.invalid_group_state(f"Default DB parameter groups cannot be changed: {found.metadata.name}")
        name = found.metadata.name
        acting = await self._access.resources_for(_of(call, found, request), name, call.namespace)
        for _ in range(_ATTEMPTS):
            try:
                fresh = await self._own.get(DATABASE_PARAMETER_GROUP, name, call.namespace)
                change(fresh.spec)
                return await acting.replace(DATABASE_PARAMETER_GROUP, fresh)
            except NotFound:
                raise errors.group_not_found(name) from None
            except Conflict:
                continue
        raise errors.invalid_group_state(f"{name} is changed by others all the time; try again")

    async def delete(self, call: RequestContext, found: DatabaseParameterGroup, request: Json) -> None:
        """Raises InvalidDBParameterGroupState for one that Databases use."""
        name = found.metadata.name
        acting = await self._access.resources_for(_of(call, found, request), name, call.namespace)
        if is_default(found):
            raise errors.invalid_group_state("Default DBParameterGroup cannot be deleted.")
        try:
            await acting.delete(DATABASE_PARAMETER_GROUP, name, call.namespace, uid=found.metadata.uid)
        except Conflict as error:
            raise errors.invalid_group_state(error.message) from error


def is_default(group: DatabaseParameterGroup) -> bool:
    """Whether it is one of those that are not stored."""
    return group.metadata.name.startswith(DEFAULT)


def group_arn(call: RequestContext, group: DatabaseParameterGroup) -> str:
    region = call.region if is_default(group) else group.spec.region or DEFAULT_REGION
    return rds_arn(region, call.account, "pg", group.metadata.name)


def _default_group(family: str) -> DatabaseParameterGroup:
    text = f"Default parameter group for {family}"
    spec = DatabaseParameterGroupSpec(family=family, description=text)
    return DATABASE_PARAMETER_GROUP.new(f"{DEFAULT}{family}", spec=spec)


def _arn(call: RequestContext, name: str) -> str:
    """Of a group that is not there (yet)."""
    return rds_arn(call.region, call.account, "pg", name)


def _of(call: RequestContext, found: DatabaseParameterGroup, request: Json) -> RequestContext:
    return _about(call, group_arn(call, found), request, found.spec.tags)


def _about(call: RequestContext, arn: str, request: Json, tags: dict[str, str]) -> RequestContext:
    return call._replace(resource=arn, facts=facts_of(request, tags, "pg"))
