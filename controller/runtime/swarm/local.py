"""This machine's Docker daemon, as its agent needs it: its place, its containers, joining and leaving a Swarm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controller.runtime.driver import DriverError
from controller.runtime.swarm import naming
from controller.runtime.swarm.docker_door import Docker, NotThere
from crds.meta import ObjectKey

JOIN_SECONDS = 30.0
# `health_status: unhealthy` and its like come as an action with a colon.
_TOLD = ("start", "die", "health_status", "oom", "destroy")


@dataclass(frozen=True, slots=True)
class Place:
    """This daemon's place in a Swarm. `address`: the one it joined with; `managers`: `address:2377` of each."""

    node_id: str
    address: str
    state: str
    manager: bool
    managers: tuple[str, ...]
    version: str
    root: str
    error: str = ""

    @property
    def in_swarm(self) -> bool:
        return self.state == "active"


@dataclass(frozen=True, slots=True)
class ContainerNews:
    """Something happened to a container of ours: `start`, `die`, `health_status: unhealthy`, ..."""

    key: ObjectKey
    container: str
    what: str


class LocalDocker:
    """Every call raises DriverError."""

    def __init__(self, docker: Docker) -> None:
        self._docker = docker

    async def place(self) -> Place:
        """What `docker info` says."""
        info: dict[str, Any] = await self._docker.ask(lambda api: api.info())
        swarm = info.get("Swarm") or {}
        return Place(
            node_id=str(swarm.get("NodeID", "")),
            address=str(swarm.get("NodeAddr", "")),
            state=str(swarm.get("LocalNodeState", "inactive")),
            manager=bool(swarm.get("ControlAvailable")),
            managers=tuple(each["Addr"] for each in swarm.get("RemoteManagers") or ()),
            version=str(info.get("ServerVersion", "")),
            root=str(info.get("DockerRootDir", "")),
            error=str(swarm.get("Error", "")),
        )

    async def follow(self, told: Callable[[ContainerNews], None]) -> None:
        """Call `told` for each thing that happens to our containers; returns when the daemon ends the stream."""

        def heard(event: Mapping[str, Any]) -> None:
            if news := _news(event):
                told(news)

        await self._docker.follow({"type": ["container"], "label": [naming.CLOUD]}, heard)

    async def kill(self, container: str) -> bool:
        """SIGKILL. False when it is gone already."""
        try:
            await self._docker.ask(lambda api: api.kill(container, signal="KILL"))
        except NotThere:
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
        if (await self.place()).state != "inactive":
            await self._docker.ask(lambda api: api.leave_swarm(force=True), extra_seconds=JOIN_SECONDS)

    async def swarm_tasks(self) -> int:
        """Running containers that a Swarm started here."""
        label = {"label": ["com.docker.swarm.task.id"]}
        return len(await self._docker.ask(lambda api: api.containers(filters=label)))

    async def run_beside(self, name: str, task_of: str, command: Sequence[str]) -> None:
        """A plain container that outlives what the Swarm runs here: image, environment and mounts as those of the
        running task of the Swarm service `task_of`. One of that name that is there already is left alone.
        """

        def run(api: Any) -> None:
            if api.containers(filters={"name": f"^/{name}$"}):
                return
            label = {"label": [f"com.docker.swarm.service.name={task_of}"]}
            like = api.inspect_container(api.containers(filters=label)[0]["Id"])
            binds = [f"{each.get('Name') or each['Source']}:{each['Destination']}" for each in like["Mounts"]]
            host = api.create_host_config(binds=binds, network_mode="host", auto_remove=True)
            image, env = like["Config"]["Image"], like["Config"]["Env"]
            made = api.create_container(image, list(command), name=name, environment=env, host_config=host)
            api.start(made["Id"])

        await self._docker.ask(run)


def _news(event: Mapping[str, Any]) -> ContainerNews | None:
    marks = event["Actor"]["Attributes"]
    key = naming.key_in(marks)
    what = str(event["Action"])
    if key is None or what.partition(":")[0] not in _TOLD:
        return None
    return ContainerNews(key, str(event["Actor"]["ID"]), what)
