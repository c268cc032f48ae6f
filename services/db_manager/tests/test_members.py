"""What the members of a Database are made of, and the course of a failover as its Services see it."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from crds.engines.postgresql import REPLICA_LINE
from crds.errors import Invalid
from crds.kinds.config_map import CONFIG_MAP
from crds.kinds.event import EVENT
from crds.kinds.secret import SECRET
from crds.kinds.service import SERVICE, Instance
from crds.phases import ServicePhase
from services.db_manager.kinds import DATABASE, Database, DatabaseSpec, Endpoint
from services.db_manager.manifest import MANIFEST
from services.db_manager.member import wanted_server
from services.db_manager.members import group, standstill
from services.db_manager.members.configuration import member_configuration
from services.db_manager.members.failover import Look
from services.db_manager.members.looking import MemberLooks
from services.db_manager.members.routes import route_configuration
from services.db_manager.members.sizes import least_sizes, with_least_sizes
from services.db_manager.members.standstill import Standstill
from services.db_manager.names import LONGEST_NAME_WITH_MEMBERS
from services.db_manager.tests.test_invariants import check, database
from services.sdk.testing import in_memory, virtual_time
from services.sdk.testing.virtual import MemoryService

PRIMARY = Endpoint(host="127.0.0.1", port=5001)
WRITES, FOLLOWS = Look(True, False, 100), Look(True, True, 100, True)


def a_database(name: str = "shop", **spec: object) -> Database:
    return DATABASE.new(name, namespace="default", spec=DatabaseSpec(engine="postgresql", **spec))


def test_a_replica_is_told_whom_it_follows_and_a_primary_is_not() -> None:
    database = a_database(members=3, durability="strict", parameters={"work_mem": "5MB"})
    first, other = (member_configuration(database, "shop-0"), member_configuration(database, "shop-1", PRIMARY))
    assert REPLICA_LINE not in first and "primary_conninfo" not in first
    assert other.startswith(f"{REPLICA_LINE}127.0.0.1 5001\n") and "primary_slot_name = 'aerekos_member_1'" in other
    assert (
        "host=127.0.0.1 port=5001" in other
        and "application_name=shop-1" in other
        and "password" not in other.replace("passwords", "")
    )
    assert """synchronous_standby_names = 'ANY 1 ("shop-1", "shop-2")'""" in first, "from its first commit on"
    assert """synchronous_standby_names = 'ANY 1 ("shop-0", "shop-2")'""" in other
    assert all("work_mem = '5MB'" in each and "wal_keep_size = '256MB'" in each for each in (first, other))
    assert "synchronous" not in member_configuration(a_database(members=2), "shop-0")


@given(st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=40))
def test_no_parameter_makes_a_primary_a_replica(value: str) -> None:
    text = member_configuration(a_database(members=2, parameters={"work_mem": value}), "shop-0")
    assert not any(line.startswith(REPLICA_LINE) for line in text.split("\n"))


@pytest.mark.skipif(shutil.which("haproxy", path="/usr/sbin:/usr/bin") is None, reason="no HAProxy")
@pytest.mark.parametrize(
    "servers", [{}, {"shop-0": PRIMARY}, {"shop-1": PRIMARY, "shop-2": Endpoint(host="::1", port=5002)}]
)
def test_haproxy_takes_its_configuration(servers: dict[str, Endpoint], tmp_path: Path) -> None:
    file = tmp_path / "haproxy.cfg"
    file.write_text(route_configuration(servers))
    env = {"HOST": "127.0.0.1", "PORT": "15999", "PATH": "/usr/sbin:/usr/bin"}
    said = subprocess.run(["haproxy", "-c", "-f", str(file)], env=env, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr


def test_one_server_is_as_it_was_and_several_are_stopped_sooner() -> None:
    assert wanted_server(a_database()).stop_grace_seconds == 10
    assert wanted_server(a_database(members=2), 1).stop_grace_seconds == 3
    published = a_database(members=2, exposure={"port": 15432})
    assert wanted_server(published).ports[0].published is None, "its address is, not one of its servers"


@pytest.mark.parametrize("spec", [{"durability": "strict"}, {"members": 0}, {"members": 6}])
def test_what_cannot_be_is_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="members"):
        a_database(**spec)


@pytest.mark.parametrize("before", [None, 1])
def test_a_name_leaves_room_for_those_of_its_addresses(before: int | None) -> None:
    name = "n" * LONGEST_NAME_WITH_MEMBERS
    told = {"database": "a", "username": "a", "members": 2}
    check(DATABASE, database(name, **told))
    stored = database(f"{name}n", **{**told, "members": before}) if before else None
    with pytest.raises(Invalid, match="-rw"):
        check(DATABASE, database(f"{name}n", **told), stored)


class Servers:
    """What the members answer, in the place of servers; promoted is who was told to take writes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.looks: dict[str, Look] = {}
        self.promoted: list[int] = []
        monkeypatch.setattr(MemberLooks, "look", self._look)
        monkeypatch.setattr(group, "promote", self._promote)

    async def _look(self, uid: str, doors: dict[str, Any]) -> dict[str, Look]:
        return {each: self.looks.get(each, Look()) for each in doors}

    async def _promote(self, endpoint: Endpoint, password: str, slots: list[str]) -> None:
        assert password == "secret-secret"
        self.promoted.append(endpoint.port)
        self.looks[f"shop-{endpoint.port - 5000}"] = WRITES


