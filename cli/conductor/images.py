"""Container images of the cloud's own: kept in its registry, and named by digest where they are used.

Machines ask their own agent at 127.0.0.1:7444 for them. A tag can be moved, a digest cannot: Docker refuses what does
not fit it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import anyio
import httpx
import structlog

from controller.kit.clock import Clock
from controller.runtime.driver import DriverError
from controller.runtime.swarm.managing import Managing

_log = structlog.get_logger(__name__)
_MANIFESTS = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json, " \
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.index.v1+json"  # fmt: skip
ASK_SECONDS = 3.0
REMEMBERED_SECONDS = 30.0
PUSH_AGAIN_SECONDS = 1.0


class Images:
    """`door`: the registry's name in image names. `registry`: where it really answers, as host:port.

    `password` makes a fresh token for a push through the door.
    """

    def __init__(self, door: str, registry: str, swarm: Managing, clock: Clock, password: Callable[[], str]) -> None:
        self._door, self._registry, self._swarm = door, registry, swarm
        self._clock, self._password = clock, password
        self._known: dict[str, tuple[str, float]] = {}

    async def pinned(self, image: str) -> str:
        """`image` with its digest, when it is one of ours. Raises DriverError when our registry does not have it."""
        if not image.startswith(f"{self._door}/") or "@" in image:
            return image
        known = self._known.get(image)
        if known is None or known[1] < self._clock.monotonic():
            known = (await self._digest(image), self._clock.monotonic() + REMEMBERED_SECONDS)
            self._known[image] = known
        return f"{image}@{known[0]}"

    async def keep(self, images: Sequence[str]) -> None:
        """Push what is missing from this machine's Docker to the registry; ends when all of it is there."""
        for image in images:
            while not await self._kept(image):  # noqa: ASYNC110 (nobody tells us when a registry has started)
                await anyio.sleep(PUSH_AGAIN_SECONDS)

    async def _kept(self, image: str) -> bool:
        try:
            await self.pinned(image)
        except DriverError:
            return await self._pushed(image)
        return True

    async def _pushed(self, image: str) -> bool:
        try:
            await self._swarm.push(image, "token", self._password())
        except DriverError as refused:
            # On the first start the registry and this machine's agent, the way to it, are still starting.
            _log.info("image not pushed yet", image=image, because=str(refused))
            return False
        _log.info("image pushed", image=image)
        return True

    async def _digest(self, image: str) -> str:
        name, _, tag = image.removeprefix(f"{self._door}/").partition(":")
        url = f"http://{self._registry}/v2/{name}/manifests/{tag or 'latest'}"
        answer = await self._asked(url)
        digest = answer.headers.get("docker-content-digest", "")
        if answer.status_code != 200 or not digest:
            message = f"{image} is not among the cloud's images ({answer.status_code}); try: docker push {image}"
            raise DriverError(message, reason="ImageNotThere")
        return str(digest)

    async def _asked(self, url: str) -> httpx.Response:
        options: dict[str, Any] = {"headers": {"accept": _MANIFESTS}, "timeout": ASK_SECONDS}
        try:
            async with httpx.AsyncClient(trust_env=False) as client:
                return await client.head(url, **options)
        except httpx.HTTPError as lost:
            raise DriverError(
                f"the registry does not answer: {lost or type(lost).__name__}", reason="RegistryAway"
            ) from lost
