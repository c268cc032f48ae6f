"""Administration of a Swarm through one of its managers: who may join, who leaves, and images.

For the API and the composition root; running services is the driver's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio

from controller.docker.client import DockerClient, NotFound
from controller.docker.node_info import SwarmNodeInfo, parse_node_info
from controller.runtime.driver import DriverError
from controller.runtime.swarm.tasks import worker_name
from crds.conditions import Reason

SAVE_SECONDS = 120.0
PIECE_BYTES = 2 * 2**20
PUSH_SECONDS = 600.0
# A node that left is Down after three missed heartbeats.
MISSED_SECONDS = 6.0


class SwarmAdmin:
    """Calls to one Docker daemon, a Swarm manager. Every call raises DriverError."""

    def __init__(self, docker: DockerClient) -> None:
        self._docker = docker

    async def node(self) -> SwarmNodeInfo:
        """Info about the node of this daemon. Any daemon may be asked; its state is `inactive` when it belongs to no
        Swarm.
        """
        return parse_node_info(await self._docker.ask(lambda api: api.info()))

    async def init_swarm(self) -> None:
        """Make this daemon the manager of a new Swarm."""
        await self._docker.ask(lambda api: api.init_swarm(), extra_seconds=20)

    async def join_token(self) -> str:
        """Lets a daemon join as a worker."""
        return str((await self._docker.ask(lambda api: api.inspect_swarm()))["JoinTokens"]["Worker"])

    async def addresses_of(self, node: str) -> frozenset[str]:
        """Addresses by which the Swarm knows the nodes of that name that are members."""
        there = [each for each in await self._named(node) if not _is_down(each)]
        return frozenset(address for each in there for address in _addresses(each) if address)

    async def is_encrypted(self, network: str) -> bool:
        """Whether that overlay network encrypts what goes between machines. One that is not there does not."""
        found = await self._docker.ask(lambda api: api.networks(names=[network]))
        return any(each["Name"] == network and "encrypted" in (each.get("Options") or {}) for each in found)

    async def rotate_join_token(self) -> None:
        """What `join_token` told anybody before is good for nothing. Nodes that have joined are not touched."""

        def rotate(api: Any) -> None:
            swarm = api.inspect_swarm()
            api.update_swarm(swarm["Version"]["Index"], swarm_spec=swarm["Spec"], rotate_worker_token=True)

        await self._docker.ask(rotate)

    async def drain(self, node: str) -> None:
        """Move everything off it. Raises NotFound."""
        await self._update(node, availability="drain")

    async def remove_node(self, node: str) -> None:
        """Forget a node that has left, or will never come back. One that is not there is no error."""
        for found in await self._named(node):
            await self._remove(found["ID"])

    async def remove_stale_node(self, node: str) -> None:
        """Forget what is left of an earlier membership, for the next would go by the same name.

        One that has just left is missed only after some seconds. One that is not missed then is another machine.
        """
        with anyio.move_on_after(MISSED_SECONDS):
            while not await self.is_down(node):  # noqa: ASYNC110 (asked of Docker)
                await anyio.sleep(0.25)
            await self.remove_node(node)

    async def is_down(self, node: str) -> bool:
        """Whether the Swarm has no such node, or has lost it."""
        return all(_is_down(each) for each in await self._named(node))

    async def service(self, name: str) -> dict[str, Any]:
        """A Swarm service as Docker tells it. Raises NotFound."""
        found: dict[str, Any] = await self._docker.ask(lambda api: api.inspect_service(name))
        return found

    async def has_image(self, name: str) -> bool:
        """Whether this daemon keeps that image."""
        try:
            await self._docker.ask(lambda api: api.inspect_image(name))
        except NotFound:
            return False
        return True

    async def save(self, name: str) -> AsyncIterator[bytes]:
        """The image as `docker save` writes it, in pieces of 2 MiB. Raises NotFound before the first one."""
        pieces = await self._docker.ask(lambda api: _saved(api, name), extra_seconds=SAVE_SECONDS)
        try:
            while piece := await self._docker.ask(lambda _: next(pieces, b""), extra_seconds=SAVE_SECONDS):
                yield bytes(piece)
        finally:
            if hasattr(pieces, "close"):
                pieces.close()

    async def push(self, name: str, user: str, password: str) -> None:
        """Push the image to the registry in its name. Raises DriverError in the daemon's own words when it is
        refused.
        """
        auth = {"username": user, "password": password}

        def push(api: Any) -> str:
            told = [line.get("error", "") for line in api.push(name, stream=True, decode=True, auth_config=auth)]
            return next((each for each in told if each), "")

        if refused := await self._docker.ask(push, extra_seconds=PUSH_SECONDS):
            raise DriverError(f"{name} cannot be pushed: {refused}", reason=Reason.IMAGE_PUSH_FAILED)

    async def _named(self, node: str) -> list[dict[str, Any]]:
        """Usually one. Those that are there come first."""
        nodes: list[dict[str, Any]] = await self._docker.ask(lambda api: api.nodes())
        return sorted((each for each in nodes if worker_name(each) == node.lower()), key=_is_down)

    async def _remove(self, id_: str) -> None:
        await self._docker.ask(lambda api: api.remove_node(id_, force=True))

    async def _update(self, node: str, *, availability: str) -> None:
        named = await self._named(node)
        if not named:
            raise NotFound(f"the Swarm has no node called {node}", reason=Reason.NOT_FOUND)
        id_, version, spec = named[0]["ID"], named[0]["Version"]["Index"], named[0]["Spec"]
        await self._docker.ask(lambda api: api.update_node(id_, version, {**spec, "Availability": availability}))


def _saved(api: Any, name: str) -> Iterator[bytes]:
    """The SDK's own call has the patience of all others: a busy machine takes longer to gather the layers."""
    answer = api.get(api._url("/images/{0}/get", name), stream=True, timeout=SAVE_SECONDS)
    api._raise_for_status(answer)
    return iter(api._stream_raw_result(answer, PIECE_BYTES, False))


def _addresses(node: dict[str, Any]) -> tuple[str, str]:
    """Where it is connected from, and as a manager."""
    manager = str((node.get("ManagerStatus") or {}).get("Addr", ""))
    return str(node["Status"].get("Addr", "")), manager.rpartition(":")[0].strip("[]")


def _is_down(node: dict[str, Any]) -> bool:
    return bool(node["Status"]["State"] == "down")
