"""One node: a dockerd of its own in a network namespace, and what can happen to such a machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import docker
import docker.errors
import requests
from swarm.slots import Slot, cgroup_of, kill_all, pids_in

INNER_SOCKET = "/run/docker/docker.sock"
# Runs with a mount namespace of its own: what the daemon keeps below /run vanishes with it, as in a power loss, and a
# daemon of the machine itself is out of sight. Names that are not ours are refused at once instead of after 20 s.
SCRIPT = """
hostname "$NODE"
mkdir -p /run/docker /run/containerd
mount -t tmpfs tmpfs /run/docker && mount -t tmpfs tmpfs /run/containerd
mount --bind "$FOLDER/resolv.conf" "$(readlink -f /etc/resolv.conf)"
exec dockerd --config-file "$FOLDER/daemon.json"
"""


# How long a test waits before it calls something never. How fast it is, `make bench-swarm` says.
PATIENCE_SECONDS = 90.0


class NotInTime(AssertionError):
    """A condition did not come true before its deadline."""


def until(holds: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Ask every 50 ms until it holds. Errors of a daemon that is away count as no."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        try:
            if holds():
                return
        except (docker.errors.DockerException, requests.RequestException, OSError):
            pass
        time.sleep(0.05)
    raise NotInTime(f"not within {seconds:g} s: {what}")


@dataclass
class Node:
    """`number` counts from 1. Make it with `plug_in`, then `start`; `power_loss` takes everything away at once."""

    slot: Slot
    number: int
    registry: str
    address: str = ""
    disk_megabytes: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return f"node-{self.number}"

    @property
    def namespace(self) -> str:
        return f"{self.slot.name}n{self.number}"

    @property
    def cable(self) -> str:
        return f"{self.slot.name}v{self.number}"

    @property
    def folder(self) -> Path:
        return self.slot.folder / self.name

    @property
    def url(self) -> str:
        return f"unix://{self.folder}/docker.sock"

    def client(self, timeout: float = 10) -> docker.DockerClient:
        """The docker SDK on this node's own daemon."""
        return docker.DockerClient(base_url=self.url, timeout=timeout)

    def plug_in(self) -> None:
        """A namespace, a cable to the bridge, a folder; a small disk if one was asked for."""
        self.address = self.address or self.slot.address(10 + self.number)
        inner = f"{self.cable}i"
        run("ip", "netns", "add", self.namespace)
        run("ip", "link", "add", self.cable, "type", "veth", "peer", "name", inner, "netns", self.namespace)
        run("ip", "link", "set", self.cable, "master", self.slot.name, "up")
        self.inside("ip", "link", "set", "lo", "up")
        self.inside("ip", "link", "set", inner, "name", "eth0")
        self.inside("ip", "addr", "add", f"{self.address}/24", "dev", "eth0")
        self.inside("ip", "link", "set", "eth0", "up")
        self.inside("ip", "route", "add", "default", "via", self.slot.address(1))
        self.folder.mkdir(parents=True)
        if self.disk_megabytes:
            self._small_disk()
        self._configure()

    def _small_disk(self) -> None:
        image, data = self.folder / "disk.img", self.folder / "data"
        data.mkdir()
        run("truncate", "-s", f"{self.disk_megabytes}M", str(image))
        run("mkfs.ext4", "-q", "-m", "0", str(image))
        run("mount", "-o", "loop", str(image), str(data))

    def _configure(self) -> None:
        (self.folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        config = {
            # The second one for containers: the same path on every node, as /var/run/docker.sock is elsewhere.
            "hosts": [self.url, f"unix://{INNER_SOCKET}"],
            "data-root": str(self.folder / "data"),
            # Below /run/docker, a file system that is gone after a power loss: no pid file can mislead a restart.
            "exec-root": "/run/docker/exec",
            "pidfile": "/run/docker/dockerd.pid",
            "cgroup-parent": f"/{cgroup_of(self.slot, self.namespace)}",
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
            "insecure-registries": [self.registry],
            "log-level": "warn",
            "shutdown-timeout": 5,
        }
        (self.folder / "daemon.json").write_text(json.dumps(config))

    def start(self) -> None:
        """Power on. Returns when the daemon answers."""
        self.begin()
        self.await_up()

    def begin(self) -> None:
        """Power on, without waiting."""
        (self.folder / "docker.sock").unlink(missing_ok=True)
        command = ["nsenter", f"--net=/run/netns/{self.namespace}", "unshare", "-u", "-m", "sh", "-ec", SCRIPT]
        env = {"NODE": self.name, "FOLDER": str(self.folder), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        with (self.folder / "dockerd.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, start_new_session=True
            )

    def await_up(self) -> None:
        """Raises RuntimeError with the last words of a daemon that ended."""

        def up() -> bool:
            if self.process is None or self.process.poll() is not None:
                raise RuntimeError(f"{self.name}: dockerd ended: {self.last_words()}")
            with_answer = self.client(2)
            try:
                return bool(with_answer.ping())
            finally:
                with_answer.close()

        until(up, f"dockerd of {self.name} answers")

    def last_words(self) -> str:
        return (self.folder / "dockerd.log").read_text()[-1500:]

    def power_loss(self) -> None:
        """Daemon, shims and containers are gone at once; the disk keeps what it had."""
        kill_all(self.namespace, cgroup_of(self.slot, self.namespace))
        if self.process is not None:
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        """Its daemon ends politely, as `systemctl stop docker` ends it; the containers of the Swarm end with it."""
        if self.process is not None:
            daemon = next(pid for pid in pids_in(self.namespace) if _is(pid, "dockerd"))
            os.kill(daemon, signal.SIGTERM)
            self.process.wait(30)
            kill_all(self.namespace, cgroup_of(self.slot, self.namespace))
            self.process = None

    def restart(self) -> None:
        """Power loss, then power on."""
        self.power_loss()
        self.start()

    def cut(self) -> None:
        """The cable is pulled: the node runs on, nobody reaches it."""
        run("ip", "link", "set", self.cable, "down")

    def heal(self) -> None:
        """The cable is back."""
        run("ip", "link", "set", self.cable, "up")

    def move(self, host: int) -> str:
        """Another address, as after a new lease of a router. The new one is returned."""
        self.address = self.slot.address(host)
        self.inside("ip", "addr", "flush", "dev", "eth0")
        self.inside("ip", "addr", "add", f"{self.address}/24", "dev", "eth0")
        self.inside("ip", "route", "replace", "default", "via", self.slot.address(1))
        return self.address

    def fill_disk(self) -> None:
        """Needs a node made with `disk_megabytes`: not a byte is left for Docker."""
        if not self.disk_megabytes:
            raise ValueError(f"{self.name} has no small disk")
        filler = self.folder / "data" / "filler"
        subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=64k"], check=False, capture_output=True)

    def empty_disk(self) -> None:
        """What filled it is removed."""
        (self.folder / "data" / "filler").unlink(missing_ok=True)

    def inside(self, *command: str) -> str:
        """Output of a command in this node's network."""
        return run("nsenter", f"--net=/run/netns/{self.namespace}", *command)

    def docker(self, *arguments: str, timeout: float = 120) -> str:
        """Output of the docker CLI on this node."""
        return run("docker", "-H", self.url, *arguments, timeout=timeout)


def _is(pid: int, program: str) -> bool:
    try:
        return (Path(f"/proc/{pid}/comm")).read_text().strip() == program
    except OSError:
        return False


def run(*command: str, timeout: float = 60) -> str:
    """Its standard output. Raises RuntimeError with what it said when it failed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} → {done.returncode}: {done.stderr.strip()}")
    return done.stdout
