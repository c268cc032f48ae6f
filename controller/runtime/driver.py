"""The interface of runtime drivers: observe, apply, remove. Foreign errors end here; foreign objects are never
touched.

A driver works on whole workloads (one Service), so that a runtime which keeps replicas itself (Swarm) and one
which supervises single processes look the same from above.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from crds.conditions import Reason
from crds.engines.engine import RunSignal
from crds.meta import ObjectKey
from crds.phases import InstancePhase
from crds.probes import Probes


@dataclass(frozen=True, slots=True)
class Limits:
    """0 means no limit. CPU in cores, memory in bytes."""

    cpu: float = 0.0
    memory: int = 0


@dataclass(frozen=True, slots=True)
class Port:
    """`port` is where the copy listens; `published` is the same port of its machine, 0 for none."""

    port: int
    published: int = 0
    protocol: Literal["tcp", "udp"] = "tcp"
    name: str = ""


@dataclass(frozen=True, slots=True)
class Volume:
    """A folder that outlives a copy, on the machine the copy runs on."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class File:
    """Content put at `path` inside every copy. `secret`: kept encrypted, and in memory only where it is used.

    `digest` names the content in the revision, which more people may read than the content. `live`: a program reads
    it again when it is told to, so a change of it is no other revision.
    """

    path: str
    content: bytes = field(repr=False)
    secret: bool = False
    digest: str = ""
    live: bool = False


@dataclass(frozen=True, slots=True)
class RolloutPolicy:
    """The way a new revision replaces the one before, always one copy at a time.

    `order`: whether the new copy starts before the old one stops. `on_failure`: what happens when it does not get
    ready. `monitor_seconds`: how long a new copy is watched after its start.
    """

    order: Literal["start-first", "stop-first"] = "stop-first"
    on_failure: Literal["rollback", "pause"] = "rollback"
    monitor_seconds: float = 5.0


@dataclass(frozen=True)
class Workload:
    """The desired state of one Service in the outside world.

    `revision` names the content: two workloads with the same revision run the same thing. A change of it is
    rolled out one instance at a time, the next only when the last is ready. `replicas` is not part of it.
    `secret_env` are variables whose values nobody else may read: never written down or told, taken as they are.
    `env` may contain `{port}`, `{address}`, `{data}`, `{instance}` placeholders; drivers fill them per instance.
    `command` replaces what an image starts, `args` what is said to it.
    `program`: somebody's own command, or an engine, without an image: it runs behind walls or not at all.
    `programs`: folders outside the system's that it may run; `account`: what its user is called, if it asks.
    `reload_signal`: has its first process read its live files again. `stop_signal`: asks it to end; other than
    SIGTERM, its first process alone. `start_seconds`: how long a start may take.
    `workers`: where copies may run; none given means anywhere. `ports`, `volumes`, `files` and `networks` are for
    containers: the process driver has no use for them. `networks` are names of namespaces it may also speak to;
    `control`: it also speaks to the conductor. `reads`: the conductor's files and folders that a process of it may
    read, and no others. `mode`: so many copies, one on each worker, or so many that run to
    their end once.
    """

    key: ObjectKey
    uid: str
    revision: str
    replicas: int
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    image: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    secret_env: Mapping[str, str] = field(default_factory=dict, repr=False)
    probes: Probes = field(default_factory=Probes)
    limits: Limits = Limits()
    stop_grace_seconds: float = 10.0
    workers: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    volumes: tuple[Volume, ...] = ()
    files: tuple[File, ...] = ()
    networks: tuple[str, ...] = ()
    control: bool = False
    reads: tuple[str, ...] = ()
    mode: Literal["replicated", "daemon", "job"] = "replicated"
    update: RolloutPolicy = RolloutPolicy()
    program: bool = False
    programs: tuple[str, ...] = ()
    account: str = ""
    stop_signal: RunSignal = "SIGTERM"
    reload_signal: RunSignal | None = None
    start_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class ObservedInstance:
    """One copy as the driver sees it. `address` is `host:port`; `socket` the path of a socket that only the
    conductor's user can open, where it answers as well: empty for none.
    """

    name: str
    phase: InstancePhase
    ready: bool
    revision: str
    address: str = ""
    socket: str = ""
    worker: str = ""
    pid: int = 0
    restarts: int = 0
    started_at: datetime | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class RuntimeEvent:
    """Something the driver saw happen to a workload: the loop gives it a pass, people read it as an Event."""

    key: ObjectKey
    uid: str
    reason: str
    message: str
    warning: bool = False


