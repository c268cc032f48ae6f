"""Removal of a worker from a Swarm: its agent is told, everything moves off it, it leaves, it is forgotten.

Order matters: draining a machine ends its agent too, so before that the agent starts something that outlives it and
leaves the Swarm once the machine is empty. A machine that is away is only forgotten.
"""

from __future__ import annotations

from typing import Protocol

from controller.kit.leases import Leases
from controller.kit.peers import Peers
from controller.reconcile.outcome import Outcome, again, done, waiting
from controller.reconcile.reconciler import World
from controller.runtime.driver import DriverError
from crds.conditions import ConditionType, Reason
from crds.event_reasons import EventReason
from crds.kinds.worker import Worker
from crds.meta import Condition, condition, set_condition

REQUEUE_SECONDS = 1.0
# An agent that says nothing is not waited for: the Swarm can drop a machine without its help.
AGENT_SECONDS = 30.0


class SwarmMembership(Protocol):
    """A Swarm's nodes, by worker name (`controller.docker.swarm_admin.SwarmAdmin`). Calls raise DriverError."""

    async def drain(self, node: str) -> None: ...

    async def is_down(self, node: str) -> bool: ...

    async def remove_node(self, node: str) -> None: ...


class WorkerRemoval:
    """The steps after somebody asked for a worker's deletion; each call does the next one that is due."""

    def __init__(self, swarm: SwarmMembership, leases: Leases, peers: Peers) -> None:
        self._swarm, self._leases, self._peers = swarm, leases, peers

    async def step(self, worker: Worker, world: World) -> Outcome:
        """Never raises: a Swarm that does not answer is asked again."""
        try:
            return await self._step(worker, world)
        except DriverError as refused:
            return again(REQUEUE_SECONDS, str(refused), reason=refused.reason)

    async def _step(self, worker: Worker, world: World) -> Outcome:
        name = worker.metadata.name
        if await self._swarm.is_down(name):
            await self._swarm.remove_node(name)
            self._leases.forget(name)
            return done(f"{name} has left")
        peer = self._peers.get(name)
        if peer is not None and peer.manager:
            return waiting(
                f"its demotion, for it manages the Swarm: docker node demote {name}", reason=Reason.DEMOTION_REQUIRED
            )
        if not (peer and peer.leaving) and self._agent_may_answer(worker, world):
            return again(REQUEUE_SECONDS, "its agent is told to leave", reason=Reason.NOTIFYING_AGENT)
        drained = condition(worker.status.conditions, ConditionType.DRAINED)
        if drained is None:
            await self._swarm.drain(name)
            note = Condition(
                type=ConditionType.DRAINED, status="True", reason=Reason.DRAINING, message="everything moves off it"
            )
            set_condition(worker.status.conditions, note, now=world.clock.now())
            world.events.record(worker, EventReason.DRAINING, f"{name} is drained; then it leaves the Swarm")
        elif _seconds_since(drained, world) > 2 * AGENT_SECONDS:
            await self._swarm.remove_node(name)
            return done(f"{name} did not leave by itself and was removed; there: docker swarm leave --force")
        return again(REQUEUE_SECONDS, "everything moves off it, then it leaves", reason=Reason.DRAINING)

    def _agent_may_answer(self, worker: Worker, world: World) -> bool:
        asked = worker.metadata.deletion_timestamp
        waited = (world.clock.now() - asked).total_seconds() if asked else 0.0
        return waited < AGENT_SECONDS and self._leases.expires_in(worker.metadata.name) > 0


def _seconds_since(seen: Condition, world: World) -> float:
    since = seen.last_transition_time
    return (world.clock.now() - since).total_seconds() if since else 0.0
