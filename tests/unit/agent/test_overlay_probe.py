"""The overlay network's prober: what it tells and when under a virtual clock, and how it asks over real sockets."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from agent.errors import Unreachable
from agent.swarm import overlay_probe
from agent.swarm.overlay_probe import (
    ANSWER_SECONDS,
    PROBE_AGAIN_SECONDS,
    OverlayProbe,
    ProbeResult,
    addresses_of,
    name_responder,
)
from controller.kit.clock import LoopClock, SystemClock

REAL = pytest.mark.parametrize("anyio_backend", ["asyncio"])
pytestmark = pytest.mark.anyio


class Network:
    """Peers at addresses; what is cut does not answer. Stands in for the sockets, not for the judging."""

    def __init__(self, **peers: str) -> None:
        self.clock, self.peers = LoopClock(), {address.replace("_", "."): name for address, name in peers.items()}
        self.cut: set[str] = set()
        self.asked: list[tuple[float, str]] = []
        self.told: list[tuple[float, dict[str, bool]]] = []
        self.bodies: list[dict[str, Any]] = []
        self.away = False

    async def find(self) -> set[str]:
        return set(self.peers)

    async def ask(self, address: str) -> tuple[str, ProbeResult]:
        self.asked.append((round(self.clock.elapsed, 2), address))
        if address in self.cut:
            await anyio.sleep(ANSWER_SECONDS)
            return "", ProbeResult(False, 2000.0, "no answer within 2 s")
        return self.peers[address], ProbeResult(True, 0.4)

    async def tell(self, body: dict[str, Any]) -> None:
        if self.away:
            raise Unreachable("away")
        self.bodies.append(body)
        self.told.append(
            (round(self.clock.elapsed, 2), {worker: each["ok"] for worker, each in body["peers"].items()})
        )

    def mesh(self) -> OverlayProbe:
        made = OverlayProbe(7448, self.find, self.tell, self.clock)
        made._probe = self.ask  # type: ignore[method-assign]
        return made


async def run(network: Network, *steps: tuple[float, Callable[[], Any]]) -> None:
    """Each step after so many seconds; the last one ends it."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(network.mesh().run)
        for seconds, step in steps:
            await anyio.sleep(seconds)
            step()
        tasks.cancel_scope.cancel()


async def test_it_tells_at_once_and_then_each_minute() -> None:
    network = Network(a="oak", b="elm")
    await run(network, (125, lambda: None))
    assert network.told == [(when, {"oak": True, "elm": True}) for when in (0, 60, 120)]
    assert network.bodies[0]["peers"]["elm"] == {"ok": True, "milliseconds": 0.4, "error": ""}


async def test_a_change_is_told_when_it_is_seen_twice() -> None:
    network = Network(a="oak", b="elm")
    await run(network, (7, lambda: network.cut.add("b")), (30, network.cut.clear), (10, lambda: None))
    lost, back = network.told[1:]
    assert lost == (10 + 2 * ANSWER_SECONDS + PROBE_AGAIN_SECONDS, {"oak": True, "elm": False})
    assert back[1] == {"oak": True, "elm": True} and back[0] - 37 <= 5 + ANSWER_SECONDS + PROBE_AGAIN_SECONDS
    assert network.bodies[1]["peers"]["elm"]["error"] == "no answer within 2 s"


async def test_a_peer_that_is_replaced_is_no_news() -> None:
    """It misses one question, and answers the next."""
    network = Network(a="oak", b="elm")
    await run(network, (4.9, lambda: network.cut.add("b")), (2.2, network.cut.clear), (30, lambda: None))
    assert (5.0, "b") in network.asked and len(network.told) == 1


async def test_who_never_answered_is_told_by_address() -> None:
    network = Network(a="oak", b="elm")
    network.cut.add("b")
    await run(network, (8, lambda: None))
    assert network.told == [(5.0, {"oak": True, "b": False})]


async def test_an_address_left_over_does_not_outweigh_the_new_one() -> None:
    network = Network(a="oak", b="elm")

    def restart() -> None:
        network.peers["c"] = "elm"
        network.cut.add("b")

    await run(network, (1, restart), (30, lambda: None))
    assert [told for _, told in network.told] == [{"oak": True, "elm": True}]


async def test_what_could_not_be_told_is_told_later() -> None:
    network = Network(a="oak")
    network.away = True
    await run(network, (12, lambda: setattr(network, "away", False)), (4, lambda: None))
    assert network.told == [(15, {"oak": True})]


async def test_names_that_lead_nowhere_are_told_as_nobody() -> None:
    network = Network()
    await run(network, (1, lambda: None))
    assert network.told == [(0, {})]


async def everybody(address: str) -> bool:
    return True


async def _served(handler: Callable[[Any], Awaitable[None]], story: Callable[[int], Awaitable[None]]) -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handler)
        await story(port)
        tasks.cancel_scope.cancel()


def _mesh(port: int, *addresses: str) -> OverlayProbe:
    async def find() -> set[str]:
        return set(addresses)

    async def tell(body: dict[str, Any]) -> None:
        raise AssertionError("asked only")

    return OverlayProbe(port, find, tell, SystemClock())


@REAL
async def test_each_answers_with_its_name() -> None:
    async def story(port: int) -> None:
        seen = await _mesh(port, "127.0.0.1").probe_all()
        assert set(seen) == {"oak"} and seen["oak"].ok and 0 <= seen["oak"].milliseconds < 1000

    await _served(name_responder(lambda: "oak", everybody), story)


@REAL
async def test_who_refuses_hangs_up_or_says_nothing_is_not_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlay_probe, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(overlay_probe, "PROBE_AGAIN_SECONDS", 0.0)

    async def hangs_up(stream: Any) -> None:
        raw = stream.extra(anyio.abc.SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # RST instead of an end
        await stream.aclose()

    async def says_nothing(stream: Any) -> None:
        await anyio.sleep(5)

    async def story(port: int) -> None:
        (seen,) = (await _mesh(port, "127.0.0.1").probe_all()).values()
        assert not seen.ok and seen.error

    await _served(hangs_up, story)
    await _served(says_nothing, story)
    (refused,) = (await _mesh(1, "127.0.0.1").probe_all()).values()
    assert not refused.ok and "Connect call failed ('127.0.0.1', 1)" in refused.error


@REAL
async def test_who_hangs_up_early_ends_nothing() -> None:
    """A port scanner, or a health check of somebody else."""

    async def story(port: int) -> None:
        for _ in range(50):
            with socket.socket() as visitor:
                visitor.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                visitor.connect(("127.0.0.1", port))
        assert "oak" in await _mesh(port, "127.0.0.1").probe_all()

    await _served(name_responder(lambda: "oak", everybody), story)


@REAL
async def test_a_name_becomes_addresses_or_none() -> None:
    assert await addresses_of("localhost") == {"127.0.0.1"}
    assert await addresses_of("no-such-name.invalid") == set()
