"""Being a node of the cloud's Swarm: leaving it when told to, and joining again when the membership was lost.

Measured with Docker 20.10: a daemon that is not `active` (its state was lost, its certificate is broken, somebody
made it leave) runs no Swarm task at all. So only an agent that runs outside the Swarm can bring its machine back; one
that is a task is gone itself, and its machine is joined again by the line of `aerekos token create`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial

import anyio
import structlog

from agent.conductor_client import ConductorClient
from agent.errors import AgentError, CannotJoin
from agent.settings import Settings
from agent.swarm import join
from controller.docker.local_engine import LocalEngine
from controller.docker.node_info import SwarmNodeInfo
from controller.kit.clock import Clock
from controller.kit.files import write_private
from controller.runtime.driver import DriverError

# A daemon that starts, or a manager that is away, needs so long by itself.
REJOIN_AFTER_SECONDS = 30.0
AGENT_SERVICE = "aerekos_agent"
LEAVER = "aerekos-leaver"
MANAGER, WORKER = "manager", "worker"
Join = Callable[[Sequence[str]], Awaitable[None]]
_log = structlog.get_logger("membership")


class Membership:
    """`observe` and `request_leave` only note; `run` acts. `join` joins again by one of these URLs of the API."""

    def __init__(self, settings: Settings, docker: LocalEngine, clock: Clock, join: Join | None = None) -> None:
        self._settings, self._docker, self._clock = settings, docker, clock
        self._join = join or partial(_join, settings)
        # What this machine was when it was last seen in the Swarm: one that never joined is not made to.
        self._file = settings.home / "agent" / "in-swarm"
        self._was = self._file.read_text(encoding="utf-8") if self._file.exists() else ""
        self._place: SwarmNodeInfo | None = None
        self._lost_since: float | None = None
        self._must_leave, self.is_leaving = False, False
        self._changed = anyio.Event()

    def observe(self, place: SwarmNodeInfo) -> None:
        """Note what Docker says now of this machine's place in the Swarm."""
        self._place = place
        if place.in_swarm:
            self._lost_since = None
            self._note(MANAGER if place.manager else WORKER)
        elif self._was and self._lost_since is None:
            self._lost_since = self._clock.monotonic()
        self._changed.set()

    def request_leave(self) -> None:
        """Note that the conductor wants this machine to leave, and waits for it."""
        self._must_leave = True
        self._changed.set()

    async def run(self, conductor: ConductorClient) -> None:
        """Run until cancelled. Raises CannotJoin once this machine has left, for then nobody needs its agent."""
        while True:
            await self._changed.wait()
            self._changed = anyio.Event()
            if self._must_leave:
                await self._leave()
            elif self._is_lost_for_long():
                self._lost_since = self._clock.monotonic()  # a try that fails is followed by the same patience
                await self._join_again(conductor)

    def _note(self, was: str) -> None:
        if was != self._was:
            self._was = was
            write_private(self._file, was.encode())

    def _is_lost_for_long(self) -> bool:
        return self._lost_since is not None and self._clock.monotonic() - self._lost_since >= REJOIN_AFTER_SECONDS

    async def _leave(self) -> None:
        """An agent of the Swarm ends when its machine is drained. What it starts now stays, and leaves after that."""
        if self.is_leaving:
            return
        try:
            beside = await self._docker.run_beside(LEAVER, AGENT_SERVICE, ["aerekos-agent", "leave", "--when-empty"])
        except DriverError as refused:
            _log.error("cannot prepare to leave", because=str(refused))
            return
        self.is_leaving = True
        _log.warning("leaves the Swarm", because="the conductor says so: this worker was deleted")
        if not beside:
            await join.leave(self._settings, when_empty=True, say=_say)
            raise CannotJoin("this machine has left the cloud, as its conductor told it to")

    async def _join_again(self, conductor: ConductorClient) -> None:
        assert self._place is not None
        state = self._place.state + (f" ({self._place.error})" if self._place.error else "")
        if self._was == MANAGER:
            try_ = "docker swarm join, with a manager's token; the only one: docker swarm init --force-new-cluster"
            _log.error("this manager has lost its Swarm", state=state, try_=try_)
            return
        _log.warning("joins the Swarm again", because=f"its Docker is {state} for {REJOIN_AFTER_SECONDS:.0f} s")
        began = self._clock.monotonic()
        try:
            await self._join(conductor.urls)
        except (AgentError, DriverError) as refused:
            _log.error("cannot join the Swarm again", because=str(refused))
            return
        _log.info("is in the Swarm again", after_seconds=round(self._clock.monotonic() - began, 1))


async def _join(settings: Settings, urls: Sequence[str]) -> None:
    """Join with the identity this machine has: no token is needed, and none used up."""
    await join.join(replace(settings, api=tuple(urls), token=None, token_file=None), _say)


def _say(text: str) -> None:
    _log.info(text)
