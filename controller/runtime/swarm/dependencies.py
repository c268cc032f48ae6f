"""Dependencies of a Swarm service, made before it: networks, secrets, configs, and where it may not run.

Content is part of a secret's or config's name, because Swarm lets nobody change one that is there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog

from controller.docker.client import DockerClient
from controller.runtime.driver import DriverError, File, Workload
from controller.runtime.swarm import naming
from controller.runtime.swarm.naming import Cloud
from controller.runtime.swarm.service_spec import SpecDependencies, own_user
from controller.runtime.swarm.snapshot import SwarmSnapshot
from controller.runtime.swarm.tasks import revision_of, serves, worker_name
from controller.runtime.swarm.update_plan import lasting_revisions
from crds.conditions import Reason
from crds.meta import ObjectKey

_log = structlog.get_logger("swarm")


class DependencyProvisioner:
    """Remembers what it made or found, so that the same question costs a call only once."""

    def __init__(
        self, docker: DockerClient, cloud: Cloud, encrypted: Callable[[], bool | None] = lambda: False
    ) -> None:
        """`encrypted`: whether new networks are; None while that cannot be said."""
        self._docker, self._cloud, self._encrypted = docker, cloud, encrypted
        self._networks: dict[str, str] = {}
        self._files: dict[str, dict[str, Any]] = {}

    async def dependencies(self, workload: Workload, seen: SwarmSnapshot) -> SpecDependencies:
        """All of it, made where it is missing. Raises DriverError."""
        key = workload.key
        return SpecDependencies(
            networks=await self._networks_of(workload),
            secrets=[await self._file(workload, each) for each in workload.files if each.secret],
            configs=[await self._file(workload, each) for each in workload.files if not each.secret],
            avoid=avoided_nodes(workload, seen),
            volumes=json.loads(seen.marks(key).get(naming.VOLUMES, "{}")),
        )

    def forget_known(self) -> None:
        """Something that was there is not there any more: nothing remembered is believed."""
        self._networks.clear()
        self._files.clear()

    async def remove_unused(self, key: ObjectKey, around: SpecDependencies | None = None) -> None:
        """Secrets and configs of that workload that it does not use any more. Those in use stay for the next time."""
        kept = around.files if around else frozenset()
        marks = {naming.CLOUD: self._cloud.name, naming.NAMESPACE: key.namespace, naming.NAME: key.name}
        mark = {"label": [f"{label}={value}" for label, value in marks.items()]}
        base = naming.swarm_name(self._cloud, key)[:50]
        if around is not None and not any(name.startswith(base) and name not in kept for name in self._files):
            return  # nothing was ever made for it that it does not use

        def remove(api: Any) -> None:
            for listed, away in ((api.secrets, api.remove_secret), (api.configs, api.remove_config)):
                for found in listed(mark):
                    if found["Spec"]["Name"] not in kept:
                        away(found["ID"])
                        self._files.pop(found["Spec"]["Name"], None)

        with suppress(DriverError):
            await self._docker.ask(remove)

    async def clean_up(self, key: ObjectKey, *, last: bool) -> None:
        """After a workload is gone: its files, and the namespace's network when it was the `last` one there."""
        await self.remove_unused(key)
        name = naming.network_name(self._cloud, key.namespace)
        if not last or name in self._cloud.reached:
            return

        def remove(api: Any) -> None:
            for found in api.networks(names=[name], filters={"label": f"{naming.CLOUD}={self._cloud.name}"}):
                if found["Name"] == name:
                    api.remove_network(found["Id"])

        self._networks.pop(name, None)
        with suppress(DriverError):  # somebody uses it still
            await self._docker.ask(remove)

    async def _networks_of(self, workload: Workload) -> dict[str, tuple[str, ...]]:
        """Ids and the names it has there. A visitor has none of another namespace's names; parts of the cloud meet in
        a network of their own, which nobody else joins.
        """
        if workload.control and self._cloud.control_network:
            return {await self._control(): ()}
        home, key = workload.key.namespace, workload.key
        networks: dict[str, tuple[str, ...]] = {await self._network(home): (key.name,)}
        for each in workload.networks:
            networks.setdefault(await self._network(each), (naming.visitor_name(key),))
        return networks

    async def _network(self, namespace: str) -> str:
        """Id of the namespace's overlay network. Raises DriverError for one that would be the cloud's own."""
        name = naming.network_name(self._cloud, namespace)
        if name == self._cloud.control_network:
            message = f"the network {name} is the cloud's own; services of a namespace {namespace} cannot run here"
            raise DriverError(message, reason=Reason.NAME_CONFLICT, retryable=False)
        if name not in self._networks:
            marks = self._cloud.marks | {naming.NAMESPACE: namespace}
            self._networks[name] = await self._docker.ask(lambda api: self._find_or_create(api, name, marks))
        return self._networks[name]

    def _find_or_create(self, api: Any, name: str, marks: dict[str, str]) -> str:
        for found in api.networks(names=[name]):
            if found["Name"] != name:
                continue  # Docker matches parts of names too
            if (found["Labels"] or {}).get(naming.CLOUD) != self._cloud.name:
                raise DriverError(
                    f"a network {name} exists that is not ours", reason=Reason.NAME_CONFLICT, retryable=False
                )
            return str(found["Id"])
        encrypted = self._encrypted()
        if encrypted is None:
            message = "not every machine has said yet whether it can encrypt networks"
            raise DriverError(message, reason=Reason.ENCRYPTION_UNKNOWN)
        if not encrypted:
            _log.warning("a network between machines is not encrypted", network=name)
        options = {"encrypted": ""} if encrypted else {}
        made = api.create_network(
            name, driver="overlay", options=options, attachable=True, check_duplicate=True, labels=marks
        )
        return str(made["Id"])

    async def _control(self) -> str:
        """Id of the network that stack.yml declares."""
        name = self._cloud.control_network
        if name not in self._networks:
            found = await self._docker.ask(
                lambda api: [e["Id"] for e in api.networks(names=[name]) if e["Name"] == name]
            )
            if not found:
                raise DriverError(
                    f"the network {name} is missing; deploy stack.yml again", reason=Reason.NETWORK_NOT_FOUND
                )
            self._networks[name] = str(found[0])
        return self._networks[name]

    async def _file(self, workload: Workload, file: File) -> dict[str, Any]:
        """A reference to the Swarm secret or config that holds it."""
        name = _file_name(self._cloud, workload.key, file)
        if name not in self._files:
            self._files[name] = await self._docker.ask(
                lambda api: self._find_or_create_file(api, name, workload, file)
            )
        return {**self._files[name], "File": {"Name": file.path, **_readers(workload, file)}}

    def _find_or_create_file(self, api: Any, name: str, workload: Workload, file: File) -> dict[str, Any]:
        kind = "Secret" if file.secret else "Config"
        listed = api.secrets if file.secret else api.configs
        for found in listed({"name": name}):
            if found["Spec"]["Name"] == name:
                return {f"{kind}ID": found["ID"], f"{kind}Name": name}
        make = api.create_secret if file.secret else api.create_config
        mark = naming.labels(self._cloud, workload.key, workload.uid)
        return {f"{kind}ID": str(make(name, file.content, mark)["ID"]), f"{kind}Name": name}


