"""A machine that is a node of a Swarm: its agent's side jobs, and what they add to heartbeats.

Everything here is besides: whatever fails is said and tried again, the heartbeat goes on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
import structlog

from agent.door import Door, trusting
from agent.errors import AgentError
from agent.identity import IdentityKeeper
from agent.in_swarm.containers import Containers
from agent.in_swarm.image_door import ImageDoor
from agent.moving import Moving
from agent.settings import Settings
from controller.kit.clock import Clock
from controller.runtime.driver import DriverError
from controller.runtime.swarm.docker_door import Docker
from controller.runtime.swarm.local import LocalDocker, Place

LOOK_SECONDS = 5.0
# Until the daemon has been asked once, nobody knows where the conductor is.
FIRST_LOOK_SECONDS = 0.5
AGENT_SERVICE = "aerekos_agent"
LEAVER = "aerekos-leaver"
_log = structlog.get_logger("swarm")


class SwarmNode:
    """`settings.docker` names the daemon."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._docker = LocalDocker(Docker(settings.docker))
        self._place: Place | None = None
        self._moving: Moving | None = None
        self._peers_version = ""
        self._leaving = False

    async def run(self, door: Door, keeper: IdentityKeeper) -> None:
        """Until cancelled."""

        async def tell(path: str, body: dict[str, Any]) -> Any:
            identity = keeper.load()
            if identity is None:
                raise AgentError("this machine has not joined yet")
            return await door.call(identity, path, body)

        async def way() -> tuple[str, str, Any]:
            identity = keeper.load()
            if identity is None or not door.urls:
                raise AgentError("this machine has not joined yet")
            return door.urls[0], await door.token(identity), trusting(identity.ca)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Containers(self._docker, tell).run)
            if self._settings.image_door:
                tasks.start_soon(ImageDoor(self._settings.image_door, way).run)
            while True:
                await self._look(door)
                if self._moving is None and self._place is not None and self._place.in_swarm:
                    self._moving = Moving(self._settings.home, self._settings.name, self._place.address, self._clock)
                    tasks.start_soon(_kept_running, self._moving.run)
                await anyio.sleep(LOOK_SECONDS if self._place else FIRST_LOOK_SECONDS)

    def part(self) -> Mapping[str, Any]:
        """For the body of a heartbeat."""
        if self._moving is None or self._place is None:
            return {}
        told = {"nodeId": self._place.node_id, "manager": self._place.manager, "leaving": self._leaving}
        return {"swarm": told | self._moving.part(), "peersVersion": self._peers_version}

    async def heard(self, answer: Mapping[str, Any]) -> None:
        """The answer to a heartbeat: other workers and where they are, or word to leave."""
        if self._moving is not None and "peers" in answer:
            self._moving.take_peers(answer["peers"])
            self._peers_version = str(answer.get("peersVersion", ""))
        if answer.get("leave") and not self._leaving:
            await self._prepare_to_leave()

    async def _prepare_to_leave(self) -> None:
        """This agent ends when its machine is drained. What it starts now stays, and leaves the Swarm after that."""
        try:
            await self._docker.run_beside(LEAVER, AGENT_SERVICE, ["aerekos-agent", "leave", "--when-empty"])
        except (DriverError, IndexError) as refused:
            _log.error("cannot prepare to leave", because=str(refused))
            return
        self._leaving = True
        _log.warning("told to leave the Swarm")

    async def _look(self, door: Door) -> None:
        try:
            self._place = await self._docker.place()
        except DriverError as lost:
            _log.debug("Docker does not answer", because=str(lost))
            return
        hosts = [each.rpartition(":")[0] for each in self._place.managers]
        door.also([f"https://{host}:{self._settings.api_port}" for host in hosts])


async def _kept_running(run: Callable[[], Awaitable[None]]) -> None:
    """A taken port is no reason to lose the heartbeat."""
    while True:
        try:
            await run()
        except OSError as refused:
            _log.error("addresses are not followed", because=str(refused))
        await anyio.sleep(LOOK_SECONDS)
