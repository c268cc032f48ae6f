"""Measurements of this machine: what it is and how busy it is. The only home of psutil in the agent.

`beat` is called each second and reads a few files of /proc (about a millisecond); `facts` is called when registering.
"""

from __future__ import annotations

import os
import platform
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import psutil

from agent.errors import CannotMeasure
from agent.service_usage import ServiceMeter
from controller.kit.version import version

# Interfaces seldom change and listing them costs as much as the rest of a beat.
ADDRESSES_EVERY_BEATS = 5
_BRIDGES = ("docker", "br-", "veth")


@dataclass(frozen=True)
class Heartbeat:
    """One heartbeat's body. CPU in cores; memory, disk and network totals in bytes; `clock`: seconds since 1970."""

    usage: dict[str, float]
    addresses: list[str]
    services: dict[str, dict[str, float]] = field(default_factory=dict)
    clock: float | None = None

    def wire(self) -> dict[str, Any]:
        told = {"usage": self.usage, "addresses": self.addresses, "services": self.services}
        return told if self.clock is None else {**told, "clock": self.clock}


class Collector:
    """Measures this machine. `home` decides which disk counts."""

    def __init__(self, home: Path, services_dir: Path | None = None) -> None:
        self._home = home
        self._meter = ServiceMeter(services_dir) if services_dir else None
        self._beats = 0
        self._addresses: list[str] = []
        self._used = {"cpu": 0.0, "memory": 0.0, "disk": 0.0, "networkReceived": 0.0, "networkSent": 0.0}
        self._update_addresses()
        with suppress(psutil.Error, OSError):
            psutil.cpu_percent(None)  # the first answer is meaningless: it only sets the starting point

    def facts(self, labels: dict[str, str]) -> dict[str, Any]:
        """Body of `POST /agents/register`. Raises CannotMeasure."""
        try:
            return self._facts(labels)
        except (psutil.Error, OSError) as fault:
            raise CannotMeasure(f"cannot measure this machine: {fault!r}") from fault

    def _facts(self, labels: dict[str, str]) -> dict[str, Any]:
        self._addresses = addresses()
        listed = [{"type": "InternalIP", "address": each} for each in self._addresses]
        listed.append({"type": "Hostname", "address": socket.gethostname()})
        return {"capacity": self._capacity(), "addresses": listed, "system": system(), "labels": labels}

    def beat(self) -> Heartbeat:
        """The usage of now. CPU is the mean since the last beat.

        What cannot be read this time keeps its last value: a heartbeat says above all that this machine lives.
        """
        self._beats += 1
        if self._beats % ADDRESSES_EVERY_BEATS == 0:
            self._update_addresses()
        services = self._meter.measure() if self._meter else {}
        return Heartbeat(self._usage(), list(self._addresses), services, time.time())

    def _update_addresses(self) -> None:
        with suppress(psutil.Error, OSError):
            self._addresses = addresses()

    def _capacity(self) -> dict[str, str]:
        return {
            "cpu": str(psutil.cpu_count() or 1),
            "memory": str(psutil.virtual_memory().total),
            "disk": str(psutil.disk_usage(str(self._home)).total),
        }

    def _usage(self) -> dict[str, float]:
        for measure in (_cpu, _memory, self._disk, _network):
            with suppress(psutil.Error, OSError):
                self._used |= measure()
        return dict(self._used)

    def _disk(self) -> dict[str, float]:
        return {"disk": psutil.disk_usage(str(self._home)).used}


def _cpu() -> dict[str, float]:
    return {"cpu": round(psutil.cpu_percent(None) / 100 * (psutil.cpu_count() or 1), 3)}


def _memory() -> dict[str, float]:
    memory = psutil.virtual_memory()
    return {"memory": memory.total - memory.available}


def _network() -> dict[str, float]:
    network = psutil.net_io_counters()
    return {"networkReceived": network.bytes_recv, "networkSent": network.bytes_sent} if network else {}


def addresses() -> list[str]:
    """IPv4 and global IPv6 addresses of interfaces that are up, in a stable order, without loopback.

    Nor any address on the loopback interface: a machine that has moved keeps its old one there, for itself; nor those
    of Docker's bridges, which lead nowhere from outside.
    """
    up = {name for name, stats in psutil.net_if_stats().items() if stats.isup}
    found = {
        each.address
        for label, listed in psutil.net_if_addrs().items()
        # An address may carry a label, `eth0:1`.
        if (name := label.partition(":")[0]) in up and name != "lo" and not name.startswith(_BRIDGES)
        for each in listed
        if each.family in (socket.AF_INET, socket.AF_INET6) and _is_reportable(each.address)
    }
    return sorted(found, key=lambda each: (ip_address(each).version, ip_address(each)))


def _is_reportable(address: str) -> bool:
    if "%" in address:  # a zone: link-local, useless to others
        return False
    parsed = ip_address(address)
    return not (parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified)


def system() -> dict[str, str]:
    """SystemInfo of the worker."""
    return {
        "operatingSystem": platform.system().lower(),
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
        "kernelVersion": platform.release(),
        "osImage": _os_image(),
        "agentVersion": version(),
        "bootId": _line(Path("/proc/sys/kernel/random/boot_id")) or str(int(psutil.boot_time())),
        "machineId": _line(Path("/etc/machine-id")),
    }


def _os_image() -> str:
    return _or_empty(lambda: platform.freedesktop_os_release()["PRETTY_NAME"]) or platform.platform()


def _line(path: Path) -> str:
    return _or_empty(lambda: path.read_text().strip())


def _or_empty(read: Callable[[], str]) -> str:
    try:
        return read()
    except (OSError, KeyError):
        return ""


def default_name() -> str:
    """The host's name as a DNS label."""
    host = socket.gethostname().split(".")[0].lower().replace("_", "-")
    return host.strip("-")[:63] or f"worker-{os.getpid()}"
