"""`aerekos-agent join`: what refuses before anything changes, in which order, and that it may be repeated."""

from __future__ import annotations

import os
import shutil
import socket
from collections import namedtuple
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.conductor_client import ConductorClient
from agent.errors import CannotJoin
from agent.identity import Identity, IdentityFile
from agent.settings import Settings
from agent.swarm import join, preflight
from agent.swarm.preflight import (
    address_towards,
    first_reachable,
    require_preflight,
    require_synchronized_clock,
    version_of,
)
from controller.docker.node_info import SwarmNodeInfo
from controller.kit.clock import SystemClock

pytestmark = pytest.mark.anyio
FREE = SwarmNodeInfo("", "", "inactive", False, (), "20.10.24+dfsg1", "/nowhere")
IN = SwarmNodeInfo("n1", "127.0.0.1", "active", False, ("127.0.0.1:2377",), "20.10.24", "/nowhere")
ME = Identity("oak", "worker:oak", "secret")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Daemon:
    """Joins when asked to; `did` is all that changed it."""

    def __init__(self, place: SwarmNodeInfo) -> None:
        self.now, self.did = place, [""]
        self.did.clear()

    async def node_info(self) -> SwarmNodeInfo:
        return self.now

    async def join(self, token: str, managers: Sequence[str], address: str) -> None:
        self.did.append(f"join {token} {','.join(managers)} as {address}")
        self.now = replace(IN, managers=tuple(managers), address=address)

    async def leave(self) -> None:
        self.did.append("leave")
        self.now = FREE


class House:
    """One machine and one conductor; the manager's port is really open."""

    def __init__(self, home: Path, place: SwarmNodeInfo, **given: Any) -> None:
        self.docker, self.asked, self.said = Daemon(place), [""], [""]
        self.asked.clear()
        self.said.clear()
        self.keeper = IdentityFile(home / "agent" / "identity.json")
        ca = home / "ca.crt"
        ca.write_text("")
        self.settings = Settings(**{"name": "oak", "home": home, "api": ("https://127.0.0.1:1",), "ca": ca, **given})
        self.known, self.away = True, False
        self.bodies: list[Any] = []
        self.manager = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.manager.getsockname()[1]}"

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.asked.append(path)
        if self.away:
            raise httpx.ConnectError("away")
        if path == "/auth/token":
            return httpx.Response(200 if self.known else 401, json={"accessToken": "t", "expiresIn": 60})
        if path == "/auth/join":
            self.known = True
            told = {"worker": "oak", "clientId": "worker:oak", "clientSecret": "new", "ca": ""}
            return httpx.Response(200, json=told)
        self.bodies.append(httpx.Response(200, content=request.content).json())
        return httpx.Response(200, json={"token": "SWMTKN", "managers": [self.address]})

    def client(self, _: object) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self.answer))

    async def join(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(join, "make_patient_client", self.client)
        monkeypatch.setattr(preflight, "CLOCK_SECONDS", 0.5)
        door = ConductorClient(self.settings.api, SystemClock(), self.client)
        with closing(self.manager):
            try:
                await join._Joining(self.settings, self.docker, door, self.said.append).run()  # type: ignore[arg-type]
            finally:
                await door.close()


async def test_a_free_machine_joins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(tmp_path, FREE, token="t.secret")
    await house.join(monkeypatch)
    assert house.docker.did == [f"join SWMTKN {house.address} as 127.0.0.1"]
    assert house.keeper.load() == replace(ME, client_secret="new")
    assert house.said == ["known to the conductor as oak", "joined the Swarm as 127.0.0.1"]
    assert house.bodies == [{"joining": True}]


async def test_one_that_joined_already_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(tmp_path, IN, token="t.secret")
    house.keeper.save(ME)
    house.docker.now = replace(IN, managers=(house.address,))
    await house.join(monkeypatch)
    assert house.said == ["this machine is a worker already: oak"] and not house.docker.did
    assert "/auth/join" not in house.asked and house.bodies == [{"joining": False}]


async def test_also_while_its_conductor_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(tmp_path, IN)
    house.keeper.save(ME)
    house.away = True
    await house.join(monkeypatch)
    assert house.said[0].startswith("this machine is a worker already: oak (its conductor is away")


async def test_a_lost_membership_is_renewed_without_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(tmp_path, replace(FREE, state="error", error="certificate is broken"))
    house.keeper.save(ME)
    await house.join(monkeypatch)
    assert house.docker.did == ["leave", f"join SWMTKN {house.address} as 127.0.0.1"]
    assert "/auth/join" not in house.asked


async def test_a_machine_that_was_deleted_joins_with_a_new_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path, FREE, token="t.secret")
    house.keeper.save(ME)
    house.known = False
    await house.join(monkeypatch)
    assert house.asked.count("/auth/join") == 1 and len(house.docker.did) == 1


async def test_without_one_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(tmp_path, FREE)
    house.keeper.save(ME)
    house.known = False
    with pytest.raises(CannotJoin, match="aerekos token create"):
        await house.join(monkeypatch)
    assert not house.docker.did


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (replace(IN, managers=("10.9.9.9:2377",)), "another Swarm.*docker swarm leave"),
        (replace(FREE, state="pending"), "another Swarm.*pending.*docker swarm leave"),
        (replace(FREE, version="19.03.15"), r"19\.03\.15 is too old"),
    ],
)
async def test_a_refusal_uses_no_token_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: SwarmNodeInfo, message: str
) -> None:
    house = House(tmp_path, place, token="t.secret")
    with pytest.raises(CannotJoin, match=message):
        await house.join(monkeypatch)
    assert not house.asked and not house.docker.did


