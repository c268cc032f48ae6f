"""Ports of programs: which numbers a copy gets, and what happens when a published one is taken."""

import socket
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from controller.runtime.driver import Port, Workload
from controller.runtime.process.process_host import LocalProcessHost
from controller.runtime.process.spawning import SpawnFailed, usual_port
from crds.meta import ObjectKey

pytestmark = pytest.mark.anyio
KEY = ObjectKey("aerekos.cloud", "services", "default", "web")
WEB = Workload(KEY, "uid", "one", 1, command=("serve",), program=True, ports=(Port(80, name="http"), Port(81)))


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A real machine whose starts only tell what would be started."""
    made = LocalProcessHost(tmp_path)
    monkeypatch.setattr(made, "_launch", lambda wish, instance, port: None)
    monkeypatch.setattr("controller.runtime.process.process_host.spawn", lambda launch, remember, forks: (None, ""))
    return made


def a_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def test_each_port_has_a_number_of_its_own_and_keeps_it(machine):
    _, port, _ = await machine.spawn(WEB, "web-0", 0, NOW)
    first = machine.ports(WEB, "web-0", port)
    _, other, _ = await machine.spawn(WEB, "web-1", 0, NOW)
    assert len({*first.values(), *machine.ports(WEB, "web-1", other).values()}) == 4
    machine.release(port)
    _, again, _ = await machine.spawn(WEB, "web-0", port, NOW)
    assert machine.ports(WEB, "web-0", again) == first
    machine.discard("web-0")
    assert machine.ports(replace(WEB, ports=()), "web-0", 0) == {}


async def test_a_program_has_its_port_again_and_another_where_somebody_took_it(machine, tmp_path):
    _, port, _ = await machine.spawn(WEB, "web-0", 0, NOW)
    machine.release(port)
    machine.discard("web-0")
    _, again, _ = await machine.spawn(WEB, "web-0", 0, NOW)
    assert again == port == usual_port(tmp_path, "web-0") and 20_000 <= port < 32_768
    machine.release(port)
    machine.discard("web-0")
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", port))
        somebody.listen()
        _, other, _ = await machine.spawn(WEB, "web-0", 0, NOW)
    assert other != port


@pytest.mark.parametrize("which", [0, 1])
async def test_a_published_port_is_that_one_or_none(machine, which):
    wanted = a_port()
    ports = [Port(80), Port(81)]
    ports[which] = replace(ports[which], published=wanted)
    wish = replace(WEB, ports=tuple(ports))
    _, port, _ = await machine.spawn(wish, "web-0", 0, NOW)
    assert list(machine.ports(wish, "web-0", port).values())[1 - which] == wanted
    with pytest.raises(SpawnFailed, match=f"{wanted} of this machine is taken by somebody else"):
        await machine.spawn(wish, "web-1", 0, NOW)


async def test_without_a_sandbox_no_program_starts(tmp_path):
    with pytest.raises(SpawnFailed, match="needs a sandbox"):
        await LocalProcessHost(tmp_path).spawn(WEB, "web-0", 0, NOW)
    assert await LocalProcessHost(tmp_path).refuses_programs()
