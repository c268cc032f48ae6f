"""What the members of a Database are made of: a Service each, their configuration, the password they share, and the
two addresses that lead to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from crds.engines.valkey import SUPERUSER
from crds.errors import NotFound
from crds.kinds.config_map import CONFIG_MAP
from crds.kinds.secret import SECRET
from crds.kinds.service import SERVICE, Service
from crds.kinds.service_engines import superuser_secret
from services.db_manager.credentials import new_password
from services.db_manager.kinds import Database, Endpoint
from services.db_manager.member import configuration_key, endpoint_of, wanted_server
from services.db_manager.members.configuration import member_configuration
from services.db_manager.members.group import Group
from services.db_manager.members.routes import READS, ROUTES, WRITES, route_configuration, route_key, wanted_route
from services.db_manager.members.standstill import may_be_copied
from services.db_manager.names import (
    member_index,
    parameters_config,
    route_name,
    routes_config,
)
from services.db_manager.owned import OwnedResources
from services.db_manager.valkey.configuration import valkey_configuration
from services.sdk.reconcile import Temporary
from services.sdk.resources import Resources


@dataclass(frozen=True, slots=True)
class Kept:
    """`primary`: its Service; None where that is gone, and another member is there. `routes`: those that lead to the
    members, by their names; none where there is one server.
    """

    primary: Service | None
    routes: Mapping[str, Service]

    @property
    def server(self) -> Endpoint | None:
        """Where the primary itself answers."""
        return endpoint_of(self.primary) if self.primary is not None else None

    @property
    def writes(self) -> Endpoint | None:
        """Where people connect."""
        return endpoint_of(self.routes[WRITES]) if self.routes else self.server

    @property
    def reads(self) -> Endpoint | None:
        """Where replicas answer; None where there are none."""
        return endpoint_of(self.routes[READS]) if self.routes else None

    @property
    def lacking(self) -> Service | None:
        """Who says why nobody can connect."""
        return self.primary if self.server is None or not self.routes else self.routes[WRITES]


class MemberKeeper:
    """`own`: the service's own resources. Everything raises Temporary where it cannot be done now."""

    def __init__(self, owned: OwnedResources, own: Resources) -> None:
        self._owned, self._own = owned, own

    async def keep(self, database: Database, group: Group) -> Kept:
        """Bring all of it to the spec."""
        routes = await self._lead(database, group)
        await self._configure(database, group)
        servers = {name: await self._server(database, group, name) for name in self._running(database, group)}
        await self._remove_surplus(database, group)
        return Kept(servers.get(database.status.primary), routes)

    async def fence(self, database: Database, member: str) -> None:
        """Have it stopped, and nobody led to its port, which another program may have after it. That its address is
        somebody else's keeps it from nothing.
        """
        if database.spec.members > 1:
            with suppress(Temporary):
                nowhere = {route_key(route): route_configuration({}) for route in ROUTES}
                await self._owned.config(database, routes_config(database.metadata.name), nowhere)
        await self._owned.service(database, member, wanted_server(database, member_index(member)), begins=False)

    async def copy_anew(self, database: Database, group: Group, now: datetime) -> str:
        """Take away a member that does not follow any more: it begins again as a copy. Its name; empty for none."""
        copied = database.status.copied_anew
        for member in group.stands_still:
            if member in group.services and may_be_copied(copied.get(member), now):
                await self._owned.remove(database, SERVICE, member)
                copied[member] = now
                return member
        return ""

    def text(self, database: Database, group: Group, member: str) -> str:
        """The configuration of a member."""
        primary = database.status.primary
        upstream = group.address(database, primary) if member != primary else None
        if database.is_valkey:
            return valkey_configuration(database, upstream)
        return member_configuration(database, member, upstream)

    async def _configure(self, database: Database, group: Group) -> None:
        names = self._running(database, group)
        texts = {configuration_key(database, member_index(each)): self.text(database, group, each) for each in names}
        await self._owned.config(database, parameters_config(database.metadata.name), texts)

    def _running(self, database: Database, group: Group) -> list[str]:
        """A replica begins once there is something to copy; what was made stays until it is not wanted. A primary
        that is gone does not begin anew, empty, while others have what it had.
        """
        wanted, primary = database.member_names, database.status.primary
        begins = group.look(primary).takes_writes
        begins = begins and not database.is_being_restored and database.status.switch is None
        surplus = [primary] if primary not in wanted else []
        first = {primary} if not group.services else set()
        return [each for each in wanted if each in group.services or each in first or begins] + surplus

    async def _server(self, database: Database, group: Group, name: str) -> Service:
        if name != database.status.primary:
            await self._share_password(database, group, name)
        elif database.is_valkey:
            told = {"username": SUPERUSER, "password": new_password()}
            await self._owned.first_secret(database, superuser_secret(name), told)
        # Our copy of what there is may be a moment old: an empty primary must not begin beside its replicas.
        begins = name not in group.services or not group.is_replicated
        return await self._owned.service(database, name, wanted_server(database, member_index(name)), begins=begins)

    async def _share_password(self, database: Database, group: Group, member: str) -> None:
        """A replica has the superuser of whom it copies."""
        source = superuser_secret(database.status.primary)
        try:
            held = await self._own.get(SECRET, source, database.metadata.namespace)
        except NotFound as error:
            if database.status.primary not in group.services:  # it went with it; the others have it
                return
            text = f"the Secret {source} with the superuser's password is not there yet"
            raise Temporary(text, after=1.0) from error
        is_used = member in group.services
        await self._owned.secret(database, superuser_secret(member), dict(held.data or {}), is_used=is_used)

    async def _lead(self, database: Database, group: Group) -> dict[str, Service]:
        name = database.metadata.name
        if database.spec.members == 1:
            return {}
        texts = {route_key(route): route_configuration(self._led_to(database, group, route)) for route in ROUTES}
        await self._owned.config(database, routes_config(name), texts)
        return {
            each: await self._owned.service(
                database, route_name(name, each), wanted_route(database, each), restarts=False
            )
            for each in ROUTES
        }

    def _led_to(self, database: Database, group: Group, route: str) -> dict[str, Endpoint]:
        """Reads go to the primary where nobody follows it. Whose process has ended is left out: its port may be
        another program's by now.
        """
        primary = database.status.primary
        following = [each for each in group.services if group.look(each).in_recovery and each != primary]
        names = following if route == READS and following else [primary]
        there = [each for each in names if group.look(each).answers or _is_ready(group, each)]
        return {each: at for each in there if (at := group.address(database, each)) is not None}

    async def _remove_surplus(self, database: Database, group: Group) -> None:
        if not group.drops_surplus:
            return
        primary = database.status.primary
        for member in group.services:
            if member_index(member) >= database.spec.members and member != primary:
                await self._owned.remove(database, SERVICE, member)
                await self._owned.remove(database, SECRET, superuser_secret(member))
        if database.spec.members == 1 and len(group.services) > 1:
            await self._remove_routes(database)

    async def _remove_routes(self, database: Database) -> None:
        name = database.metadata.name
        for route in ROUTES:
            await self._owned.remove(database, SERVICE, route_name(name, route))
        await self._owned.remove(database, CONFIG_MAP, routes_config(name))


def _is_ready(group: Group, member: str) -> bool:
    """As the conductor sees it, which knows at once when its process has ended."""
    return member in group.services and endpoint_of(group.services[member]) is not None
