"""DB instances as they are stored, and the caller's right to each: read as they are now, written in their name.

Who may not do something with an instance does not learn whether it is there.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from crds.errors import AlreadyExists, Conflict, NotFound
from services.db_manager.kinds import DATABASE, Database, DatabaseSpec
from services.db_manager.names import LONGEST_NAME
from services.db_manager.rds import errors
from services.db_manager.rds.condition_keys import facts_of
from services.db_manager.rds.instance import FoundInstance
from services.db_manager.rds.names import identifier_fault, is_named, is_resource_id, name_in, rds_arn
from services.db_manager.rds.parameter_group import DATABASE_PARAMETER_GROUP as GROUP
from services.db_manager.rds.parameter_group import DatabaseParameterGroup
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext
from services.sdk.context import ServiceContext
from services.sdk.resources import Resources

Json = dict[str, Any]
_ATTEMPTS = 8


class InstanceStore:
    """One per process."""

    def __init__(self, context: ServiceContext, access: CallerAccess) -> None:
        self._own, self._access = context.resources, access

    async def all(self, call: RequestContext) -> list[FoundInstance]:
        """Those that clients of this region see. The caller's right is not asked for."""
        listing = await self._own.list(DATABASE, call.namespace)
        groups = {each.metadata.name: each for each in (await self._own.list(GROUP, call.namespace)).items}
        found = [FoundInstance(each, call.account, _values(groups.get(_group_of(each)))) for each in listing.items]
        return sorted((each for each in found if each.is_seen_from(call.region)), key=lambda each: each.identifier)

    async def require_all(self, call: RequestContext, request: Json) -> None:
        """Raises Forbidden unless the caller may do this with every instance."""
        await self._access.require(_about(call, rds_arn(call.region, call.account, "db", "*"), request, {}))

    async def find(self, call: RequestContext, identifier: str) -> FoundInstance | None:
        """By its identifier, its DbiResourceId or its ARN. The caller's right is not asked for."""
        if is_resource_id(identifier):
            known = await self.all(call)
            return next((each for each in known if each.resource_id == identifier), None)
        if identifier_fault(name := name_in(identifier)):
            return None
        try:
            database = await self._own.get(DATABASE, name, call.namespace)
        except NotFound:
            return None
        found = await self._found(call, database)
        return found if found.is_seen_from(call.region) and is_named(found.arn, identifier) else None

    async def is_taken(self, call: RequestContext, identifier: str) -> bool:
        """Whether there is a Database of that name, whatever region sees it."""
        try:
            await self._own.get(DATABASE, identifier.lower(), call.namespace)
        except NotFound:
            return False
        return True

    async def resolve(self, call: RequestContext, identifier: str, request: Json) -> FoundInstance:
        """That instance, for who may do this with it. Raises Forbidden, DBInstanceNotFound."""
        found = await self.find(call, identifier)
        if found is None:
            name = name_in(identifier)
            await self._access.require(
                _about(call, rds_arn(call.region, call.account, "db", name), request, {}), name
            )
            raise errors.instance_not_found(identifier)
        await self._access.require(_of(call, found, request), found.identifier, found.namespace)
        return found

    async def resolve_named(self, call: RequestContext, identifier: str, request: Json) -> FoundInstance:
        """The same for what changes it, which takes no ARN. Raises InvalidParameterValue besides."""
        require_identifier(identifier)
        return await self.resolve(call, identifier, request)

    async def allow_new(self, call: RequestContext, identifier: str, request: Json) -> Resources:
        """Resources to make an instance of that name with. Raises Forbidden, InvalidParameterValue."""
        require_identifier(identifier)
        about = _about(call, rds_arn(call.region, call.account, "db", identifier.lower()), request, {})
        return await self._access.resources_for(about, identifier.lower(), call.namespace)

    async def create(
        self, call: RequestContext, acting: Resources, identifier: str, spec: DatabaseSpec
    ) -> FoundInstance:
        """Raises DBInstanceAlreadyExists."""
        made = DATABASE.new(identifier.lower(), namespace=call.namespace, spec=spec)
        try:
            return await self._found(call, await acting.create(DATABASE, made))
        except AlreadyExists:
            raise errors.instance_exists() from None

    async def change(
        self, call: RequestContext, found: FoundInstance, request: Json, change: Callable[[Database], None]
    ) -> FoundInstance:
        """Change it as it is now, and once more when somebody else has changed it meanwhile."""
        acting = await self._access.resources_for(_of(call, found, request), found.identifier, found.namespace)
        for _ in range(_ATTEMPTS):
            fresh = await self._fresh(found)
            fresh.spec.rds = FoundInstance(fresh, call.account).attributes
            change(fresh)
            try:
                return await self._found(call, await acting.replace(DATABASE, fresh))
            except Conflict:
                continue
        raise errors.invalid_state(f"{found.identifier} is changed by others all the time; try again")

    async def note_last_snapshot(self, call: RequestContext, found: FoundInstance, name: str) -> FoundInstance:
        """What it leaves behind when it is deleted, which whoever may delete it says. In the service's own name."""
        for _ in range(_ATTEMPTS):
            fresh = await self._fresh(found)
            attributes = FoundInstance(fresh, call.account).attributes
            if fresh.spec.rds is not None and attributes.last_snapshot == name:
                return await self._found(call, fresh)
            attributes.last_snapshot = name
            fresh.spec.rds = attributes
            with suppress(Conflict):
                return await self._found(call, await self._own.replace(DATABASE, fresh))
        raise errors.invalid_state(f"{found.identifier} is changed by others all the time; try again")

    async def delete(self, call: RequestContext, found: FoundInstance, request: Json) -> None:
        acting = await self._access.resources_for(_of(call, found, request), found.identifier, found.namespace)
        await acting.delete(DATABASE, found.identifier, found.namespace, uid=found.database.metadata.uid)

    async def _found(self, call: RequestContext, database: Database) -> FoundInstance:
        group = None
        if name := _group_of(database):
            with suppress(NotFound):
                group = await self._own.get(GROUP, name, database.metadata.namespace)
        return FoundInstance(database, call.account, _values(group))

    async def _fresh(self, found: FoundInstance) -> Database:
        try:
            fresh = await self._own.get(DATABASE, found.identifier, found.namespace)
        except NotFound:
            raise errors.instance_not_found(found.identifier) from None
        if fresh.metadata.uid != found.database.metadata.uid:
            raise errors.instance_not_found(found.identifier)
        return fresh


