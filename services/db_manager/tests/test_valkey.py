"""A Database with Valkey, against real servers that the engine's script starts."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.db_manager.backups import base_backups
from services.db_manager.backups.archiving import Archiving, Wanted
from services.db_manager.backups.base_backups import Archive, manifests
from services.db_manager.backups.sealing import Sealer
from services.db_manager.backups.stores import FolderStore, Missing
from services.db_manager.kinds import DATABASE, BackupPolicy, Endpoint, MemberStatus
from services.db_manager.members.looking import Door, MemberLooks
from services.db_manager.tests.valkey_server import ROOT, ValkeyServer, a_database, running
from services.db_manager.user_kinds import DATABASE_USER, DatabaseUser, DatabaseUserSpec
from services.db_manager.valkey import server, snapshots, users
from services.db_manager.valkey.connection import ValkeyConnection, ValkeyError, command
from services.db_manager.valkey.parameters import PARAMETERS, quoted, valkey_parameter_fault
from services.db_manager.valkey.provisioning import provision
from services.db_manager.valkey.snapshots import ValkeySource, bring
from services.sdk.resources import SystemClock

pytestmark = pytest.mark.anyio
OWNER = "owner's-password"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def cache() -> Iterator[ValkeyServer]:
    with running() as made:
        yield made


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(FolderStore(tmp_path), "databases/one", Sealer(bytes(32)))


async def as_owner(at: Endpoint) -> ValkeyConnection:
    return await ValkeyConnection.open(at.host, at.port, "cache", OWNER)


async def refusal(at: Endpoint, user: str, password: str, *words: str) -> str:
    """The first word of why that is refused; empty where it is done."""
    try:
        async with await ValkeyConnection.open(at.host, at.port, user, password) as connection:
            await connection.ask(*words)
    except ValkeyError as error:
        return error.code
    return ""


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("database", "shop"),
        ("username", "default"),
        ("username", "superuser"),
        ("exposure", {"port": 16379}),
        ("rds", {}),
        ("backup", {"shipSeconds": 5}),
        ("parameters", {"requirepass": "x"}),
        ("parameters", {"dir": "/tmp"}),
        ("parameters", {"maxmemory": "1gb\nport 1"}),
        ("parameters", {"work_mem": "1MB"}),
    ],
)
def test_what_valkey_does_not_have_is_refused_by_its_name(field: str, value: object) -> None:
    body = {"metadata": {"name": "cache"}, "spec": {"engine": "valkey", field: value}}
    with pytest.raises(ValidationError, match=field):
        DATABASE.parse(body)


def test_strict_is_for_one_server() -> None:
    a_database(durability="strict")
    with pytest.raises(ValidationError, match="members: 1"):
        a_database(durability="strict", members=3)


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=60))
def test_a_value_stays_within_its_line_and_quotes(value: str) -> None:
    assert not valkey_parameter_fault("maxmemory", value)
    inside = quoted(value)[1:-1]
    assert "\n" not in inside and '"' not in inside.replace("\\\\", "").replace('\\"', "")
    assert inside.replace('\\"', '"').replace("\\\\", "\\") == value or "\\" in value


@given(st.lists(st.text(max_size=20), min_size=1, max_size=5))
def test_a_command_is_its_words_and_nothing_else(words: list[str]) -> None:
    count, *rest = command(*words).split(b"\r\n", 1)
    assert count == b"*%d" % len(words)
    assert len(rest[0]) == sum(len(each.encode()) + len(b"$%d\r\n\r\n" % len(each.encode())) for each in words)


async def test_nobody_is_default_and_its_owner_rules_its_data_alone(cache: ValkeyServer) -> None:
    at = cache.endpoint
    found = await provision(a_database(parameters={"maxmemory": "64mb"}), at, [], ROOT, OWNER)
    assert found.version and found.use.most_connections > 0 and not found.invalid
    assert await refusal(at, "default", ROOT, "PING") == "WRONGPASS"
    for words in (["SET", "a", "1"], ["KEYS", "*"], ["EVAL", "return 1", "0"], ["FLUSHALL"], ["INFO"]):
        assert await refusal(at, "cache", OWNER, *words) == "", words
    for words in (
        ["CONFIG", "GET", "*"],
        ["ACL", "LIST"],
        ["SYNC"],
        ["REPLICAOF", "NO", "ONE"],
        ["MIGRATE", "127.0.0.1", "1", "a", "0", "1"],
        ["SHUTDOWN"],
        ["MONITOR"],
        ["BGREWRITEAOF"],
    ):
        assert await refusal(at, "cache", OWNER, *words) == "NOPERM", words


async def test_a_parameter_is_in_force_at_once_and_one_it_does_not_take_is_told(cache: ValkeyServer) -> None:
    wanted = {"maxmemory": "64mb", "maxmemory-policy": "allkeys-lru", "hz": "many"}
    database = a_database(parameters=wanted)
    found = await provision(database, cache.endpoint, [], ROOT, OWNER)
    assert [name for name, _ in found.invalid] == ["hz"] and "argument" in found.invalid[0][1]
    async with await server.opened(cache.endpoint, ROOT) as connection:
        assert await connection.ask("CONFIG", "GET", "maxmemory") == ["maxmemory", str(64 << 20)]
        database.status.accepted_parameters = {"maxmemory": "64mb", "maxmemory-policy": "allkeys-lru"}
        database.spec.parameters = {}
        await provision(database, cache.endpoint, [], ROOT, OWNER)
        assert await connection.ask("CONFIG", "GET", "maxmemory") == ["maxmemory", "0"], "its default again"


async def test_every_parameter_is_one_that_a_running_server_takes(cache: ValkeyServer) -> None:
    async with await server.opened(cache.endpoint, ROOT) as connection:
        assert await server.set_parameters(connection, PARAMETERS, {}) == {}


def a_user(privileges: str = "write") -> DatabaseUser:
    spec = DatabaseUserSpec(database="cache", privileges=privileges)
    return DATABASE_USER.new("app", namespace="default", spec=spec)


async def test_users_may_what_their_privileges_say(cache: ValkeyServer) -> None:
    at, servers = cache.endpoint, users.ValkeyServers(cache.endpoint, (), ROOT)
    await users.ensure(servers, a_user(), "first-password", "")
    assert await refusal(at, "app", "first-password", "SET", "a", "1") == ""
    for words in (["KEYS", "*"], ["FLUSHALL"], ["CONFIG", "GET", "*"], ["FUNCTION", "FLUSH"]):
        assert await refusal(at, "app", "first-password", *words) == "NOPERM", words
    await users.ensure(servers, a_user("read"), "first-password", "")
    assert await refusal(at, "app", "first-password", "GET", "a") == ""
    assert await refusal(at, "app", "first-password", "SET", "a", "1") == "NOPERM"
    await users.drop(servers, a_user())
    assert await refusal(at, "app", "first-password", "PING") == "WRONGPASS"


async def test_a_rotation_keeps_connections_and_the_password_before(cache: ValkeyServer) -> None:
    at, servers, user = cache.endpoint, users.ValkeyServers(cache.endpoint, (), ROOT), a_user()
    await users.ensure(servers, user, "password-0", "")
    async with await ValkeyConnection.open(at.host, at.port, "app", "password-0") as pooled:
        await users.ensure(servers, user, "password-0", "password-1")
        await users.ensure(servers, user, "password-1", "")
        for each in ("password-0", "password-1"):
            assert await refusal(at, "app", each, "PING") == ""
        await users.ensure(servers, user, "password-1", "password-2")
        assert await refusal(at, "app", "password-0", "PING") == "WRONGPASS", "good until the next rotation"
        assert await pooled.ask("SET", "a", "2") == "OK", "who is connected stays"
    await users.ensure(servers, user, "chosen-by-people", "")
    for each in ("password-1", "password-2"):
        assert await refusal(at, "app", each, "PING") == "WRONGPASS", "the ones before may have leaked"
    await users.drop(servers, user)


async def test_what_is_acknowledged_and_who_may_connect_outlive_a_kill() -> None:
    """With `strict` each write is on disk before it is acknowledged."""
    database = a_database(durability="strict")
    with running(database) as cache:
        await provision(database, cache.endpoint, [], ROOT, OWNER)
        async with await as_owner(cache.endpoint) as connection:
            for number in range(200):
                await connection.ask("SET", f"key{number}", str(number))
        cache.kill()
        cache.start(database)
        async with await as_owner(cache.endpoint) as connection:
            assert await connection.ask("DBSIZE") == 200
        assert await refusal(cache.endpoint, "default", ROOT, "PING") == "WRONGPASS"


OF_EVERY_TYPE = (
    "SET later x EX 3600",
    "SET long " + "ab" * 40,
    "RPUSH list a b " + "a" * 50,
    "RPUSH lists " + " ".join(f"{each}" * 20 for each in range(300)),
    "SADD numbers 1 2 300",
    "SADD words one two",
    "SADD many " + " ".join(f"w{each}" for each in range(600)),
    "HSET hash field value",
    "HSET hashes " + " ".join(f"f{each} v{each}" for each in range(600)),
    "ZADD scores 2.5 one -1 two",
    "ZADD rank " + " ".join(f"{each}.5 m{each}" for each in range(300)),
    "XADD stream 1-1 field value",
    "XADD stream 1-2 field value",
    "XGROUP CREATE stream readers 0",
    "XREADGROUP GROUP readers me COUNT 1 STREAMS stream >",
    "SELECT 3",
    "SET elsewhere -123456",
    "SELECT 0",
)


async def test_a_backup_is_whole_and_a_new_server_begins_with_it(
    cache: ValkeyServer, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base_backups, "PART_BYTES", 1 << 16)
    await provision(a_database(), cache.endpoint, [], ROOT, OWNER)
    async with await as_owner(cache.endpoint) as connection:
        await connection.ask("FLUSHALL")
        await connection.ask("EVAL", "for i=1,5000 do redis.call('SET', 'k'..i, redis.sha1hex(i)) end", "0")
        for words in OF_EVERY_TYPE:
            await connection.ask(*words.split())
        code = "#!lua name=it\nredis.register_function('answer', function() return 42 end)"
        await connection.ask("FUNCTION", "LOAD", code)
        taken = await ValkeySource(cache.endpoint, ROOT, "cache").take(archive, "base")
        await connection.ask("SET", "after", "the backup")
    assert taken.engine == "valkey" and len(taken.parts) > 1
    assert [each.id for each in (await manifests(archive, "base")).whole] == [taken.id]
    with running() as new:
        await bring(archive, "base", taken, new.endpoint, ROOT)
        new.kill()  # it is on its disk by then
        new.start(a_database())
        async with await server.opened(new.endpoint, ROOT) as connection:
            assert await connection.ask("DBSIZE") == 5_000 + 12
            assert (
                await connection.ask("GET", "k96") == hashlib.sha1(b"96").hexdigest()
                and await connection.ask("GET", "after") is None
            )
            assert 0 < int(str(await connection.ask("TTL", "later"))) <= 3600
            assert await connection.ask("LRANGE", "list", "0", "-1") == ["a", "b", "a" * 50]
            assert await connection.ask("ZRANGE", "scores", "0", "-1") == ["two", "one"]
            assert await connection.ask("XLEN", "stream") == 2
            assert "readers" in str(await connection.ask("XINFO", "GROUPS", "stream"))
            assert await connection.ask("FCALL", "answer", "0") == 42
            await connection.ask("SELECT", "3")
            assert await connection.ask("GET", "elsewhere") == "-123456"
            assert (await server.look(connection)).takes_writes


async def test_a_value_above_what_the_new_server_takes_from_people_is_brought_back(
    cache: ValkeyServer, archive: Archive
) -> None:
    small = {"proto-max-bulk-len": "1048576", "client-query-buffer-limit": "1048576", "maxmemory": "3145728"}
    async with await server.opened(cache.endpoint, ROOT) as connection:
        await connection.ask("FLUSHALL")
        await connection.ask("EVAL", "for i=1,40000 do redis.call('RPUSH', 'l', redis.sha1hex(i)..i) end", "0")
    taken = await ValkeySource(cache.endpoint, ROOT, "cache").take(archive, "base")
    with running() as new:
        async with await server.opened(new.endpoint, ROOT) as connection:
            assert not await server.set_parameters(connection, small, {})
        await bring(archive, "base", taken, new.endpoint, ROOT)
        async with await server.opened(new.endpoint, ROOT) as connection:
            assert await connection.ask("LLEN", "l") == 40_000
            for each in small:  # as a server has it that was told nothing
                assert await connection.ask("CONFIG", "GET", each) == [each, PARAMETERS[each]]


async def test_a_backup_that_could_not_be_brought_back_is_none(
    cache: ValkeyServer, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "MOST_VALUE", 1 << 20)
    async with await server.opened(cache.endpoint, ROOT) as connection:
        await connection.ask("EVAL", "redis.call('SET', 'k', string.rep(redis.sha1hex(1), 30000))", "0")
        with pytest.raises(ValkeyError, match="value of database 0 has more than 1 MiB"):
            await ValkeySource(cache.endpoint, ROOT, "cache").take(archive, "base")
        await connection.ask("DEL", "k")
    assert not (await manifests(archive, "base")).whole


async def test_a_backup_that_fails_is_tried_less_and_less_often(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each copies all there is."""
    pauses: list[float] = []
    enough = asyncio.Event()

    def passes(seconds: float) -> asyncio.Timeout:
        pauses.append(seconds)
        if len(pauses) == 8:
            enough.set()
        return asyncio.Timeout(0.0)

    async def fails(*_: object) -> None:
        raise ValkeyError("a value of database 0 has more than 512 MiB")

    monkeypatch.setattr(ValkeySource, "take", fails)
    monkeypatch.setattr(asyncio, "timeout", passes)
    source = ValkeySource(Endpoint(host="127.0.0.1", port=1), ROOT, "cache")
    archiving = Archiving(SystemClock())
    report = archiving.keep("u", Wanted(source, BackupPolicy(), "", "databases/one", "k"), archive)
    await enough.wait()
    await archiving.close()
    assert pauses[:8] == [1, 2, 5, 15, 60, 300, 300, 300]
    assert report.fault == "no base backup: a value of database 0 has more than 512 MiB"


