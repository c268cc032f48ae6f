"""The Database reconciler: brings its server, its owner and its credentials to the spec, and says where it stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from crds.kinds.service import SERVICE
from crds.kinds.service_engines import superuser_secret
from crds.meta import ObjectKey, drop_condition
from services.db_manager import server
from services.db_manager.backup_kinds import DATABASE_BACKUP, DatabaseBackup
from services.db_manager.backups.database_archive import DatabaseArchives
from services.db_manager.backups.database_restore import DatabaseRestores
from services.db_manager.conditions import DatabaseCondition, DatabaseReason
from services.db_manager.credentials import CredentialsSecret, connection_facts, password_of, superuser_password
from services.db_manager.drills import Drills
from services.db_manager.faults import SERVER_FAULTS
from services.db_manager.kinds import DATABASE, Database, Endpoint
from services.db_manager.members.group import SILENT_LOOK_SECONDS, Group, Groups
from services.db_manager.members.keeping import Kept, MemberKeeper
from services.db_manager.members.slots import keep_slots, slots_of
from services.db_manager.metrics import DatabaseMetrics
from services.db_manager.names import credentials_secret, member_name
from services.db_manager.owned import OwnedResources, databases_of, restarted_at
from services.db_manager.standing import (
    SOON_SECONDS,
    note_members,
    say,
    say_ready,
    say_switching,
    unavailable,
    with_parameters,
)
from services.db_manager.valkey import provisioning as valkey
from services.sdk.reconcile import AlsoWatch, Lister, Outcome, Permanent, Temporary, World, again, done
from services.sdk.resources import Resources

_OWN_COMMITS = "SET synchronous_commit = local"
"""What we do can be done again: nothing of it waits for another member."""


def _source_of(backup: DatabaseBackup, seen: Lister) -> Iterable[ObjectKey]:
    """A last backup that is taken lets its Database go; others let those begin that wait for them."""
    namespace = backup.metadata.namespace
    yield DATABASE.key(backup.spec.database, namespace)
    for each in seen.list(DATABASE, namespace):
        if each.spec.restore is not None and each.spec.restore.backup == backup.metadata.name:
            yield DATABASE.key(each.metadata.name, namespace)


class DatabaseReconciler:
    """Its server is a Service with an engine, which heals by itself; what is inside the server is seen to here."""

    kind = DATABASE
    finalizer: str | None = "aerekos.cloud/db-manager"
    also_watch: Sequence[AlsoWatch[Any]] = (
        AlsoWatch(SERVICE, databases_of),
        AlsoWatch(DATABASE, databases_of),  # that of a drill
        AlsoWatch(DATABASE_BACKUP, _source_of),
    )

    def __init__(
        self,
        owned: OwnedResources,
        credentials: CredentialsSecret,
        own: Resources,
        metrics: DatabaseMetrics,
        archives: DatabaseArchives,
        restores: DatabaseRestores,
        groups: Groups,
    ) -> None:
        self._owned, self._credentials, self._own, self._metrics = owned, credentials, own, metrics
        self._archives, self._restores = archives, restores
        self._groups, self._keeper, self._drills = groups, MemberKeeper(owned, own), Drills(own)

    async def reconcile(self, resource: Database, world: World) -> Outcome:
        """What is raised is told by the condition Ready, too: it is the one that people wait for."""
        try:
            return await self._reconciled(resource, world)
        except (Temporary, Permanent) as error:
            say(resource, world, DatabaseCondition.READY, False, error.reason, str(error))
            raise

    async def finalize(self, resource: Database, world: World) -> Outcome:
        """Its last backup, where one is wanted; its server and its Secrets go with it."""
        self._restores.forget(resource)
        try:
            await self._archives.finish(resource)
        except Temporary as error:
            say(resource, world, DatabaseCondition.BACKED_UP, False, error.reason, str(error))
            raise
        return done()

    async def _reconciled(self, database: Database, world: World) -> Outcome:
        self._keep_only(world)
        await self._restores.choose(database)
        database.status.primary = database.status.primary or member_name(database.metadata.name, 0)
        group = await self._groups.seen(database, world)
        if (stored := self._groups.take(database, group, world)) is not None:
            say_switching(database, group, world)
            return stored
        if (outcome := self._groups.rests(database, group, world)) is not None:
            return outcome
        if group.step.action in ("fence", "promote"):
            say_switching(database, group, world)
            return await self._switch(database, group, world)
        database.status.replica_parameters = dict(group.least_sizes)
        kept = await self._keeper.keep(database, group)
        note_members(database, group)
        if group.holds_up:
            say_switching(database, group, world)
            return again(SILENT_LOOK_SECONDS, group.why, reason=DatabaseReason.SWITCHING)
        await self._copy_anew(database, group, world)
        return await self._looked_after(database, group, kept, world)

    async def _copy_anew(self, database: Database, group: Group, world: World) -> None:
        if member := await self._keeper.copy_anew(database, group, world.clock.now()):
            text = f"{member} does not follow any more: it is copied anew, and its data before is in the trash"
            world.events.record(database, DatabaseReason.COPIED_ANEW, text, warning=True)

    async def _switch(self, database: Database, group: Group, world: World) -> Outcome:
        """As soon as can be: nobody is served meanwhile."""
        if group.step.action == "promote":
            return await self._groups.promote(database, group, world)
        await self._keeper.fence(database, group.step.member)
        return again(SILENT_LOOK_SECONDS, group.why, reason=DatabaseReason.SWITCHING)

    async def _looked_after(self, database: Database, group: Group, kept: Kept, world: World) -> Outcome:
        """What is inside its servers, once its primary takes writes."""
        name, namespace = database.metadata.name, database.metadata.namespace or "default"
        if not database.spec.enabled:
            self._archives.forget(database)
        service, endpoint, address = kept.primary, kept.server, kept.writes
        if not database.spec.enabled or service is None or endpoint is None or address is None:
            self._metrics.record(namespace, name, None)
            return unavailable(database, kept.lacking, world)
        try:
            facts = await self._provisioned(database, group, endpoint, address, world)
        except SERVER_FAULTS as error:
            self._metrics.record(namespace, name, None)
            why = str(error) or "no answer in time"
            text = f"the server {service.metadata.name} does not answer as it should: {why}"
            raise Temporary(text, reason=DatabaseReason.UNREACHABLE, after=1.0) from error
        self._metrics.record(namespace, name, facts)
        database.status.version, database.status.endpoint = facts.version, address
        database.status.read_endpoint = kept.reads
        database.status.restarted_at = restarted_at(database, service)
        say_ready(database, group, world)
        text = self._keeper.text(database, group, service.metadata.name)
        outcome = with_parameters(database, facts, text, world)
        if text != self._keeper.text(database, group, service.metadata.name):
            outcome = done(requeue_after=SOON_SECONDS)  # what the server has taken belongs into its file
        outcome = outcome if await self._archived(database, world) else done(requeue_after=SOON_SECONDS)
        await self._drills.keep(database, world)
        return self._groups.rest(database, group, outcome, world)

    async def _archived(self, database: Database, world: World) -> bool:
        """Have its archive kept as its spec says. False where there is soon more to say."""
        kind = DatabaseCondition.BACKED_UP
        try:
            said = await self._archives.keep(database, world.clock.now())
        except SERVER_FAULTS as error:
            text = f"the server does not answer: {str(error) or 'no answer in time'}"
            said = (False, DatabaseReason.ARCHIVE_BEHIND, text)
        except Temporary as error:
            said = (False, error.reason, str(error))
        self._measure_archive(database, world)
        if said is None:
            drop_condition(database.status.conditions, kind)
            return True
        say(database, world, kind, *said)
        return said[1] != DatabaseReason.FIRST_BACKUP

    def _measure_archive(self, database: Database, world: World) -> None:
        backup = database.status.backup
        latest = backup.latest_restorable_time if backup and backup.base_backups else None
        age = None if latest is None else max((world.clock.now() - latest).total_seconds(), 0.0)
        self._metrics.record_archive(database.metadata.namespace or "default", database.metadata.name, age)

    def _keep_only(self, world: World) -> None:
        there = world.seen.list(DATABASE)
        self._metrics.keep([(each.metadata.namespace or "default", each.metadata.name) for each in there])
        self._groups.keep_only({each.metadata.uid or "" for each in there})

    async def _provisioned(
        self, database: Database, group: Group, endpoint: Endpoint, address: Endpoint, world: World
    ) -> server.ServerFacts:
        """The owner, their database and the Secret that says so. Raises what `SERVER_FAULTS` names."""
        namespace, primary = database.metadata.namespace or "default", database.status.primary
        root = await superuser_password(self._own, superuser_secret(primary), namespace)
        await self._restores.bring(database, primary, endpoint, root, world)
        secret = await self._credentials.ensured(database)
        password = password_of(secret)
        owner, name = database.owner, database.sql_database
        if database.is_valkey:
            others = [group.address(database, each) for each in group.services if each != primary]
            facts = await valkey.provision(database, endpoint, filter(None, others), root, password)
        else:
            facts = await _provision(database, endpoint, root, password)
        scheme = "redis" if database.is_valkey else "postgresql"
        told = connection_facts(address, owner, password, name, scheme)
        await self._credentials.complete(database, secret, told)
        status = database.status
        status.credentials, status.database, status.username = credentials_secret(database.metadata.name), name, owner
        return facts


async def _provision(database: Database, endpoint: Endpoint, root: str, password: str) -> server.ServerFacts:
    """Inside PostgreSQL. Raises PostgresError, OSError, TimeoutError."""
    owner = database.owner
    async with server.opened(endpoint, server.SUPERUSER, root, "postgres") as connection:
        await connection.execute(_OWN_COMMITS)
        await keep_slots(connection, slots_of(database))
        facts = await server.facts(connection)
        if not await server.opens(endpoint, owner, password, "postgres"):
            await server.ensure_owner(connection, owner, password, facts.version)
        await server.ensure_database(connection, database.sql_database, owner)
    return facts
