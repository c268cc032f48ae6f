"""Programs in the process runtime: what they are told, what they may not do, and the way back from a bad revision."""

import re
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from bottles import KEY, Bottle, FakeChild

from controller.kit.virtual import VirtualLoop
from controller.runtime.driver import DriverError, File, Port, RolloutPolicy, Volume, Workload
from controller.runtime.process import exposure, programs, state_files
from controller.runtime.process.contents import Contents
from controller.runtime.process.processes import Exit, boot_id
from controller.runtime.process.state_files import InstanceRecord
from crds.probes import HttpGet, Probe, Probes, TcpSocket

pytestmark = pytest.mark.anyio
READY = Probe(http_get=HttpGet(path="/ready"), period_seconds=2)
WEB = Workload(
    KEY, "uid", "one", 1, command=("serve",), program=True, ports=(Port(80, name="http"), Port(81, name="admin-ui")),
    probes=Probes(readiness=READY),
)  # fmt: skip


@pytest.fixture
def anyio_backend():
    return ("asyncio", {"loop_factory": VirtualLoop})


@pytest.fixture
async def bottle(tmp_path):
    return Bottle(tmp_path)


def test_it_is_told_where_to_listen_and_nobody_overrules_that():
    wish = replace(WEB, env={"PORT": "1", "COLOUR": "blue"}, secret_env={"PASSWORD": "p", "HOST": "evil"})
    env = programs.environment(wish, "web-0", {80: 4001, 81: 4002})
    assert (env["PORT"], env["AEREKOS_PORT_HTTP"], env["AEREKOS_PORT_ADMIN_UI"]) == ("4001", "4001", "4002")
    assert (env["HOST"], env["COLOUR"], env["PASSWORD"], env["AEREKOS_INSTANCE"]) == (
        "127.0.0.1",
        "blue",
        "p",
        "web-0",
    )
    published = replace(wish, ports=(Port(80, published=8080),))
    assert programs.environment(published, "web-0", {80: 8080})["HOST"] == "0.0.0.0"
    assert "PORT" not in programs.environment(replace(WEB, ports=(), env={}), "web-0", {})


def test_nothing_of_the_conductor_s_own_environment_reaches_it(monkeypatch):
    monkeypatch.setenv("AEREKOS_ADMIN_PASSWORD", "x")
    monkeypatch.setenv("VIRTUAL_ENV", "/somewhere")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    env = programs.environment(WEB, "web-0", {80: 1, 81: 2})
    assert not {"AEREKOS_ADMIN_PASSWORD", "VIRTUAL_ENV", "PYTHONPATH", "USER"} & set(env)


def test_words_are_expanded_as_kubernetes_does():
    words = ("--port=$(PORT)", "$$(PORT)", "$(NOBODY)", "$PORT", "$(date)", "$$")
    assert programs.expanded(words, {"PORT": "80"}) == ("--port=80", "$(PORT)", "$(NOBODY)", "$PORT", "$(date)", "$")


@given(st.text(), st.text())
def test_what_a_variable_holds_is_not_expanded_again(text, value):
    (word,) = programs.expanded((text,), {"A": value, "B": "$(A)"})
    assert word == re.sub(
        r"\$\$|\$\(A\)|\$\(B\)", lambda found: {"$$": "$", "$(A)": value, "$(B)": "$(A)"}[found[0]], text
    )


def test_a_probe_asks_the_port_the_copy_really_has():
    ports = {80: 4001, 81: 4002}
    for probe, port in ((Probe(tcp_socket=TcpSocket(port=81)), 4002), (Probe(http_get=HttpGet(port=80)), 4001)):
        moved, found = programs.where_it_is(probe, ports, 4001)
        question = moved.tcp_socket or moved.http_get
        assert found == port and question.port is None
    assert programs.where_it_is(Probe(tcp_socket=TcpSocket()), ports, 4001)[1] == 4001


def test_files_are_in_memory_and_each_change_has_a_place_of_its_own():
    kept = Contents()
    first = kept.keep("web-0", {"/a": b"x"}, {})
    assert kept.keep("web-0", {"/a": b"x"}, {}) == first and kept.keep("web-1", {"/a": b"x"}, {})[1] != first[1]
    second, third = kept.keep("web-0", {"/a": b"y"}, {}), kept.keep("web-0", {"/a": b"y"}, {"A": "b"})
    assert len({first[1], second[1], third[1]}) == 3, "who still reads the first is told that it is gone"
    with pytest.raises(OSError, match="are kept in memory"):
        kept.keep("web-0", {"/a": b"x" * (programs.MOST_FILE_BYTES + 1)}, {})
    kept.drop("web-1")


@pytest.mark.parametrize(
    ("address", "wide"),
    [
        ("0100007F", False), ("0200007F", False), ("00000000", True), ("0A00000A", True),
        ("00000000000000000000000001000000", False), ("00000000000000000000000000000000", True),
        ("0000000000000000FFFF00000100007F", False), ("0000000000000000FFFF00000A00000A", True),
    ],
)  # fmt: skip
def test_who_listens_for_other_machines_is_found(monkeypatch, address, wide):
    table = f"  sl  local_address rem_address   st\n   0: {address}:0FA1 00000000:0000 0A 00000000:00000000\n"
    monkeypatch.setattr(exposure, "_tables", lambda: iter([table, table.replace(" 0A ", " 01 ")]))
    assert bool(exposure.exposed({4001})) == wide
    assert not exposure.exposed({4002}), "a neighbour's port is the neighbour's business"


