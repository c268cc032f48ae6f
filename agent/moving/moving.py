"""The running part: notices an own move, tells the others, hears of theirs, and lets the kernel translate.

A move is announced at once and then again and again: packets get lost, and whoever was away must find us when they
are back, without any conductor between. When two machines move at the same moment, a third one tells each of the
other, and on one network a broadcast does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from socket import AF_INET, SO_BROADCAST, SO_REUSEADDR, SOCK_DGRAM, SOL_SOCKET, socket
from typing import Any, Protocol

import anyio
import structlog

from agent.moving.announcing import LARGEST_PACKET
from agent.moving.kernel import Kernel, KernelRefused
from agent.moving.neighbours import Neighbour, Neighbours
from agent.moving.oneself import broadcasts, current_address, oneself
from agent.moving.translating import Translation, changed, translation
from controller.kit.clock import Clock
from controller.kit.threads import ThreadDoor, Threads

PORT = 7446
LOOK_SECONDS = 0.25
# Often right after a move; then as a reminder, for those who were away.
SOON_SECONDS, SOON_TIMES, LATER_SECONDS = 0.3, 20, 5.0
RETRY_SECONDS = 5.0
# So long, connections from an address that was left are reset.
CUT_SECONDS = 8.0
_log = structlog.get_logger("moving")


class Translates(Protocol):
    """`agent.moving.kernel.Kernel`."""

    def apply(self, wanted: Translation, forget: Iterable[str]) -> None: ...


class Moving:
    """One machine's part. `identity` is the address its Swarm knows it by."""

    def __init__(
        self,
        home: Path,
        worker: str,
        identity: str,
        clock: Clock,
        *,
        port: int = PORT,
        kernel: Translates | None = None,
        threads: ThreadDoor | None = None,
        find: Callable[[str, Iterable[str]], str | None] = current_address,
    ) -> None:
        self._self = oneself(home / "agent" / "moving.json", worker, identity)
        self._neighbours = Neighbours(home / "agent" / "neighbours.json", worker)
        self._clock, self._port, self._find = clock, port, find
        self._kernel, self._threads = kernel or Kernel(), threads or Threads(1)
        self._stands = Translation()
        self._left: dict[str, float] = {}
        self._apply_now, self._announce_now = anyio.Event(), anyio.Event()
        self._socket: socket | None = None

    def part(self) -> dict[str, Any]:
        """What a heartbeat says of it."""
        own = self._self
        told = {"identity": own.identity, "address": own.address, "publicKey": own.public_key}
        return {**told, "sequence": own.sequence}

    def take_peers(self, told: Iterable[Mapping[str, Any]]) -> None:
        """The conductor's list of workers."""
        if self._neighbours.take_list(told):
            self._apply_now.set()
            self._announce_now.set()

    async def run(self) -> None:
        """Until cancelled. Raises OSError when the port is taken."""
        with socket(AF_INET, SOCK_DGRAM) as opened:
            opened.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
            opened.setsockopt(SOL_SOCKET, SO_BROADCAST, 1)
            opened.setblocking(False)
            opened.bind(("", self._port))
            self._socket = opened
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._listen)
                tasks.start_soon(self._announce)
                tasks.start_soon(self._keep_applied)
                await self._watch_oneself()

    async def _watch_oneself(self) -> None:
        while True:
            found = self._find(self._self.identity, [each.address for each in self._neighbours])
            if found is not None and found != self._self.address:
                _log.warning("this machine has moved", from_=self._self.address, to=found)
                self._left[self._self.address] = self._clock.monotonic() + CUT_SECONDS
                self._self.moved(found, int(self._clock.now().timestamp() * 1000))
                self._apply_now.set()
                self._announce_now.set()
            await anyio.sleep(LOOK_SECONDS)

    async def _announce(self) -> None:
        """As long as this machine has ever moved; one that never did has nothing to say."""
        sent = 0
        while True:
            if self._self.sequence:
                self._send(self._self.announcement, self._everybody())
                sent += 1
            with anyio.move_on_after(SOON_SECONDS if 0 < sent < SOON_TIMES else LATER_SECONDS):
                await self._announce_now.wait()
                self._announce_now, sent = anyio.Event(), 0

    def _everybody(self) -> set[str]:
        known = {address for each in self._neighbours for address in (each.identity, each.address)}
        return known | broadcasts()

    async def _listen(self) -> None:
        assert self._socket is not None
        while True:
            await anyio.wait_readable(self._socket)
            with suppress(OSError):  # an answer to a packet of ours that found nobody
                packet = self._socket.recv(LARGEST_PACKET + 1)
                if moved := self._neighbours.take(packet):
                    self._heard(moved, packet)

    def _heard(self, moved: Neighbour, packet: bytes) -> None:
        _log.info("a neighbour has moved", worker=moved.worker, address=moved.address)
        self._apply_now.set()
        others = [each for each in self._neighbours if each.worker != moved.worker]
        self._send(packet, {each.address for each in others})
        # It has missed what was sent to its old place.
        for packet in [each.packet.encode() for each in others if each.packet]:
            self._send(packet, {moved.address})
        if self._self.sequence:
            self._send(self._self.announcement, {moved.address})

    def _send(self, packet: bytes, to: Iterable[str]) -> None:
        assert self._socket is not None
        for address in to:
            with suppress(OSError):  # no route: it may be back when we say it again
                self._socket.sendto(packet, (address, self._port))

    async def _keep_applied(self) -> None:
        """The first time whatever stands in the kernel is replaced: an agent before us may have left it."""
        first = True
        while True:
            self._apply_now = anyio.Event()
            now = self._clock.monotonic()
            self._left = {address: until for address, until in self._left.items() if until > now}
            places = [each.place for each in self._neighbours]
            wanted = translation(self._self.place, places, port=self._port, left=self._left)
            if first or wanted != self._stands:
                first = not await self._applied(wanted)
            with anyio.move_on_after(RETRY_SECONDS if first or self._left else float("inf")):
                await self._apply_now.wait()

    async def _applied(self, wanted: Translation) -> bool:
        try:
            await self._threads.run(partial(self._kernel.apply, wanted, changed(self._stands, wanted)))
        except KernelRefused as refused:
            _log.error("addresses cannot be translated", because=str(refused))
            return False
        if wanted.rules or self._stands.rules:
            _log.info("addresses are translated", rules=len(wanted.rules))
        self._stands = wanted
        return True
