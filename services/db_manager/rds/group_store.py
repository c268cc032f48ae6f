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
from services.db_manager.rds.names import DEFAULT_REGION, identifier_fault, named_by_arn, rds_arn
from services.db_manager.rds.parameter_group import (
    DATABASE_PARAMETER_GROUP,
    DatabaseParameterGroup,
    DatabaseParameterGroupSpec,
)
from services.db_manager.rds.settings_table import families, family_of
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.operations import RequestContext
from services.sdk.context import ServiceContext

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
        await self._access.require(_about(call, "*", request, {}))

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
        name = _name_meant(call, name) or name
        found = await self.find(call, name)
        tags = found.spec.tags if found else {}
        await self._access.require(_about(call, name.lower(), request, tags), name.lower(), call.namespace)
        if found is None:
            raise errors.group_not_found(name)
        return found

    async def chosen(
        self, call: RequestContext, name: str | None, version: str | None
    ) -> DatabaseParameterGroup | None:
        """The group an instance of that version is to have. Raises DBParameterGroupNotFound,
        InvalidParameterCombination for one of another version.
        """
        if not name:
            return None
        found = await self.find(call, name)
        if found is None:
            raise errors.group_not_found(name)
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
        acting = await self._access.resources_for(_about(call, lowered, request, {}), lowered, call.namespace)
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
        name, about = found.metadata.name, _about(call, found.metadata.name, request, found.spec.tags)
        acting = await self._access.resources_for(about, name, call.namespace)
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
        name, about = found.metadata.name, _about(call, found.metadata.name, request, found.spec.tags)
        acting = await self._access.resources_for(about, name, call.namespace)
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


def _name_meant(call: RequestContext, text: str) -> str | None:
    named = named_by_arn(text)
    if named is None or named[1] != "pg" or (named[0].account, named[0].region) != (call.account, call.region):
        return None
    return named[2]


def _about(call: RequestContext, name: str, request: Json, tags: dict[str, str]) -> RequestContext:
    arn = rds_arn(call.region, call.account, "pg", name)
    return replace(call, resource=arn, facts=facts_of(request, tags, "pg"))
