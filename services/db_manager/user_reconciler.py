"""The DatabaseUser reconciler: roles in the database, their privileges, credentials that change in turn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from crds.errors import NotFound
from crds.kind import key_of
from crds.kinds.secret import Secret
from crds.kinds.service_engines import superuser_secret
from crds.meta import ObjectKey, is_true
from crds.model import rfc3339
from services.db_manager import roles, server
from services.db_manager.conditions import DatabaseCondition, DatabaseReason
from services.db_manager.credentials import (
    CredentialsSecret,
    connection_facts,
    new_password,
    password_of,
    superuser_password,
    username_in,
)
from services.db_manager.faults import SERVER_FAULTS
from services.db_manager.kinds import DATABASE, Database, Endpoint
from services.db_manager.names import credentials_secret
from services.db_manager.roles import UserRoles
from services.db_manager.user_kinds import DATABASE_USER, DatabaseUser
from services.db_manager.valkey import users as valkey
from services.db_manager.valkey.acl import RESERVED
from services.db_manager.valkey.users import ValkeyServers
from services.sdk.postgres import PostgresConnection, PostgresError
from services.sdk.reconcile import AlsoWatch, Lister, Outcome, Permanent, Temporary, World, done, waiting
from services.sdk.resources import Resources

ROTATE = "aerekos.cloud/rotate"
"""An annotation: its password changes once that moment has come."""
ROTATED = "aerekos.cloud/rotated-at"
"""On the Secret: when the password in it was made. Written together with it, so that no rotation is done twice."""
LOOK_AGAIN_SECONDS = 30.0
_STILL_DEPENDED_ON = "2BP01"


def _users_of(database: Database, seen: Lister) -> Iterable[ObjectKey]:
    users = seen.list(DATABASE_USER, database.metadata.namespace)
    return [key_of(DATABASE_USER, each) for each in users if each.spec.database == database.metadata.name]


class UserReconciler:
    """`own`: the service's own resources."""

    kind = DATABASE_USER
    finalizer: str | None = "aerekos.cloud/db-manager"
    also_watch: Sequence[AlsoWatch[Any]] = (AlsoWatch(DATABASE, _users_of),)

    def __init__(self, credentials: CredentialsSecret, own: Resources) -> None:
        self._credentials, self._own = credentials, own

    async def reconcile(self, resource: DatabaseUser, world: World) -> Outcome:
        database = await self._database(resource)
        if database is None or database.metadata.deletion_timestamp is not None:
            return waiting(f"the Database {resource.spec.database}", reason=DatabaseReason.DATABASE_MISSING)
        endpoint = _endpoint(database)
        if endpoint is None:
            return waiting(
                f"the Database {resource.spec.database} to be ready", reason=DatabaseReason.DATABASE_NOT_READY
            )
        try:
            if database.is_valkey:
                return await self._in_valkey(resource, database, endpoint, world.clock.now())
            names = UserRoles.of(resource, database.owner, database.sql_database)
            if database.owner in (names.role, *names.logins):
                raise _owners_name(database)
            async with await self._superuser(database, endpoint) as connection:
                return await self._settled(resource, names, endpoint, connection, world.clock.now())
        except SERVER_FAULTS as error:
            raise _unreachable(error) from error

    async def finalize(self, resource: DatabaseUser, world: World) -> Outcome:
        """Where its Database is gone, so are its roles."""
        database = await self._database(resource)
        if database is None or database.metadata.deletion_timestamp is not None:
            return done()
        endpoint = _endpoint(database)
        if endpoint is None:
            reason = DatabaseReason.DATABASE_NOT_READY
            return waiting(
                f"the Database {resource.spec.database} to be ready, to drop the roles in it", reason=reason
            )
        try:
            if database.is_valkey:
                await self._drop_in_valkey(resource, database, endpoint)
                return done()
            async with await self._superuser(database, endpoint) as connection:
                names = UserRoles.of(resource, database.owner, database.sql_database)
                await roles.drop(connection, names, partial(self._superuser, database, endpoint))
        except SERVER_FAULTS as error:
            raise _unreachable(error) from error
        return done()

    async def _settled(
        self,
        user: DatabaseUser,
        names: UserRoles,
        endpoint: Endpoint,
        connection: PostgresConnection,
        now: datetime,
    ) -> Outcome:
        """Raises PostgresError, OSError, TimeoutError."""
        if strange := await roles.strangers(connection, names):
            text = f"the role {', '.join(strange)} was made in SQL: drop it there, or choose another username"
            raise Temporary(text, reason=DatabaseReason.NAME_TAKEN, after=15.0)
        if user.status.privileges != user.spec.privileges or not await roles.are_there(connection, names):
            await roles.ensure(connection, names, user.spec.privileges)
        secret = await self._credentials.ensured(user)
        login, password, made = username_in(secret), password_of(secret), _made_at(secret)
        if login in names.logins and is_due(user, made, now):
            login, password, made = names.other(login), new_password(), now
        login, made = (login, made) if login in names.logins else (names.logins[0], now)
        if not await server.opens(endpoint, login, password, names.database):
            await roles.set_password(connection, login, password)
        facts = connection_facts(endpoint, login, password, names.database)
        await self._credentials.complete(user, secret, facts, {ROTATED: rfc3339(made or now)})
        return _noted(user, names.role, login, made or now, now)

    async def _in_valkey(self, user: DatabaseUser, database: Database, endpoint: Endpoint, now: datetime) -> Outcome:
        """Raises ValkeyError, OSError, TimeoutError."""
        if user.role == database.owner:
            raise _owners_name(database)
        if user.role in RESERVED:
            raise Permanent(f"username: {user.role} is the server's own; choose another name")
        servers = ValkeyServers.of(database, endpoint, await self._root(database))
        secret = await self._credentials.ensured(user)
        password, made = password_of(secret), _made_at(secret)
        following = new_password() if username_in(secret) == user.role and is_due(user, made, now) else ""
        await valkey.ensure(servers, user, password, following)
        made = now if following else made or now
        facts = connection_facts(endpoint, user.role, following or password, database.sql_database, "redis")
        await self._credentials.complete(user, secret, facts, {ROTATED: rfc3339(made)})
        return _noted(user, user.role, user.role, made, now)

    async def _drop_in_valkey(self, user: DatabaseUser, database: Database, endpoint: Endpoint) -> None:
        """Nothing of a name that was never its own. Raises ValkeyError, OSError, TimeoutError."""
        if user.role != database.owner and user.role not in RESERVED:
            await valkey.drop(ValkeyServers.of(database, endpoint, await self._root(database)), user)

    async def _root(self, database: Database) -> str:
        namespace = database.metadata.namespace or "default"
        return await superuser_password(self._own, superuser_secret(database.status.primary), namespace)

    async def _superuser(self, database: Database, endpoint: Endpoint, name: str = "") -> PostgresConnection:
        """In the database of that name; without, in the first one."""
        return await PostgresConnection.open(
            endpoint.host,
            endpoint.port,
            server.SUPERUSER,
            await self._root(database),
            name or database.sql_database,
            application=server.APPLICATION,
        )

    async def _database(self, user: DatabaseUser) -> Database | None:
        try:
            return await self._own.get(DATABASE, user.spec.database, user.metadata.namespace)
        except NotFound:
            return None


