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

from agent.moving.announcing import machine_address
from agent.moving.applying import Applying, Translates
from agent.moving.believing import AddressRules, LocalNetwork
from agent.moving.kernel import Kernel
from agent.moving.looking import Here, Looks
from agent.moving.neighbours import Neighbour, Neighbours
from agent.moving.oneself import oneself
from agent.moving.post import Datagrams, Post
from agent.moving.translating import Translation, translation
from controller.kit.clock import Clock
from controller.kit.networks import NodeNetworks
from controller.kit.threads import ThreadDoor, Threads

PORT = 7446
# The kernel gives word at once when something changes; this is for what it does not tell.
LOOK_SECONDS = 0.5
# Often right after a move; then as a reminder, for those who were away.
SOON_SECONDS, SOON_TIMES, LATER_SECONDS = 0.3, 20, 5.0
# So long, connections from an address that was left are reset.
CUT_SECONDS = 8.0
SAVE_SECONDS = 1.0
_log = structlog.get_logger("moving")


class Moving:
    """One machine's part. `identity` is the address its Swarm knows it by; `may_not`: see `translation`."""

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
        here: Callable[[], Looks] = Here,
        post: Callable[[int], Post] = Datagrams,
        may_not: Callable[[str], str] | None = None,
    ) -> None:
        self._self = oneself(home / "agent" / "moving.json", worker, identity)
        self._neighbours = Neighbours(home / "agent" / "neighbours.json", worker)
        self._clock, self._port, self._open, self._look = clock, port, post, here
        self._threads = threads or Threads(2)
        self._applying = Applying(kernel or Kernel(), self._threads, self._wanted)
        self._may_not = may_not or AddressRules(NodeNetworks(), clock, lambda: LocalNetwork()).why_not
        self._left: dict[str, float] = {}
        self._announce_now, self._save_now = anyio.Event(), anyio.Event()

    def part(self) -> dict[str, Any]:
        """What a heartbeat says of it."""
        own = self._self
        told = {"identity": own.identity, "address": own.address, "publicKey": own.public_key}
        return {**told, "sequence": own.sequence}

    def take_peers(self, told: Iterable[Mapping[str, Any]]) -> None:
        """The conductor's list of workers."""
        if self._neighbours.take_list(told, self._clock.monotonic()):
            self._news()
            self._announce_now.set()

    async def run(self) -> None:
        """Until cancelled. Raises OSError when the port is taken."""
        try:
            machine_address(self._self.identity)
        except ValueError as odd:
            _log.error("this machine's address is not followed", because=f"only IPv4 is: {odd}")
            await anyio.sleep_forever()
        with closing(self._open(self._port)) as post, closing(self._look()) as here:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._applying.run)
                tasks.start_soon(self._listen, post)
                tasks.start_soon(self._announce, post, here)
                tasks.start_soon(self._keep_saved)
                await self._watch(here)

    async def _watch(self, here: Looks) -> None:
        while True:
            found = here.current(self._self.identity, [each.address for each in self._neighbours])
            if found is not None and found != self._self.address:
                await self._moved(found)
            self._forget(self._clock.monotonic())
            await here.change(self._seconds_to_the_next_look())

    async def _moved(self, found: str) -> None:
        _log.warning("this machine has moved", from_=self._self.address, to=found)
        self._left[self._self.address] = self._clock.monotonic() + CUT_SECONDS
        self._self.moved(found, int(self._clock.now().timestamp() * 1000))
        self._applying.now()
        # Kept before it is told: a sequence must never be used twice.
        await self._kept(self._self.keep)
        self._announce_now.set()

    def _forget(self, now: float) -> None:
        """What has had its time: connections that are cut, and workers that are gone."""
        over = [address for address, until in self._left.items() if until <= now]
        for address in over:
            del self._left[address]
        if over:
            self._applying.now()
        if self._neighbours.forget_the_gone(now):
            self._news()

    def _seconds_to_the_next_look(self) -> float:
        now = self._clock.monotonic()
        return max(min([LOOK_SECONDS, *(until - now for until in self._left.values())]), 0.0)

    async def _announce(self, post: Post, here: Looks) -> None:
        """As long as this machine has ever moved; one that never did has nothing to say."""
        sent = 0
        while True:
            if self._self.sequence:
                self._send(post, self._self.announcement, self._everybody() | here.broadcasts())
                sent += 1
            with anyio.move_on_after(SOON_SECONDS if 0 < sent < SOON_TIMES else LATER_SECONDS):
                await self._announce_now.wait()
                self._announce_now, sent = anyio.Event(), 0

    def _everybody(self) -> set[str]:
        return {address for each in self._neighbours for address in (each.identity, each.address)}

    async def _listen(self, post: Post) -> None:
        while True:
            packet = await post.receive()
            if moved := self._neighbours.take(packet, self._clock.monotonic()):
                self._heard(post, moved, packet)

    def _heard(self, post: Post, moved: Neighbour, packet: bytes) -> None:
        _log.info("a neighbour has moved", worker=moved.worker, address=moved.address)
        self._news()
        others = [each for each in self._neighbours if each.worker != moved.worker]
        self._send(post, packet, {each.address for each in others})
        # It has missed what was sent to its old place.
        missed = [each.packet.encode() for each in others if each.packet]
        for each in [*missed, *([self._self.announcement] if self._self.sequence else [])]:
            self._send(post, each, {moved.address})

    def _send(self, post: Post, packet: bytes, to: Iterable[str]) -> None:
        for address in to:
            post.send(packet, address)

    def _news(self) -> None:
        """Somebody is somewhere else, or somebody else."""
        self._applying.now()
        self._save_now.set()

    async def _keep_saved(self) -> None:
        """Beside the rest, and not too often: a slow disk must not keep the kernel waiting."""
        while True:
            await self._save_now.wait()
            self._save_now = anyio.Event()
            await self._kept(self._neighbours.save)
            await anyio.sleep(SAVE_SECONDS)

    async def _kept(self, save: Callable[[], None]) -> None:
        try:
            await self._threads.run(save)
        except OSError as refused:  # a full disk: whoever starts after us will have to be told again
            _log.error("cannot be kept on disk", because=str(refused))

    def _wanted(self) -> Translation:
        places = [each.place for each in self._neighbours]
        return translation(self._self.place, places, port=self._port, left=self._left, may_not=self._may_not)
