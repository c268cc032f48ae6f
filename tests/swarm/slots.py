"""A place on this machine for one Swarm: names, addresses, a folder. And its sweeping.

Several test processes may run at once: each holds the lock of one slot. Whoever gets a slot may remove everything
an earlier holder left, because the kernel gives the lock back when a process dies, however it died.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

SLOTS = 16
SWEEP_SECONDS = 20.0


@dataclass(frozen=True)
class Slot:
    """Number n: the network 198.18.n.0/24 (set aside for such tests by RFC 2544), the bridge `aekn`, a folder."""

    number: int
    lock: IO[str]

    @property
    def name(self) -> str:
        return f"aek{self.number}"

    @property
    def folder(self) -> Path:
        return Path(f"/tmp/aerekos-swarm-{self.number}")

    def address(self, host: int) -> str:
        return f"198.18.{self.number}.{host}"


def take_slot() -> Slot:
    """The first free one, swept. Raises RuntimeError when all are taken."""
    for number in range(SLOTS):
        lock = Path(f"/tmp/aerekos-swarm-{number}.lock").open("a")  # noqa: SIM115 the slot keeps it
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        slot = Slot(number, lock)
        sweep(slot)
        return slot
    raise RuntimeError(f"all {SLOTS} slots for a Swarm are taken")


def give_back(slot: Slot) -> None:
    """Sweep, then let the next one have it."""
    sweep(slot)
    slot.lock.close()


def sweep(slot: Slot) -> None:
    """No process, namespace, link, mount, cgroup or file of this slot is left. Raises RuntimeError otherwise."""
    for namespace in namespaces(slot):
        kill_all(namespace, cgroup_of(slot, namespace))
        _quietly("ip", "netns", "del", namespace)
    # A namespace takes its cable along, but only some time later: the next holder may meet it still.
    for cable in Path("/sys/class/net").glob(f"{slot.name}v*"):
        _quietly("ip", "link", "del", cable.name)
    kill_all(None, f"aerekos-swarm/{slot.name}")
    for pid in _pids_with(f"{slot.folder}/"):
        _kill(pid)
    _quietly("ip", "link", "del", slot.name)
    for mount in sorted(mounts_below(slot.folder), reverse=True):
        _quietly("umount", "-l", mount)
    remove_cgroups(f"aerekos-swarm/{slot.name}")
    shutil.rmtree(slot.folder, ignore_errors=True)
    if left := leftovers(slot):
        raise RuntimeError(f"could not remove {left}")


def leftovers(slot: Slot) -> list[str]:
    """Everything of this slot that still exists. Empty when the machine is as it was."""
    links = [slot.name] if Path(f"/sys/class/net/{slot.name}").exists() else []
    files = [str(slot.folder)] if slot.folder.exists() else []
    pids = [f"pid {pid}" for pid in _pids_with(f"{slot.folder}/")]
    return [*namespaces(slot), *links, *mounts_below(slot.folder), *files, *pids]


def namespaces(slot: Slot) -> list[str]:
    """Names of its network namespaces: `aek0n1`, ..."""
    folder = Path("/run/netns")
    return sorted(each.name for each in folder.glob(f"{slot.name}n*")) if folder.exists() else []


def cgroup_of(slot: Slot, namespace: str) -> str:
    """Containers of a node live below this path in every cgroup hierarchy."""
    return f"aerekos-swarm/{slot.name}/{namespace}"


def kill_all(namespace: str | None, cgroup: str) -> None:
    """SIGKILL for every process of a namespace and of a cgroup tree, until none is left."""
    deadline = time.monotonic() + SWEEP_SECONDS
    while pids := [*pids_in(namespace), *_pids_below(cgroup)]:
        if time.monotonic() > deadline:
            raise RuntimeError(f"processes {pids} do not end")
        for pid in pids:
            _kill(pid)
        time.sleep(0.02)


def remove_cgroups(path: str) -> None:
    """Only empty ones can be removed; deepest first."""
    for root in _hierarchies():
        for folder, _, _ in os.walk(root / path, topdown=False):
            try:
                Path(folder).rmdir()
            except OSError:
                continue


def mounts_below(folder: Path) -> list[str]:
    """Mount points in this process's own view."""
    points = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    return [point for point in points if point.startswith(f"{folder}/")]


def pids_in(namespace: str | None) -> list[int]:
    """Of every process in that network namespace."""
    if namespace is None:
        return []
    told = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False)
    return [int(pid) for pid in told.stdout.split()]


def _pids_below(cgroup: str) -> list[int]:
    found: set[int] = set()
    for root in _hierarchies():
        # Not by rglob, which fails on a group that goes while it looks.
        for folder, _, _ in os.walk(root / cgroup):
            try:
                found.update(int(pid) for pid in (Path(folder) / "cgroup.procs").read_text().split())
            except OSError:
                continue
    return sorted(found)


def _hierarchies() -> list[Path]:
    root = Path("/sys/fs/cgroup")
    return [root, *(each for each in root.iterdir() if each.is_dir())] if root.exists() else []


def _pids_with(text: str) -> Iterator[int]:
    """Living daemons whose command line names this folder: dockerd, containerd, shims, the registry."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        program = Path(words[0]).name
        if program in OURS and any(text in word for word in words):
            yield int(folder.name)


OURS = ("dockerd", "containerd", "containerd-shim-runc-v2", "docker-registry", "docker-proxy")


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _quietly(*command: str) -> None:
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
