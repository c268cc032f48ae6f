"""Container images of the cloud's own: kept in its registry, and named by digest where they are used.

Machines ask their own agent at 127.0.0.1:7444 for them. A tag can be moved, a digest cannot: Docker refuses what does
not fit it.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio
import httpx
import structlog

from controller.docker.swarm_admin import SwarmAdmin
from controller.kit.clock import Clock
from controller.kit.files import write_whole
from controller.runtime.driver import DriverError
from crds.conditions import Reason

_log = structlog.get_logger(__name__)
_MANIFESTS = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json, " \
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.index.v1+json"  # fmt: skip
ASK_SECONDS, AWAY_SECONDS = 1.5, 2.0
REMEMBERED_SECONDS = 30.0
PUSH_AGAIN_SECONDS = 1.0


class ImageResolver:
    """`registry_address`: the registry in image names. `registry`: where it really answers, host:port. `trust`: the
    CA that vouches for it, read when it is needed.

    What was found is kept in `file`, so that a conductor that starts before its registry knows what runs.
    `password` makes a fresh token for a push through that address.
    """

    def __init__(
        self,
        registry_address: str,
        registry: str,
        trust: Path,
        file: Path,
        swarm: SwarmAdmin,
        clock: Clock,
        password: Callable[[], str],
    ) -> None:
        self._registry_address, self._registry, self._trust, self._swarm = registry_address, registry, trust, swarm
        self._file, self._clock, self._password = file, clock, password
        self._known = _kept(file)
        # What the conductor before us knew is believed as long as what we learn: the registry may start after us.
        self._asked_at = dict.fromkeys(self._known, clock.monotonic())
        self._away_until = 0.0

    async def pinned(self, image: str) -> str:
        """`image` with its digest, when it is one of ours. Raises DriverError when our registry does not have it.

        While the registry does not answer, what was known goes on being true.
        """
        if not image.startswith(f"{self._registry_address}/") or "@" in image:
            return image
        now = self._clock.monotonic()
        if image not in self._known or self._asked_at.get(image, 0.0) + REMEMBERED_SECONDS < now:
            try:
                self._note(image, await self._digest(image), now)
            except RegistryUnavailable:
                if image not in self._known:
                    raise
        return f"{image}@{self._known[image]}"

    async def offered(self, image: str) -> str:
        """As `pinned`, of one that this machine's Docker may have and the registry not yet. Raises DriverError."""
        try:
            return await self.pinned(image)
        except DriverError as refused:
            if refused.reason != Reason.IMAGE_NOT_FOUND or not await self._pushed(image):
                raise
            return await self.pinned(image)

    async def keep(self, images: Sequence[str]) -> None:
        """Push what is missing from this machine's Docker to the registry; ends when all of it is there."""
        for image in images:
            while not await self._kept(image):  # noqa: ASYNC110 (nobody tells us when a registry has started)
                await anyio.sleep(PUSH_AGAIN_SECONDS)

    async def _kept(self, image: str) -> bool:
        try:
            self._note(image, await self._digest(image), self._clock.monotonic())
        except RegistryUnavailable:
            return False
        except DriverError:
            return await self._pushed(image)
        return True

    async def _pushed(self, image: str) -> bool:
        try:
            await self._swarm.push(image, "token", self._password())
        except DriverError as refused:
            # On the first start this machine's agent, the way to the registry, is still starting.
            _log.info("image not pushed yet", image=image, because=str(refused))
            return False
        _log.info("image pushed", image=image)
        return True

    def _note(self, image: str, digest: str, now: float) -> None:
        self._asked_at[image] = now
        if self._known.get(image) != digest:
            self._known[image] = digest
            write_whole(self._file, json.dumps(self._known).encode())

    async def _digest(self, image: str) -> str:
        """Raises RegistryUnavailable, or DriverError when it is not there."""
        name, _, tag = image.removeprefix(f"{self._registry_address}/").partition(":")
        answer = await self._asked(f"https://{self._registry}/v2/{name}/manifests/{tag or 'latest'}")
        digest = answer.headers.get("docker-content-digest", "")
        if answer.status_code != 200 or not digest:
            message = f"{image} is not among the cloud's images ({answer.status_code}); try: docker push {image}"
            raise DriverError(message, reason=Reason.IMAGE_NOT_FOUND)
        return str(digest)

    async def _asked(self, url: str) -> httpx.Response:
        if self._clock.monotonic() < self._away_until:
            raise RegistryUnavailable("the registry did not answer a moment ago", reason=Reason.REGISTRY_UNAVAILABLE)
        try:
            async with httpx.AsyncClient(verify=registry_trust(self._trust), trust_env=False) as client:
                return await client.head(url, headers={"accept": _MANIFESTS}, timeout=ASK_SECONDS)
        except (httpx.HTTPError, OSError) as lost:
            # One caller waits, not each of those who ask about other images meanwhile.
            self._away_until = self._clock.monotonic() + AWAY_SECONDS
            message = f"the registry does not answer: {str(lost) or type(lost).__name__}"
            raise RegistryUnavailable(message, reason=Reason.REGISTRY_UNAVAILABLE) from lost


def registry_trust(ca: Path) -> ssl.SSLContext:
    """A TLS context for connections to the registry. No name is asked for: that CA has signed one certificate. Raises
    OSError.
    """
    context = ssl.create_default_context(cafile=str(ca))
    context.check_hostname = False
    return context


class RegistryUnavailable(DriverError):
    """The registry does not answer; it may soon."""


def _kept(file: Path) -> dict[str, str]:
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
