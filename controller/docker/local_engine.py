"""This machine's Docker daemon, as its agent needs it: node info, containers, joining and leaving a Swarm.

What our containers use of the machine: controller.docker.container_stats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controller.docker.client import DockerClient, NotFound
from controller.docker.node_info import SwarmNodeInfo, parse_node_info
from controller.runtime.driver import DriverError
from controller.runtime.swarm import naming
from crds.meta import ObjectKey

JOIN_SECONDS = 30.0
UNHEALTHY = "health_status: unhealthy"
# `health_status: unhealthy` and its like come as an action with a colon.
_REPORTED = ("start", "die", "health_status", "oom", "destroy")


@dataclass(frozen=True, slots=True)
class ContainerEvent:
    """Something happened to a container of ours: `start`, `die`, `health_status: unhealthy`, ..."""

    key: ObjectKey
    container: str
    what: str


class LocalEngine:
    """Every call raises DriverError."""

    def __init__(self, docker: DockerClient) -> None:
        self._docker = docker

    async def node_info(self) -> SwarmNodeInfo:
        """Info about this node, from `docker info`."""
        return parse_node_info(await self._docker.ask(lambda api: api.info()))

    async def follow(self, told: Callable[[ContainerEvent], None]) -> None:
        """Call `told` for each thing that happens to our containers; returns when the daemon ends the stream."""

        def heard(event: Mapping[str, Any]) -> None:
            if happened := _event_of(event):
                told(happened)

        await self._docker.follow({"type": ["container"], "label": [naming.CLOUD]}, heard)

    async def unhealthy(self) -> list[ContainerEvent]:
        """Containers of ours whose health check fails now: what `follow` told before anybody listened."""
        asked = {"label": [naming.CLOUD], "health": ["unhealthy"]}
        found = await self._docker.ask(lambda api: api.containers(filters=asked))
        keyed = [(naming.key_in(each["Labels"]), str(each["Id"])) for each in found]
        return [ContainerEvent(key, container, UNHEALTHY) for key, container in keyed if key is not None]

    async def kill(self, container: str) -> bool:
        """SIGKILL. False when it is gone already."""
        try:
            await self._docker.ask(lambda api: api.kill(container, signal="KILL"))
        except NotFound:
            return False
        except DriverError as refused:
            if "is not running" in str(refused):
                return False
            raise
        return True

    async def join(self, token: str, managers: Sequence[str], address: str) -> None:
        """Become a worker, known by `address`."""
        await self._docker.ask(
            lambda api: api.join_swarm(remote_addrs=list(managers), join_token=token, advertise_addr=address),
            extra_seconds=JOIN_SECONDS,
        )

    async def leave(self) -> None:
        """Leave the Swarm, whatever it says. One that is in none is no error."""
        if (await self.node_info()).state != "inactive":
            await self._docker.ask(lambda api: api.leave_swarm(force=True), extra_seconds=JOIN_SECONDS)

    async def swarm_tasks(self) -> int:
        """Running containers that a Swarm started here."""
        label = {"label": ["com.docker.swarm.task.id"]}
        return len(await self._docker.ask(lambda api: api.containers(filters=label)))

    async def run_beside(self, name: str, task_of: str, command: Sequence[str]) -> bool:
        """A plain container that outlives what the Swarm runs here: image, environment, mounts and capabilities as
        those of the running task of the Swarm service `task_of`. One of that name that runs already is left alone.
        False when no such task runs here.
        """

        def run(api: Any) -> bool:
            running = api.containers(filters={"label": [f"com.docker.swarm.service.name={task_of}"]})
            if not running:
                return False
            if not _is_running(api, name):
                api.start(_created(api, name, api.inspect_container(running[0]["Id"]), command))
            return True

        return await self._docker.ask(run)


def _is_running(api: Any, name: str) -> bool:
    """What is left of an earlier one, which never started, is removed."""
    for each in api.containers(all=True, filters={"name": f"^/{name}$"}):
        if each["State"] in ("running", "restarting"):
            return True
        api.remove_container(each["Id"], force=True)
    return False


def _created(api: Any, name: str, like: Mapping[str, Any], command: Sequence[str]) -> str:
    kept = [each for each in like["Mounts"] if each.get("Type") in ("bind", "volume")]
    binds = [f"{each.get('Name') or each['Source']}:{each['Destination']}" for each in kept]
    rights = {"cap_add": like["HostConfig"].get("CapAdd") or [], "cap_drop": like["HostConfig"].get("CapDrop") or []}
    host = api.create_host_config(binds=binds, network_mode="host", auto_remove=True, **rights)
    image, env = like["Config"]["Image"], like["Config"]["Env"]
    return str(api.create_container(image, list(command), name=name, environment=env, host_config=host)["Id"])


def _event_of(event: Mapping[str, Any]) -> ContainerEvent | None:
    marks = event["Actor"]["Attributes"]
    key = naming.key_in(marks)
    what = str(event["Action"])
    if key is None or what.partition(":")[0] not in _REPORTED:
        return None
    return ContainerEvent(key, str(event["Actor"]["ID"]), what)
