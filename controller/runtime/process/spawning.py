"""Starting a process so that no unrecorded orphan is possible.

The child is born behind a gate: a shell that waits for one line on its standard input, or a child of the fork server
that waits for the same. We write the record durably, apply the limits, and only then open the gate; the shell becomes
the command. If the conductor dies in between, or the record cannot be written, the gate closes unopened and the child
exits with 125.

The child writes to its own log file (append), so logging does not depend on the conductor's life.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import socket
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.kit.libraries import library_path
from controller.kit.listening import FIRST_INHERITED, MOST_INHERITED
from controller.runtime.driver import Limits
from controller.runtime.forking.client import ForkOrder, ForkRefused, ForkServer
from controller.runtime.process.limiting import apply_limits
from controller.runtime.process.processes import Process, start_ticks

GATE = 'read -r go || exit 125; exec "$@" </dev/null'
# What a service may need from the person's own environment; everything else comes from its workload.
INHERITED = (
    "PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "SSL_CERT_FILE"
)  # fmt: skip
_APPENDING, _LOG_MODE = os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
_PLACEHOLDER = re.compile(r"\{(port|address|data|instance)\}")
_USUAL_FROM, _USUAL_PORTS = 20_000, 12_000
Remember = Callable[[int, int], None]


class SpawnFailed(Exception):
    """The instance could not be started; nothing runs."""


@dataclass(frozen=True)
class Launch:
    """Everything one start needs. `env` is complete. `log`: None for where this process writes itself. `sockets`:
    descriptors the child gets, as its numbers from FIRST_INHERITED on. `fork`: the same as a child of the fork
    server, where that is possible.
    """

    instance: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    log: Path | None
    data: Path | None
    limits: Limits
    sockets: tuple[int, ...] = ()
    fork: ForkOrder | None = None


def inherited_environment() -> dict[str, str]:
    """The part of the conductor's own environment that its managed services have, too."""
    return {name: os.environ[name] for name in INHERITED if name in os.environ} | library_path()


def environment(wanted: Mapping[str, str], *, instance: str, port: int, data: Path) -> dict[str, str]:
    """The inherited minimum plus `wanted` with its four placeholders filled; other braces stay."""
    values = {"port": str(port), "address": f"127.0.0.1:{port}", "data": str(data), "instance": instance}
    filled = {name: _PLACEHOLDER.sub(lambda found: values[found[1]], text) for name, text in wanted.items()}
    return inherited_environment() | filled


def spawn(launch: Launch, remember: Remember, forks: ForkServer | None = None) -> tuple[Process, str]:
    """The running process and what its limits lack. `remember(pid, ticks)` must be durable when it returns.

    Blocks for one fork and one fsync. Raises SpawnFailed.
    """
    if shutil.which(launch.command[0], path=launch.env.get("PATH")) is None:
        raise SpawnFailed(f"no such command: {launch.command[0]}")
    try:
        if launch.data is not None:
            launch.data.mkdir(parents=True, exist_ok=True)
        if launch.log is not None:
            launch.log.parent.mkdir(parents=True, exist_ok=True)
        return _through_the_gate(launch, remember, forks)
    except (OSError, ValueError) as refused:  # ValueError: a NUL in the command or the environment
        raise SpawnFailed(str(refused)) from refused


def _through_the_gate(launch: Launch, remember: Remember, forks: ForkServer | None) -> tuple[Process, str]:
    inside, ours = os.pipe()
    try:
        try:
            process = (_forked(launch, inside, forks) if forks else None) or Process(_started(launch, inside))
        finally:
            os.close(inside)
        return _open_gate(process, ours, launch, remember)
    finally:
        os.close(ours)


def _forked(launch: Launch, gate: int, forks: ForkServer) -> Process | None:
    """None when it must be started instead."""
    if launch.fork is None or launch.log is None or not forks.can_fork(launch.env):
        return None
    log = os.open(launch.log, _APPENDING | os.O_CLOEXEC, _LOG_MODE)
    try:
        return Process(*forks.fork(launch.fork, gate, log, launch.sockets))
    except ForkRefused:
        return None
    finally:
        os.close(log)


def _started(launch: Launch, gate: int) -> int:
    # Copied out of the way first: else one that is put in its place could cover another that is not yet.
    above = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, FIRST_INHERITED + MOST_INHERITED) for each in launch.sockets]
    try:
        return _posix_spawn(launch, gate, above)
    finally:
        for each in above:
            os.close(each)


def _posix_spawn(launch: Launch, gate: int, sockets: Sequence[int]) -> int:
    opened = () if launch.log is None else ((os.POSIX_SPAWN_OPEN, 1, str(launch.log), _APPENDING, _LOG_MODE),)
    handed = ((os.POSIX_SPAWN_DUP2, each, FIRST_INHERITED + at) for at, each in enumerate(sockets))
    return os.posix_spawn(
        "/bin/sh",
        ["/bin/sh", "-c", GATE, "sh", *launch.command],
        dict(launch.env),
        file_actions=[(os.POSIX_SPAWN_DUP2, gate, 0), *opened, (os.POSIX_SPAWN_DUP2, 1, 2), *handed],
        setsid=True,
        setsigmask=[],
        # Python ignores these two; an ignored signal would stay ignored in the child.
        setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
    )


def _open_gate(process: Process, ours: int, launch: Launch, remember: Remember) -> tuple[Process, str]:
    try:
        remember(process.pid, start_ticks(process.pid) or 0)
        lacking = apply_limits(process.pid, launch.instance, launch.limits)
        os.write(ours, b"go\n")
    except BaseException:
        process.kill()
        process.close()
        raise
    return process, lacking


class Ports:
    """Free loopback ports, none given twice while it is in use."""

    def __init__(self) -> None:
        self._taken: set[int] = set()

    def take(self, preferred: int = 0, *, fixed: bool = False) -> int:
        """`preferred` if it is free, otherwise any. Raises OSError when the machine has none left, or when it is
        `fixed` and taken.
        """
        if preferred and preferred not in self._taken and _is_free(preferred):
            self._taken.add(preferred)
            return preferred
        if fixed:
            raise OSError(f"{preferred} of this machine is taken by somebody else")
        while (port := _any_free()) in self._taken:
            pass
        self._taken.add(port)
        return port

    def note(self, port: int) -> None:
        """An adopted instance already listens there."""
        self._taken.add(port)

    def give_back(self, port: int) -> None:
        """Give back a port where nobody listens any more."""
        self._taken.discard(port)


def usual_port(home: Path, instance: str) -> int:
    """Where that instance listens whenever it is free, so that its clients find it again after an update, or another
    start of the cloud. Below the ports that the machine chooses for itself.
    """
    return _USUAL_FROM + zlib.crc32(f"{home}/{instance}".encode()) % _USUAL_PORTS


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As a server would: connections that linger from the predecessor do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _any_free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