def _readers(workload: Workload, file: File) -> dict[str, Any]:
    """Who reads it inside. A secret of ours is its process's alone; as which user somebody's image runs, nobody knows
    here, and nothing but that image is in the container.
    """
    user = own_user(workload)
    if user is not None and file.secret:
        return {"UID": str(user), "GID": str(user), "Mode": 0o400}
    return {"UID": "0", "GID": "0", "Mode": 0o444}


def avoided_nodes(workload: Workload, seen: SwarmSnapshot) -> list[str]:
    """Ids of the nodes that are not among `workers`. Where a copy runs that goes on, it may stay."""
    if not workload.workers:
        return []
    lasting = lasting_revisions(seen.services.get(workload.key), workload.revision)
    tasks = (each for each in seen.tasks.get(workload.key, ()) if revision_of(each) in lasting)
    at_home = {task.get("NodeID") for task in tasks if serves(task, seen.nodes)}
    wanted = {each.lower() for each in workload.workers}
    fit = {id_ for id_, node in seen.nodes.items() if worker_name(node) in wanted}
    if seen.nodes and not fit | at_home:
        raise DriverError(
            f"no node of the Swarm is called {' or '.join(sorted(wanted))}; its nodes are "
            f"{', '.join(sorted(worker_name(node) for node in seen.nodes.values()))}",
            reason=Reason.WORKER_NOT_FOUND,
        )
    return sorted(id_ for id_ in seen.nodes if id_ not in fit | at_home)


def _file_name(cloud: Cloud, key: ObjectKey, file: File) -> str:
    digest = hashlib.sha256(file.content).hexdigest()[:12]
    return f"{naming.swarm_name(cloud, key)[:50]}_{digest}"
