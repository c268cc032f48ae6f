"""Connections that wait for a manager: when they are led to us, and that every byte arrives."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc
import pytest

from agent.addressing import netfilter
from agent.addressing.netfilter import NetfilterError
from agent.swarm import connection_hold, manager_redirect
from agent.swarm.connection_hold import ConnectionHold
from agent.swarm.manager_redirect import ManagerRedirect, any_established
from controller.kit.threads import Threads

pytestmark = pytest.mark.anyio
MANAGER = "192.0.2.1"
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue\n"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class FakeRedirect:
    def __init__(self, *, refuses: bool = False) -> None:
        self.refuses, self.connected = refuses, True
        self.port = 0
        self.did: list[Any] = []

    def install(self, port: int) -> None:
        if self.refuses:
            raise NetfilterError("no recent here")
        self.port = port

    def redirect(self, addresses: Sequence[str]) -> None:
        self.did.append(list(addresses))

    def stop_redirecting(self) -> None:
        self.did.append("passes")

    def is_connected(self) -> bool:
        return self.connected


class Manager:
    """Refuses until it is `there`; then says everything back, in capitals."""

    def __init__(self) -> None:
        self.there, self.asked, self.port = False, 0, 0

    async def reach(self, address: str) -> anyio.abc.SocketStream:
        assert address == MANAGER
        self.asked += 1
        if not self.there:
            raise ConnectionRefusedError("not yet")
        return await anyio.connect_tcp("127.0.0.1", self.port)

    async def serve(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        async def answer(stream: anyio.abc.SocketStream) -> None:
            async with stream:
                async for piece in stream:
                    await stream.send(piece.upper())

        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            self.port = listener.extra(anyio.abc.SocketAttribute.local_port)
            task_status.started()
            await listener.serve(answer)


@asynccontextmanager
async def house(
    monkeypatch: pytest.MonkeyPatch, doors: FakeRedirect, managers: Sequence[str]
) -> AsyncIterator[Manager]:
    monkeypatch.setattr(connection_hold, "POLL_SECONDS", 0.005)
    monkeypatch.setattr(connection_hold, "TRY_SECONDS", 0.005)
    manager = Manager()
    room = ConnectionHold(doors, Threads(1), lambda: managers, connect=manager.reach, destination=lambda _: MANAGER)
    async with anyio.create_task_group() as group:
        await group.start(manager.serve)
        group.start_soon(room.run)
        yield manager
        group.cancel_scope.cancel()


async def until(holds: Any) -> None:
    with anyio.fail_after(60):
        while not holds():  # noqa: ASYNC110 (a fake tells nothing)
            await anyio.sleep(0.005)


async def test_a_connection_waits_until_the_manager_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    doors = FakeRedirect()
    async with house(monkeypatch, doors, [MANAGER]) as manager:
        await until(lambda: doors.port)
        async with await anyio.connect_tcp("127.0.0.1", doors.port) as docker:
            await docker.send(b"hello ")
            await until(lambda: manager.asked > 3)
            assert doors.did[-1] == [MANAGER], "while one waits, the next ones wait too"
            manager.there = True
            await docker.send(b"again")
            said = b""
            with anyio.fail_after(60):
                while len(said) < 11:
                    said += await docker.receive()
            assert said == b"HELLO AGAIN"
            await until(lambda: doors.did[-1] == "passes")


async def test_it_is_in_nobodys_way_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_hold, "THROUGH_US_SECONDS", 0.05)
    doors = FakeRedirect()
    async with house(monkeypatch, doors, [MANAGER]) as manager:
        manager.there = True
        await until(lambda: doors.port)
        async with await anyio.connect_tcp("127.0.0.1", doors.port) as docker:
            with anyio.fail_after(60), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await docker.receive()


async def test_a_manager_that_stays_away_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_hold, "HOLD_SECONDS", 0.05)
    doors = FakeRedirect()
    async with house(monkeypatch, doors, [MANAGER]):
        await until(lambda: doors.port)
        async with await anyio.connect_tcp("127.0.0.1", doors.port) as docker:
            with anyio.fail_after(60), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await docker.receive()


async def test_who_is_connected_to_no_manager_is_led_here(monkeypatch: pytest.MonkeyPatch) -> None:
    doors = FakeRedirect()
    async with house(monkeypatch, doors, [MANAGER]):
        await until(lambda: doors.port)
        await anyio.sleep(0.02)
        assert doors.did == []
        doors.connected = False
        await until(lambda: doors.did and doors.did[-1] == [MANAGER])
        doors.connected = True
        await until(lambda: doors.did[-1] == "passes")
        count = len(doors.did)
        await anyio.sleep(0.02)
        assert len(doors.did) == count


async def test_a_manager_itself_leads_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    doors = FakeRedirect()
    doors.connected = False
    async with house(monkeypatch, doors, []):
        await until(lambda: doors.port)
        await anyio.sleep(0.02)
        assert doors.did == []


async def test_a_kernel_that_cannot_do_it_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    doors = FakeRedirect(refuses=True)
    doors.connected = False
    async with house(monkeypatch, doors, [MANAGER]):
        await anyio.sleep(0.03)
        assert doors.did == []


@pytest.mark.parametrize(
    ("line", "is_there"),
    [
        ("   0: 0B0012C6:A3F0 0A0012C6:0949 01 00000000:00000000", True),
        ("   0: 0B0012C6:A3F0 0A0012C6:0949 02 00000000:00000000", False),
        ("   0: 0A0012C6:0949 0B0012C6:A3F0 01 00000000:00000000", False),
        ("   0: 0B0012C6:A3F0 0A0012C6:0050 01 00000000:00000000", False),
        ("", False),
    ],
    ids=["established", "only-asked", "incoming", "another-port", "nothing"],
)
def test_the_kernel_tells_who_is_connected(line: str, is_there: bool) -> None:
    assert any_established(f"{HEAD}{line}\n") is is_there


def test_the_rule_is_made_anew_and_hung_in_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[list[str], str]] = []
    hung = ""

    def run(command: list[str], *, input: str, **_: Any) -> subprocess.CompletedProcess[str]:
        asked.append((command, input))
        return subprocess.CompletedProcess(command, 0, hung if "-S" in command else "", "")

    monkeypatch.setattr(netfilter.subprocess, "run", run)
    ManagerRedirect().install(4321)
    assert [command[0] for command, _ in asked] == ["iptables-restore", "iptables", "iptables"]
    rules = asked[0][1].splitlines()
    assert rules[1] == ":AEREKOS-WAIT - [0:0]" and rules[2].endswith("-j REDIRECT --to-ports 4321")
    assert "-m mark ! --mark 0x2377" in rules[2] and "--rcheck --seconds 5 --rdest" in rules[2]
    assert asked[2][0][-4:] == ["OUTPUT", "1", "-j", "AEREKOS-WAIT"]
    asked.clear()
    hung = "-P OUTPUT ACCEPT\n-A OUTPUT -j AEREKOS-WAIT\n"
    ManagerRedirect().install(4321)
    assert len(asked) == 2
    asked.clear()
    ManagerRedirect().remove()
    assert [command[5:] for command, _ in asked] == [
        ["-D", "OUTPUT", "-j", "AEREKOS-WAIT"],
        ["-F", "AEREKOS-WAIT"],
        ["-X", "AEREKOS-WAIT"],
    ]


def test_names_are_written_to_the_kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    file = tmp_path / "named"
    monkeypatch.setattr(manager_redirect, "_NAMED", file)
    ManagerRedirect().redirect([MANAGER])
    assert file.read_text() == "+192.0.2.1\n"
    ManagerRedirect().stop_redirecting()
    assert file.read_text() == "/\n"
