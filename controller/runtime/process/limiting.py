"""Limits of one process group: memory by rlimit and, where a writable cgroup v2 exists, CPU and memory.

RLIMIT_DATA rather than RLIMIT_AS: runtimes reserve address space they never touch. It holds per process.
"""

from __future__ import annotations

import contextlib
import os
import resource
from pathlib import Path

from controller.runtime.driver import Limits

ROOT = Path("/sys/fs/cgroup")
_PERIOD_MICROSECONDS = 100_000


def apply_limits(pid: int, instance: str, limits: Limits, root: Path = ROOT) -> str:
    """Put them on. Answers what could not be enforced, in words for people; empty when all is. Raises OSError."""
    if limits.memory:
        resource.prlimit(pid, resource.RLIMIT_DATA, (limits.memory, limits.memory))
    if not limits.cpu:
        return ""
    try:
        _enter_cgroup(pid, instance, limits, root)
    except OSError:
        return f"the CPU limit of {limits.cpu:g} cores is not enforced: no writable cgroup v2 on this machine"
    return ""


def leave_cgroup(instance: str, root: Path = ROOT) -> None:
    """Remove the empty cgroup of an instance that ended."""
    with contextlib.suppress(OSError):
        _cgroup(instance, root).rmdir()


def _cgroup(instance: str, root: Path) -> Path:
    return root / "aerekos" / instance


def _enter_cgroup(pid: int, instance: str, limits: Limits, root: Path) -> None:
    if not os.access(root / "cgroup.subtree_control", os.W_OK):
        raise FileNotFoundError("no cgroup v2")
    home = _cgroup(instance, root)
    home.mkdir(parents=True, exist_ok=True)
    for each in (root, home.parent):
        (each / "cgroup.subtree_control").write_text("+cpu +memory")
    (home / "cpu.max").write_text(f"{int(limits.cpu * _PERIOD_MICROSECONDS)} {_PERIOD_MICROSECONDS}")
    if limits.memory:
        (home / "memory.max").write_text(str(limits.memory))
    (home / "cgroup.procs").write_text(str(pid))
