"""When and where to look: Docker's events and agents' hints say where, and what is on its way is seen again soon.

Everything is looked at every ten seconds, in case an event got lost. A change costs what it changes, rest next to
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import anyio
import structlog

from controller.runtime.driver import DriverError
from controller.runtime.swarm.docker_door import Docker
from crds.meta import ObjectKey

SOON_SECONDS, LATER_SECONDS, RESYNC_SECONDS = 0.5, 3.0, 10.0
RECONNECT_SECONDS = 1.0
# Events come in bursts: a service that is made tells several.
GATHER_SECONDS = 0.05
# So many workloads are seen quicker by one look at all.
MANY = 10
# Swarm lengthens or shortens it by up to half a second, by chance, and a node that misses three is Down: a lost
# machine is noticed after about 3 s. Shorter would be quicker, but who only stood still for a moment would be lost.
HEARTBEAT_NANOSECONDS = 1_100_000_000
_WANTED = {"type": ["service", "node"]}
_log = structlog.get_logger("swarm")


class Watch:
    """`named` tells whose a Swarm service is, by its name."""

    def __init__(self, docker: Docker, named: Callable[[str], ObjectKey | None]) -> None:
        self._docker, self._named = docker, named
        self._where: set[ObjectKey] = set()
        self._everywhere = True
        self._wake = anyio.Event()
        self._resync_at = self._followed_at = 0.0

    def hint(self, key: ObjectKey) -> None:
        """Something happened to that workload."""
        self._where.add(key)
        self._wake.set()

    def look_everywhere(self) -> None:
        """Something happened, who knows to whom."""
        self._everywhere = True
        self._wake.set()

    def take(self) -> frozenset[ObjectKey] | None:
        """Where to look now; None: everywhere."""
        where = None if self._everywhere or len(self._where) > MANY else frozenset(self._where)
        self._everywhere, self._where, self._wake = False, set(), anyio.Event()
        if where is None:
            self._resync_at = anyio.current_time() + RESYNC_SECONDS
        return where

    async def next(
        self, moving: Collection[ObjectKey], *, still: bool = False, within: float = RESYNC_SECONDS
    ) -> None:
        """Returns when it is time to look again.

        `moving`: what no event will tell of; `still`: nothing has happened to it for long. `within`: seconds until
        everything is to be looked at, at the latest.
        """
        pause = LATER_SECONDS if still else SOON_SECONDS
        resync_at = min(self._resync_at, anyio.current_time() + within)
        follow_at = self._followed_at + pause if moving else resync_at
        with anyio.CancelScope(deadline=min(resync_at, follow_at)):
            await self._wake.wait()
            await anyio.sleep(GATHER_SECONDS)
        # Hints about some must not put off the look at others.
        if moving and anyio.current_time() >= follow_at:
            self._where.update(moving)
            self._followed_at = anyio.current_time()
        if anyio.current_time() >= resync_at:
            self._everywhere = True

    async def follow(self) -> None:
        """Until cancelled. A daemon that ended its stream may have been restarted: then all of it is looked at."""
        while True:
            try:
                await self._docker.follow(_WANTED, self._hear)
            except DriverError as lost:
                _log.debug("no events from Docker", because=str(lost))
            await anyio.sleep(RECONNECT_SECONDS)
            self.look_everywhere()

    def _hear(self, event: Mapping[str, Any]) -> None:
        name = str(event.get("Actor", {}).get("Attributes", {}).get("name", ""))
        if event.get("Type") == "node":
            self.look_everywhere()
        elif key := self._named(name):
            self.hint(key)


async def keep_heartbeat(docker: Docker) -> None:
    """Sets the period in which nodes of this Swarm must show themselves to 1.1 s, if it is longer.

    Docker's own 5 s is most of the time in which nobody notices that a machine was lost.
    """

    def shorten(api: Any) -> bool:
        swarm = api.inspect_swarm()
        period = swarm["Spec"].get("Dispatcher", {}).get("HeartbeatPeriod", 0)
        if 0 < period <= HEARTBEAT_NANOSECONDS:
            return False
        spec = {**swarm["Spec"], "Dispatcher": {"HeartbeatPeriod": HEARTBEAT_NANOSECONDS}}
        api.update_swarm(swarm["Version"]["Index"], swarm_spec=spec)
        return True

    while True:
        try:
            if await docker.ask(shorten):
                _log.info("nodes of the Swarm must show themselves every 1.1 s now")
            return
        except DriverError as refused:
            _log.info("the Swarm's heartbeat is not set yet", because=str(refused))
        await anyio.sleep(SOON_SECONDS * 4)
