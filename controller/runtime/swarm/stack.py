"""The Docker stack whose part we are. `docker stack rm` takes its services away one by one, ours among them: then
nothing is put back, and what was made in between goes too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import anyio
import structlog

from controller.docker.client import DockerClient, NotFound
from controller.kit.clock import Clock
from controller.runtime.driver import DriverError
from controller.runtime.swarm import naming
from controller.runtime.swarm.naming import Cloud
from crds.meta import ObjectKey

STOPPING_SECONDS = 30.0
REMOVAL_SECONDS = 3.0
_log = structlog.get_logger("swarm")


class StackRemoval:
    """Tells a Swarm service that somebody removed from those that `docker stack rm` takes away.

    It removes one by one, in the order of their names, and then the secrets, which no service may use any more: one
    made anew meanwhile would keep them. So nothing is made anew before the stack has stayed as it is for a while.
    """

    def __init__(self, docker: DockerClient, cloud: Cloud, clock: Clock) -> None:
        self._docker, self._cloud, self._clock = docker, cloud, clock
        self._missing: set[ObjectKey] = set()
        self._parts: frozenset[str] = frozenset()
        self._quiet_since = clock.monotonic()

    @property
    def is_possible(self) -> bool:
        """Whether there is a stack that can be taken away."""
        return bool(self._cloud.stack)

    def found(self, key: ObjectKey) -> None:
        """Note that a service of the stack is there."""
        self._missing.discard(key)

    async def may_take(self, key: ObjectKey) -> bool:
        """Whether the missing service of `key` may be going with its stack. Raises DriverError."""
        if not self.is_possible:
            return False
        parts = await parts_of(self._docker, self._cloud)
        if key not in self._missing or not self._parts <= parts:
            self._quiet_since = self._clock.monotonic()
        self._missing.add(key)
        self._parts = parts
        return not parts or self._clock.monotonic() - self._quiet_since < REMOVAL_SECONDS


async def parts_of(docker: DockerClient, cloud: Cloud) -> frozenset[str]:
    """Ids of the stack's Swarm services that are not made by us. Raises DriverError."""
    services = await docker.ask(lambda api: api.services({"label": [f"{naming.STACK}={cloud.stack}"]}))
    return frozenset(str(each["ID"]) for each in services if naming.CLOUD not in each["Spec"]["Labels"])


async def stack_exists(docker: DockerClient, cloud: Cloud) -> bool:
    """Whether something of the stack is there that is not made by us. Without a stack, always. Raises DriverError."""
    return not cloud.stack or bool(await parts_of(docker, cloud))


async def remove_leftovers(docker: DockerClient, cloud: Cloud) -> int:
    """Removes every Swarm service of this cloud, and its networks once nobody is in them. How many there were."""
    ours = {"label": [f"{naming.CLOUD}={cloud.name}"]}
    services: Sequence[Mapping[str, Any]] = await docker.ask(lambda api: api.services(ours))
    for each in services:
        await _remove(docker, str(each["ID"]))
    with anyio.move_on_after(STOPPING_SECONDS):
        while await _networks_left(docker, ours):  # noqa: ASYNC110 no event tells when the last copy has ended
            await anyio.sleep(1)
    if services:
        _log.info("the stack is gone, and so is what was left of it", services=len(services))
    return len(services)


async def _remove(docker: DockerClient, id_: str) -> None:
    with suppress(NotFound):
        await docker.ask(lambda api: api.remove_service(id_))


async def _networks_left(docker: DockerClient, ours: Mapping[str, Any]) -> int:
    """Tries to remove each; Swarm refuses while a copy in it still stops."""

    def remove(api: Any) -> int:
        found = api.networks(filters=ours)
        for each in found:
            api.remove_network(each["Id"])
        return len(found)

    try:
        return await docker.ask(remove)
    except DriverError:
        return 1
