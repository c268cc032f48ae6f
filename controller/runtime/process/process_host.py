"""The driver's one access to this machine's processes: spawn, adopt, discard. Tests pass a fake instead."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

import structlog

from controller.kit.threads import Threads
from controller.runtime.driver import Workload
from controller.runtime.forking.client import ForkOrder, ForkServer
from controller.runtime.process import programs, state_files
from controller.runtime.process.exposure import exposed
from controller.runtime.process.instance_sockets import COUNT, InstanceSockets
from controller.runtime.process.leftovers import end_leftovers
from controller.runtime.process.limiting import leave_cgroup
from controller.runtime.process.logfiles import log_path
from controller.runtime.process.orphans import end_unreadable
from controller.runtime.process.planning import base_name, key_of
from controller.runtime.process.processes import Exit, Process, boot_id, lives
from controller.runtime.process.sandboxing import Sandbox
from controller.runtime.process.spawning import Launch, Ports, SpawnFailed, environment, spawn, usual_port
from controller.runtime.process.state_files import InstanceRecord
from crds.meta import ObjectKey

_log = structlog.get_logger(__name__)
_THREADS = 4
MODULE_COMMAND = (sys.executable, "-P", "-m")
"""A command that begins so can be forked: the rest is a module with a `main`, and its arguments."""
INSTANCE = "{instance}"
"""The part of a managed service's command that stands for the instance's name, so that `ps` shows it."""


class Child(Protocol):
    """One running instance."""

    pid: int

    async def wait(self) -> Exit:
        """Wait until the process ends."""
        ...

    def signal(self, number: int) -> None:
        """Send a signal to the whole process group."""
        ...

    def signal_leader(self, number: int) -> None:
        """Send a signal to the first process alone."""
        ...

    def close(self) -> None:
        """Let go of it without ending it."""
        ...


class ProcessHost(Protocol):
    """The outside world as supervision needs it."""

    async def spawn(self, workload: Workload, instance: str, port: int, now: datetime) -> tuple[Child, int, str]:
        """The child, its port (`port` if it is free) and what its limits lack. Raises SpawnFailed."""
        ...

    def end_unreadable(self) -> Sequence[str]:
        """Stop instances of an earlier conductor whose records cannot be read. Their names; blocks while they end."""
        ...

    def adopt(self) -> list[tuple[InstanceRecord, Child]]:
        """Adopt what an earlier conductor started and still runs. Records of the dead are removed."""
        ...

    def release(self, port: int) -> None:
        """Give back the port of an owner that has ended."""
        ...

    def discard(self, instance: str) -> None:
        """Remove the record of an instance that nobody wants any more."""
        ...

    def socket(self, instance: str) -> str:
        """The path of the socket it answers at besides its port; empty for none."""
        ...

    async def forget(self, key: ObjectKey) -> None:
        """Nothing of that workload runs, or is wanted, any more."""
        ...

    def env(self, workload: Workload, instance: str, port: int) -> dict[str, str]:
        """The environment to start that instance in: complete, but for a program, which is given its own inside."""
        ...

    async def inside(
        self, workload: Workload, instance: str, port: int, command: Sequence[str], *, terminal: bool = False
    ) -> Sequence[str]:
        """What to start so that `command` runs as that instance: its user, its walls. Raises OSError."""
        ...

    async def put_live_files(self, workload: Workload, instance: str) -> bool:
        """What that instance is to read again. Whether it is another content than before. Raises OSError."""
        ...

    def ports(self, workload: Workload, instance: str, port: int) -> Mapping[int, int]:
        """Where that instance listens, by the ports its Service names."""
        ...

    async def exposed(self, workload: Workload, instance: str, port: int) -> str:
        """Where that program lets in others than it was told, in words; empty when it does not."""
        ...

    async def lacks(self) -> Sequence[str]:
        """What this machine cannot wall in."""
        ...

    async def refuses_programs(self) -> str:
        """Why no program of people can run here; empty when it can. Raises OSError when that cannot be told now."""
        ...


class LocalProcessHost:
    """Processes of this machine, with everything below `home`. Without a sandbox, instances run as the conductor
    does; without a fork server, each starts a Python of its own.
    """

    def __init__(self, home: Path, sandbox: Sandbox | None = None, forks: ForkServer | None = None) -> None:
        self._home, self._sandbox, self._forks = home, sandbox, forks
        self._ports, self._sockets = Ports(), InstanceSockets(home)
        # Ports of an instance besides its first: kept until nobody wants it any more.
        self._more: dict[str, dict[int, int]] = {}
        # Where programs work, each until it is discarded: a start may come while another's leftovers are looked for.
        self._data, self._ending = dict[str, Path](), threading.Lock()
        # Few threads: a start is a fork and an fsync, and many at once only wait for the same disk.
        self._threads = Threads(_THREADS)

    async def spawn(self, workload: Workload, instance: str, port: int, now: datetime) -> tuple[Child, int, str]:
        port = self._take_ports(workload, instance, port)
        try:
            process, lacking = await self._threads.run(lambda: self._spawn(workload, instance, port, now))
        except BaseException:
            self._ports.give_back(port)
            raise
        return process, port, lacking

    def _spawn(self, workload: Workload, instance: str, port: int, now: datetime) -> tuple[Process, str]:
        """Raises SpawnFailed."""
        with self._ending:
            self._note_data(workload, instance)
            self._end_leftovers(instance)
        launch, remember = (
            self._launch(workload, instance, port),
            self._remember(workload, instance, port, now),
        )
        if workload.program:
            return spawn(launch, remember, self._forks)
        try:
            listener = self._sockets.open(instance)
        except OSError as refused:
            raise SpawnFailed(f"no socket for it: {refused}") from refused
        with listener:
            return spawn(replace(launch, sockets=(listener.fileno(),)), remember, self._forks)

    def end_unreadable(self) -> Sequence[str]:
        ended = end_unreadable(self._home)
        others = {self._data_of(each) for each in state_files.read_all(self._home)}
        for instance in ended:
            if (data := data_folder(self._home, key_of(instance))) not in others:  # else it may be theirs, too
                _end_what_works_in(data, instance)
            _log.warning("an instance was ended, for its record cannot be read; it is started again", name=instance)
        return ended

    def adopt(self) -> list[tuple[InstanceRecord, Child]]:
        adopted: list[tuple[InstanceRecord, Child]] = []
        held = [(record, _held(record)) for record in state_files.read_all(self._home)]
        running = {self._data_of(record) for record, process in held if process is not None}
        for record, process in held:
            if process is None:
                if record.workload.program and self._data_of(record) not in running:
                    _end_what_works_in(self._data_of(record), record.instance)
                state_files.remove(self._home, record.instance)
            else:
                self._ports.note(record.port)
                self._more[record.instance] = dict(record.more_ports)
                self._note_data(record.workload, record.instance)
                for port in record.more_ports.values():
                    self._ports.note(port)
                adopted.append((record, process))
        return adopted

    def _data_of(self, record: InstanceRecord) -> Path:
        return data_folder(self._home, record.workload.key)

    def release(self, port: int) -> None:
        self._ports.give_back(port)

    def _note_data(self, workload: Workload, instance: str) -> None:
        if workload.program:
            self._data[instance] = data_folder(self._home, workload.key)

    def _end_leftovers(self, instance: str) -> None:
        """Not where another instance has the same data: what works there may be that one."""
        data = self._data.get(instance)
        if data is not None and list(self._data.values()).count(data) == 1:
            _end_what_works_in(data, instance)

    def discard(self, instance: str) -> None:
        with self._ending:
            self._end_leftovers(instance)
            self._data.pop(instance, None)
        state_files.remove(self._home, instance)
        leave_cgroup(instance)
        self._sockets.remove(instance)
        for port in self._more.pop(instance, {}).values():
            self._ports.give_back(port)
        if self._sandbox:
            self._sandbox.discard(instance)

    def socket(self, instance: str) -> str:
        return self._sockets.path(instance)

    async def forget(self, key: ObjectKey) -> None:
        if sandbox := self._sandbox:
            await self._threads.run(lambda: sandbox.forget(key))

    def env(self, workload: Workload, instance: str, port: int) -> dict[str, str]:
        if workload.program:
            return programs.outer_environment()
        given = environment(workload.env, instance=instance, port=port, data=data_folder(self._home, workload.key))
        return given | self._sandbox.env(workload, instance) if self._sandbox else given

    async def inside(
        self, workload: Workload, instance: str, port: int, command: Sequence[str], *, terminal: bool = False
    ) -> Sequence[str]:
        sandbox = self._sandbox
        if sandbox is None:
            return command
        ports = self._listens(workload, instance, port)
        return await self._threads.run(
            lambda: sandbox.command(
                workload,
                instance,
                command,
                ports=ports,
                env=self._inner_env(workload, instance, port),
                terminal=terminal,
            )
        )

    async def put_live_files(self, workload: Workload, instance: str) -> bool:
        if (sandbox := self._sandbox) is None:
            return False
        return await self._threads.run(lambda: sandbox.put_live_files(workload, instance))

    def _inner_env(self, workload: Workload, instance: str, port: int) -> dict[str, str]:
        if not workload.program:
            return {}
        return programs.environment(workload, instance, self.ports(workload, instance, port))

    def ports(self, workload: Workload, instance: str, port: int) -> Mapping[int, int]:
        first = {workload.ports[0].port: port} if workload.ports else {}
        return {**self._more.get(instance, {}), **first}

    async def lacks(self) -> Sequence[str]:
        if (sandbox := self._sandbox) is None:
            return ()
        try:
            return await self._threads.run(lambda: sandbox.abilities.lacking)
        except OSError as busy:
            return (str(busy),)

    async def exposed(self, workload: Workload, instance: str, port: int) -> str:
        published = {each.port for each in workload.ports if each.published}
        closed = {real for named, real in self.ports(workload, instance, port).items() if named not in published}
        return await self._threads.run(lambda: exposed(closed)) if closed else ""

    async def refuses_programs(self) -> str:
        sandbox = self._sandbox
        return await self._threads.run(sandbox.refuses_programs) if sandbox else "a sandbox"

    def _listens(self, workload: Workload, instance: str, port: int) -> tuple[int, ...]:
        """Managed services have their one port; programs those they name, and none when they name none."""
        return tuple(self.ports(workload, instance, port).values()) if workload.program else (port,)

    def _take_ports(self, workload: Workload, instance: str, port: int) -> int:
        """The first one; the others are noted. Raises SpawnFailed."""
        fixed = _fixed(workload)
        if not port and workload.program:
            port = usual_port(self._home, instance)
        try:
            port = self._ports.take(fixed or port, fixed=bool(fixed))
        except OSError as refused:
            raise SpawnFailed(f"no free port: {refused}") from refused
        try:
            self._take_more(workload, instance)
        except OSError as refused:
            self._ports.give_back(port)
            raise SpawnFailed(f"no free port: {refused}") from refused
        return port

    def _take_more(self, workload: Workload, instance: str) -> None:
        """Raises OSError."""
        had = self._more.pop(instance, {})
        for port in had.values():
            self._ports.give_back(port)
        for each in workload.ports[1:] if workload.program else ():
            taken = self._ports.take(each.published or had.get(each.port, 0), fixed=bool(each.published))
            self._more.setdefault(instance, {})[each.port] = taken

    def _launch(self, workload: Workload, instance: str, port: int) -> Launch:
        """Raises SpawnFailed."""
        command, inner = workload.command, self._inner_env(workload, instance, port)
        if workload.program:
            command = programs.expanded((*workload.command, *workload.args), inner)
            if self._sandbox is None:
                raise SpawnFailed("a program of people needs a sandbox")
        else:
            command = tuple(instance if part == INSTANCE else part for part in command)
        env, fork = self.env(workload, instance, port), None
        if not workload.program:
            env[COUNT] = "1"
        try:
            if self._sandbox:
                self._sandbox.prepare(workload, instance)
            fork = self._fork_order(workload, instance, port, command, env)
            if self._sandbox:
                ports = self._listens(workload, instance, port)
                command = self._sandbox.command(workload, instance, command, ports=ports, env=inner)
        except OSError as refused:
            raise SpawnFailed(f"its sandbox cannot be made: {refused}") from refused
        return Launch(
            instance=instance,
            command=command,
            env=env,
            log=log_path(self._home, instance),
            data=None if workload.program else data_folder(self._home, workload.key),
            limits=workload.limits,
            fork=fork,
        )

    def _fork_order(
        self, workload: Workload, instance: str, port: int, command: Sequence[str], env: Mapping[str, str]
    ) -> ForkOrder | None:
        """The same as a child of the fork server; None for what is no module of ours. Raises OSError."""
        if workload.program or tuple(command[: len(MODULE_COMMAND)]) != MODULE_COMMAND:
            return None
        module, *arguments = command[len(MODULE_COMMAND) :]
        walls = self._sandbox.walls(workload, instance, (port,)).text() if self._sandbox else ""
        return ForkOrder(module, tuple(arguments), env, walls)

    def _remember(self, workload: Workload, instance: str, port: int, now: datetime) -> Callable[[int, int], None]:
        def remember(pid: int, ticks: int) -> None:
            more = dict(self._more.get(instance, {}))
            state_files.write(self._home, InstanceRecord(instance, pid, ticks, boot_id(), port, now, workload, more))

        return remember


def data_folder(home: Path, key: ObjectKey) -> Path:
    """The folder where that workload's instances keep their data."""
    return home / "data" / base_name(key)


def _end_what_works_in(data: Path, instance: str) -> None:
    if ended := end_leftovers(data):
        _log.warning("processes were ended that outlived an instance", name=instance, count=len(ended))


def _fixed(workload: Workload) -> int:
    """The port of this machine that the first one must be; 0 for any."""
    return workload.ports[0].published if workload.program and workload.ports else 0


def _held(record: InstanceRecord) -> Process | None:
    try:
        process = Process(record.pid)
    except (ProcessLookupError, OverflowError):
        return None
    # Compared after the pidfd is open: from here on the number cannot pass to somebody else unnoticed.
    if lives(record.pid, record.ticks):
        return process
    process.close()
    return None
