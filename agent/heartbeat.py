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

from agent.collect import Collector, Heartbeat
from agent.conductor_client import ConductorClient, MakeClient, make_client
from agent.errors import AccessRevoked, AgentError, CannotJoin
from agent.extension import AgentExtension
from agent.identity import Identity, IdentityFile, IdentityStore
from agent.join import join
from agent.retry import OutageTracker
from agent.settings import Settings
from controller.kit.clock import Clock
from controller.kit.leases import BEAT_PERIOD


class MachineMetrics(Protocol):
    """What the agent asks of this machine; `agent.collect.Collector` is the real one."""

    def facts(self, labels: dict[str, str]) -> dict[str, Any]: ...

    def beat(self) -> Heartbeat: ...


class Agent:
    """One worker's voice. `run` returns only by cancellation or CannotJoin."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        http: MakeClient = make_client,
        *,
        identity: IdentityStore | None = None,
        measures: MachineMetrics | None = None,
        rng: random.Random | None = None,
        extension: AgentExtension | None = None,
    ) -> None:
        self._extension = extension
        self._settings, self._clock, self._http = settings, clock, http
        self._identity_store = identity or IdentityFile(settings.home / "agent" / "identity.json")
        self._measures = measures or Collector(settings.home, settings.services_dir)
        self._conductor = ConductorClient(settings.api, clock, http)
        self._log = structlog.get_logger("agent").bind(worker=settings.name)
        self._outage = OutageTracker(clock, rng or random.Random(), self._log)  # noqa: S311 (jitter, not a secret)
        self._registered: list[str] | None = None

    async def run(self) -> None:
        """Beat for ever. Raises CannotJoin when a person must act."""
        if self._extension is None:
            await self._beat()
            return
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._extension.run, self._conductor, self._identity_store)
            await self._beat()

    async def _beat(self) -> None:
        due = self._clock.monotonic()
        try:
            while True:
                try:
                    await self._once()
                    self._outage.record_success()
                    due = next_tick(due, self._clock.monotonic())
                except CannotJoin:
                    raise
                except AgentError as fault:
                    due = self._clock.monotonic() + self._outage.record_failure(fault)
                except OSError as odd:  # no descriptor left, a disk that is full: it may pass, and the agent stays
                    due = self._clock.monotonic() + self._outage.record_failure(AgentError(repr(odd)))
                await anyio.sleep(max(due - self._clock.monotonic(), 0))
        finally:
            with anyio.CancelScope(shield=True):
                await self._conductor.close()

    async def _once(self) -> None:
        identity = self._identity_store.load() or await self._join()
        beat = self._measures.beat()
        try:
            if self._registered is None:
                await self._register(identity, beat)
            body = {**beat.wire(), **(self._extension.heartbeat_fields() if self._extension else {})}
            answer = await self._conductor.call(identity, "/agents/heartbeat", body)
            # After the heartbeat, by which the conductor judges where this worker is.
            if self._registered != beat.addresses:
                await self._register(identity, beat)
        except AccessRevoked as refused:
            await self._on_access_revoked(refused)
            raise
        self._keep_renewed(identity)
        if self._extension is not None:
            await self._extension.on_heartbeat_response(answer)
        if not answer.get("registered", True):
            self._log.info("registering again", because="the conductor does not know this worker")
            await self._register(identity, beat)

    async def _join(self) -> Identity:
        identity = await join(self._settings, self._conductor, self._http)
        self._identity_store.save(identity)
        self._log.info("joined", name=identity.worker)
        return identity

    def _keep_renewed(self, identity: Identity) -> None:
        """The conductor's key changed: the secret we have is good for a while only."""
        renewed, self._conductor.renewed_secret = self._conductor.renewed_secret, ""
        if renewed and renewed != identity.client_secret:
            self._identity_store.save(replace(identity, client_secret=renewed))
            self._log.info("the secret of this worker is renewed")

    async def _register(self, identity: Identity, beat: Heartbeat) -> None:
        if self._registered is not None and self._registered != beat.addresses:
            self._log.info("addresses changed", now=beat.addresses)
        await self._conductor.call(identity, "/agents/register", self._measures.facts(self._settings.labels))
        self._registered = list(beat.addresses)

    async def _on_access_revoked(self, refused: AccessRevoked) -> None:
        """Twice in a row means deleted: a single refusal may be an expired or rotated token."""
        self._registered = None
        if not self._outage.is_repeated_refusal():
            return
        if not self._settings.join_token:
            raise CannotJoin(
                f"the conductor no longer knows this worker ({refused}): run `aerekos token create` there, "
                "then start the agent with AEREKOS_AGENT_TOKEN or --token-file"
            ) from refused
        self._log.warning("joining again", because=str(refused))
        self._identity_store.forget()


def next_tick(due: float, now: float, period: float = BEAT_PERIOD) -> float:
    """The next beat after `now` on the same rhythm: missed ticks are skipped, never made up for."""
    return due + period * (int(max(now - due, 0) / period) + 1)
