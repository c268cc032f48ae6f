"""`POST /agents/heartbeat`: a thousand machines ask once a second each, so it is answered on the raw ASGI wire."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, IPvAnyAddress, ValidationError

from api.agents.node_claims import NodeClaims
from api.agents.peer_addresses import PeerAddressBook, Tell
from api.asgi import Receive, Response, Scope, json_answer, read_body
from api.auth.authentication import Authenticator
from api.auth.principal import Principal
from controller.kit.clock import SystemClock
from controller.kit.leases import LEASE_SECONDS, Leases, Usage
from controller.kit.peers import Peer, Peers
from controller.resources.registry import Registry
from crds.errors import Forbidden, Invalid, MethodNotAllowed
from crds.kinds.worker import WORKER
from crds.model import Model

PATH = "/agents/heartbeat"
_BODY_LIMIT = 2**20


class UsageReport(Model):
    """CPU in cores, everything else in bytes."""

    cpu: float = 0.0
    memory: int = 0
    disk: int = 0
    network_received: int = 0
    network_sent: int = 0


class ServiceUsage(Model):
    model_config = ConfigDict(extra="ignore")

    cpu: float = 0.0
    memory: int = 0


def machine_address(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Raises ValueError for an address that no machine has to itself."""
    if address.is_unspecified or address.is_multicast:
        raise ValueError(f"{address} is no address of a machine")
    return address


MachineAddress = Annotated[IPvAnyAddress, AfterValidator(machine_address)]


class SwarmReport(Model):
    """What an agent on a node of a Swarm adds (`controller.kit.peers.Peer`)."""

    model_config = ConfigDict(extra="ignore")

    node_id: str = Field(max_length=64)
    identity: MachineAddress
    address: MachineAddress
    manager: bool = False
    leaving: bool = False
    public_key: str = Field(max_length=64)
    sequence: int = Field(ge=0, lt=2**53)
    encrypts: bool | None = None

    def peer(self, worker: str) -> Peer:
        told = self.model_dump()
        return Peer(worker, **{**told, "identity": str(self.identity), "address": str(self.address)})


class HeartbeatBody(Model):
    usage: UsageReport = Field(default_factory=UsageReport)
    addresses: list[MachineAddress] = Field(default_factory=list, max_length=64)
    services: dict[str, ServiceUsage] = Field(default_factory=dict)
    swarm: SwarmReport | None = None
    peers_version: str = ""
    clock: Annotated[float, Field(ge=0, le=1e11)] | None = None
    """Seconds since 1970, as the worker's clock has it."""


class Heartbeats:
    """Renews leases. `heard` is called when a worker breaks its silence. `tell`: see `Whereabouts`."""

    def __init__(
        self,
        registry: Registry,
        leases: Leases,
        peers: Peers,
        authenticator: Authenticator,
        heard: Callable[[str], None],
        tell: Tell | None = None,
        claims: NodeClaims | None = None,
    ) -> None:
        self._registry, self._leases, self._peers = registry, leases, peers
        self._authenticator, self._heard = authenticator, heard
        self._whereabouts = PeerAddressBook(registry.store, leases, peers, tell)
        self._claims = claims or NodeClaims(registry, peers, SystemClock())

    async def answer(self, scope: Scope, receive: Receive) -> Response:
        """Raises Unauthorized, Forbidden, Invalid."""
        if scope["method"] != "POST":
            raise MethodNotAllowed("heartbeats are sent by POST")
        name = worker_of(self._authenticator.authenticate(scope))
        beat = _read(await read_body(receive, limit=_BODY_LIMIT))
        known = self._registry.store.get(WORKER.key(name))
        if known is None:  # its token outlives it for some minutes
            raise gone(name)
        peer = None if beat.swarm is None else await self._believed(beat.swarm.peer(name), scope)
        self._take(name, beat, peer)
        registered = "lastRegisteredAt" in known.object.get("status", {})
        answer: dict[str, object] = {"leaseSeconds": LEASE_SECONDS, "registered": registered}
        if beat.swarm is not None:
            answer |= self._peers.news_since(beat.peers_version)
            # Its deletion waits for it: see controller.reconcilers.worker_removal.
            answer["leave"] = bool(known.object["metadata"].get("deletionTimestamp"))
        return json_answer(200, answer)

    async def _believed(self, told: Peer, scope: Scope) -> Peer | None:
        """None for a place it cannot be at: it lives, but nobody is told where."""
        if told == self._peers.get(told.worker):
            return told
        source = str((scope.get("client") or ("",))[0])
        if why := await self._claims.why_not(told, source):
            self._whereabouts.refuse(told, why)
            return None
        if not self._whereabouts.take(told):
            return None
        await self._claims.note(told)
        return told

    def _take(self, name: str, beat: HeartbeatBody, peer: Peer | None) -> None:
        before = self._leases.get(name)
        silent = before is None or self._leases.expires_in(name) <= 0
        services = {instance: {"cpu": each.cpu, "memory": each.memory} for instance, each in beat.services.items()}
        told = beat.usage
        usage = Usage(told.cpu, told.memory, told.disk, told.network_received, told.network_sent)
        addresses = [str(each) for each in beat.addresses]
        self._leases.beat(name, usage, addresses=addresses, services=services, swarm=peer, clock=beat.clock)
        if silent or (before is not None and list(before.addresses) != addresses):
            self._heard(name)


def worker_of(asker: Principal) -> str:
    """The worker this is. Raises Forbidden for everybody else."""
    if not asker.worker:
        raise Forbidden("only a worker's agent may call this")
    return asker.worker


def gone(worker: str) -> Forbidden:
    """The refusal a deleted worker is told."""
    return Forbidden(f"there is no worker {worker} any more; it was deleted")


def _read(body: bytes) -> HeartbeatBody:
    try:
        return HeartbeatBody.model_validate_json(body)
    except ValidationError as wrong:
        first = wrong.errors()[0]
        field = ".".join(map(str, first["loc"])) or "body"
        raise Invalid(f"{field}: {first['msg']}") from wrong
