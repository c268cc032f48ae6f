"""Probes ask the instance they are for, one question, at its own port: no other lines, no other door."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.runtime.probes import NetworkProber
from crds.kinds.service_rules import probes_ask_itself
from crds.probes import Exec, HttpGet, Probe, TcpSocket, path_fault
from crds.rules import Write
from tests.unit.runtime.bottles import Bottle
from tests.unit.runtime.test_supervising import workload

pytestmark = pytest.mark.anyio
SPLITTING = (
    "/x HTTP/1.1\r\nHost: a\r\n\r\nDELETE /everything",
    "/x\r\nX-Aerekos-Identity: forged",
    "/x y",
    "/x\n",
    "/\u010a",
    "x",
    "",
    "http://169.254.169.254/",
    "/" + "a" * 5000,
)


class Listener:
    """Counts who connects, and keeps what they sent."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.port = 0

    async def handle(self, stream: anyio.abc.SocketStream) -> None:
        async with stream:
            self.heard.append(await stream.receive())
            await stream.send(b"HTTP/1.1 200 OK\r\n\r\n")


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    made = Listener()
    server = await anyio.create_tcp_listener(local_host="127.0.0.1")
    made.port = server.extra(anyio.abc.SocketAttribute.local_port)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, made.handle)
        yield made
        tasks.cancel_scope.cancel()
    await server.aclose()


async def ask(probe: Probe, port: int) -> str | None:
    return await NetworkProber().ask(probe, f"127.0.0.1:{port}", {})


@pytest.mark.parametrize("path", SPLITTING)
async def test_a_path_that_is_more_than_a_path_is_never_sent(listener: Listener, path: str) -> None:
    """Also when it was stored before such paths were refused."""
    because = await ask(Probe(http_get=HttpGet(path=path)), listener.port)
    assert because and "path must" in because and listener.heard == []
    assert await ask(Probe(http_get=HttpGet(path="/health?full=1")), listener.port) is None
    assert listener.heard[0].startswith(b"GET /health?full=1 HTTP/1.1\r\n")


@pytest.mark.parametrize("sort", ["http", "tcp"])
async def test_another_port_is_not_asked(listener: Listener, sort: str) -> None:
    other = (
        {"http_get": HttpGet(port=listener.port)} if sort == "http" else {"tcp_socket": TcpSocket(port=listener.port)}
    )
    because = await ask(Probe(**other), listener.port + 1)  # type: ignore[arg-type]
    assert because == f"port {listener.port} is not its own ({listener.port + 1}); it is not asked"
    assert listener.heard == []


@given(st.text(max_size=80))
def test_what_passes_is_one_word_of_one_line(text: str) -> None:
    path = "/" + text
    if not path_fault(path):
        line = f"GET {path} HTTP/1.1\r\n".encode("ascii")
        assert len(line.split()) == 3 and line.count(b"\n") == 1


def causes(spec: dict[str, Any], old: dict[str, Any] | None = None) -> list[str]:
    write = Write({"spec": old} if old else None, {"spec": spec})
    return [cause.field for cause in probes_ask_itself(write)]


@pytest.mark.parametrize("path", SPLITTING)
def test_such_paths_are_refused_where_they_are_written(path: str) -> None:
    probes = {"liveness": {"httpGet": {"path": path}}}
    assert causes({"image": "x", "probes": probes}) == ["spec.probes.liveness.httpGet.path"]
    assert causes({"image": "x", "probes": probes}, old={"image": "x", "probes": probes}) == [], "stored before"


def test_a_port_that_is_not_the_services_is_refused() -> None:
    spec = {"image": "x", "ports": [{"port": 80}, {"port": 53, "protocol": "udp"}]}
    for sort in ("httpGet", "tcpSocket"):
        for port, allowed in ((80, True), (7443, False), (53, False)):
            probes = {"readiness": {sort: {"port": port}}}
            assert (causes({**spec, "probes": probes}) == []) is allowed


async def test_exec_probes_run_as_the_instance(tmp_path: Path) -> None:
    """The command reaches the prober with the walls of the instance around it."""
    bottle, asked = Bottle(tmp_path), []

    class Prober:
        async def ask(self, probe: Probe, address: str, env: Any) -> str | None:
            if probe.exec is not None:
                asked.append(probe.exec.command)
            return None

        async def forget(self, probe: Probe, address: str) -> None:
            pass

    bottle.driver._deps = type(bottle.driver._deps)(
        **{name: getattr(bottle.driver._deps, name) for name in bottle.driver._deps.__dataclass_fields__}
        | {"prober": Prober()}
    )
    probe = Probe(exec=Exec(command=["cat", "/root/secrets/root-key"]))
    async with bottle.running():
        await bottle.driver.apply(workload(probe, probe))
        await anyio.sleep(0.5)
    assert asked and all(each == ["as", "web-0", "cat", "/root/secrets/root-key"] for each in asked)


async def test_a_command_that_fails_tells_no_more_than_its_code() -> None:
    command = [sys.executable, "-c", "import sys; print('secret', file=sys.stderr); sys.exit(3)"]
    assert await ask(Probe(exec=Exec(command=command), timeout_seconds=30), 1) == "the command exited with 3"
