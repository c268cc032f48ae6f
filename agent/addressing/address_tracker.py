"""The running part: notices an own move, tells the others, hears of theirs, and lets the kernel translate.

A move is announced at once and then again and again: packets get lost, and whoever was away must find us when they
are back, without any conductor between. When two machines move at the same moment, a third one tells each of the
other, and on one network a broadcast does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import structlog

from agent.addressing.address_rules import AddressRules, LocalNetwork
from agent.addressing.announcement import machine_address
from agent.addressing.interfaces import InterfaceMonitor, LocalInterfaces
from agent.addressing.local_peer import load_local_peer
from agent.addressing.nat_applier import NatApplier, NatBackend
from agent.addressing.nat_rules import NatRules, nat_rules
from agent.addressing.netfilter import Netfilter
from agent.addressing.peer_table import PeerRecord, PeerTable
from agent.addressing.udp import DatagramTransport, UdpTransport
from controller.kit.clock import Clock
from controller.kit.networks import NodeNetworks
from controller.kit.threads import BlockingExecutor, Threads

PORT = 7446
# The kernel gives word at once when something changes; this is for what it does not tell.
POLL_SECONDS = 0.5
# Often right after a move; then as a reminder, for those who were away.
SOON_SECONDS, SOON_TIMES, LATER_SECONDS = 0.3, 20, 5.0
# So long, connections from an address that was left are reset.
CUT_SECONDS = 8.0
SAVE_SECONDS = 1.0
_log = structlog.get_logger("addressing")


class AddressTracker:
    """Follows where this machine and its peers are.

    `identity` is the address its Swarm knows it by; `refuses`: see `nat_rules`.
    """

    def __init__(
        self,
        home: Path,
        worker: str,
        identity: str,
        clock: Clock,
        *,
        port: int = PORT,
        kernel: NatBackend | None = None,
        threads: BlockingExecutor | None = None,
        interfaces: Callable[[], InterfaceMonitor] = LocalInterfaces,
        transport: Callable[[int], DatagramTransport] = UdpTransport,
        refuses: Callable[[str], str] | None = None,
    ) -> None:
        self._self = load_local_peer(home / "agent" / "moving.json", worker, identity)
        self._peers = PeerTable(home / "agent" / "neighbours.json", worker)
        self._clock, self._port, self._open, self._look = clock, port, transport, interfaces
        self._threads = threads or Threads(2)
        self._applier = NatApplier(kernel or Netfilter(), self._threads, self._desired)
        self._refuses = refuses or AddressRules(NodeNetworks(), clock, lambda: LocalNetwork()).why_not
        self._left: dict[str, float] = {}
        self._announce_now, self._save_now = anyio.Event(), anyio.Event()

    def heartbeat_fields(self) -> dict[str, Any]:
        """Return what a heartbeat says of this machine's address."""
        own = self._self
        told = {"identity": own.identity, "address": own.address, "publicKey": own.public_key}
        return {**told, "sequence": own.sequence}

    def update_peers(self, told: Iterable[Mapping[str, Any]]) -> None:
        """The conductor's list of workers."""
        if self._peers.replace_list(told, self._clock.monotonic()):
            self._on_peer_change()
            self._announce_now.set()

    async def run(self) -> None:
        """Run until cancelled. Raises OSError when the port is taken."""
        try:
            machine_address(self._self.identity)
        except ValueError as odd:
            _log.error("this machine's address is not followed", because=f"only IPv4 is: {odd}")
            await anyio.sleep_forever()
        with closing(self._open(self._port)) as transport, closing(self._look()) as interfaces:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._applier.run)
                tasks.start_soon(self._listen, transport)
                tasks.start_soon(self._announce, transport, interfaces)
                tasks.start_soon(self._keep_saved)
                await self._watch(interfaces)

    async def _watch(self, interfaces: InterfaceMonitor) -> None:
        while True:
            found = interfaces.current(self._self.identity, [each.address for each in self._peers])
            if found is not None and found != self._self.address:
                await self._moved(found)
            self._expire(self._clock.monotonic())
            await interfaces.wait_for_change(self._seconds_to_next_poll())

    async def _moved(self, found: str) -> None:
        _log.warning("this machine has moved", from_=self._self.address, to=found)
        self._left[self._self.address] = self._clock.monotonic() + CUT_SECONDS
        self._self.move_to(found, int(self._clock.now().timestamp() * 1000))
        self._applier.wake()
        # Kept before it is told: a sequence must never be used twice.
        await self._saved(self._self.save)
        self._announce_now.set()

    def _expire(self, now: float) -> None:
        """Drop what has had its time: connections that are cut, and workers that are gone."""
        over = [address for address, until in self._left.items() if until <= now]
        for address in over:
            del self._left[address]
        if over:
            self._applier.wake()
        if self._peers.expire(now):
            self._on_peer_change()

    def _seconds_to_next_poll(self) -> float:
        now = self._clock.monotonic()
        return max(min([POLL_SECONDS, *(until - now for until in self._left.values())]), 0.0)

    async def _announce(self, transport: DatagramTransport, interfaces: InterfaceMonitor) -> None:
        """Repeat the announcement if this machine has ever moved; one that never did has nothing to say."""
        sent = 0
        while True:
            if self._self.sequence:
                self._send(transport, self._self.announcement, self._everybody() | interfaces.broadcasts())
                sent += 1
            with anyio.move_on_after(SOON_SECONDS if 0 < sent < SOON_TIMES else LATER_SECONDS):
                await self._announce_now.wait()
                self._announce_now, sent = anyio.Event(), 0

    def _everybody(self) -> set[str]:
        return {address for each in self._peers for address in (each.identity, each.address)}

    async def _listen(self, transport: DatagramTransport) -> None:
        while True:
            packet = await transport.receive()
            if moved := self._peers.apply_announcement(packet, self._clock.monotonic()):
                self._on_announcement(transport, moved, packet)

    def _on_announcement(self, transport: DatagramTransport, moved: PeerRecord, packet: bytes) -> None:
        _log.info("a peer has moved", worker=moved.worker, address=moved.address)
        self._on_peer_change()
        others = [each for each in self._peers if each.worker != moved.worker]
        self._send(transport, packet, {each.address for each in others})
        # It has missed what was sent to its old place.
        missed = [each.packet.encode() for each in others if each.packet]
        for each in [*missed, *([self._self.announcement] if self._self.sequence else [])]:
            self._send(transport, each, {moved.address})

    def _send(self, transport: DatagramTransport, packet: bytes, to: Iterable[str]) -> None:
        for address in to:
            transport.send(packet, address)

    def _on_peer_change(self) -> None:
        """A peer moved or was replaced: plan NAT again, and save."""
        self._applier.wake()
        self._save_now.set()

    async def _keep_saved(self) -> None:
        """Save peers in the background, and not too often: a slow disk must not keep the kernel waiting."""
        while True:
            await self._save_now.wait()
            self._save_now = anyio.Event()
            await self._saved(self._peers.save)
            await anyio.sleep(SAVE_SECONDS)

    async def _saved(self, save: Callable[[], None]) -> None:
        try:
            await self._threads.run(save)
        except OSError as refused:  # a full disk: whoever starts after us will have to be told again
            _log.error("cannot be kept on disk", because=str(refused))

    def _desired(self) -> NatRules:
        places = [each.peer_address for each in self._peers]
        return nat_rules(self._self.peer_address, places, port=self._port, left=self._left, refuses=self._refuses)