async def answers(service: MemoryService, name: str, port: int) -> None:
    """The conductor has started it."""
    there = await service.resources.get(SERVICE, name, "default")
    there.status.phase = ServicePhase.READY
    there.status.instances = [Instance(name=f"{name}-0", address=f"127.0.0.1:{port}", ready=True)]
    await told(service, name, there.status.wire())


async def is_gone(service: MemoryService, name: str) -> None:
    """The conductor has stopped it."""
    there = await service.resources.get(SERVICE, name, "default")
    seen: dict[str, Any] = {
        "phase": ServicePhase.DISABLED,
        "instances": [],
        "observedGeneration": there.metadata.generation,
    }
    await told(service, name, seen)


async def told(service: MemoryService, name: str, status: dict[str, Any]) -> None:
    await service.resources.patch(SERVICE, name, {"status": status}, "default", subresource="status")


@virtual_time
async def test_a_primary_is_stopped_before_another_takes_its_place_and_follows_it_then() -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        servers = Servers(monkeypatch)
        async with in_memory(MANIFEST) as service:
            get = service.resources.get
            await service.resources.create(
                SECRET, SECRET.new("shop-0-superuser", namespace="default", data={"password": "c2VjcmV0LXNlY3JldA=="})
            )
            await service.resources.create(DATABASE, a_database(members=2))
            await service.advance(1)
            assert not await there(service, "shop-1"), "there is nothing to copy yet"
            servers.looks["shop-0"] = WRITES
            await answers(service, "shop-0", 5000)
            await service.advance(2)
            copied = await get(SECRET, "shop-1-superuser", "default")
            assert copied.data == (await get(SECRET, "shop-0-superuser", "default")).data
            servers.looks["shop-1"] = FOLLOWS
            await answers(service, "shop-1", 5001)
            await service.advance(3)
            lacks = [each.lag_bytes for each in (await get(DATABASE, "shop", "default")).status.members]
            assert lacks == [None, 0]

            servers.looks["shop-0"] = Look()
            await service.advance(6)
            seen = await get(DATABASE, "shop", "default")
            assert seen.status.switch is not None and seen.status.switch.new == "shop-1"
            assert not (await get(SERVICE, "shop-0", "default")).spec.enabled and servers.promoted == []
            routes = (await get(CONFIG_MAP, "shop-routes", "default")).data or {}
            assert not any("server shop" in text for text in routes.values()), (
                "its port may be another program's soon"
            )
            await told(service, "shop-0", {"phase": ServicePhase.DISABLED, "instances": [], "observedGeneration": 1})
            await service.advance(2)
            assert servers.promoted == [], "what was said before it was to be stopped does not count"
            await is_gone(service, "shop-0")
            await service.advance(2)
            assert servers.promoted == [5001]
            seen = await get(DATABASE, "shop", "default")
            assert (seen.status.primary, seen.status.switch) == ("shop-1", None)
            news = [each.reason for each in (await service.resources.list(EVENT, "default")).items]
            assert news.count("Switching") == news.count("PrimaryChanged") == 1
            assert (await get(SERVICE, "shop-0", "default")).spec.enabled
            texts = (await get(CONFIG_MAP, "shop-parameters", "default")).data or {}
            assert texts["postgresql.conf"].startswith(f"{REPLICA_LINE}127.0.0.1 5001\n")
            assert REPLICA_LINE not in texts["1.conf"]
            routes = (await get(CONFIG_MAP, "shop-routes", "default")).data or {}
            assert "server shop-1 127.0.0.1:5001" in routes["rw.cfg"] and "shop-0" not in routes["rw.cfg"]


async def there(service: MemoryService, name: str) -> bool:
    return any(each.metadata.name == name for each in (await service.resources.list(SERVICE, "default")).items)


