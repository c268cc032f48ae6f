"""Roles of a DatabaseUser inside its server: one that has the privileges and logs in nowhere, and two that log in,
act as the first, and have their passwords changed in turn: whoever connects by the one before goes on.

The comment of a role says that it is ours: nothing of a role that people made in SQL is changed. Everything can be
done again without harm.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from services.db_manager.user_kinds import DatabaseUser
from services.sdk.postgres import PostgresConnection, quoted_name, quoted_text, verifier_of

_SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'"
_TABLES = {"read": "SELECT", "write": "SELECT, INSERT, UPDATE, DELETE"}
_SEQUENCES = {"read": "SELECT", "write": "SELECT, USAGE, UPDATE"}


@dataclass(frozen=True, slots=True)
class UserRoles:
    """`role` has the privileges in `database`, whose tables are `owner`'s. `mark`: the comment on what is ours."""

    role: str
    owner: str
    database: str
    mark: str

    @classmethod
    def of(cls, user: DatabaseUser, owner: str, database: str) -> UserRoles:
        return cls(user.role, owner, database, f"aerekos DatabaseUser {user.metadata.uid}")

    @property
    def logins(self) -> tuple[str, str]:
        """Who logs in, in turn."""
        return f"{self.role}_0", f"{self.role}_1"

    def other(self, login: str) -> str:
        """Whose turn it is after that one."""
        return self.logins[1] if login == self.logins[0] else self.logins[0]


async def strangers(connection: PostgresConnection, roles: UserRoles) -> list[str]:
    """Roles of these names that are not ours. Raises PostgresError, OSError, TimeoutError."""
    names = ",".join(quoted_text(each) for each in (roles.role, *roles.logins))
    comment = "pg_catalog.shobj_description(oid, 'pg_authid'::pg_catalog.name)"
    query = (
        "SELECT rolname FROM pg_catalog.pg_roles WHERE "  # noqa: S608 - all of it is quoted
        f"rolname IN ({names}) AND {comment} IS DISTINCT FROM {quoted_text(roles.mark)}"
    )
    return [name for (name,) in await connection.fetch(query) if name]


async def are_there(connection: PostgresConnection, roles: UserRoles) -> bool:
    """Whether all of them are. Raises PostgresError, OSError, TimeoutError."""
    return all([await _is_there(connection, each) for each in (roles.role, *roles.logins)])


async def ensure(connection: PostgresConnection, roles: UserRoles, privileges: str) -> None:
    """The roles, with those privileges in the database of the connection and no others. Who is connected may act as
    the owner still: unless they are to, their connections end.

    Raises PostgresError, OSError, TimeoutError.
    """
    for name in (roles.role, *roles.logins):
        await _create(connection, name, roles.mark)
    role, owner = quoted_name(roles.role), quoted_name(roles.owner)
    schemas = [quoted_name(name or "") for (name,) in await connection.fetch(_SCHEMAS)]
    await connection.execute("BEGIN")
    await _take_all(connection, roles.role, roles.owner)
    await connection.execute(f"REVOKE {owner} FROM {role}")
    for statement in _grants(roles, privileges, schemas):
        await connection.execute(statement)
    acts_as = owner if privileges == "owner" else role
    for each in roles.logins:
        await connection.execute(f"GRANT {role} TO {quoted_name(each)}")
        await connection.execute(f"ALTER ROLE {quoted_name(each)} SET role TO {acts_as}")
    await connection.execute("COMMIT")
    for each in roles.logins if privileges != "owner" else ():
        await _disconnect(connection, each)


async def set_password(connection: PostgresConnection, login: str, password: str) -> None:
    """Who is connected stays so. Raises PostgresError, OSError, TimeoutError."""
    await connection.execute(f"ALTER ROLE {quoted_name(login)} LOGIN PASSWORD{quoted_text(verifier_of(password))}")


async def drop(
    connection: PostgresConnection, roles: UserRoles, connect: Callable[[str], Awaitable[PostgresConnection]]
) -> None:
    """End their connections and remove them; what they own becomes the owner's, in every database. `connect`: to
    another database of the server. Raises PostgresError, OSError, TimeoutError.
    """
    strange = await strangers(connection, roles)
    for name in [each for each in (*roles.logins, roles.role) if each not in strange]:
        if not await _is_there(connection, name):
            continue
        await connection.execute(f"ALTER ROLE {quoted_name(name)} NOLOGIN")
        await _disconnect(connection, name)
        await _take_all(connection, name, roles.owner)
        for database in await _databases_with(connection, name):
            async with await connect(database) as other:
                await _take_all(other, name, roles.owner)
        await connection.execute(f"DROP ROLE {quoted_name(name)}")


async def _databases_with(connection: PostgresConnection, name: str) -> list[str]:
    """Where that role owns something or was granted it; both keep it from being dropped."""
    query = (
        "SELECT DISTINCT datname FROM pg_shdepend JOIN pg_database ON pg_database.oid = dbid "  # noqa: S608 - quoted
        "WHERE datallowconn AND refclassid = 'pg_authid'::regclass "
        f"AND refobjid = (SELECT oid FROM pg_roles WHERE rolname = {quoted_text(name)})"
    )
    return [database for (database,) in await connection.fetch(query) if database]


async def _disconnect(connection: PostgresConnection, name: str) -> None:
    await connection.execute(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = {quoted_text(name)}"  # noqa: S608
    )


async def _create(connection: PostgresConnection, name: str, mark: str) -> None:
    if not await _is_there(connection, name):
        await connection.execute("BEGIN")
        await connection.execute(f"CREATE ROLE {quoted_name(name)}")
        await connection.execute(f"COMMENT ON ROLE {quoted_name(name)} IS{quoted_text(mark)}")
        await connection.execute("COMMIT")


async def _is_there(connection: PostgresConnection, name: str) -> bool:
    query = f"SELECT 1 FROM pg_roles WHERE rolname = {quoted_text(name)}"  # noqa: S608 - the name is quoted
    return bool(await connection.fetch(query))


async def _take_all(connection: PostgresConnection, name: str, owner: str) -> None:
    await connection.execute(f"REASSIGN OWNED BY {quoted_name(name)} TO {quoted_name(owner)}")
    await connection.execute(f"DROP OWNED BY {quoted_name(name)}")


def _grants(roles: UserRoles, privileges: str, schemas: list[str]) -> Iterator[str]:
    """For what there is, and what the owner will make. CONNECT, as everybody's may have been revoked."""
    role, owner = quoted_name(roles.role), quoted_name(roles.owner)
    yield f"GRANT CONNECT ON DATABASE {quoted_name(roles.database)} TO {role}"
    if privileges == "owner":
        yield f"GRANT {owner} TO {role}"
        return
    later = f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT"
    yield f"{later} USAGE ON SCHEMAS TO {role}"
    yield f"{later} {_TABLES[privileges]} ON TABLES TO {role}"
    yield f"{later} {_SEQUENCES[privileges]} ON SEQUENCES TO {role}"
    for schema in schemas:
        yield f"GRANT USAGE ON SCHEMA {schema} TO {role}"
        yield f"GRANT {_TABLES[privileges]} ON ALL TABLES IN SCHEMA {schema} TO {role}"
        yield f"GRANT {_SEQUENCES[privileges]} ON ALL SEQUENCES IN SCHEMA {schema} TO {role}"