async def test_a_part_that_is_missing_is_told(cache: ValkeyServer, archive: Archive) -> None:
    taken = await ValkeySource(cache.endpoint, ROOT, "cache").take(archive, "base")
    for each in await archive.names(f"base/{taken.id}/"):
        if "part-" in each:
            await archive.delete(each)
    with running() as new, pytest.raises(Missing, match="part-000001"):
        await bring(archive, "base", taken, new.endpoint, ROOT)


async def test_a_replica_follows_takes_writes_when_it_is_promoted_and_leads_the_others() -> None:
    database, looks = a_database(members=3), MemberLooks()
    with running(database) as first, running(database, first.endpoint) as second, running(database) as third:
        doors = {
            name: Door(each.endpoint, ROOT, is_valkey=True)
            for name, each in (("cache-0", first), ("cache-1", second), ("cache-2", third))
        }
        await provision(database, first.endpoint, [second.endpoint, third.endpoint], ROOT, OWNER)
        async with await as_owner(first.endpoint) as connection:
            await connection.ask("SET", "a", "1")
        async with asyncio.timeout(60):
            while sum(each.streaming for each in (await looks.look("u", doors)).values()) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert (await looks.look("u", doors))["cache-0"].takes_writes
        assert await refusal(second.endpoint, "cache", OWNER, "SET", "a", "2") == "READONLY"
        first.kill()
        assert not (await looks.look("u", doors))["cache-0"].answers
        await server.promote(second.endpoint, ROOT)
        assert (await looks.look("u", doors))["cache-1"].takes_writes
        await provision(database, second.endpoint, [third.endpoint], ROOT, OWNER)
        first.start(database, second.endpoint)
        async with await as_owner(second.endpoint) as connection:
            await connection.ask("SET", "b", "2")
        async with asyncio.timeout(60):
            for replica in (first, third):
                while await _value(replica.endpoint, "b") != "2":  # noqa: ASYNC110 - the server says nothing by itself
                    await asyncio.sleep(0.05)
    await looks.close()


