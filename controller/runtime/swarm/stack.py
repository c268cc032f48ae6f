"""The Docker stack whose part we are. `docker stack rm` takes its services away one by one, ours among them: then
nothing is put back, and what was made in between goes too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import anyio
import structlog

from controller.runtime.driver import DriverError
from controller.runtime.swarm import naming
from controller.runtime.swarm.docker_door import Docker, NotThere
from controller.runtime.swarm.naming import Cloud

STOPPING_SECONDS = 30.0
_log = structlog.get_logger("swarm")


async def stands(docker: Docker, cloud: Cloud) -> bool:
    """Whether something of the stack is there that is not made by us. Without a stack, always. Raises DriverError."""
    if not cloud.stack:
        return True
    parts = await docker.ask(lambda api: api.services({"label": [f"{naming.STACK}={cloud.stack}"]}))
    return any(naming.CLOUD not in each["Spec"]["Labels"] for each in parts)


async def sweep(docker: Docker, cloud: Cloud) -> int:
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


async def _remove(docker: Docker, id_: str) -> None:
    with suppress(NotThere):
        await docker.ask(lambda api: api.remove_service(id_))


async def _networks_left(docker: Docker, ours: Mapping[str, Any]) -> int:
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