async def test_another_swarm_than_the_conductors_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path, replace(IN, managers=("10.9.9.9:2377",)))
    house.keeper.save(ME)
    with pytest.raises(CannotJoin, match="belongs to another Swarm"):
        await house.join(monkeypatch)


async def test_a_manager_that_cannot_be_reached_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path, replace(FREE, state="error"))
    house.keeper.save(ME)
    house.manager.close()
    with pytest.raises(CannotJoin, match="2377/tcp"):
        await house.join(monkeypatch)
    assert not house.docker.did, "what is left of the membership is worth more than none"


def _bind_apart(holder: socket.socket) -> None:
    """To a port no client is given: else the same number may be somebody's, in the other protocol."""
    for port in range(20_000 + os.getpid() % 10_000, 32_000):
        with suppress(OSError):
            holder.bind(("", port))
            return
    raise AssertionError("no port is free")


@pytest.mark.parametrize(
    ("port", "sort", "named"),
    [
        (7946, socket.SOCK_STREAM, "7946/tcp"),
        (7946, socket.SOCK_DGRAM, "7946/udp"),
        (4789, socket.SOCK_DGRAM, "4789/udp"),
    ],
)
def test_a_taken_port_is_named(monkeypatch: pytest.MonkeyPatch, port: int, sort: int, named: str) -> None:
    with ExitStack() as held:
        holder = held.enter_context(socket.socket(socket.AF_INET, sort))
        _bind_apart(holder)
        if sort == socket.SOCK_STREAM:
            holder.listen()
        taken = holder.getsockname()[1]
        others = {7946: 0, 4789: 0, port: taken}  # 0 is always free
        monkeypatch.setattr(preflight, "GOSSIP_PORT", others[7946])
        monkeypatch.setattr(preflight, "OVERLAY_PORT", others[4789])
        with pytest.raises(CannotJoin, match=f"port {taken}/{named.partition('/')[2]} is taken .*ss -lnp"):
            require_preflight(FREE)
        require_preflight(replace(FREE, state="pending"))  # its own leftovers


def test_connections_of_an_earlier_membership_hold_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who hangs up first keeps the port for a minute (TIME_WAIT), and nobody needs it."""
    with socket.create_server(("127.0.0.1", 0)) as gossip:
        port = gossip.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as other:
            gossip.accept()[0].close()
            assert other.recv(1) == b""
    with socket.socket() as plain, pytest.raises(OSError, match="in use"):
        plain.bind(("", port))
    monkeypatch.setattr(preflight, "GOSSIP_PORT", port)
    monkeypatch.setattr(preflight, "OVERLAY_PORT", 0)
    require_preflight(FREE)


def test_a_full_disk_is_refused_where_it_can_be_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 9, 100 * 2**20))
    monkeypatch.setattr(preflight, "GOSSIP_PORT", 0)
    monkeypatch.setattr(preflight, "OVERLAY_PORT", 0)
    with pytest.raises(CannotJoin, match=r"only 100 MiB free.*docker system prune"):
        require_preflight(replace(FREE, root=str(tmp_path)))
    require_preflight(replace(FREE, root="/not/visible/here"))


@pytest.mark.parametrize(
    ("text", "version"),
    [("20.10.24+dfsg1", (20, 10)), ("28.2.2", (28, 2)), ("19.03.15", (19, 3)), ("", (0, 0)), ("dev", (0, 0))],
)
def test_versions(text: str, version: tuple[int, int]) -> None:
    assert version_of(text) == version


async def _asked_at(monkeypatch: pytest.MonkeyPatch, off: timedelta, **headers: str) -> None:
    told = headers or {"date": format_datetime(datetime.now(UTC) + off, usegmt=True)}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, headers=told))
    real = httpx.AsyncClient
    monkeypatch.setattr(httpx, "AsyncClient", lambda **_: real(transport=transport))
    await require_synchronized_clock(["https://a"])


async def test_a_clock_that_is_wrong_is_told_by_how_much(monkeypatch: pytest.MonkeyPatch) -> None:
    await _asked_at(monkeypatch, timedelta(seconds=25))
    monkeypatch.undo()
    with pytest.raises(CannotJoin, match=r"clock is -\d\d\d s off the conductor's"):
        await _asked_at(monkeypatch, timedelta(seconds=200))
    monkeypatch.undo()
    await _asked_at(monkeypatch, timedelta(0), date="soon")  # nothing that could be compared


def test_the_first_manager_that_answers_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as there, socket.create_server(("127.0.0.1", 0)) as gone:
        lost = f"127.0.0.1:{gone.getsockname()[1]}"
        gone.close()
        good = f"127.0.0.1:{there.getsockname()[1]}"
        assert first_reachable(["", "nonsense", lost, good]) == good
        with pytest.raises(CannotJoin, match=f"no manager answers at {lost}"):
            first_reachable([lost])
        with pytest.raises(CannotJoin, match="none known"):
            first_reachable([])


def test_the_address_that_faces_the_manager() -> None:
    assert address_towards("127.0.0.1:2377") == "127.0.0.1"
    with pytest.raises(CannotJoin, match="no way from here"):
        address_towards("no-such-name.invalid:2377")