async def test_a_machine_without_walls_refuses_it_by_name_and_starts_nothing(bottle):
    bottle.machine.lacks_walls = "Landlock 4"
    async with bottle.running():
        with pytest.raises(
            DriverError, match="web is a program, and this machine cannot wall it in: it lacks Landlock 4"
        ):
            await bottle.driver.apply(WEB)
        await anyio.sleep(1)
        assert not bottle.machine.started_at


async def test_who_lets_in_other_machines_is_killed_and_told(bottle):
    bottle.machine.lets_in = "it listens for every machine"
    async with bottle.running():
        await bottle.driver.apply(WEB)
        await anyio.sleep(0.2)
        assert len(bottle.machine.started_at) > 1, "the first one was ended"
        assert bottle.when("UnexpectedListener") and not bottle.when("Ready")
        bottle.machine.lets_in = ""
        await anyio.sleep(5)
        assert bottle.when("Ready")


async def test_without_ports_it_has_no_address(bottle):
    async with bottle.running():
        await bottle.driver.apply(replace(WEB, ports=(), probes=Probes()))
        await anyio.sleep(0.1)
        (seen,) = await bottle.seen()
        assert seen.ready and seen.address == ""


def adopted(**changes):
    return InstanceRecord("web-0", 7, 1, boot_id(), 4001, changes.pop("at"), replace(WEB, **changes), {81: 4002})


async def test_what_was_adopted_is_not_started_anew_before_all_of_it_is_known(bottle):
    """A record holds no secrets and no files."""
    child = FakeChild(7)
    bottle.machine.left = [(adopted(at=bottle.clock.now()), child)]
    async with bottle.running():
        child.end(Exit(code=1))
        await anyio.sleep(5)
        assert not bottle.machine.started_at
        await bottle.driver.apply(replace(WEB, secret_env={"PASSWORD": "p"}))
        await anyio.sleep(0.1)
        assert len(bottle.machine.started_at) == 1


async def test_a_program_that_is_not_wanted_any_more_does_not_wait_for_that(bottle):
    child = FakeChild(7)
    bottle.machine.left = [(adopted(at=bottle.clock.now()), child)]
    async with bottle.running():
        child.end(Exit(code=1))
        await anyio.sleep(1)
        await bottle.driver.remove(KEY)
        await anyio.sleep(1)
        assert await bottle.driver.remove(KEY) and not await bottle.seen()


def test_a_record_keeps_ports_and_no_secrets(
    tmp_path,
):
    wish = replace(WEB, secret_env={"PASSWORD": "hunter2"}, volumes=(Volume("data", "/data"),),
                   files=(File("/app/x", b"hunter2", secret=True),))  # fmt: skip
    written = InstanceRecord("web-0", 7, 1, boot_id(), 4001, datetime.now(UTC), wish, {81: 4002})
    state_files.write(tmp_path, written)
    assert "hunter2" not in (tmp_path / "run" / "instances" / "web-0.json").read_text()
    (read,) = state_files.read_all(tmp_path)
    assert read.more_ports == {81: 4002} and read.workload.ports == WEB.ports and read.workload.program


async def _with_a_bad_revision(bottle, **changes):
    bottle.prober.answers["/ready"] = None
    await bottle.driver.apply(WEB)
    await anyio.sleep(5)
    bottle.prober.answers["/ready"] = "refused"
    new = replace(WEB, revision="two", **changes)
    await bottle.driver.apply(new)
    await anyio.sleep(1)
    for _ in "12":
        bottle.machine.children["web-0"].end(Exit(code=3))
        await anyio.sleep(0.3)
    return new


async def test_a_revision_that_does_not_get_ready_is_rolled_back_and_told(bottle):
    async with bottle.running():
        new = await _with_a_bad_revision(bottle)
        bottle.prober.answers["/ready"] = None
        await anyio.sleep(2)
        (seen,) = await bottle.seen()
        assert (seen.revision, seen.ready) == ("one", True) and bottle.when("RolledBack")
        with pytest.raises(DriverError, match=r"revision two did not get ready \(exit code 3\)") as refused:
            await bottle.driver.apply(replace(new, replicas=2))
        assert refused.value.reason == "RolledBack"
        await anyio.sleep(5)
        assert [each.revision for each in await bottle.seen()] == ["one", "one"], "it can be scaled meanwhile"
        await bottle.driver.apply(replace(WEB, revision="three"))
        await anyio.sleep(10)
        assert [each.revision for each in await bottle.seen()] == ["three"], "another change is another try"


async def test_with_pause_it_is_left_for_a_person_to_look_at(bottle):
    async with bottle.running():
        await _with_a_bad_revision(bottle, update=RolloutPolicy(on_failure="pause"))
        await anyio.sleep(2)
        (seen,) = await bottle.seen()
        assert seen.revision == "two" and not bottle.when("RolledBack")