@virtual_time
async def test_a_primary_whose_service_is_deleted_does_not_begin_anew_beside_its_replica() -> None:
    """It would be empty, and take writes."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        servers = Servers(monkeypatch)
        async with in_memory(MANIFEST) as service:
            await service.resources.create(
                SECRET, SECRET.new("shop-0-superuser", namespace="default", data={"password": "c2VjcmV0LXNlY3JldA=="})
            )
            await service.resources.create(DATABASE, a_database(members=2))
            await service.advance(1)
            servers.looks = {"shop-0": WRITES, "shop-1": FOLLOWS}
            await answers(service, "shop-0", 5000)
            await service.advance(2)
            await answers(service, "shop-1", 5001)
            await service.advance(3)
            await service.resources.delete(SERVICE, "shop-0", "default")
            await service.advance(4)
            assert servers.promoted == [5001]
            await service.advance(3)
            assert (await service.resources.get(DATABASE, "shop", "default")).status.primary == "shop-1"
            texts = (await service.resources.get(CONFIG_MAP, "shop-parameters", "default")).data or {}
            assert texts["postgresql.conf"].startswith(REPLICA_LINE), "what begins anew copies"


async def three(service: MemoryService, servers: Servers, **spec: Any) -> None:
    """All of them run, and follow shop-0."""
    await service.resources.create(
        SECRET, SECRET.new("shop-0-superuser", namespace="default", data={"password": "c2VjcmV0LXNlY3JldA=="})
    )
    await service.resources.create(DATABASE, a_database(members=3, **spec))
    await service.advance(1)
    servers.looks = {"shop-0": WRITES}
    await answers(service, "shop-0", 5000)
    await service.advance(2)
    servers.looks |= {"shop-1": FOLLOWS, "shop-2": FOLLOWS}
    for index in (1, 2):
        await answers(service, f"shop-{index}", 5000 + index)
    await service.advance(3)


@virtual_time
async def test_strict_a_member_goes_once_the_others_have_what_it_has() -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        servers = Servers(monkeypatch)
        async with in_memory(MANIFEST) as service:
            await three(service, servers, durability="strict")
            servers.looks["shop-1"] = replace(FOLLOWS, lsn=50)
            await service.resources.patch(DATABASE, "shop", {"spec": {"members": 2}}, "default")
            await service.advance(40)
            assert await there(service, "shop-2"), "the primary waits for it still, as far as anybody knows"
            servers.looks["shop-0"] = replace(WRITES, waits_for='ANY 1 ("shop-1")')
            await service.advance(40)
            assert await there(service, "shop-2"), "shop-1 lacks what shop-2 has"
            servers.looks["shop-1"] = FOLLOWS
            await service.advance(4)
            assert not await there(service, "shop-2")


@virtual_time
async def test_strict_who_is_not_wanted_any_more_takes_a_lost_primarys_place_with_what_it_alone_has() -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        servers = Servers(monkeypatch)
        async with in_memory(MANIFEST) as service:
            await three(service, servers, durability="strict")
            servers.looks |= {"shop-0": Look(), "shop-1": replace(FOLLOWS, lsn=50), "shop-2": Look()}
            await service.resources.patch(DATABASE, "shop", {"spec": {"members": 2}}, "default")
            await service.advance(20)
            seen = await service.resources.get(DATABASE, "shop", "default")
            assert seen.status.conditions[0].reason == "NoSuccessor" and await there(service, "shop-2")
            servers.looks["shop-2"] = FOLLOWS
            await service.advance(5)
            await is_gone(service, "shop-0")
            await service.advance(2)
            assert servers.promoted == [5002]


@virtual_time
async def test_a_member_that_does_not_follow_any_more_is_copied_anew_once() -> None:
    """It has more of the log than whoever was chosen in its absence, and is refused for ever."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        servers = Servers(monkeypatch)
        monkeypatch.setattr(standstill, "STANDSTILL_SECONDS", 20.0)
        async with in_memory(MANIFEST) as service:
            await three(service, servers)
            first = await service.resources.get(SERVICE, "shop-1", "default")
            servers.looks["shop-1"] = replace(FOLLOWS, streaming=False, lsn=150)
            await service.advance(10)
            assert (await service.resources.get(SERVICE, "shop-1", "default")).metadata.uid == first.metadata.uid
            await service.advance(15)
            again = await service.resources.get(SERVICE, "shop-1", "default")
            assert again.metadata.uid != first.metadata.uid
            await answers(service, "shop-1", 5001)
            await service.advance(60)
            seen = await service.resources.get(SERVICE, "shop-1", "default")
            assert seen.metadata.uid == again.metadata.uid, "what a copy does not help is not copied again and again"
            news = [each.reason for each in (await service.resources.list(EVENT, "default")).items]
            assert news.count("CopiedAnew") == 1


