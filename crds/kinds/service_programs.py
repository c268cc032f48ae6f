"""What a Service that is a program cannot ask for: programs share their machine's network, and run one at a time in
each other's place. Refused when it is written, naming the field, rather than dropped when it runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crds.kinds.service import ServiceSpec

WORKING_FOLDER = "/work"
# What a program sees there is the machine's, or made for it: nothing can be put into them.
_SYSTEM = ("/bin", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/nix", "/gnu", "/proc", "/sbin", "/sys",
           "/usr", WORKING_FOLDER)  # fmt: skip
_TEMPORARY = "/tmp"  # noqa: S108 - inside the program's own view of the files
LOWEST_PORT = 1024
PORT_PREFIX = "AEREKOS_PORT_"
_SET_BY_US = frozenset({"PORT", "HOST", "AEREKOS_INSTANCE", "AEREKOS_SERVICE", "AEREKOS_NAMESPACE"})


def port_variable(name: str) -> str:
    """The variable that tells a program its port of that name: `AEREKOS_PORT_ADMIN_UI` of `admin-ui`."""
    return PORT_PREFIX + name.upper().replace("-", "_")


def program_fault(spec: ServiceSpec) -> str:
    """Why no program can be like that, beginning with the field; empty when one can."""
    return next(_faults(spec), "")


def _faults(spec: ServiceSpec) -> Iterator[str]:
    if not spec.command or not spec.command[0]:
        yield (
            "give exactly one of managed (one of our services) or image (a container), "
            "or a command (a program of the machine)"
        )
    if spec.mode == "job":
        yield "mode: a program runs on and is never a job; give an image, or leave mode out"
    yield from shared_faults(spec, "a program")
    probes = spec.probes.wire() if spec.probes else {}
    for name, probe in probes.items():
        if not spec.ports and ("httpGet" in probe or "tcpSocket" in probe):
            yield f"probes.{name}: a program without ports answers nowhere; add ports, or use exec"


def shared_faults(spec: ServiceSpec, what: str) -> Iterator[str]:
    """What holds for every process of the machine that is somebody's own: `what` is a program, or an engine."""
    if spec.networks:
        yield f"networks: {what} is in its machine's network; leave networks out, or give an image"
    if spec.update.order == "start-first":
        yield f"update.order: copies of {what} are replaced one after the other, stop-first; leave it out"
    yield from _port_faults(spec, what)
    yield from _path_faults(spec)
    yield from _env_faults(spec)


def _port_faults(spec: ServiceSpec, what: str) -> Iterator[str]:
    for port in spec.ports:
        if port.protocol != "tcp":
            yield f"ports: {port.port}/udp: {what} has TCP ports only; give an image for udp"
        if port.published and port.published < LOWEST_PORT:
            yield f"ports: published {port.published}: {what} cannot listen below {LOWEST_PORT}"
        if port.published and spec.replicas > 1:
            yield f"ports: published {port.published}: one machine has it once; use replicas 1, or leave it out"


def _path_faults(spec: ServiceSpec) -> Iterator[str]:
    volumes, files = [each.path for each in spec.volumes], [each.path for each in spec.files]
    for path in (*volumes, *files):
        if any(part in (".", "..", "") for part in path[1:].split("/")):
            yield f"path: {path}: write it without ., .. and //"
        if path == _TEMPORARY or _within(path, _SYSTEM):
            yield f"path: {path}: this is the machine's; put it elsewhere, e.g. /srv/{path.rpartition('/')[2]}"
    for path in (*volumes, *files):
        # Who may write to a volume could lay a link there, which whoever puts the file in place would follow.
        others = [each for each in volumes if each != path]
        if _within(path, others):
            yield f"path: {path}: it lies inside a volume; put it beside it"
        if _within(path, [each for each in files if each != path]):
            yield f"path: {path}: it lies inside a file"


def _env_faults(spec: ServiceSpec) -> Iterator[str]:
    ports = {port_variable(each.name) for each in spec.ports if each.name}
    for each in spec.env:
        if each.name in (_SET_BY_US | ports):
            yield f"env: {each.name} is set by the cloud; leave it out (a program reads it)"


def _within(path: str, folders: Iterable[str]) -> bool:
    return any(path == each or path.startswith(f"{each}/") for each in folders)
