"""A machine that is a node of a Swarm: its agent's side jobs, and what they add to heartbeats.

Everything here is besides: whatever fails is said and tried again, the heartbeat goes on. Nothing that is called with
a beat waits for the daemon: it may hang.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
import structlog

from agent.door import Door
from agent.errors import AgentError, CannotJoin
from agent.identity import Identity, IdentityKeeper
from agent.in_swarm.callers import LocalCallers
from agent.in_swarm.containers import Containers
from agent.in_swarm.encryption import can_encrypt
from agent.in_swarm.gate import Gate
from agent.in_swarm.image_door import ImageDoor, Road
from agent.in_swarm.membership import Membership
from agent.in_swarm.waiting_room import WaitingRoom
from agent.moving import Moving
from agent.moving.believing import AddressRules
from agent.moving.looking import local_network
from agent.settings import Settings
from controller.kit.clock import Clock
from controller.kit.threads import Threads
from controller.runtime.driver import DriverError
from controller.runtime.swarm.docker_door import Docker
from controller.runtime.swarm.local import LocalDocker
from controller.runtime.swarm.measuring import Meter
from controller.runtime.swarm.place import Place

LOOK_SECONDS, MEASURE_SECONDS = 5.0, 10.0
# Until the daemon has been asked once, nobody knows where the conductor is.
FIRST_LOOK_SECONDS = 0.5
AGAIN_SECONDS = 5.0
_log = structlog.get_logger("swarm")


class SwarmNode:
    """`settings.docker` names the daemon."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._docker = LocalDocker(Docker(settings.docker))
        self._meter = Meter(Docker(settings.docker), clock)
        self._membership = Membership(settings, self._docker, clock)
        self._place: Place | None = None
        self._moving: Moving | None = None
        self._used: dict[str, dict[str, float]] | None = None
        self._encrypts: bool | None = None
        self._peers_version = ""
        self._looked = anyio.Event()

    async def run(self, door: Door, keeper: IdentityKeeper) -> None:
        """Until cancelled."""

        async def tell(path: str, body: dict[str, Any]) -> Any:
            return await door.call(_identity(keeper), path, body)

        async def road() -> Road:
            identity = _identity(keeper)
            return Road(door.urls, await door.token(identity), identity.ca)

        callers = LocalCallers(self._settings.docker)
        jobs: dict[str, Callable[[], Awaitable[None]]] = {
            "looking": lambda: self._keep_looking(door),
            "containers": Containers(self._docker, tell).run,
            "moving": self._follow_addresses,
            "measuring": self._measure,
            "encryption": self._try_encryption,
            "membership": lambda: self._membership.run(door),
            "waiting": WaitingRoom(Gate(), Threads(1), self._managers_elsewhere, admits=callers.admits).run,
        }
        if self._settings.image_door:
            jobs["images"] = ImageDoor(self._settings.image_door, road, callers.admits).run
        async with anyio.create_task_group() as tasks:
            for name, job in jobs.items():
                tasks.start_soon(_kept_running, name, job)

    def part(self) -> Mapping[str, Any]:
        """For the body of a heartbeat."""
        told: dict[str, Any] = {} if self._used is None else {"services": self._used}
        if self._moving is None or self._place is None:
            return told
        own = {
            "nodeId": self._place.node_id,
            "manager": self._place.manager,
            "leaving": self._membership.is_leaving,
            "encrypts": self._encrypts,
        }
        return {**told, "swarm": own | self._moving.part(), "peersVersion": self._peers_version}

    async def heard(self, answer: Mapping[str, Any]) -> None:
        """The answer to a heartbeat: other workers and where they are, or word to leave."""
        if self._moving is not None and "peers" in answer:
            self._moving.take_peers(answer["peers"])
            self._peers_version = str(answer.get("peersVersion", ""))
        if answer.get("leave"):
            self._membership.told_to_leave()

    async def _keep_looking(self, door: Door) -> None:
        while True:
            try:
                self._place = await self._docker.place()
                hosts = [each.rpartition(":")[0] for each in self._place.managers]
                door.learn([f"https://{host}:{self._settings.api_port}" for host in hosts])
                self._membership.seen(self._place)
                looked, self._looked = self._looked, anyio.Event()
                looked.set()
            except DriverError as lost:
                _log.debug("Docker does not answer", because=str(lost))
            await anyio.sleep(LOOK_SECONDS if self._place else FIRST_LOOK_SECONDS)

    def _managers_elsewhere(self) -> list[str]:
        """Addresses by which Docker knows those it needs; a manager needs no other."""
        if self._place is None or not self._place.in_swarm or self._place.manager:
            return []
        hosts = (each.rpartition(":")[0] for each in self._place.managers)
        return [host for host in hosts if ":" not in host]  # IPv4 only, as all translations

    async def _follow_addresses(self) -> None:
        """As long as this machine is known by the same address; one that joins anew may be known by another."""
        known_by = await self._known_by_another("")
        settings, port = self._settings, self._settings.announce_port
        rules = AddressRules(settings.node_networks, self._clock, local_network)
        self._moving = Moving(settings.home, settings.name, known_by, self._clock, port=port, may_not=rules.why_not)
        # The list must come again: what is new to this Moving was no news to the one before.
        self._peers_version = ""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._moving.run)
            await self._known_by_another(known_by)
            tasks.cancel_scope.cancel()

    async def _known_by_another(self, address: str) -> str:
        """Waits until the Swarm knows this machine by another address; which."""
        while self._place is None or not self._place.in_swarm or self._place.address == address:
            await self._looked.wait()
        return self._place.address

    async def _try_encryption(self) -> None:
        """Once: a kernel that learns it later is started anew for that."""
        self._encrypts = bool(await anyio.to_thread.run_sync(can_encrypt))
        await anyio.sleep_forever()

    async def _measure(self) -> None:
        while True:
            try:
                self._used = await self._meter.measure()
            except DriverError as lost:
                _log.debug("services are not measured", because=str(lost))
            await anyio.sleep(MEASURE_SECONDS)


def _identity(keeper: IdentityKeeper) -> Identity:
    try:
        identity = keeper.load()
    except (OSError, ValueError) as broken:
        raise AgentError(str(broken)) from broken
    if identity is None:
        raise AgentError("this machine has not joined yet")
    return identity


async def _kept_running(name: str, job: Callable[[], Awaitable[None]]) -> None:
    """Begun again when it ends, whatever ended it: a taken port is no reason to lose the heartbeat."""
    while True:
        try:
            await job()
        except CannotJoin:
            raise
        except Exception as failed:
            _log.error("failed; begins again", job=name, because=_first(failed), seconds=AGAIN_SECONDS)
            await anyio.sleep(AGAIN_SECONDS)


def _first(failed: BaseException) -> str:
    while isinstance(failed, BaseExceptionGroup):
        failed = failed.exceptions[0]
    return f"{type(failed).__name__}: {failed}"
