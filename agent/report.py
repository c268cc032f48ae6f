"""The agent: join once, register, then a heartbeat each second, for as long as it lives.

It keeps trying while the conductor is away, and says so once per outage. Embedded, the conductor runs the same
class with an identity in memory.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any, Protocol

import anyio
import structlog

from agent.besides import Besides
from agent.collect import Beat, Collector
from agent.door import Door, MakeClient, make_client
from agent.errors import AgentError, CannotJoin, NotWelcome
from agent.identity import Identity, IdentityFile, IdentityKeeper
from agent.join import join
from agent.outage import Outage
from agent.settings import Settings
from controller.kit.clock import Clock
from controller.kit.leases import BEAT_PERIOD


class Measures(Protocol):
    """What the agent asks of this machine; `agent.collect.Collector` is the real one."""

    def facts(self, labels: dict[str, str]) -> dict[str, Any]: ...

    def beat(self) -> Beat: ...


class Agent:
    """One worker's voice. `run` returns only by cancellation or CannotJoin."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        http: MakeClient = make_client,
        *,
        identity: IdentityKeeper | None = None,
        measures: Measures | None = None,
        rng: random.Random | None = None,
        besides: Besides | None = None,
    ) -> None:
        self._besides = besides
        self._settings, self._clock, self._http = settings, clock, http
        self._keeper = identity or IdentityFile(settings.home / "agent" / "identity.json")
        self._measures = measures or Collector(settings.home, settings.services_dir)
        self._door = Door(settings.api, clock, http)
        self._log = structlog.get_logger("agent").bind(worker=settings.name)
        self._outage = Outage(clock, rng or random.Random(), self._log)  # noqa: S311 (jitter, not a secret)
        self._registered: list[str] | None = None

    async def run(self) -> None:
        """Beat for ever. Raises CannotJoin when a person must act."""
        if self._besides is None:
            await self._beat()
            return
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._besides.run, self._door, self._keeper)
            await self._beat()

    async def _beat(self) -> None:
        due = self._clock.monotonic()
        try:
            while True:
                try:
                    await self._once()
                    self._outage.over()
                    due = next_tick(due, self._clock.monotonic())
                except CannotJoin:
                    raise
                except AgentError as fault:
                    due = self._clock.monotonic() + self._outage.goes_on(fault)
                except OSError as odd:  # no descriptor left, a disk that is full: it may pass, and the agent stays
                    due = self._clock.monotonic() + self._outage.goes_on(AgentError(repr(odd)))
                await anyio.sleep(max(due - self._clock.monotonic(), 0))
        finally:
            with anyio.CancelScope(shield=True):
                await self._door.close()

    async def _once(self) -> None:
        identity = self._keeper.load() or await self._join()
        beat = self._measures.beat()
        try:
            if self._registered is None:
                await self._register(identity, beat)
            body = {**beat.wire(), **(self._besides.part() if self._besides else {})}
            answer = await self._door.call(identity, "/agents/heartbeat", body)
            # After the heartbeat, by which the conductor judges where this worker is.
            if self._registered != beat.addresses:
                await self._register(identity, beat)
        except NotWelcome as refused:
            await self._not_welcome(refused)
            raise
        self._keep_renewed(identity)
        if self._besides is not None:
            await self._besides.heard(answer)
        if not answer.get("registered", True):
            self._log.info("registering again", because="the conductor does not know this worker")
            await self._register(identity, beat)

    async def _join(self) -> Identity:
        identity = await join(self._settings, self._door, self._http)
        self._keeper.save(identity)
        self._log.info("joined", name=identity.worker)
        return identity

    def _keep_renewed(self, identity: Identity) -> None:
        """The conductor's key changed: the secret we have is good for a while only."""
        renewed, self._door.renewed = self._door.renewed, ""
        if renewed and renewed != identity.client_secret:
            self._keeper.save(replace(identity, client_secret=renewed))
            self._log.info("the secret of this worker is renewed")

    async def _register(self, identity: Identity, beat: Beat) -> None:
        if self._registered is not None and self._registered != beat.addresses:
            self._log.info("addresses changed", now=beat.addresses)
        await self._door.call(identity, "/agents/register", self._measures.facts(self._settings.labels))
        self._registered = list(beat.addresses)

    async def _not_welcome(self, refused: NotWelcome) -> None:
        """Twice in a row means deleted: a single refusal may be an expired or rotated token."""
        self._registered = None
        if not self._outage.refused_again():
            return
        if not self._settings.join_token:
            raise CannotJoin(
                f"the conductor no longer knows this worker ({refused}): run `aerekos token create` there, "
                "then start the agent with AEREKOS_AGENT_TOKEN or --token-file"
            ) from refused
        self._log.warning("joining again", because=str(refused))
        self._keeper.forget()


def next_tick(due: float, now: float, period: float = BEAT_PERIOD) -> float:
    """The next beat after `now` on the same rhythm: missed ticks are skipped, never made up for."""
    return due + period * (int(max(now - due, 0) / period) + 1)
