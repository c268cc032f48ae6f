"""What is done inside a PostgreSQL server, as its superuser: the first database and its owner, and what it says of
its parameters. Everything can be done again without harm.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.db_manager.kinds import Endpoint
from services.db_manager.member import CONFIGURATION_FILE
from services.db_manager.parameters import OURS
from services.sdk.postgres import PostgresConnection, PostgresError, quoted_name, quoted_text, verifier_of

SUPERUSER = "postgres"
APPLICATION = "db-manager"
_FULL, _NO_CONNECT = "53300", "42501"  # too_many_connections, insufficient_privilege: told after the password
_DUPLICATE = ("42710", "42P04")  # duplicate_object, duplicate_database
_MAY_MAKE_ROLES = 16
"""Before, CREATEROLE gave away roles that run programs and read files of the server (release notes of 16)."""

_VERSION = f"""
SELECT current_setting('server_version'),
  CASE WHEN (pg_stat_file('{CONFIGURATION_FILE}')).modification <= pg_conf_load_time()
  THEN md5(pg_read_file('{CONFIGURATION_FILE}')) ELSE '' END
"""
# Of our file alone: what the engine says on its command line overrules others, which counts as an error there.
_INVALID = f"""
SELECT coalesce(name, 'line ' || sourceline), error FROM pg_file_settings
WHERE error IS NOT NULL AND sourcefile = '{CONFIGURATION_FILE}'
  AND (name IS NULL OR name NOT IN (SELECT name FROM pg_settings WHERE pending_restart))
ORDER BY 1
"""  # noqa: S608 - a constant


_USE = """
SELECT (SELECT sum(pg_database_size(oid)) FROM pg_database), count(*), current_setting('max_connections'),
  count(*) FILTER (WHERE wait_event_type = 'Lock'), max(extract(epoch FROM clock_timestamp() - xact_start))
FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


@dataclass(frozen=True, slots=True)
class ServerUse:
    """What it holds and who is there, this connection apart."""

    bytes: int
    connections: int
    most_connections: int
    waiting: int
    oldest_transaction_seconds: float


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """`version`: as the server says it (`15.18`). `configuration`: the MD5 of the file with our parameters that it
    has read last; empty while it has not read the one that is there. `pending`: parameters that count after a
    restart. `invalid`: those it does not take, each with its reason.
    """

    version: str
    use: ServerUse
    configuration: str = ""
    pending: tuple[str, ...] = ()
    invalid: tuple[tuple[str, str], ...] = ()


@asynccontextmanager
async def opened(endpoint: Endpoint, user: str, password: str, database: str) -> AsyncIterator[PostgresConnection]:
    """A connection. Raises PostgresError, OSError, TimeoutError."""
    connection = await PostgresConnection.open(
        endpoint.host, endpoint.port, user, password, database, application=APPLICATION
    )
    async with connection:
        yield connection


async def opens(endpoint: Endpoint, user: str, password: str, database: str) -> bool:
    """Whether that password opens that database. True where it is the right one, and the database is closed to that
    role; False where the server is too full to say. Raises PostgresError for another refusal, OSError, TimeoutError.
    """
    try:
        async with opened(endpoint, user, password, database) as connection:
            await connection.execute("SELECT 1")
    except PostgresError as error:
        if error.is_wrong_password or error.code == _FULL:
            return False
        if error.code == _NO_CONNECT:
            return True
        raise
    return True


async def facts(connection: PostgresConnection) -> ServerFacts:
    """What the server says of itself. Raises PostgresError, OSError, TimeoutError."""
    ((version, configuration),) = await connection.fetch(_VERSION)
    pending = await connection.fetch("SELECT name FROM pg_settings WHERE pending_restart ORDER BY 1")
    invalid = await connection.fetch(_INVALID)
    return ServerFacts(
        (version or "").partition(" ")[0],
        await use(connection),
        configuration or "",
        tuple(name for (name,) in pending if name and name not in OURS),
        tuple((name or "", error or "") for name, error in invalid),
    )


async def use(connection: PostgresConnection) -> ServerUse:
    """Raises PostgresError, OSError, TimeoutError."""
    ((size, connections, most, waiting, oldest),) = await connection.fetch(_USE)
    return ServerUse(int(size or 0), int(connections or 0), int(most or 0), int(waiting or 0), float(oldest or 0))


async def ensure_owner(connection: PostgresConnection, name: str, password: str, version: str) -> None:
    """A role that may log in and make databases, with that password. Raises PostgresError, OSError, TimeoutError."""
    role, major = quoted_name(name), int(version.partition(".")[0])
    if not await _is_there(connection, "pg_roles", "rolname", name):
        await _unless_there(connection, f"CREATE ROLE {role}")
    roles = "CREATEROLE" if major >= _MAY_MAKE_ROLES else "NOCREATEROLE"
    verifier = quoted_text(verifier_of(password))
    await connection.execute(f"ALTER ROLE {role} LOGIN CREATEDB {roles} NOSUPERUSER PASSWORD{verifier}")
    await connection.execute(f"GRANT pg_monitor, pg_signal_backend TO {role}")


async def ensure_database(connection: PostgresConnection, name: str, owner: str) -> None:
    """Raises PostgresError, OSError, TimeoutError."""
    if not await _is_there(connection, "pg_database", "datname", name):
        await _unless_there(connection, f"CREATE DATABASE {quoted_name(name)} OWNER {quoted_name(owner)}")


async def _is_there(connection: PostgresConnection, table: str, column: str, name: str) -> bool:
    query = f"SELECT 1 FROM {table} WHERE {column} = {quoted_text(name)}"  # noqa: S608 - the name is quoted
    return bool(await connection.fetch(query))


async def _unless_there(connection: PostgresConnection, statement: str) -> None:
    try:
        await connection.execute(statement)
    except PostgresError as error:
        if error.code not in _DUPLICATE:
            raise
