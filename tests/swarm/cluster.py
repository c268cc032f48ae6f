"""A real Swarm of several nodes on this machine, with a registry: up, down, and nothing left."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import docker
from swarm.guard import start_guard
from swarm.node import Node, run, until
from swarm.slots import Slot, give_back, take_slot

REGISTRY_CONFIG = """\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}/registry}}, delete: {{enabled: true}}}}
http: {{addr: {address}}}
"""


class Cluster:
    """`nodes[0]` is the manager. Everything runs until `cluster` lets go of it."""

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self.nodes: list[Node] = []
        self.registry = f"{slot.address(1)}:5000"
        self._registry_process: subprocess.Popen[bytes] | None = None

    @property
    def manager(self) -> Node:
        return self.nodes[0]

    def client(self, timeout: float = 10) -> docker.DockerClient:
        """The docker SDK on the manager."""
        return self.manager.client(timeout)

    def plug_in(self) -> None:
        """The bridge all nodes hang on, and the registry behind it."""
        self.slot.folder.mkdir(parents=True)
        run("ip", "link", "add", self.slot.name, "type", "bridge")
        run("ip", "addr", "add", f"{self.slot.address(1)}/24", "dev", self.slot.name)
        run("ip", "link", "set", self.slot.name, "up")
        config = self.slot.folder / "registry.yml"
        config.write_text(REGISTRY_CONFIG.format(folder=self.slot.folder, address=self.registry))
        with (self.slot.folder / "registry.log").open("ab") as log:
            self._registry_process = subprocess.Popen(
                ["docker-registry", "serve", str(config)], stdout=log, stderr=log, start_new_session=True
            )

    def add_nodes(self, count: int, *, disk_megabytes: int = 0) -> Sequence[Node]:
        """New machines, all started side by side; they belong to no Swarm yet."""
        first = len(self.nodes) + 1
        made = [
            Node(self.slot, number, self.registry, disk_megabytes=disk_megabytes)
            for number in range(first, first + count)
        ]
        self.nodes += made
        for node in made:
            node.plug_in()
            node.begin()
        for node in made:
            node.await_up()
        return made

    def form_swarm(self, *, heartbeat_seconds: float = 5) -> None:
        """The first node is the manager, all others join. 5 s is Docker's own default heartbeat."""
        api = self.client(30)
        api.swarm.init(advertise_addr=self.manager.address, dispatcher_heartbeat_period=int(heartbeat_seconds * 1e9))
        api.close()
        self.join(self.nodes[1:])

    def join(self, nodes: Sequence[Node]) -> None:
        """As workers. Returns when the manager calls them ready."""
        api = self.client(30)
        token = api.swarm.attrs["JoinTokens"]["Worker"]
        for node in nodes:
            theirs = node.client(30)
            theirs.swarm.join([f"{self.manager.address}:2377"], token, advertise_addr=node.address)
            theirs.close()
        until(lambda: self.ready_nodes() >= {node.name for node in nodes}, "all nodes are ready")
        api.close()

    def ready_nodes(self) -> set[str]:
        """Host names of the nodes the manager calls ready."""
        api = self.client()
        try:
            nodes = [node.attrs for node in api.nodes.list()]
        finally:
            api.close()
        return {each["Description"]["Hostname"] for each in nodes if each["Status"]["State"] == "ready"}

    def push(self, image: str, tar: Path) -> str:
        """Import a file system as `<registry>/<image>`, hand it to the registry, return that name."""
        name = f"{self.registry}/{image}"
        self.manager.docker("import", str(tar), name)
        self.manager.docker("push", "-q", name)
        return name


@contextmanager
def cluster(nodes: int, *, heartbeat_seconds: float = 5, swarm: bool = True) -> Iterator[Cluster]:
    """A Swarm of so many nodes, or only the nodes. Afterwards nothing is left, also when this process is killed."""
    slot = take_slot()
    guard = start_guard(slot.number)
    made = Cluster(slot)
    try:
        made.plug_in()
        made.add_nodes(nodes)
        if swarm:
            made.form_swarm(heartbeat_seconds=heartbeat_seconds)
        yield made
    finally:
        give_back(slot)
        _end(guard)
        _reap(made)


def _end(guard: subprocess.Popen[bytes]) -> None:
    if guard.stdin is not None:
        guard.stdin.close()
    guard.wait(30)


def _reap(made: Cluster) -> None:
    for process in [made._registry_process, *(node.process for node in made.nodes)]:
        if process is not None:
            process.wait(10)


def busybox_tar(folder: Path) -> Path:
    """A file system of one program, for containers that need no more than a shell and a web server."""
    root, tar = folder / "busybox", folder / "busybox.tar"
    if not tar.exists():
        for name in ("bin", "www", "tmp", "etc"):
            (root / name).mkdir(parents=True, exist_ok=True)
        (root / "bin" / "busybox").write_bytes(Path("/bin/busybox").read_bytes())
        (root / "bin" / "busybox").chmod(0o755)
        for applet in run(str(root / "bin" / "busybox"), "--list").split():
            if applet != "busybox":
                (root / "bin" / applet).symlink_to("busybox")
        run("tar", "-C", str(root), "-cf", str(tar), ".")
    return tar