class LogMark(NamedTuple):
    """`mark` is another one whenever the instance wrote something; empty where the runtime does not tell."""

    key: ObjectKey
    instance: str
    mark: str


class LogEntries(NamedTuple):
    """Lines of one instance in the order they were written, each with its time in ns since 1970, None where neither
    the runtime nor the line says one. `position`: after them, for the next question. `more`: whether there are more
    already. `lost`: whether some before them are kept no more.
    """

    entries: Sequence[tuple[int | None, str]]
    position: str
    more: bool = False
    lost: bool = False


class DriverError(Exception):
    """The outside world refused. `retryable` says whether the same call may work later."""

    def __init__(self, message: str, *, reason: str = Reason.RUNTIME_REFUSED, retryable: bool = True) -> None:
        super().__init__(message)
        self.reason, self.retryable = reason, retryable


class Driver(Protocol):
    """One outside world."""

    name: str

    async def observe(self, key: ObjectKey) -> Sequence[ObservedInstance]:
        """Every instance of that workload that exists, wanted or not, ordered by name."""
        ...

    async def apply(self, workload: Workload) -> None:
        """Take the next safe steps towards `workload`; call again when something changed. Returns quickly."""
        ...

    async def remove(self, key: ObjectKey) -> bool:
        """Stop and remove all of it. True once nothing is left; call again until then."""
        ...

    async def list_workloads(self) -> Sequence[ObjectKey]:
        """Every workload that carries our mark, wanted or not: what nobody wants any more is forgotten."""
        ...

    def on_event(self, listener: Callable[[RuntimeEvent], None]) -> None:
        """Call `listener` on the event loop whenever an instance changes state."""
        ...

    async def logs(self, key: ObjectKey, instance: str | None, *, tail: int) -> Sequence[str]:
        """The last `tail` lines of all instances (or of one) together, oldest first. Callers follow."""
        ...

    async def log_marks(self) -> Sequence[LogMark]:
        """Every instance whose lines are kept."""
        ...

    async def log_entries(self, key: ObjectKey, instance: str, position: str) -> LogEntries:
        """What that instance wrote after the position of an answer before; empty: from the first line kept. About
        1 MiB at most. Raises ValueError for what is no position.
        """
        ...


OutputSink = Callable[[int, bytes], Awaitable[None]]


class Execution(Protocol):
    """A command that runs beside an instance."""

    async def run(self, told: OutputSink) -> int:
        """Pass on what it writes (1: output, 2: errors) until it ends. Its exit code, negative for a signal."""
        ...

    async def write(self, data: bytes) -> None:
        """Write to the standard input; empty bytes end it."""
        ...

    def resize(self, columns: int, rows: int) -> None:
        """The size of its terminal, if it has one."""
        ...

    def end(self) -> None:
        """Kill it if it still runs, and let go of it."""
        ...


@runtime_checkable
class SupportsExec(Protocol):
    """A driver that can run commands beside its instances."""

    def execute(
        self, key: ObjectKey, instance: str, command: Sequence[str], *, tty: bool
    ) -> AbstractAsyncContextManager[Execution]:
        """Run a command in the instance's own surroundings; ended when the context is left. Raises DriverError."""
        ...


@runtime_checkable
class SupportsIsolation(Protocol):
    """A driver that walls in what it starts."""

    async def lacks(self) -> Sequence[str]:
        """What of it this machine cannot do; nothing when it can do all."""
        ...


@runtime_checkable
class SupportsVolumes(Protocol):
    """A driver whose volumes are folders it can look into."""

    async def volume_usage(self, workload: Workload) -> Mapping[str, int]:
        """Bytes that each volume holds here, by name; measured some time ago."""
        ...

    async def discard_volumes(self, key: ObjectKey) -> str:
        """Nobody wants that workload or its data any more: where the data lies for a while, and until when, in words;
        empty when there is none. Raises DriverError.
        """
        ...


@runtime_checkable
class SupportsRefresh(Protocol):
    """A driver that can be asked to refresh what it knows of one workload."""

    def request_refresh(self, key: ObjectKey) -> None:
        """Refresh that workload soon. Cheap: callers do not count."""
        ...


@runtime_checkable
class SupportsAdopt(Protocol):
    """A driver that can take over what somebody else made."""

    async def adopt(self, name: str, key: ObjectKey) -> None:
        """Take over a Swarm service as that workload; it goes on as it is until another is wanted. Raises
        DriverError.
        """
        ...


@runtime_checkable
class SupportsRestart(Protocol):
    """A driver that can replace one instance alone."""

    async def restart(self, key: ObjectKey, instance: str) -> bool:
        """Stop that instance; it is started again. False when there is none of that name."""
        ...
