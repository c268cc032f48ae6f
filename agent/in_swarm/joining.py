"""`aerekos-agent join` and `leave`: this machine's Docker becomes a node of the cloud's Swarm, or stops being one.

Run once, in a plain container with the host's network: what the Swarm runs would end with the membership it changes.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from email.utils import parsedate_to_datetime
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, SOCK_STREAM, create_connection, socket

import anyio
import httpx

from agent.door import Door, make_client
from agent.errors import CannotJoin
from agent.identity import Identity, IdentityFile
from agent.join import fingerprint
from agent.join import join as join_cloud
from agent.moving.kernel import Kernel, KernelRefused
from agent.moving.translating import Translation
from agent.settings import Settings
from controller.kit.clock import SystemClock
from controller.runtime.driver import DriverError
from controller.runtime.swarm.docker_door import Docker
from controller.runtime.swarm.local import LocalDocker, Place

OLDEST_ENGINE = (20, 10)
LARGEST_SKEW_SECONDS = 30
LEAST_FREE_BYTES = 2 * 2**30
MANAGER_SECONDS, ACTIVE_SECONDS, EMPTY_SECONDS = 5.0, 20.0, 60.0
GOSSIP_PORT, OVERLAY_PORT = 7946, 4789
Say = Callable[[str], None]


async def join(settings: Settings, say: Say) -> None:
    """Safe to repeat. Raises AgentError (CannotJoin with what, which, why and what to try)."""
    docker, keeper = LocalDocker(Docker(settings.docker)), IdentityFile(settings.home / "agent" / "identity.json")
    door = Door(settings.api, SystemClock())
    try:
        place = await _place(docker)
        identity = _known_here(keeper, settings)
        if place.in_swarm and identity is not None:
            say(f"this machine is a worker already: {identity.worker}")
            return
        _require_fit(place)
        await _require_same_time(settings.api)
        if identity is None:
            identity = await join_cloud(settings, door, make_client)
            keeper.save(identity)
            say(f"known to the conductor as {identity.worker}")
        told = await door.call(identity, "/agents/swarm", {})
        await _join_swarm(docker, str(told["token"]), [str(each) for each in told["managers"]], say)
    finally:
        await door.close()


async def leave(settings: Settings, *, when_empty: bool, say: Say) -> None:
    """Leaves the Swarm and forgets who this machine was. With `when_empty`, not before its last task has ended (but
    within a minute). Raises DriverError.
    """
    docker = LocalDocker(Docker(settings.docker))
    with anyio.move_on_after(EMPTY_SECONDS if when_empty else 0):
        while await docker.swarm_tasks():  # noqa: ASYNC110 (Docker tells no event for "the last one has ended")
            await anyio.sleep(0.5)
    await docker.leave()
    IdentityFile(settings.home / "agent" / "identity.json").forget()
    with suppress(KernelRefused):
        await anyio.to_thread.run_sync(Kernel().apply, Translation(), ())
    say("this machine has left the Swarm")


def _known_here(keeper: IdentityFile, settings: Settings) -> Identity | None:
    """What an earlier join left, unless that was another cloud."""
    kept = keeper.load()
    if kept is not None and settings.pin is not None and fingerprint(kept.ca) != settings.pin:
        keeper.forget()
        return None
    return kept


async def _place(docker: LocalDocker) -> Place:
    try:
        return await docker.place()
    except DriverError as lost:
        raise CannotJoin(f"no Docker daemon answers here ({lost}); try: systemctl start docker") from lost


def _require_fit(place: Place) -> None:
    """What must be true of this machine before anything is changed on it. Raises CannotJoin."""
    version = tuple(int("".join(filter(str.isdigit, part)) or 0) for part in place.version.split(".")[:2])
    if version < OLDEST_ENGINE:
        raise CannotJoin(f"Docker {place.version} is too old: 20.10 or newer is needed; upgrade the Docker engine")
    if place.state != "inactive":
        why = f" ({place.error})" if place.error else ""
        raise CannotJoin(f"this machine belongs to another Swarm already{why}; to leave it: docker swarm leave")
    for port, sort in ((GOSSIP_PORT, SOCK_STREAM), (GOSSIP_PORT, SOCK_DGRAM), (OVERLAY_PORT, SOCK_DGRAM)):
        if not _is_free(port, sort):
            named = "tcp" if sort == SOCK_STREAM else "udp"
            raise CannotJoin(
                f"port {port}/{named} is taken on this machine, and Swarm needs it; see: ss -lnp | grep {port}"
            )
    root = Path(place.root)
    if root.is_dir() and (free := shutil.disk_usage(root).free) < LEAST_FREE_BYTES:
        raise CannotJoin(f"{root} has only {free // 2**20} MiB free, images need 2 GiB; try: docker system prune")


def _is_free(port: int, sort: int) -> bool:
    with closing(socket(AF_INET, sort)) as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


async def _require_same_time(urls: Sequence[str]) -> None:
    """A machine whose clock is wrong cannot check certificates, and Swarm's are young. Raises CannotJoin."""
    async with httpx.AsyncClient(verify=False, timeout=5, trust_env=False) as client:  # noqa: S501 (only the time)
        for url in urls:
            with suppress(httpx.HTTPError, TypeError, ValueError, KeyError):
                told = (await client.get(f"{url}/health")).headers["date"]
                skew = time.time() - parsedate_to_datetime(told).timestamp()
                if abs(skew) > LARGEST_SKEW_SECONDS:
                    raise CannotJoin(
                        f"this machine's clock is {skew:+.0f} s off the conductor's; try: timedatectl set-ntp on"
                    )
                return


async def _join_swarm(docker: LocalDocker, token: str, managers: Sequence[str], say: Say) -> None:
    manager = await anyio.to_thread.run_sync(_first_reached, managers)
    address = _address_towards(manager)
    try:
        await docker.join(token, managers, address)
    except DriverError as refused:
        raise CannotJoin(f"Docker could not join the Swarm at {manager}: {refused}") from refused
    with anyio.move_on_after(ACTIVE_SECONDS):
        while not (await docker.place()).in_swarm:  # noqa: ASYNC110 (Docker tells no event for it)
            await anyio.sleep(0.1)
        say(f"joined the Swarm as {address}")
        return
    raise CannotJoin(
        f"the Swarm at {manager} did not take this machine within {ACTIVE_SECONDS:.0f} s; see: docker info"
    )


def _first_reached(managers: Sequence[str]) -> str:
    """Raises CannotJoin when none answers."""
    for each in managers:
        host, _, port = each.rpartition(":")
        with suppress(OSError), closing(create_connection((host, int(port)), MANAGER_SECONDS)):
            return each
    raise CannotJoin(f"no manager answers at {', '.join(managers)}; open port 2377/tcp between here and there")


def _address_towards(manager: str) -> str:
    with closing(socket(AF_INET, SOCK_DGRAM)) as probe:
        probe.connect((manager.rpartition(":")[0], 9))
        return str(probe.getsockname()[0])
