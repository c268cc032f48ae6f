"""`aerekos-agent mesh`: can every machine be reached through the overlay network? Runs in it, once on each machine.

Overlay networks can break between two machines while Swarm calls both Ready. So each asks each: a TCP connection that
is answered with the worker's name. The result becomes the worker's condition OverlayReachable.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import anyio
import anyio.abc
import structlog

from agent.conductor_client import ConductorClient
from agent.errors import AgentError
from agent.identity import IdentityFile
from agent.settings import Settings
from controller.kit.clock import Clock, SystemClock

PROBE_SECONDS, REPORT_SECONDS = 5.0, 60.0
RESOLVE_SECONDS, ANSWER_SECONDS = 5.0, 2.0
# A container that is being replaced is no broken network: only what fails twice in a row counts.
PROBE_AGAIN_SECONDS = 1.0
LONGEST_NAME = 64
# A peer that has just started is known by its name within that.
STRANGER_SECONDS = 0.5
Resolve = Callable[[], Awaitable[set[str]]]
Report = Callable[[dict[str, Any]], Awaitable[None]]
_log = structlog.get_logger("mesh")


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One peer's answer, as it is reported."""

    ok: bool
    milliseconds: float
    error: str = ""


class OverlayProbe:
    """Asks whoever `resolve` finds at `port`, and tells what came of it: each minute, and at once when it changes."""

    def __init__(self, port: int, resolve: Resolve, report: Report, clock: Clock) -> None:
        self._port, self._resolve, self._report, self._clock = port, resolve, report, clock
        # Who was at an address: one that does not answer cannot say who it is.
        self._names: dict[str, str] = {}
        self._reported: Mapping[str, bool] | None = None
        self._reported_at = 0.0

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            seen = await self.probe_all()
            now = {worker: each.ok for worker, each in seen.items()}
            if now != self._reported or self._clock.monotonic() - self._reported_at >= REPORT_SECONDS:
                await self._report_change(seen, now)
            await anyio.sleep(PROBE_SECONDS)

    async def probe_all(self) -> dict[str, ProbeResult]:
        """Probe every peer; results by worker, or by address where nobody has ever answered."""
        found: dict[str, ProbeResult] = {}

        async def ask(address: str) -> None:
            name, asked = await self._probe(address)
            if not asked.ok:
                await anyio.sleep(PROBE_AGAIN_SECONDS)
                name, asked = await self._probe(address)
            if asked.ok:
                self._names[address] = name
            who = self._names.get(address, address)
            # An address that is left over from before a restart does not outweigh the one that answers.
            if who not in found or asked.ok:
                found[who] = asked

        addresses = await self._resolve()
        self._names = {address: name for address, name in self._names.items() if address in addresses}
        async with anyio.create_task_group() as tasks:
            for address in addresses:
                tasks.start_soon(ask, address)
        return found

    async def _report_change(self, seen: Mapping[str, ProbeResult], now: Mapping[str, bool]) -> None:
        try:
            await self._report({"peers": {worker: asdict(each) for worker, each in seen.items()}})
        except (AgentError, ValueError, OSError) as lost:
            _log.debug("not told", because=str(lost))
            return
        if now != self._reported:
            _log.info("reached through the overlay network", **now)
        self._reported, self._reported_at = now, self._clock.monotonic()

    async def _probe(self, address: str) -> tuple[str, ProbeResult]:
        began = self._clock.monotonic()

        def took() -> float:
            return round((self._clock.monotonic() - began) * 1000, 1)

        try:
            with anyio.fail_after(ANSWER_SECONDS):
                async with await anyio.connect_tcp(address, self._port) as stream:
                    name = (await stream.receive(LONGEST_NAME)).decode(errors="replace")
        except TimeoutError:
            return "", ProbeResult(False, took(), f"no answer within {ANSWER_SECONDS:g} s")
        except (OSError, anyio.EndOfStream, anyio.BrokenResourceError) as lost:
            # anyio says only that all attempts failed; the one there was says why.
            return "", ProbeResult(False, took(), str(lost.__cause__ or lost) or type(lost).__name__)
        return name, ProbeResult(True, took())


async def run_overlay_probe(settings: Settings) -> None:
    """Run until cancelled. Raises OSError when the port is taken."""
    clock = SystemClock()
    identity_store, conductor = (
        IdentityFile(settings.home / "agent" / "identity.json"),
        ConductorClient(settings.api, clock),
    )

    def name() -> str:
        with suppress(OSError, ValueError):
            if identity := identity_store.load():
                return identity.worker
        return settings.name

    async def report(body: dict[str, Any]) -> None:
        identity = identity_store.load()
        if identity is None:
            raise AgentError("the agent beside has not joined yet")
        await conductor.call(identity, "/agents/overlay", body)

    listener = await anyio.create_tcp_listener(local_port=settings.mesh_port)
    async with listener, anyio.create_task_group() as tasks:
        found = PeerAddresses(lambda: addresses_of(settings.mesh_peers), clock)
        tasks.start_soon(listener.serve, name_responder(name, found.is_peer))
        await OverlayProbe(settings.mesh_port, lambda: addresses_of(settings.mesh_peers), report, clock).run()


class PeerAddresses:
    """The peers' addresses, as their name leads to them; asked again when somebody else calls, not too often."""

    def __init__(self, resolve: Resolve, clock: Clock) -> None:
        self._resolve, self._clock = resolve, clock
        self._peers: set[str] = set()
        self._asked_at = float("-inf")

    async def is_peer(self, address: str) -> bool:
        if address not in self._peers and self._clock.monotonic() - self._asked_at >= STRANGER_SECONDS:
            self._asked_at = self._clock.monotonic()
            self._peers = await self._resolve()
        return address in self._peers


def name_responder(
    name: Callable[[], str], knows: Callable[[str], Awaitable[bool]]
) -> Callable[[anyio.abc.SocketStream], Awaitable[None]]:
    """Return a handler that sends this worker's name to every peer that connects."""

    async def answer(stream: anyio.abc.SocketStream) -> None:
        # Whoever hangs up before the answer has only looked whether the port is open.
        with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.TypedAttributeLookupError):
            async with stream:
                caller = stream.extra(anyio.abc.SocketAttribute.remote_address)  # noqa: S610 (anyio's)
                if await knows(str(caller[0])):
                    await stream.send(name().encode())

    return answer


async def addresses_of(name: str) -> set[str]:
    """Every IPv4 address of a name; none when it cannot be found out within some seconds."""
    with anyio.move_on_after(RESOLVE_SECONDS), suppress(OSError):
        listed = await anyio.getaddrinfo(name, None, family=socket.AF_INET, type=socket.SOCK_STREAM)
        return {str(each[4][0]) for each in listed}
    return set()
