"""What is done inside a server, against a real one: owners, users, their privileges and passwords."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest
from prometheus_client import CollectorRegistry

from services.db_manager import roles, server
from services.db_manager.kinds import Endpoint
from services.db_manager.members.looking import Door, MemberLooks
from services.db_manager.members.sizes import SIZES
from services.db_manager.metrics import DatabaseMetrics
from services.db_manager.roles import UserRoles
from services.db_manager.tests.postgres_server import SUPERUSER
from services.sdk.postgres import PostgresConnection, PostgresError, quoted_text

pytestmark = pytest.mark.anyio
OWNER, DATABASE = "shop", "shop"
PASSWORD = 'it\'s a \\ "password"'
REFUSED = "42501"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def client(endpoint: Endpoint, login: str, database: str = DATABASE) -> AsyncIterator[PostgresConnection]:
    """Somebody who works with the database as people do: names are found in its schemas."""
    async with server.opened(endpoint, login, PASSWORD, database) as connection:
        await connection.execute("SET search_path TO public")
        yield connection


@pytest.fixture
async def admin(endpoint: Endpoint) -> AsyncIterator[PostgresConnection]:
    """The superuser, in a database with an owner and a table."""
    async with server.opened(endpoint, "postgres", SUPERUSER, "postgres") as first:
        await server.ensure_owner(first, OWNER, PASSWORD, "15.1")
        await server.ensure_database(first, DATABASE, OWNER)
    async with client(endpoint, OWNER) as owner:
        await owner.execute("CREATE TABLE IF NOT EXISTS lines (n serial PRIMARY KEY)")
    async with server.opened(endpoint, "postgres", SUPERUSER, DATABASE) as connection:
        yield connection


def user(name: str, mark: str = "aerekos DatabaseUser 1") -> UserRoles:
    return UserRoles(name, OWNER, DATABASE, mark)


def to(endpoint: Endpoint) -> Callable[[str], Awaitable[PostgresConnection]]:
    return partial(PostgresConnection.open, endpoint.host, endpoint.port, "postgres", SUPERUSER)


async def may(endpoint: Endpoint, login: str, statement: str) -> bool:
    try:
        async with client(endpoint, login) as connection:
            await connection.execute(statement)
    except PostgresError as error:
        assert error.code == REFUSED, error
        return False
    return True


async def test_rows_are_texts_nothing_and_what_stands_in_them(admin: PostgresConnection) -> None:
    text = "ü \\ ' \" \n %"
    assert await admin.fetch(f"SELECT {quoted_text(text)}, NULL, 7, ''") == [(text, None, "7", "")]
    assert await admin.fetch("SELECT 1 WHERE false") == []
    with pytest.raises(PostgresError, match="42P01"):
        await admin.fetch("SELECT * FROM nowhere")
    assert await admin.fetch("SELECT 1") == [("1",)], "after an error it goes on"


async def test_more_rows_than_anybody_asks_for_are_not_kept(endpoint: Endpoint) -> None:
    """Whoever owns a database says how much there is in it."""
    for flood in ("SELECT generate_series(1, 1000000)", "SELECT repeat('x', 500000) FROM generate_series(1, 1000)"):
        async with server.opened(endpoint, "postgres", SUPERUSER, "postgres") as connection:
            with pytest.raises(PostgresError, match="more than is asked for"):
                await connection.fetch(flood)


_AS_SUPERUSER = "$$ BEGIN EXECUTE 'ALTER ROLE shop SUPERUSER'; RETURN NULL; END $$"
_TRAPS = (
    f"FUNCTION public.shobj_description(oid, text) RETURNS text LANGUAGE plpgsql AS {_AS_SUPERUSER}",
    f"FUNCTION public.trap(name, text) RETURNS boolean LANGUAGE plpgsql AS {_AS_SUPERUSER}",
    "OPERATOR public.= (LEFTARG = name, RIGHTARG = text, FUNCTION = public.trap)",
    "OPERATOR public.!~~ (LEFTARG = name, RIGHTARG = text, FUNCTION = public.trap)",
    "VIEW public.pg_roles AS SELECT rolname, oid FROM pg_catalog.pg_roles WHERE public.trap(rolname, '') IS NULL",
)


async def test_what_an_owner_puts_into_the_database_is_not_called_by_its_superuser(
    admin: PostgresConnection, endpoint: Endpoint
) -> None:
    """Functions, operators and views of the names that our queries use, and a search path that has them first."""
    async with client(endpoint, OWNER) as owner:
        for each in _TRAPS:
            await owner.execute(f"CREATE {each}")
        await owner.execute("ALTER DATABASE shop SET search_path = public, pg_catalog")
    try:
        async with await to(endpoint)(DATABASE) as superuser:
            mine = user("trapped")
            await roles.strangers(superuser, mine)
            await roles.ensure(superuser, mine, "write")
            assert await roles.are_there(superuser, mine)
            await roles.drop(superuser, mine, to(endpoint))
            await server.use(superuser)
        assert await admin.fetch("SELECT rolsuper FROM pg_roles WHERE rolname = 'shop'") == [("f",)]
    finally:
        async with client(endpoint, OWNER) as owner:
            await owner.execute("ALTER DATABASE shop RESET search_path")
            await owner.execute("DROP VIEW public.pg_roles; DROP FUNCTION public.trap CASCADE")
            await owner.execute("DROP FUNCTION public.shobj_description(oid, text)")


async def test_an_owner_is_made_once_and_learns_another_password(
    admin: PostgresConnection, endpoint: Endpoint
) -> None:
    await server.ensure_owner(admin, OWNER, PASSWORD, "15.1")
    await server.ensure_database(admin, DATABASE, OWNER)
    assert await server.opens(endpoint, OWNER, PASSWORD, DATABASE)
    assert not await server.opens(endpoint, OWNER, "another one", DATABASE)
    assert not await may(endpoint, OWNER, "SELECT pg_read_file('/etc/passwd')")
    assert not await may(endpoint, OWNER, "COPY (SELECT 1) TO PROGRAM 'id'")
    assert not await may(endpoint, OWNER, "CREATE ROLE other"), "before PostgreSQL 16 that would be too much"


@pytest.mark.parametrize(
    ("privileges", "reads", "writes", "makes"),
    [("read", True, False, False), ("write", True, True, False), ("owner", True, True, True)],
)
async def test_privileges_hold_for_what_is_there_and_what_the_owner_makes(
    admin: PostgresConnection, endpoint: Endpoint, privileges: str, reads: bool, writes: bool, makes: bool
) -> None:
    roles_of = user(f"user_{privileges}")
    await roles.ensure(admin, roles_of, privileges)
    for each in roles_of.logins:
        await roles.set_password(admin, each, PASSWORD)
    async with client(endpoint, OWNER) as owner:
        await owner.execute(f"CREATE SCHEMA s_{privileges}")
        await owner.execute(f"CREATE TABLE s_{privileges}.later (n serial)")
    for table in ("lines", f"s_{privileges}.later"):
        for login in roles_of.logins:
            assert await may(endpoint, login, f"SELECT * FROM {table}") == reads
            assert await may(endpoint, login, f"INSERT INTO {table} DEFAULT VALUES") == writes
            assert await may(endpoint, login, f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS x int") == makes
        assert not await may(endpoint, roles_of.logins[0], "SELECT * FROM pg_authid")
    assert await may(endpoint, roles_of.logins[0], f"CREATE TABLE of_{privileges} (n int)") == makes


async def test_a_full_or_a_closed_database_is_not_down(admin: PostgresConnection, endpoint: Endpoint) -> None:
    """Neither is a wrong password; who has a grant of ours gets into what is closed to everybody."""
    inside = user("inside")
    await roles.ensure(admin, inside, "read")
    await roles.set_password(admin, "inside_0", PASSWORD)
    await admin.execute("CREATE ROLE outside LOGIN")
    await roles.set_password(admin, "outside", PASSWORD)
    await admin.execute("REVOKE CONNECT ON DATABASE shop FROM PUBLIC")
    try:
        assert await may(endpoint, "inside_0", "SELECT * FROM lines")
        assert await server.opens(endpoint, "outside", PASSWORD, DATABASE)
        assert not await server.opens(endpoint, "outside", "another one", DATABASE)
        await admin.execute("ALTER ROLE inside_0 CONNECTION LIMIT 0")
        assert not await server.opens(endpoint, "inside_0", PASSWORD, DATABASE), "its password is set once more"
    finally:
        await admin.execute("GRANT CONNECT ON DATABASE shop TO PUBLIC")


async def test_fewer_privileges_take_away_what_there_was(admin: PostgresConnection, endpoint: Endpoint) -> None:
    less = user("less")
    for privileges, drops, writes in (("owner", True, True), ("write", False, True), ("read", False, False)):
        await roles.ensure(admin, less, privileges)
        await roles.set_password(admin, "less_0", PASSWORD)
        assert await may(endpoint, "less_0", "CREATE TABLE x (n int)") == drops
        assert await may(endpoint, "less_0", "INSERT INTO lines DEFAULT VALUES") == writes
    assert await may(endpoint, OWNER, "DROP TABLE x"), "what it made as owner is the owner's"


async def test_the_other_login_goes_on_when_one_has_a_new_password(
    admin: PostgresConnection, endpoint: Endpoint
) -> None:
    turns = user("turns")
    await roles.ensure(admin, turns, "write")
    await roles.set_password(admin, "turns_0", PASSWORD)
    async with server.opened(endpoint, "turns_0", PASSWORD, DATABASE) as lasting:
        await roles.set_password(admin, "turns_1", "another password")
        assert await server.opens(endpoint, "turns_0", PASSWORD, DATABASE)
        assert await server.opens(endpoint, "turns_1", "another password", DATABASE)
        await roles.set_password(admin, "turns_0", "a third password")
        assert await lasting.fetch("SELECT session_user, current_user") == [("turns_0", "turns")]


async def test_owners_sessions_end_when_they_are_owners_no_more(
    admin: PostgresConnection, endpoint: Endpoint
) -> None:
    former = user("former")
    await roles.ensure(admin, former, "owner")
    await roles.set_password(admin, "former_0", PASSWORD)
    async with client(endpoint, "former_0") as connection:
        await roles.ensure(admin, former, "read")
        with pytest.raises((PostgresError, OSError)):
            await connection.execute("CREATE TABLE by_a_former_owner (n int)")
    assert not await may(endpoint, "former_0", "CREATE TABLE by_a_former_owner (n int)")


async def test_who_is_dropped_is_disconnected_and_leaves_what_they_made(
    admin: PostgresConnection, endpoint: Endpoint
) -> None:
    leaving = user("leaving")
    await roles.ensure(admin, leaving, "write")
    await admin.execute("GRANT CREATE ON SCHEMA public TO leaving")
    await roles.set_password(admin, "leaving_0", PASSWORD)
    async with client(endpoint, "leaving_0") as connection:
        await connection.execute("CREATE TABLE left_behind AS SELECT 7 AS n")
        await roles.drop(admin, leaving, to(endpoint))
        with pytest.raises((PostgresError, OSError)):
            await connection.execute("SELECT 1")
    assert await admin.fetch("SELECT rolname FROM pg_roles WHERE rolname LIKE 'leaving%'") == []
    assert await admin.fetch("SELECT tableowner FROM pg_tables WHERE tablename = 'left_behind'") == [(OWNER,)]
    await roles.drop(admin, leaving, to(endpoint))


async def test_who_has_something_in_another_database_can_be_dropped(
    admin: PostgresConnection, endpoint: Endpoint
) -> None:
    widespread = user("widespread")
    await roles.ensure(admin, widespread, "write")
    async with client(endpoint, OWNER) as owner:
        await owner.execute("CREATE DATABASE second")
    async with client(endpoint, OWNER, "second") as owner:
        await owner.execute("CREATE TABLE lines (n int)")
        await owner.execute("GRANT SELECT ON lines TO widespread")
    async with await to(endpoint)("second") as superuser:
        await superuser.execute("CREATE SCHEMA theirs AUTHORIZATION widespread_1")
    await roles.drop(admin, widespread, to(endpoint))
    assert await admin.fetch("SELECT rolname FROM pg_roles WHERE rolname LIKE 'widespread%'") == []
    async with await to(endpoint)("second") as superuser:
        owners = "SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'theirs'"
        assert await superuser.fetch(owners) == [(OWNER,)]


async def test_roles_that_people_made_are_told_and_not_touched(admin: PostgresConnection, endpoint: Endpoint) -> None:
    await admin.execute("CREATE ROLE theirs LOGIN")
    assert await roles.strangers(admin, user("theirs")) == ["theirs"]
    await roles.drop(admin, user("theirs"), to(endpoint))
    assert await admin.fetch("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'theirs'") == [("t",)]
    await roles.ensure(admin, user("mine", "aerekos DatabaseUser 2"), "read")
    assert sorted(await roles.strangers(admin, user("mine"))) == ["mine", "mine_0", "mine_1"], "another resource's"
    assert await roles.strangers(admin, user("mine", "aerekos DatabaseUser 2")) == []


async def test_what_is_measured_is_what_the_server_has(admin: PostgresConnection, endpoint: Endpoint) -> None:
    registry = CollectorRegistry()
    metrics, shop = DatabaseMetrics(registry), {"namespace": "default", "database": "shop"}
    async with server.opened(endpoint, OWNER, PASSWORD, DATABASE) as owner:
        await owner.execute("BEGIN; SELECT 1")
        use = await server.use(admin)
    assert use.connections >= 1 and use.most_connections == 100 and use.bytes > 1_000_000
    assert 0 < use.oldest_transaction_seconds < 60
    metrics.record("default", "shop", server.ServerFacts("15.1", use))
    assert registry.get_sample_value("aerekos_database_connections", shop) == use.connections
    metrics.record("default", "shop", None)
    assert registry.get_sample_value("aerekos_database_up", shop) == 0
    assert registry.get_sample_value("aerekos_database_connections", shop) is None
    metrics.keep([])
    assert registry.get_sample_value("aerekos_database_up", shop) is None


async def test_a_look_says_all_that_is_decided_by(admin: PostgresConnection, endpoint: Endpoint) -> None:
    looks = MemberLooks()
    try:
        found = await looks.look("uid", {"shop-0": Door(endpoint, SUPERUSER)})
    finally:
        await looks.close()
    look = found["shop-0"]
    assert look.takes_writes and look.lsn > 0 and not (look.streaming or look.waits_for or look.replayed)
    for name, size in zip(SIZES, look.sizes, strict=True):
        assert await admin.fetch(f"SELECT current_setting({quoted_text(name)})") == [(str(size),)]