def _group_of(database: Database) -> str:
    return database.spec.rds.parameter_group if database.spec.rds else ""


def _values(group: DatabaseParameterGroup | None) -> dict[str, str] | None:
    return None if group is None else group.spec.values()


def _of(call: RequestContext, found: FoundInstance, request: Json) -> RequestContext:
    return _about(call, found.arn, request, found.attributes.tags)


def _about(call: RequestContext, arn: str, request: Json, tags: dict[str, str]) -> RequestContext:
    return call._replace(resource=arn, facts=facts_of(request, tags, "db"))


def require_identifier(identifier: str) -> None:
    """Raises InvalidParameterValue."""
    fault = identifier_fault(identifier)
    if not fault and len(identifier) > LONGEST_NAME:
        fault = f"Identifiers of instances have at most {LONGEST_NAME} characters here."
    if fault:
        raise errors.invalid_value(f"The parameter DBInstanceIdentifier is not a valid identifier. {fault}")


def require_state(found: FoundInstance, state: str, *wanted: str, text: str = "") -> None:
    """Raises InvalidDBInstanceState."""
    if state not in wanted:
        raise invalid_state_of(found, state, text or " or ".join(wanted))


def invalid_state_of(found: FoundInstance, state: str, wanted: str) -> AwsError:
    return errors.invalid_state(f"Instance {found.identifier} is {state}; it must be {wanted}.")