async def test_a_primary_that_lost_its_data_does_not_have_the_others_lose_it() -> None:
    """It would answer as primary, and they would copy that there is nothing."""
    database, looks = a_database(members=2), MemberLooks()
    with running(database) as first, running(database, first.endpoint) as second:
        doors = {"second": Door(second.endpoint, ROOT, is_valkey=True)}
        await provision(database, first.endpoint, [second.endpoint], ROOT, OWNER)
        database.status.members = [MemberStatus(name="cache-0"), MemberStatus(name="cache-1")]
        async with await as_owner(first.endpoint) as connection:
            await connection.ask("SET", "a", "1")
        async with asyncio.timeout(60):
            while await _value(second.endpoint, "a") != "1":  # noqa: ASYNC110 - the server says nothing by itself
                await asyncio.sleep(0.05)
        first.kill()
        first.start(database)
        first.kill()
        first.lose()
        with pytest.raises(AssertionError, match="it does not start"):
            first.start(database)
        await server.promote(second.endpoint, ROOT)
        assert (await looks.look("u", doors))["second"].takes_writes
        first.start(database, second.endpoint)  # as a replica it begins with nothing
        async with asyncio.timeout(60):
            while await _value(first.endpoint, "a") != "1":  # noqa: ASYNC110 - the server says nothing by itself
                await asyncio.sleep(0.05)
    await looks.close()


async def _value(at: Endpoint, key: str) -> object:
    async with await server.opened(at, ROOT) as connection:
        try:
            return await connection.ask("GET", key)
        except ValkeyError:
            return None
