"""Claims of a worker about its machine's addresses: of itself only, and only what something else shows to be true.

All agents translate by what one of them says. So an address must be in the cloud's networks, and the worker must call
from it; the address it is known by may also be one that the Swarm itself knows that node by.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address
from typing import Any, Literal

from controller.kit.clock import Clock
from controller.kit.networks import NodeNetworks
from controller.kit.peers import Peer, Peers
from controller.resources.registry import Registry
from controller.resources.strategy import WriteOptions
from controller.runtime.driver import DriverError
from crds.conditions import ConditionType, Reason
from crds.kinds.worker import WORKER
from crds.meta import Condition, condition, set_condition

# Who claims nonsense does so with every beat: the Swarm is not asked each time.
ASKED_SECONDS = 10.0
NodeAddresses = Callable[[str], Awaitable[frozenset[str]]]
AUTO, ON, OFF = "auto", "on", "off"
_HOW = WriteOptions(by="system:conductor", validation="Strict")


class NodeClaims:
    """`swarm`: the addresses by which the Swarm knows a worker's node; None where there is no Swarm to ask.

    `own`: addresses from which this machine calls itself (a container's router) → the one the Swarm knows it by.
    """

    def __init__(
        self,
        registry: Registry,
        peers: Peers,
        clock: Clock,
        networks: NodeNetworks | None = None,
        swarm: NodeAddresses | None = None,
        own: Mapping[str, str] | None = None,
        encryption: str = AUTO,
    ) -> None:
        self._registry, self._peers, self._clock = registry, peers, clock
        self._networks, self._swarm, self._own = networks or NodeNetworks(), swarm, own or {}
        self._encryption = encryption
        self._asked: dict[str, tuple[float, frozenset[str]]] = {}

    async def why_not(self, told: Peer, source: str) -> str:
        """Empty when it is believed. `source`: the address the request came from."""
        for each in (told.identity, told.address):
            if not self._networks.allows(each):
                return f"{each} is in no network of this cloud ({self._networks}); to allow it: AEREKOS_NODE_NETWORKS"
        source = self._own.get(source, source)
        # Only who is on this machine calls from a loopback address.
        here = _is_loopback(source)
        if not here and not await self._is_known_by(told, source):
            return (
                f"it says that it is known by {told.identity}, but calls from {source}, and the Swarm says otherwise"
            )
        if here or told.address == source:
            return ""
        if told.address != told.identity and source != told.identity:
            return f"it says that it is at {told.address}, but calls from {source}"
        other = next(
            (each for each in self._peers if each.worker != told.worker and each.address == told.address), None
        )
        return f"it says that it is at {told.address}, where {other.worker} is" if other else ""

    async def is_member(self, worker: str, source: str) -> bool:
        """Whether the Swarm has a node of that name, and whoever calls from `source` is that node."""
        addresses = await self._of_the_node(worker, anew=True)
        moved = self._peers.get(worker)
        at = self._own.get(source, source)
        return at in addresses or bool(addresses and moved and moved.address == at)

    async def note(self, told: Peer) -> None:
        """The address it is known by is its own from now on, as long as its Worker is there; and whether its overlay
        networks are encrypted.
        """
        found = overlay_encrypted(told, self._encryption)

        def edit(body: dict[str, Any]) -> dict[str, Any]:
            worker = WORKER.parse(body)
            set_condition(worker.status.conditions, found, now=self._clock.now())
            told_of = {
                "identityAddress": told.identity,
                "conditions": [each.wire() for each in worker.status.conditions],
            }
            return {**body, "status": {**body.get("status", {}), **told_of}}

        record = self._registry.store.get(WORKER.key(told.worker))
        if record is not None and (self._noted(told.worker) != told.identity or _differs(record.body, found)):
            await self._registry.update(WORKER, record.key, edit, _HOW, subresource="status")

    async def _is_known_by(self, told: Peer, source: str) -> bool:
        if told.identity in (source, self._noted(told.worker)):
            return True
        return told.identity in await self._of_the_node(told.worker)

    async def _of_the_node(self, worker: str, *, anew: bool = False) -> frozenset[str]:
        now = self._clock.monotonic()
        until, known = self._asked.get(worker, (now, frozenset()))
        if self._swarm is None or (now < until and not anew):
            return known
        try:
            known = await self._swarm(worker)
        except DriverError:
            return frozenset()
        self._asked[worker] = now + ASKED_SECONDS, known
        return known

    def _noted(self, worker: str) -> str:
        record = self._registry.store.get(WORKER.key(worker))
        return "" if record is None else str(record.object.get("status", {}).get("identityAddress", ""))


def overlay_encrypted(told: Peer, setting: str) -> Condition:
    """`setting`: auto, on or off. What was made before a change of it stays as it was made."""
    if setting == OFF:
        message = "AEREKOS_OVERLAY_ENCRYPTION is off: traffic between machines can be read on the way"
        return _encrypted("False", Reason.ENCRYPTION_DISABLED, message)
    if told.encrypts is None:
        return _encrypted("Unknown", Reason.NOT_REPORTED, "its agent has not said yet")
    if told.encrypts:
        message = "its kernel encrypts overlay networks"
        return _encrypted("True", Reason.IPSEC_SUPPORTED, message)
    what = "no network with encryption works there" if setting == ON else "new networks are made without encryption"
    message = f"the kernel of {told.worker} has no IPsec (ESP with AES-GCM): {what}"
    return _encrypted("False", Reason.IPSEC_UNSUPPORTED, message)


def _encrypted(status: Literal["True", "False", "Unknown"], reason: Reason, message: str) -> Condition:
    return Condition(type=ConditionType.OVERLAY_ENCRYPTED, status=status, reason=reason, message=message)


def _differs(body: bytes, found: Condition) -> bool:
    there = condition(WORKER.parse(body).status.conditions, found.type)
    return there is None or (there.status, there.reason, there.message) != (found.status, found.reason, found.message)


def _is_loopback(source: str) -> bool:
    try:
        return ip_address(source).is_loopback
    except ValueError:
        return False
