"""What a machine needs to run a real Swarm of several nodes, and getting it where that is allowed.

Root on Debian or Ubuntu installs what is missing. The package's own Docker daemon is not started by that, and no
daemon but our own is ever spoken to. `AEREKOS_SWARM_TESTS=off` says no to all of it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = {
    "dockerd": "docker.io",
    "docker": "docker.io",
    "docker-registry": "docker-registry",
    "iptables": "iptables",
    "ip": "iproute2",
    "conntrack": "conntrack",
    "/bin/busybox": "busybox-static",
}
# Debian's own docker.io first: a newer client elsewhere on PATH speaks to it as well.
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
POLICY = Path("/usr/sbin/policy-rc.d")


def why_not() -> str | None:
    """None when a Swarm can run here, otherwise the reason it cannot. May install packages."""
    if os.environ.get("AEREKOS_SWARM_TESTS") == "off":
        return "AEREKOS_SWARM_TESTS=off"
    if os.geteuid() != 0:
        return "a real Swarm needs root (network namespaces, dockerd)"
    return _missing_after_installing() or _kernel_says_no()


def _missing_after_installing() -> str | None:
    with _one_at_a_time():
        packages = _missing()
        if packages and shutil.which("apt-get"):
            _install(packages)
    return f"not installed: apt-get install {' '.join(_missing())}" if _missing() else None


def _missing() -> list[str]:
    gone = [package for program, package in PROGRAMS.items() if not shutil.which(program, path=SYSTEM_PATH)]
    return sorted(set(gone))


def _install(packages: list[str]) -> None:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": False}
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with _no_daemons_started():
        subprocess.run(["apt-get", "update", "-qq"], env=env, timeout=60, **quiet)
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
        subprocess.run(command, env=env, timeout=180, **quiet)


@contextmanager
def _no_daemons_started() -> Iterator[None]:
    """Debian's way to install a daemon without starting it: a policy that answers 101."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)


def _kernel_says_no() -> str | None:
    # In a namespace of its own: two test processes may ask at the same time.
    question = ["unshare", "-n", "ip", "link", "add", "probe", "type", "vxlan", "id", "1", "dstport", "4789"]
    tried = subprocess.run(question, check=False, stderr=subprocess.DEVNULL)
    return "this kernel makes no vxlan devices (a container without privileges?)" if tried.returncode else None


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    with Path("/tmp/aerekos-swarm-install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