def test_only_who_stands_still_beside_a_primary_that_takes_writes_does_not_follow() -> None:
    still, apart = Standstill(), replace(FOLLOWS, streaming=False)

    def after(seconds: float, **looks: Look) -> tuple[str, ...]:
        return still.note("a", {"a": WRITES, **looks}, seconds)

    assert after(0, b=apart) == () and after(299, b=apart) == () and after(300, b=apart) == ("b",)
    assert after(301, b=replace(apart, lsn=101)) == (), "it reads its own log still"
    assert after(601, b=FOLLOWS) == () and after(602, b=FOLLOWS) == () and after(603, b=apart) == ()
    assert after(700, b=apart, a=Look()) == () and after(902, b=apart) == (), "the primary was away"
    assert after(1300, b=Look()) == () and after(1400, b=apart) == ()
    assert after(1500, b=FOLLOWS) == () and after(1600, b=apart) == (), "it tries, and is refused"
    assert after(1700, b=apart) == ("b",)


def test_a_replica_has_as_much_as_its_primary_had_until_it_has_read_beyond_that() -> None:
    """With less it does not start."""
    high, low = replace(WRITES, sizes=(200, 64, 0, 10, 8)), replace(WRITES, sizes=(50, 64, 0, 10, 8))
    late, level = replace(FOLLOWS, replayed=99), replace(FOLLOWS, replayed=100)

    def least(known: dict[str, str], before: dict[str, Look], now: dict[str, Look]) -> dict[str, str]:
        return least_sizes(known, "a", ["b"], before, now)

    known = least({}, {}, {"a": high, "b": level})
    assert known["max_connections"] == "200"
    assert least(known, {"a": high}, {"a": low, "b": level}) == known, "it may have been written before the restart"
    assert least(known, {"a": low}, {"a": low, "b": late}) == known
    assert least(known, {"a": low}, {"a": low, "b": Look()}) == known
    assert least(known, {"a": low}, {"a": Look(), "b": level}) == known
    assert least(known, {"a": low}, {"a": low, "b": level})["max_connections"] == "50"

    made = a_database(members=2, parameters={"max_connections": "50", "max_worker_processes": "16"})
    made.status.replica_parameters = known
    primary, replica = member_configuration(made, "shop-0"), member_configuration(made, "shop-1", PRIMARY)
    assert "max_connections = '50'" in primary and "max_locks" not in primary
    assert "max_connections = '200'" in replica and "max_worker_processes = '16'" in replica
    assert with_least_sizes({"max_connections": "0x20"}, known)["max_connections"] == "0x20"


@virtual_time
async def test_nobody_is_led_to_the_port_of_a_primary_that_has_ended() -> None:
    """While nobody may take its place, any other program may have it."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        servers = Servers(monkeypatch)
        async with in_memory(MANIFEST) as service:
            await three(service, servers, durability="strict")

            async def led_to() -> str:
                return ((await service.resources.get(CONFIG_MAP, "shop-routes", "default")).data or {})["rw.cfg"]

            servers.looks |= {"shop-0": Look(), "shop-1": Look()}
            await service.advance(5)
            assert "server shop-0 127.0.0.1:5000" in await led_to(), "it runs, and has its port"
            gone = [{"name": "shop-0-0", "address": "127.0.0.1:5000", "ready": False}]
            await told(service, "shop-0", {"phase": ServicePhase.DEGRADED, "instances": gone})
            await service.advance(5)
            assert "server shop" not in await led_to()
            servers.looks["shop-0"] = WRITES
            await answers(service, "shop-0", 5000)
            await service.advance(5)
            assert "server shop-0 127.0.0.1:5000" in await led_to()


@virtual_time
async def test_what_replicas_have_at_least_is_known_while_all_are_stopped() -> None:
    """They start together, and have not read beyond the primary's restart then."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        servers = Servers(monkeypatch)
        async with in_memory(MANIFEST) as service:
            await three(service, servers, parameters={"max_connections": "200"})
            servers.looks["shop-0"] = replace(WRITES, sizes=(200, 64, 0, 10, 8))
            await service.advance(40)
            change = {"spec": {"enabled": False, "parameters": {"max_connections": "50"}}}
            await service.resources.patch(DATABASE, "shop", change, "default")
            await service.advance(40)
            seen = await service.resources.get(DATABASE, "shop", "default")
            assert seen.status.replica_parameters["max_connections"] == "200"
            texts = (await service.resources.get(CONFIG_MAP, "shop-parameters", "default")).data or {}
            assert "max_connections = '50'" in texts["postgresql.conf"]
            assert "max_connections = '200'" in texts["1.conf"]
