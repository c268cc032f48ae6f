"""The Database reconciler: brings its server, its owner and its credentials to the spec, and says where it stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from crds.kinds.service import SERVICE, Service
from crds.kinds.service_engines import superuser_secret
from crds.meta import Condition, ObjectKey, set_condition
from services.db_manager import server
from services.db_manager.backup_kinds import DATABASE_BACKUP, DatabaseBackup
from services.db_manager.backups.database_archive import DatabaseArchives
from services.db_manager.backups.database_restore import DatabaseRestores
from services.db_manager.conditions import DatabaseCondition, DatabaseReason
from services.db_manager.credentials import CredentialsSecret, connection_facts, password_of, superuser_password
from services.db_manager.kinds import DATABASE, Database, Endpoint, MemberStatus
from services.db_manager.member import CONFIGURATION, endpoint_of, fault_of, wanted_server
from services.db_manager.metrics import DatabaseMetrics
from services.db_manager.names import credentials_secret, member_name, parameters_config
from services.db_manager.owned import OwnedResources, databases_of, restarted_at
from services.db_manager.parameters import configuration, configuration_digest
from services.sdk.postgres import PostgresError
from services.sdk.reconcile import AlsoWatch, Lister, Outcome, Permanent, Temporary, World, again, done
from services.sdk.resources import Resources

LOOK_AGAIN_SECONDS = 30.0
"""What nobody tells us of: a Secret that was changed, a parameter that the server took."""
_SOON_SECONDS = 1.0


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
    also_watch: Sequence[AlsoWatch[Any]] = (AlsoWatch(SERVICE, databases_of), AlsoWatch(DATABASE_BACKUP, _source_of))

    def __init__(
        self,
        owned: OwnedResources,
        credentials: CredentialsSecret,
        own: Resources,
        metrics: DatabaseMetrics,
        archives: DatabaseArchives,
        restores: DatabaseRestores,
    ) -> None:
        self._owned, self._credentials, self._own, self._metrics = owned, credentials, own, metrics
        self._archives, self._restores = archives, restores

    async def reconcile(self, resource: Database, world: World) -> Outcome:
        """What is raised is told by the condition Ready, too: it is the one that people wait for."""
        try:
            return await self._reconciled(resource, world)
        except (Temporary, Permanent) as error:
            _say(resource, world, DatabaseCondition.READY, False, error.reason, str(error))
            raise

    async def finalize(self, resource: Database, world: World) -> Outcome:
        """Its last backup, where one is wanted; its server and its Secrets go with it."""
        self._restores.forget(resource)
        try:
            await self._archives.finish(resource)
        except Temporary as error:
            _say(resource, world, DatabaseCondition.BACKED_UP, False, error.reason, str(error))
            raise
        return done()

    async def _reconciled(self, database: Database, world: World) -> Outcome:
        name, namespace = database.metadata.name, database.metadata.namespace or "default"
        self._metrics.keep(
            [(each.metadata.namespace or "default", each.metadata.name) for each in world.seen.list(DATABASE)]
        )
        await self._restores.choose(database)
        text = configuration(database.parameters_in_file)
        await self._owned.config(database, parameters_config(name), {CONFIGURATION: text})
        service = await self._owned.service(database, member_name(name, 0), wanted_server(database))
        endpoint = endpoint_of(service) if database.spec.enabled else None
        database.status.members = [_member(service, endpoint)]
        database.status.primary = service.metadata.name if endpoint else ""
        if not database.spec.enabled:
            self._archives.forget(database)
        if endpoint is None:
            self._metrics.record(namespace, name, None)
            return _unavailable(database, service, world)
        try:
            facts = await self._provisioned(database, service, endpoint, world)
        except (PostgresError, OSError, TimeoutError) as error:
            self._metrics.record(namespace, name, None)
            why = str(error) or "no answer in time"
            text = f"the server {service.metadata.name} does not answer as it should: {why}"
            raise Temporary(text, reason=DatabaseReason.UNREACHABLE, after=1.0) from error
        self._metrics.record(namespace, name, facts)
        database.status.version, database.status.endpoint = facts.version, endpoint
        database.status.restarted_at = restarted_at(database, service)
        _say(database, world, DatabaseCondition.READY, True, DatabaseReason.AVAILABLE, "")
        outcome = _with_parameters(database, facts, world)
        return outcome if await self._archived(database, world) else done(requeue_after=_SOON_SECONDS)

    async def _archived(self, database: Database, world: World) -> bool:
        """Have its archive kept as its spec says. False where there is soon more to say."""
        kind = DatabaseCondition.BACKED_UP
        try:
            said = await self._archives.keep(database, world.clock.now())
        except (PostgresError, OSError, TimeoutError) as error:
            text = f"the server does not answer: {str(error) or 'no answer in time'}"
            said = (False, DatabaseReason.ARCHIVE_BEHIND, text)
        except Temporary as error:
            said = (False, error.reason, str(error))
        self._measure_archive(database, world)
        if said is None:
            kept = [each for each in database.status.conditions if each.type != kind]
            database.status.conditions = kept
            return True
        _say(database, world, kind, *said)
        return said[1] != DatabaseReason.FIRST_BACKUP

    def _measure_archive(self, database: Database, world: World) -> None:
        backup = database.status.backup
        latest = backup.latest_restorable_time if backup and backup.base_backups else None
        age = None if latest is None else max((world.clock.now() - latest).total_seconds(), 0.0)
        self._metrics.record_archive(database.metadata.namespace or "default", database.metadata.name, age)

    async def _provisioned(
        self, database: Database, service: Service, endpoint: Endpoint, world: World
    ) -> server.ServerFacts:
        """The owner, their database and the Secret that says so. Raises PostgresError, OSError, TimeoutError."""
        namespace = database.metadata.namespace or "default"
        root = await superuser_password(self._own, superuser_secret(service.metadata.name), namespace)
        await self._restores.bring(database, service.metadata.name, endpoint, root, world)
        secret = await self._credentials.ensured(database)
        password = password_of(secret)
        owner, name = database.owner, database.sql_database
        async with server.opened(endpoint, server.SUPERUSER, root, "postgres") as connection:
            facts = await server.facts(connection)
            if not await server.opens(endpoint, owner, password, "postgres"):
                await server.ensure_owner(connection, owner, password, facts.version)
            await server.ensure_database(connection, name, owner)
        await self._credentials.complete(database, secret, connection_facts(endpoint, owner, password, name))
        status = database.status
        status.credentials, status.database, status.username = credentials_secret(database.metadata.name), name, owner
        return facts


def _member(service: Service, endpoint: Endpoint | None) -> MemberStatus:
    _, message = fault_of(service)
    return MemberStatus(
        name=service.metadata.name,
        role="primary" if endpoint else "unknown",
        ready=endpoint is not None,
        address=f"{endpoint.host}:{endpoint.port}" if endpoint else "",
        message=message,
    )


def _unavailable(database: Database, service: Service, world: World) -> Outcome:
    """Its Service says why; a change of it brings us back."""
    if not database.spec.enabled:
        text = "stopped; set spec.enabled to true to start it again"
        _say(database, world, DatabaseCondition.READY, False, DatabaseReason.STOPPED, text)
        return done(text, reason=DatabaseReason.STOPPED)
    reason, message = fault_of(service)
    reason, message = reason or DatabaseReason.CREATING, message or "its server is being made"
    _say(database, world, DatabaseCondition.READY, False, reason, message)
    return again(LOOK_AGAIN_SECONDS, message, reason=reason)


def _with_parameters(database: Database, facts: server.ServerFacts, world: World) -> Outcome:
    kind, text = DatabaseCondition.PARAMETERS_APPLIED, ""
    database.status.pending_restart = list(facts.pending)
    written = database.parameters_in_file
    if facts.configuration != configuration_digest(written):
        text = "the server has not read them yet"
        _say(database, world, kind, False, DatabaseReason.APPLYING, text)
        return done(requeue_after=_SOON_SECONDS)
    _note_refused(database, written, dict(facts.invalid))
    if facts.invalid:
        text = "; ".join(f"{name}: {error}" for name, error in facts.invalid)
        _say(database, world, kind, False, DatabaseReason.INVALID_PARAMETERS, text)
        return done(requeue_after=_SOON_SECONDS)
    if database.status.refused_parameters:
        _say(database, world, kind, False, DatabaseReason.INVALID_PARAMETERS, _refusal(database))
    elif facts.pending:
        text = f"{', '.join(facts.pending)}: after aerekos restart {member_name(database.metadata.name, 0)}"
        _say(database, world, kind, False, DatabaseReason.PENDING_RESTART, text)
    else:
        _say(database, world, kind, True, DatabaseReason.IN_FORCE, "")
    return done(requeue_after=LOOK_AGAIN_SECONDS)


def _note_refused(database: Database, written: dict[str, str], invalid: dict[str, str]) -> None:
    """What the server does not take is not in its file for long: it would not start with it."""
    status, wanted = database.status, database.spec.parameters
    still = {name: value for name, value in status.refused_parameters.items() if wanted.get(name) == value}
    status.refused_parameters = {**still, **{name: wanted[name] for name in invalid if name in wanted}}
    taken = {name: value for name, value in written.items() if name not in invalid}
    before = {name: value for name, value in status.accepted_parameters.items() if written.get(name) != value}
    status.accepted_parameters = {**{name: before[name] for name in invalid if name in before}, **taken}


def _refusal(database: Database) -> str:
    refused = ", ".join(f"{name} = {value}" for name, value in sorted(database.status.refused_parameters.items()))
    return f"the server does not take {refused}: it has what it had before"


def _say(database: Database, world: World, kind: str, stands: bool, reason: str, message: str) -> None:
    new = Condition(
        type=kind,
        status="True" if stands else "False",
        reason=reason,
        message=message,
        observed_generation=database.metadata.generation,
    )
    set_condition(database.status.conditions, new, now=world.clock.now())
