"""`aerekos-agent join` and `leave`: this machine's Docker becomes a node of the cloud's Swarm, or stops being one.

Run once, in a plain container with the host's network: what the Swarm runs would end with the membership it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import anyio

from agent.addressing.netfilter import Netfilter, NetfilterError
from agent.conductor_client import ConductorClient, make_client
from agent.errors import AccessRevoked, AgentError, CannotJoin, Unreachable
from agent.identity import Identity, IdentityFile
from agent.join import fingerprint
from agent.join import join as join_cloud
from agent.settings import Settings
from agent.swarm.encryption import can_encrypt
from agent.swarm.manager_redirect import ManagerRedirect
from agent.swarm.preflight import (
    INACTIVE,
    address_towards,
    first_reachable,
    require_preflight,
    require_synchronized_clock,
)
from controller.docker.client import DockerClient
from controller.docker.local_engine import LocalEngine
from controller.docker.node_info import SwarmNodeInfo
from controller.kit.clock import SystemClock
from controller.runtime.driver import DriverError

ACTIVE_SECONDS, EMPTY_SECONDS = 20.0, 60.0
# Longer than a beat's: a token that is good for one use must not be used up by an answer that came too late.
make_patient_client = partial(make_client, seconds=15.0)
Say = Callable[[str], None]


async def join(settings: Settings, say: Say) -> None:
    """Safe to repeat; a membership that this machine had and lost is renewed.

    Raises AgentError (CannotJoin with what, which, why and what to try).
    """
    docker, conductor = (
        LocalEngine(DockerClient(settings.docker)),
        ConductorClient(settings.api, SystemClock(), make_patient_client),
    )
    try:
        await _Joining(settings, docker, conductor, say).run()
    except DriverError as refused:
        raise CannotJoin(f"Docker refused: {refused}; see: docker info") from refused
    finally:
        await conductor.close()


async def leave(settings: Settings, *, when_empty: bool, say: Say) -> None:
    """Leaves the Swarm and forgets who this machine was. With `when_empty`, not before its last task has ended (but
    within a minute). Raises AgentError.
    """
    docker = LocalEngine(DockerClient(settings.docker))
    try:
        if (await docker.node_info()).manager:
            raise CannotJoin(
                "this machine manages the Swarm; before it may leave: docker node demote, on another one"
            )
        with anyio.move_on_after(EMPTY_SECONDS if when_empty else 0):
            while await docker.swarm_tasks():  # noqa: ASYNC110 (Docker tells no event for "the last one has ended")
                await anyio.sleep(0.5)
        await docker.leave()
    except DriverError as refused:
        raise AgentError(f"this machine could not leave: {refused}; try: docker swarm leave --force") from refused
    for kept in ("identity.json", "in-swarm", "neighbours.json"):
        (settings.home / "agent" / kept).unlink(missing_ok=True)
    for clear in (Netfilter().clear, ManagerRedirect().remove):
        with suppress(NetfilterError):
            await anyio.to_thread.run_sync(clear)
    say("this machine has left the Swarm")


class _Joining:
    """One attempt, step by step; everything that can refuse comes before the first change on this machine."""

    def __init__(self, settings: Settings, docker: LocalEngine, conductor: ConductorClient, say: Say) -> None:
        self._settings, self._docker, self._conductor, self._say = settings, docker, conductor, say
        self._identity_store = IdentityFile(settings.home / "agent" / "identity.json")

    async def run(self) -> None:
        place, identity = await self._node_info(), self._known_here()
        if place.in_swarm:
            self._require_ours(place, identity)
        else:
            _require_no_stranger(place, identity)
            require_preflight(place)
        await require_synchronized_clock(self._settings.api)
        try:
            identity, told = await self._membership(identity, joining=not place.in_swarm)
        except Unreachable as away:
            if not (place.in_swarm and identity):
                raise
            self._say(f"this machine is a worker already: {identity.worker} (its conductor is away: {away})")
            return
        if not place.in_swarm:
            await self._join_swarm(place, told)
        elif set(place.managers) & set(told["managers"]):
            self._say(f"this machine is a worker already: {identity.worker}")
        else:
            raise _belongs_elsewhere(place)

    async def _node_info(self) -> SwarmNodeInfo:
        try:
            return await self._docker.node_info()
        except DriverError as lost:
            raise CannotJoin(f"no Docker daemon answers here ({lost}); try: systemctl start docker") from lost

    def _known_here(self) -> Identity | None:
        """What an earlier join left, unless that was another cloud."""
        kept, pin = self._identity_store.load(), self._settings.pin
        if kept is not None and pin is not None and fingerprint(kept.ca) != pin:
            self._identity_store.forget()
            return None
        return kept

    def _require_ours(self, place: SwarmNodeInfo, identity: Identity | None) -> None:
        """Without an identity, only the managers' addresses tell, and they must: a token may be good for one use."""
        hosts = {urlsplit(each).hostname for each in self._settings.api}
        if identity is None and not hosts & {each.rpartition(":")[0] for each in place.managers}:
            raise _belongs_elsewhere(place)

    async def _membership(self, identity: Identity | None, *, joining: bool) -> tuple[Identity, Mapping[str, Any]]:
        """Who this machine is in the cloud, now at the latest, and what it needs to join the Swarm."""
        asked = {"joining": joining}
        if identity is not None:
            try:
                return identity, await self._conductor.call(identity, "/agents/swarm", asked)
            except AccessRevoked as refused:
                if not self._settings.join_token:
                    raise CannotJoin(
                        f"the conductor does not know this machine any more ({refused}): run `aerekos token create` "
                        "there, then join with AEREKOS_AGENT_TOKEN"
                    ) from refused
        identity = await join_cloud(self._settings, self._conductor, make_patient_client)
        self._identity_store.save(identity)
        self._say(f"known to the conductor as {identity.worker}")
        return identity, await self._conductor.call(identity, "/agents/swarm", asked)

    async def _join_swarm(self, place: SwarmNodeInfo, told: Mapping[str, Any]) -> None:
        managers = [str(each) for each in told["managers"]]
        manager = await anyio.to_thread.run_sync(first_reachable, managers)
        address = address_towards(manager)
        if told.get("encrypted") and can_encrypt() is False:
            raise CannotJoin(
                "this cloud's networks are encrypted, and this machine's kernel has no IPsec (ESP with AES-GCM); "
                "try: modprobe esp4, or another kernel"
            )
        if place.state != INACTIVE:
            await self._docker.leave()
        await self._docker.join(str(told["token"]), managers, address)
        with anyio.move_on_after(ACTIVE_SECONDS):
            while not (await self._docker.node_info()).in_swarm:  # noqa: ASYNC110 (Docker tells no event for it)
                await anyio.sleep(0.1)
            self._say(f"joined the Swarm as {address}")
            return
        raise CannotJoin(
            f"the Swarm at {manager} did not take this machine within {ACTIVE_SECONDS:.0f} s; see: docker info"
        )


def _require_no_stranger(place: SwarmNodeInfo, identity: Identity | None) -> None:
    """Not `active`, but not free either: the rest of a membership. Only ours may be taken away."""
    if place.state != INACTIVE and identity is None:
        raise _belongs_elsewhere(place)


def _belongs_elsewhere(place: SwarmNodeInfo) -> CannotJoin:
    why = f" (state {place.state}{f': {place.error}' if place.error else ''})"
    return CannotJoin(f"this machine belongs to another Swarm{why}; to leave it: docker swarm leave")
