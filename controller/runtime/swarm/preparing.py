"""What a Swarm service needs before it can be made: networks, secrets, configs, and where it may not run.

Content is part of a secret's or config's name, because Swarm lets nobody change one that is there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from controller.runtime.driver import DriverError, File, Workload
from controller.runtime.swarm import naming
from controller.runtime.swarm.docker_door import Docker
from controller.runtime.swarm.looking import Look
from controller.runtime.swarm.naming import Cloud
from controller.runtime.swarm.wishing import Surroundings
from crds.meta import ObjectKey


async def surroundings(docker: Docker, cloud: Cloud, workload: Workload, seen: Look) -> Surroundings:
    """All of it, made where it is missing. Raises DriverError."""
    namespaces = dict.fromkeys([workload.key.namespace, *workload.networks])
    networks = {await network(docker, cloud, each): (workload.key.name,) for each in namespaces}
    if workload.control and cloud.control_network:
        networks[await _made_by_stack(docker, cloud.control_network)] = (workload.key.name,)
    return Surroundings(
        networks=networks,
        secrets=[await _file(docker, cloud, workload, each) for each in workload.files if each.secret],
        configs=[await _file(docker, cloud, workload, each) for each in workload.files if not each.secret],
        avoid=avoided(workload, seen),
    )


async def network(docker: Docker, cloud: Cloud, namespace: str) -> str:
    """Id of the namespace's overlay network."""
    name, mark = naming.network_name(cloud, namespace), cloud.marks | {naming.NAMESPACE: namespace}

    def find_or_make(api: Any) -> str:
        for found in api.networks(names=[name]):
            if found["Name"] != name:
                continue  # Docker matches parts of names too
            if found["Labels"].get(naming.CLOUD) != cloud.name:
                raise DriverError(f"a network {name} exists that is not ours", reason="NameTaken", retryable=False)
            return str(found["Id"])
        made = api.create_network(name, driver="overlay", attachable=True, check_duplicate=True, labels=mark)
        return str(made["Id"])

    return await docker.ask(find_or_make)


async def _made_by_stack(docker: Docker, name: str) -> str:
    """Id of a network that stack.yml declares."""

    def find(api: Any) -> str:
        ids = [str(found["Id"]) for found in api.networks(names=[name]) if found["Name"] == name]
        if not ids:
            raise DriverError(f"the network {name} is missing; deploy stack.yml again", reason="NetworkMissing")
        return ids[0]

    return await docker.ask(find)


def avoided(workload: Workload, seen: Look) -> list[str]:
    """Ids of the nodes that are not among `workers`. Where a copy runs already it may stay."""
    if not workload.workers:
        return []
    at_home = {task.get("NodeID") for task in seen.tasks.get(workload.key, ()) if _runs(task)}
    wanted = {each.lower() for each in workload.workers}
    fit = {id_ for id_, node in seen.nodes.items() if worker_name(node) in wanted}
    if seen.nodes and not fit | at_home:
        raise DriverError(
            f"no node of the Swarm is called {' or '.join(sorted(wanted))}; its nodes are "
            f"{', '.join(sorted(worker_name(node) for node in seen.nodes.values()))}",
            reason="NoSuchWorker",
        )
    return sorted(id_ for id_ in seen.nodes if id_ not in fit | at_home)


def worker_name(node: Mapping[str, Any]) -> str:
    """What its agent calls itself: the short host name."""
    return str(node["Description"]["Hostname"]).split(".")[0].lower()


def _runs(task: Mapping[str, Any]) -> bool:
    return bool(task["DesiredState"] == task["Status"]["State"] == "running")


async def _file(docker: Docker, cloud: Cloud, workload: Workload, file: File) -> dict[str, Any]:
    """A reference to the Swarm secret or config that holds it."""
    kind = "Secret" if file.secret else "Config"
    name = _file_name(cloud, workload.key, file)
    mark = naming.labels(cloud, workload.key, workload.uid)

    def find_or_make(api: Any) -> str:
        listed = api.secrets if file.secret else api.configs
        for found in listed({"name": name}):
            if found["Spec"]["Name"] == name:
                return str(found["ID"])
        make = api.create_secret if file.secret else api.create_config
        return str(make(name, file.content, mark)["ID"])

    id_ = await docker.ask(find_or_make)
    place = {"Name": file.path, "UID": "0", "GID": "0", "Mode": 0o444}
    return {f"{kind}ID": id_, f"{kind}Name": name, "File": place}


def _file_name(cloud: Cloud, key: ObjectKey, file: File) -> str:
    digest = hashlib.sha256(file.content).hexdigest()[:12]
    return f"{naming.swarm_name(cloud, key)[:50]}_{digest}"


async def remove_unused(docker: Docker, cloud: Cloud, key: ObjectKey, keep: Sequence[str] = ()) -> None:
    """Secrets and configs of that workload whose names are not in `keep`. Those in use stay for the next time."""
    marks = {naming.CLOUD: cloud.name, naming.NAMESPACE: key.namespace, naming.NAME: key.name}
    mark = {"label": [f"{label}={value}" for label, value in marks.items()]}

    def remove(api: Any) -> None:
        for listed, away in ((api.secrets, api.remove_secret), (api.configs, api.remove_config)):
            for found in listed(mark):
                if found["Spec"]["Name"] not in keep:
                    away(found["ID"])

    with suppress(DriverError):
        await docker.ask(remove)


async def remove_network(docker: Docker, cloud: Cloud, namespace: str) -> None:
    """When nobody uses it any more. Swarm refuses while somebody does."""
    name = naming.network_name(cloud, namespace)

    def remove(api: Any) -> None:
        for found in api.networks(names=[name], filters={"label": f"{naming.CLOUD}={cloud.name}"}):
            if found["Name"] == name:
                api.remove_network(found["Id"])

    with suppress(DriverError):
        await docker.ask(remove)
