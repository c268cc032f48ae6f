"""What a Database is made of: Services and ConfigMaps that belong to it and go with it.

Nothing of that name that somebody else made is touched.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeVar

from crds.errors import AlreadyExists, ApiError, Conflict, NotFound
from crds.kind import Kind, KubeObject
from crds.kinds.config_map import CONFIG_MAP
from crds.kinds.secret import SECRET
from crds.kinds.service import SERVICE, Service, ServiceSpec
from crds.meta import ObjectKey, OwnerReference
from services.db_manager.conditions import DatabaseReason
from services.db_manager.kinds import DATABASE, Database
from services.sdk.reconcile import Lister, Temporary
from services.sdk.resources import Resources

M = TypeVar("M", bound=KubeObject)
_NEVER = datetime.min.replace(tzinfo=UTC)
RESTARTED_AT = "aerekos.cloud/restartedAt"
"""As `aerekos restart` says it of a Service; a Database hands it on."""
SWITCHOVER_AT = "aerekos.cloud/switchoverAt"
"""A Database's annotation: when somebody wished for another primary."""
DRILL_AT = "aerekos.cloud/drillAt"
"""A Database's annotation: when somebody wished for a drill."""
DRILL_OF = "aerekos.cloud/drillOf"
"""An annotation of the Database that a drill makes: when that drill began."""


def owner_of(kind: Kind[Any], owner: KubeObject) -> OwnerReference:
    """Whatever has it goes when the owner goes."""
    meta = owner.metadata
    return OwnerReference(
        api_version=kind.api_version, kind=kind.name, name=meta.name, uid=meta.uid or "", controller=True
    )


def belongs_to(resource: KubeObject, owner: KubeObject) -> bool:
    """Whether we made it for that owner."""
    return any(each.uid == owner.metadata.uid for each in resource.metadata.owner_references or ())


def databases_of(resource: KubeObject, seen: Lister) -> Iterable[ObjectKey]:
    """The Database that a resource belongs to."""
    del seen
    namespace = resource.metadata.namespace
    for each in resource.metadata.owner_references or ():
        if each.kind == DATABASE.name and each.api_version == DATABASE.api_version:
            yield DATABASE.key(each.name, namespace)


def name_taken(resource: KubeObject) -> Temporary:
    """It is looked at again: the other one may go away."""
    what = f"{resource.kind} {resource.metadata.name}"
    text = f"the {what} is there already and was not made here: delete it, or choose another name"
    return Temporary(text, reason=DatabaseReason.NAME_TAKEN, after=15.0)


class OwnedResources:
    """`own`: the service's own resources. Everything raises Temporary where it cannot be done now."""

    def __init__(self, own: Resources) -> None:
        self._own = own

    async def service(
        self, database: Database, name: str, wanted: ServiceSpec, *, restarts: bool = True, begins: bool = True
    ) -> Service:
        """Bring that Service to the spec, and return it as it is. `restarts`: the Database's wish for one is its.
        `begins`: it is made where there is none.
        """
        namespace = database.metadata.namespace
        try:
            there = await self._own.get(SERVICE, name, namespace)
        except NotFound:
            if not begins:
                raise Temporary(f"the Service {name} is gone", after=0.2) from None
            return await self._create(SERVICE, database, SERVICE.new(name, namespace=namespace, spec=wanted))
        if not belongs_to(there, database):
            raise name_taken(there)
        restart = _newer_restart(database, there) if restarts else {}
        if there.spec == wanted and not restart:
            return there
        there.spec = wanted
        there.metadata.annotations = {**(there.metadata.annotations or {}), **restart}
        return await self._replace(SERVICE, there)

    async def config(self, database: Database, name: str, data: dict[str, str]) -> None:
        """Bring that ConfigMap to the data."""
        namespace = database.metadata.namespace
        try:
            there = await self._own.get(CONFIG_MAP, name, namespace)
        except NotFound:
            await self._create(CONFIG_MAP, database, CONFIG_MAP.new(name, namespace=namespace, data=data))
            return
        if not belongs_to(there, database):
            raise name_taken(there)
        if there.data != data:
            there.data = data
            await self._replace(CONFIG_MAP, there)

    async def first_secret(self, database: Database, name: str, texts: dict[str, str]) -> None:
        """Make that Secret where there is none, whoever made it."""
        namespace = database.metadata.namespace
        try:
            await self._own.get(SECRET, name, namespace)
        except NotFound:
            await self._create(SECRET, database, SECRET.new(name, namespace=namespace, string_data=texts))

    async def secret(self, database: Database, name: str, data: dict[str, str], *, is_used: bool) -> None:
        """Bring that Secret to the data, as the store has it. `is_used`: a server of the Database has it already,
        whoever made it.
        """
        namespace = database.metadata.namespace
        try:
            there = await self._own.get(SECRET, name, namespace)
        except NotFound:
            await self._create(SECRET, database, SECRET.new(name, namespace=namespace, data=data))
            return
        if there.data == data:
            return
        if not is_used and not belongs_to(there, database):
            raise name_taken(there)
        there.data = data
        await self._replace(SECRET, there)

    async def remove(self, database: Database, kind: Kind[Any], name: str) -> None:
        """No resource of that name is its any more."""
        namespace = database.metadata.namespace
        with suppress(NotFound):
            if belongs_to(await self._own.get(kind, name, namespace), database):
                await self._own.delete(kind, name, namespace)

    async def _create(self, kind: Kind[M], database: Database, made: M) -> M:
        what = f"{kind.name} {made.metadata.name}"
        made.metadata.owner_references = [owner_of(DATABASE, database)]
        try:
            return await self._own.create(kind, made)
        except AlreadyExists as error:
            raise Temporary(f"the {what} was made meanwhile", after=0.2) from error
        except ApiError as error:
            raise _refused(what, error) from error

    async def _replace(self, kind: Kind[M], there: M) -> M:
        what = f"{kind.name} {there.metadata.name}"
        try:
            return await self._own.replace(kind, there)
        except Conflict as error:
            raise Temporary(f"the {what} was changed meanwhile", after=0.2) from error
        except ApiError as error:
            raise _refused(what, error) from error


def restarted_at(database: Database, service: Service) -> str:
    """The wish for a restart that was carried out last: its server has started since."""
    wished = (database.metadata.annotations or {}).get(RESTARTED_AT, "")
    started = [each.started_at for each in service.status.instances if each.ready and each.started_at]
    return wished if started and max(started) >= moment_of(wished) else database.status.restarted_at


def moment_of(wish: str) -> datetime:
    """When a restart was wished for, whatever its zone; what is no time, or has no zone, is none since ever."""
    try:
        moment = datetime.fromisoformat(wish)
    except ValueError:
        return _NEVER
    return moment if moment.tzinfo is not None else _NEVER


def _newer_restart(database: Database, service: Service) -> dict[str, str]:
    """The wish for a restart, where it is newer than the one the Service knows."""
    wished = (database.metadata.annotations or {}).get(RESTARTED_AT, "")
    known = (service.metadata.annotations or {}).get(RESTARTED_AT, "")
    return {RESTARTED_AT: wished} if moment_of(wished) > moment_of(known) else {}


def _refused(what: str, error: ApiError) -> Temporary:
    """By a quota, an image policy, a rule of an admin: they may change."""
    return Temporary(f"the {what}: {error.message}", reason=DatabaseReason.SERVER_REFUSED, after=15.0)