def _endpoint(database: Database) -> Endpoint | None:
    """Where it is, while it is ready."""
    if not database.status.primary or not is_true(database.status.conditions, DatabaseCondition.READY):
        return None
    return database.status.endpoint


def _made_at(secret: Secret) -> datetime | None:
    try:
        return datetime.fromisoformat((secret.metadata.annotations or {}).get(ROTATED, ""))
    except ValueError:
        return None


def _wish(user: DatabaseUser) -> datetime | None:
    """When somebody wants it rotated by hand. Raises Temporary: no generation tells of a corrected annotation."""
    text = (user.metadata.annotations or {}).get(ROTATE, "")
    if not text:
        return None
    try:
        wish = datetime.fromisoformat(text)
    except ValueError:
        wish = None
    if wish is None or wish.tzinfo is None:
        fault = f"the annotation {ROTATE} must be a time with its zone, as 2026-01-31T12:00:00Z, not {text!r}"
        raise Temporary(fault, reason=DatabaseReason.INVALID_ANNOTATION, after=15.0)
    return wish


def next_rotation(user: DatabaseUser, made: datetime) -> datetime | None:
    """When a password that was made then is changed; None for never. Raises Temporary for a wish that is no time."""
    rotation, wish = user.spec.rotation, _wish(user)
    times = [made + timedelta(days=rotation.days)] if rotation else []
    times += [wish] if wish is not None and wish > made else []
    return min(times, default=None)


def is_due(user: DatabaseUser, made: datetime | None, now: datetime) -> bool:
    """Whether its password is to change now. Raises Temporary."""
    due = next_rotation(user, made) if made is not None else None
    return due is not None and due <= now


def _owners_name(database: Database) -> Permanent:
    return Permanent(f"username: {database.owner} is the owner of the Database; choose another name")


def _noted(user: DatabaseUser, role: str, login: str, made: datetime, now: datetime) -> Outcome:
    status, following = user.status, next_rotation(user, made)
    status.username, status.login, status.privileges = role, login, user.spec.privileges
    status.credentials = credentials_secret(user.metadata.name)
    status.rotated_at, status.next_rotation_at = made, following
    left = LOOK_AGAIN_SECONDS if following is None else max((following - now).total_seconds(), 1.0)
    return done(requeue_after=min(left, LOOK_AGAIN_SECONDS))


def _unreachable(error: Exception) -> Temporary:
    if isinstance(error, PostgresError) and error.code == _STILL_DEPENDED_ON:
        text = "something in the server depends on its roles: see DROP ROLE there, as the superuser"
        return Temporary(text, reason=DatabaseReason.ROLE_IN_USE, after=15.0)
    text = f"the database does not answer as it should: {str(error) or 'no answer in time'}"
    return Temporary(text, reason=DatabaseReason.UNREACHABLE, after=1.0)
