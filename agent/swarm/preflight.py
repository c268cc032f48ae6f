"""Preflight checks of a machine before it joins the Swarm, made before anything is changed on it.

Each refusal is a CannotJoin that says what is wrong, which, and what to try.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from email.utils import parsedate_to_datetime
from pathlib import Path
from socket import AF_INET, SO_REUSEADDR, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET, create_connection, socket

import httpx

from agent.addressing.interfaces import source_towards
from agent.errors import CannotJoin
from controller.docker.node_info import SwarmNodeInfo

INACTIVE = "inactive"
OLDEST_ENGINE = (20, 10)
LARGEST_SKEW_SECONDS = 30
LEAST_FREE_BYTES = 2 * 2**30
MANAGER_SECONDS, CLOCK_SECONDS = 5.0, 5.0
GOSSIP_PORT, OVERLAY_PORT = 7946, 4789
_NAMES = {SOCK_STREAM: "tcp", SOCK_DGRAM: "udp"}


def require_preflight(place: SwarmNodeInfo) -> None:
    """Engine, ports and disk. Raises CannotJoin. What is left of a membership may hold the ports itself."""
    if version_of(place.version) < OLDEST_ENGINE:
        raise CannotJoin(f"Docker {place.version} is too old: 20.10 or newer is needed; upgrade the Docker engine")
    for port, sort in ((GOSSIP_PORT, SOCK_STREAM), (GOSSIP_PORT, SOCK_DGRAM), (OVERLAY_PORT, SOCK_DGRAM)):
        if place.state == INACTIVE and not _is_free(port, sort):
            raise CannotJoin(
                f"port {port}/{_NAMES[sort]} is taken on this machine, and Swarm needs it; see: ss -lnp | grep {port}"
            )
    root = Path(place.root)
    # In a container it is usually out of sight; then the script that started it has looked.
    if root.is_dir() and (free := shutil.disk_usage(root).free) < LEAST_FREE_BYTES:
        raise CannotJoin(f"{root} has only {free // 2**20} MiB free, images need 2 GiB; try: docker system prune")


def version_of(text: str) -> tuple[int, int]:
    """`20.10.24+dfsg1` → (20, 10); (0, 0) when it is no version."""
    found = re.match(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


async def require_synchronized_clock(urls: Sequence[str]) -> None:
    """A machine whose clock is wrong cannot check certificates, and Swarm's are young. Raises CannotJoin."""
    async with httpx.AsyncClient(verify=False, timeout=CLOCK_SECONDS, trust_env=False) as client:  # noqa: S501 (only the time)
        for url in urls:
            with suppress(httpx.HTTPError, TypeError, ValueError, KeyError):
                told = (await client.get(f"{url.rstrip('/')}/health")).headers["date"]
                skew = time.time() - parsedate_to_datetime(told).timestamp()
                if abs(skew) > LARGEST_SKEW_SECONDS:
                    raise CannotJoin(
                        f"this machine's clock is {skew:+.0f} s off the conductor's; try: timedatectl set-ntp on"
                    )
                return


def first_reachable(managers: Sequence[str]) -> str:
    """The first `address:port` that takes a connection; blocks up to 5 s for each. Raises CannotJoin if none does."""
    for each in managers:
        with suppress(OSError, ValueError), closing(create_connection(_split(each), MANAGER_SECONDS)):
            return each
    raise CannotJoin(
        f"no manager answers at {', '.join(managers) or '(none known)'}; open port 2377/tcp from here to there"
    )


def address_towards(manager: str) -> str:
    """This machine's own address on the way there: the one it is known by in the Swarm. Raises CannotJoin."""
    try:
        return source_towards(_split(manager)[0])
    except OSError as lost:
        raise CannotJoin(f"there is no way from here to {manager}: {lost}; see: ip route") from lost


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _is_free(port: int, sort: int) -> bool:
    with closing(socket(AF_INET, sort)) as probe:
        if sort == SOCK_STREAM:
            # As Docker does: connections of an earlier membership, closed a minute ago, hold nobody up.
            probe.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
