"""A machine that is a node of a Swarm: its agent's side jobs, and what they add to heartbeats.

Everything here is besides: whatever fails is said and tried again, the heartbeat goes on. Nothing that is called with
a beat waits for the daemon: it may hang.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
import structlog

from agent.addressing import AddressTracker
from agent.addressing.address_rules import AddressRules
from agent.addressing.interfaces import local_network
from agent.conductor_client import ConductorClient
from agent.errors import AgentError, CannotJoin
from agent.identity import Identity, IdentityStore
from agent.settings import Settings
from agent.swarm.callers import LocalCallers
from agent.swarm.connection_hold import ConnectionHold
from agent.swarm.container_watcher import ContainerWatcher
from agent.swarm.encryption import can_encrypt
from agent.swarm.manager_redirect import ManagerRedirect
from agent.swarm.membership import Membership
from agent.swarm.registry_proxy import RegistryProxy
from agent.swarm.role_credentials import RoleCredentials
from agent.swarm.upstream import Upstream
from controller.docker.client import DockerClient
from controller.docker.container_stats import ContainerStats
from controller.docker.local_engine import LocalEngine
from controller.docker.node_info import SwarmNodeInfo
from controller.kit.clock import Clock
from controller.kit.threads import Threads
from controller.runtime.driver import DriverError

POLL_SECONDS, MEASURE_SECONDS = 5.0, 10.0
# Until the daemon has been asked once, nobody knows where the conductor is.
FIRST_POLL_SECONDS = 0.5
RESTART_SECONDS = 5.0
_log = structlog.get_logger("swarm")


class SwarmNode:
    """`settings.docker` names the daemon."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._docker = LocalEngine(DockerClient(settings.docker))
        self._meter = ContainerStats(DockerClient(settings.docker), clock)
        self._membership = Membership(settings, self._docker, clock)
        self._place: SwarmNodeInfo | None = None
        self._addresses: AddressTracker | None = None
        self._used: dict[str, dict[str, float]] | None = None
        self._encrypts: bool | None = None
        self._peers_version = ""
        self._polled = anyio.Event()

    async def run(self, conductor: ConductorClient, identity_store: IdentityStore) -> None:
        """Run until cancelled."""

        async def report(path: str, body: dict[str, Any]) -> Any:
            return await conductor.call(_identity(identity_store), path, body)

        async def upstream() -> Upstream:
            identity = _identity(identity_store)
            return Upstream(conductor.urls, await conductor.token(identity), identity.ca)

        callers = LocalCallers(self._settings.docker)
        jobs: dict[str, Callable[[], Awaitable[None]]] = {
            "looking": lambda: self._poll_docker(conductor),
            "containers": ContainerWatcher(self._docker, report).run,
            "moving": self._follow_addresses,
            "measuring": self._measure,
            "encryption": self._try_encryption,
            "membership": lambda: self._membership.run(conductor),
            "credentials": RoleCredentials(upstream, self._clock).run,
            "waiting": ConnectionHold(
                ManagerRedirect(), Threads(1), self._managers_elsewhere, admits=callers.admits
            ).run,
        }
        if self._settings.image_door:
            jobs["images"] = RegistryProxy(self._settings.image_door, upstream, callers.admits).run
        async with anyio.create_task_group() as tasks:
            for name, job in jobs.items():
                tasks.start_soon(_restart_forever, name, job)

    def heartbeat_fields(self) -> Mapping[str, Any]:
        """Return fields for the body of a heartbeat."""
        told: dict[str, Any] = {} if self._used is None else {"services": self._used}
        if self._addresses is None or self._place is None:
            return told
        own = {
            "nodeId": self._place.node_id,
            "manager": self._place.manager,
            "leaving": self._membership.is_leaving,
            "encrypts": self._encrypts,
        }
        return {**told, "swarm": own | self._addresses.heartbeat_fields(), "peersVersion": self._peers_version}

    async def on_heartbeat_response(self, answer: Mapping[str, Any]) -> None:
        """The answer to a heartbeat: other workers and where they are, or word to leave."""
        if self._addresses is not None and "peers" in answer:
            self._addresses.update_peers(answer["peers"])
            self._peers_version = str(answer.get("peersVersion", ""))
        if answer.get("leave"):
            self._membership.request_leave()

    async def _poll_docker(self, conductor: ConductorClient) -> None:
        while True:
            try:
                self._place = await self._docker.node_info()
                hosts = [each.rpartition(":")[0] for each in self._place.managers]
                conductor.update_endpoints([f"https://{host}:{self._settings.api_port}" for host in hosts])
                self._membership.observe(self._place)
                looked, self._polled = self._polled, anyio.Event()
                looked.set()
            except DriverError as lost:
                _log.debug("Docker does not answer", because=str(lost))
            await anyio.sleep(POLL_SECONDS if self._place else FIRST_POLL_SECONDS)

    def _managers_elsewhere(self) -> list[str]:
        """Addresses by which Docker knows those it needs; a manager needs no other."""
        if self._place is None or not self._place.in_swarm or self._place.manager:
            return []
        hosts = (each.rpartition(":")[0] for each in self._place.managers)
        return [host for host in hosts if ":" not in host]  # IPv4 only, as all translations

    async def _follow_addresses(self) -> None:
        """Track addresses for one identity at a time; a machine that joins anew may be known by another."""
        known_by = await self._identity_changed("")
        settings, port = self._settings, self._settings.announce_port
        rules = AddressRules(settings.node_networks, self._clock, local_network)
        self._addresses = AddressTracker(
            settings.home, settings.name, known_by, self._clock, port=port, refuses=rules.why_not
        )
        # The list must come again: what is new to this tracker was no news to the one before.
        self._peers_version = ""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._addresses.run)
            await self._identity_changed(known_by)
            tasks.cancel_scope.cancel()

    async def _identity_changed(self, address: str) -> str:
        """Wait until the Swarm knows this machine by another address, and return that."""
        while self._place is None or not self._place.in_swarm or self._place.address == address:
            await self._polled.wait()
        return self._place.address

    async def _try_encryption(self) -> None:
        """Try it once: a kernel that learns it later is rebooted for that."""
        self._encrypts = bool(await anyio.to_thread.run_sync(can_encrypt))
        await anyio.sleep_forever()

    async def _measure(self) -> None:
        while True:
            try:
                self._used = await self._meter.measure()
            except DriverError as lost:
                _log.debug("services are not measured", because=str(lost))
            await anyio.sleep(MEASURE_SECONDS)


def _identity(identity_store: IdentityStore) -> Identity:
    try:
        identity = identity_store.load()
    except (OSError, ValueError) as broken:
        raise AgentError(str(broken)) from broken
    if identity is None:
        raise AgentError("this machine has not joined yet")
    return identity


async def _restart_forever(name: str, job: Callable[[], Awaitable[None]]) -> None:
    """Run `job` again whenever it ends, whatever ended it: a taken port is no reason to lose the heartbeat."""
    while True:
        try:
            await job()
        except CannotJoin:
            raise
        except Exception as failed:
            _log.error("failed; begins again", job=name, because=_first(failed), seconds=RESTART_SECONDS)
            await anyio.sleep(RESTART_SECONDS)


def _first(failed: BaseException) -> str:
    while isinstance(failed, BaseExceptionGroup):
        failed = failed.exceptions[0]
    return f"{type(failed).__name__}: {failed}"
