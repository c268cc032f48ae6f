"""What the conductor asks a Swarm manager besides running services: who may join, who leaves, and images.

For the door and the composition root; the driver has its own words.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from controller.runtime.driver import DriverError
from controller.runtime.swarm.docker_door import Docker, NotThere

SAVE_SECONDS = 120.0
PUSH_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class SwarmNode:
    """This daemon's place in its Swarm. `address` is the one it joined with; `managers` are `address:2377`."""

    name: str
    address: str
    state: str
    manager: bool
    managers: tuple[str, ...]


class Managing:
    """One Docker daemon, a Swarm manager. Every call raises DriverError."""

    def __init__(self, docker: Docker) -> None:
        self._docker = docker

    async def node(self) -> SwarmNode:
        """Any daemon may be asked; `state` is `inactive` when it belongs to no Swarm."""
        info: dict[str, Any] = await self._docker.ask(lambda api: api.info())
        swarm = info.get("Swarm") or {}
        return SwarmNode(
            name=str(info.get("Name", "")),
            address=str(swarm.get("NodeAddr", "")),
            state=str(swarm.get("LocalNodeState", "inactive")),
            manager=bool(swarm.get("ControlAvailable")),
            managers=tuple(each["Addr"] for each in swarm.get("RemoteManagers") or ()),
        )

    async def begin(self) -> None:
        """Make this daemon the manager of a new Swarm."""
        await self._docker.ask(lambda api: api.init_swarm(), extra_seconds=20)

    async def join_token(self) -> str:
        """Lets a daemon join as a worker."""
        return str((await self._docker.ask(lambda api: api.inspect_swarm()))["JoinTokens"]["Worker"])

    async def drain(self, node: str) -> None:
        """Move everything off it. Raises NotThere."""
        await self._update(node, availability="drain")

    async def dismiss(self, node: str) -> None:
        """Forget a node that has left, or will never come back. One that is not there is no error."""
        found = await self._find(node)
        if found is not None:
            await self._docker.ask(lambda api: api.remove_node(found["ID"], force=True))

    async def is_down(self, node: str) -> bool:
        """Whether the Swarm has no such node, or has lost it."""
        found = await self._find(node)
        return found is None or found["Status"]["State"] == "down"

    async def service(self, name: str) -> dict[str, Any]:
        """A Swarm service as Docker tells it. Raises NotThere."""
        found: dict[str, Any] = await self._docker.ask(lambda api: api.inspect_service(name))
        return found

    async def has_image(self, name: str) -> bool:
        """Whether this daemon keeps that image."""
        try:
            await self._docker.ask(lambda api: api.inspect_image(name))
        except NotThere:
            return False
        return True

    async def save(self, name: str) -> AsyncIterator[bytes]:
        """The image as `docker save` writes it, in pieces of 2 MiB. Raises NotThere before the first one."""
        pieces = await self._docker.ask(lambda api: iter(api.get_image(name)), extra_seconds=SAVE_SECONDS)
        try:
            while piece := await self._docker.ask(lambda _: next(pieces, b""), extra_seconds=SAVE_SECONDS):
                yield bytes(piece)
        finally:
            if hasattr(pieces, "close"):
                pieces.close()

    async def push(self, name: str, user: str, password: str) -> None:
        """To the registry in its name. Raises DriverError in the daemon's own words when it is refused."""
        auth = {"username": user, "password": password}

        def push(api: Any) -> str:
            told = [line.get("error", "") for line in api.push(name, stream=True, decode=True, auth_config=auth)]
            return next((each for each in told if each), "")

        if refused := await self._docker.ask(push, extra_seconds=PUSH_SECONDS):
            raise DriverError(f"{name} cannot be pushed: {refused}", reason="ImageNotPushed")

    async def _find(self, node: str) -> dict[str, Any] | None:
        nodes: list[dict[str, Any]] = await self._docker.ask(lambda api: api.nodes())
        wanted = node.lower()
        return next((each for each in nodes if _worker(each) == wanted), None)

    async def _update(self, node: str, *, availability: str) -> None:
        found = await self._find(node)
        if found is None:
            raise NotThere(f"the Swarm has no node called {node}", reason="NotThere")
        spec = {**found["Spec"], "Availability": availability}
        await self._docker.ask(lambda api: api.update_node(found["ID"], found["Version"]["Index"], spec))


def _worker(node: dict[str, Any]) -> str:
    return str(node.get("Description", {}).get("Hostname", "")).split(".")[0].lower()
