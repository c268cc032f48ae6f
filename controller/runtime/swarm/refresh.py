"""The schedule of refreshes: Docker's events and agents' reports say what, and what is on its way is refreshed soon.

Everything is looked at every ten seconds, in case an event got lost. A change costs what it changes, rest next to
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import anyio
import structlog

from controller.docker.client import DockerClient
from controller.runtime.driver import DriverError
from crds.meta import ObjectKey

SOON_SECONDS, LATER_SECONDS, RESYNC_SECONDS = 0.5, 3.0, 10.0
RECONNECT_SECONDS = 1.0
# Events come in bursts: a service that is made tells several.
GATHER_SECONDS = 0.05
# So many workloads are refreshed quicker by one snapshot of all.
MANY = 10
# Swarm lengthens or shortens it by up to half a second, by chance, and a node that misses three is Down: a lost
# machine is noticed after about 3 s. Shorter would be quicker, but who only stood still for a moment would be lost.
HEARTBEAT_NANOSECONDS = 1_100_000_000
_WANTED = {"type": ["service", "node"]}
_log = structlog.get_logger("swarm")


class RefreshScheduler:
    """Gathers requests to refresh. `key_of` says whose a Swarm service is, by its name."""

    def __init__(self, docker: DockerClient, key_of: Callable[[str], ObjectKey | None]) -> None:
        self._docker, self._key_of = docker, key_of
        self._keys: set[ObjectKey] = set()
        self._all = True
        self._wake = anyio.Event()
        self._resync_at = self._followed_at = 0.0

    def request(self, key: ObjectKey) -> None:
        """Something happened to that workload."""
        self._keys.add(key)
        self._wake.set()

    def request_all(self) -> None:
        """Something happened, who knows to whom."""
        self._all = True
        self._wake.set()

    def take(self) -> frozenset[ObjectKey] | None:
        """Workloads to refresh now; None: all."""
        where = None if self._all or len(self._keys) > MANY else frozenset(self._keys)
        self._all, self._keys, self._wake = False, set(), anyio.Event()
        if where is None:
            self._resync_at = anyio.current_time() + RESYNC_SECONDS
        return where

    async def wait(
        self, moving: Collection[ObjectKey], *, still: bool = False, within: float = RESYNC_SECONDS
    ) -> None:
        """Returns when it is time for the next pass.

        `moving`: what no event will tell of; `still`: nothing has happened to it for long. `within`: seconds until
        everything is to be looked at, at the latest.
        """
        pause = LATER_SECONDS if still else SOON_SECONDS
        resync_at = min(self._resync_at, anyio.current_time() + within)
        follow_at = self._followed_at + pause if moving else resync_at
        with anyio.CancelScope(deadline=min(resync_at, follow_at)):
            await self._wake.wait()
            await anyio.sleep(GATHER_SECONDS)
        # Requests for some must not put off the refresh of others.
        if moving and anyio.current_time() >= follow_at:
            self._keys.update(moving)
            self._followed_at = anyio.current_time()
        if anyio.current_time() >= resync_at:
            self._all = True

    async def follow_events(self) -> None:
        """Follow Docker's events until cancelled. A daemon that ended its stream may have been restarted: then all of
        it is looked at.
        """
        while True:
            try:
                await self._docker.follow(_WANTED, self._on_event)
            except DriverError as lost:
                _log.debug("no events from Docker", because=str(lost))
            await anyio.sleep(RECONNECT_SECONDS)
            self.request_all()

    def _on_event(self, event: Mapping[str, Any]) -> None:
        name = str(event.get("Actor", {}).get("Attributes", {}).get("name", ""))
        if event.get("Type") == "node":
            self.request_all()
        elif key := self._key_of(name):
            self.request(key)


async def keep_heartbeat(docker: DockerClient) -> None:
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
