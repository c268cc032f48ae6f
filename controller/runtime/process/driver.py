"""The `process` driver: observe, apply, forget for services that are local child processes.

`run` owns all supervision. Cancelling it leaves the processes running, to be adopted by the next conductor;
`stop_all` ends them. After each change of an instance the plan is made again, so a rollout goes on by itself.
"""

from __future__ import annotations

import contextlib
import random
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import structlog

from controller.kit.backoff import Backoff
from controller.kit.clock import Clock
from controller.kit.threads import BlockingExecutor, Threads
from controller.runtime.driver import (
    DriverError,
    Execution,
    LogEntries,
    LogMark,
    ObservedInstance,
    RuntimeEvent,
    Workload,
)
from controller.runtime.forking.client import ForkServer
from controller.runtime.log_order import in_order, nanoseconds_of
from controller.runtime.probes import NetworkProber, Prober
from controller.runtime.process import volumes
from controller.runtime.process.crash_backoff import CrashBackoff
from controller.runtime.process.exec import executing
from controller.runtime.process.log_following import ReadLines, mark_of, read_after
from controller.runtime.process.logfiles import log_path, logged_instances, rotate, settle, tail_of, written_last
from controller.runtime.process.planning import StartInstance, Step, base_name, index_of, key_of, plan
from controller.runtime.process.process_host import Child, LocalProcessHost, ProcessHost, data_folder
from controller.runtime.process.rollbacks import Rollbacks
from controller.runtime.process.sandboxing import Sandbox
from controller.runtime.process.state_files import InstanceRecord
from controller.runtime.process.supervisor import CRASH_BACKOFF, SupervisedInstance, SupervisorDeps
from crds.conditions import Reason
from crds.event_reasons import EventReason
from crds.meta import ObjectKey

LOG_LIMIT_BYTES = 10 * 1024 * 1024
LOG_FILES_KEPT = 3
ROTATE_EVERY_SECONDS = 30.0
# A change of status reaches the gateway in some 50 ms; a busy machine takes longer.
DRAIN_SECONDS = 0.5
# Each file of a volume is looked at, so not at every pass.
MEASURED_SECONDS = 120.0
TRASH_FIRST_SECONDS, TRASH_EVERY_SECONDS = 60.0, 3600.0
_log = structlog.get_logger(__name__)


class ProcessDriver:
    """Everything below `home`; `worker` is the name instances are seen on. One per home and machine."""

    name = "process"

    def __init__(
        self,
        home: Path,
        *,
        worker: str,
        clock: Clock,
        rng: random.Random,
        host: ProcessHost | None = None,
        sandbox: Sandbox | None = None,
        forks: ForkServer | None = None,
        prober: Prober | None = None,
        backoff: Backoff = CRASH_BACKOFF,
        log_limit_bytes: int = LOG_LIMIT_BYTES,
        log_files_kept: int = LOG_FILES_KEPT,
        rotate_every_seconds: float = ROTATE_EVERY_SECONDS,
        threads: BlockingExecutor | None = None,
    ) -> None:
        self._home = home
        self._forks = forks
        self._host = host or LocalProcessHost(home, sandbox, forks)
        self._log_limit, self._log_files, self._rotate_every = (
            log_limit_bytes,
            log_files_kept,
            rotate_every_seconds,
        )
        self._deps = SupervisorDeps(
            host=self._host,
            prober=prober or NetworkProber(),
            clock=clock,
            worker=worker,
            emit=self._emit,
            changed=lambda instance: self._advance(instance.workload.key),
            crash_backoff=lambda: CrashBackoff(backoff, clock, rng),
        )
        self._threads: BlockingExecutor = threads or Threads(2)
        self._listeners: list[Callable[[RuntimeEvent], None]] = []
        self._desired: dict[ObjectKey, Workload] = {}
        self._instances: dict[str, SupervisedInstance] = {}
        self._usage: dict[ObjectKey, tuple[float, Mapping[str, int]]] = {}
        self._rollbacks = Rollbacks()
        self._tasks: anyio.abc.TaskGroup | None = None
        self._all_gone = anyio.Event()
        self._closing = False

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Supervise until cancelled. Started once what an earlier conductor left is adopted."""
        try:
            async with anyio.create_task_group() as self._tasks:
                if self._forks:  # first: it loads while the store is read
                    self._tasks.start_soon(self._forks.run)
                for instance in self._host.end_unreadable():
                    self._report_unreadable(instance)
                for record, child in self._host.adopt():
                    self._start(record.instance, record.workload, (record, child))
                task_status.started()
                # What the machine can wall in takes some starts to find out: meanwhile the loop gathers its kinds.
                self._tasks.start_soon(self._host.lacks)
                self._tasks.start_soon(self._empty_trash)
                await self._keep_logs_small()
        finally:
            self._tasks = None
            self._instances.clear()

    def _report_unreadable(self, instance: str) -> None:
        message = f"{instance} was ended, for its record cannot be read; it is started again"
        news = RuntimeEvent(key_of(instance), "", EventReason.INSTANCE_RECORD_UNREADABLE, message, warning=True)
        self._emit(news)

    async def stop_all(self) -> None:
        """End every instance, all at once, within their grace periods. Call it while `run` runs.

        Afterwards nothing is started any more. Returns when no process is left.
        """
        self._closing = True
        for instance in list(self._instances.values()):
            instance.stop("the cloud is going down")
        if self._instances:
            self._all_gone = anyio.Event()
            await self._all_gone.wait()

    async def observe(self, key: ObjectKey) -> Sequence[ObservedInstance]:
        """Every instance of that workload, by number."""
        return self._seen(key)

    async def apply(self, workload: Workload) -> None:
        """Raises DriverError: NeedsContainerRuntime for an image, SandboxUnavailable for a program that this machine
        cannot wall in, RolledBack for a revision of one that was tried in vain, NotRunning while `run` does not run.
        """
        if impossible := _needs_a_container(workload):
            raise DriverError(impossible, reason=Reason.NEEDS_CONTAINER_RUNTIME, retryable=False)
        if workload.program:
            await self._require_walls(workload.key.name)
        if self._closing:
            return  # told to stop: that nothing is started any more is no trouble to warn of
        if self._tasks is None:
            raise DriverError("the process runtime is not running", reason=Reason.NOT_RUNNING)
        self._desired[workload.key] = wanted = self._rollbacks.instead_of(workload)
        for instance in self._of(workload.key):
            if instance.workload.revision == wanted.revision:
                instance.update(wanted)
        self._advance(workload.key)
        if because := self._rollbacks.refusal(workload):
            raise DriverError(because, reason=Reason.ROLLED_BACK, retryable=False)

    async def remove(self, key: ObjectKey) -> bool:
        """Ask all its instances to stop. True when there is none."""
        self._desired.pop(key, None)
        self._rollbacks.forget(key)
        for instance in self._of(key):
            instance.stop("no longer wanted")
        if self._of(key):
            return False
        await self._host.forget(key)
        return True

    async def volume_usage(self, workload: Workload) -> Mapping[str, int]:
        """Measured anew when the last time is a while ago."""
        now, (since, known) = self._deps.clock.monotonic(), self._usage.get(workload.key, (-MEASURED_SECONDS, {}))
        if now - since >= MEASURED_SECONDS:
            folder = data_folder(self._home, workload.key)
            names = [each.name for each in workload.volumes]
            known = await self._threads.run(lambda: {name: volumes.used(folder / name) for name in names})
            self._usage[workload.key] = now, known
        return known

    async def discard_volumes(self, key: ObjectKey) -> str:
        """Moved to the trash, a folder of the home. Raises DriverError."""
        now = self._deps.clock.now()
        try:
            gone = await self._threads.run(lambda: volumes.discard(self._home, key, now))
        except OSError as refused:
            raise DriverError(
                f"its data cannot be moved to the trash: {refused}", reason=Reason.TRASH_FAILED
            ) from refused
        self._usage.pop(key, None)
        await self._host.forget(key)
        if gone is None:
            return ""
        return (
            f"its data is kept until {gone.until:%Y-%m-%d %H:%M} UTC in {gone.path}; to have it back: "
            f"mv {gone.path} {data_folder(self._home, key)}, then make the Service again"
        )

    async def restart(self, key: ObjectKey, instance: str) -> bool:
        """Stop it; the plan that is made when it is gone starts it again."""
        found = self._instances.get(instance)
        if found is None or found.workload.key != key:
            return False
        found.stop("a restart was requested")
        return True

    @asynccontextmanager
    async def execute(
        self, key: ObjectKey, instance: str, command: Sequence[str], *, tty: bool
    ) -> AsyncIterator[Execution]:
        """Run a command as the instance: its user, walls, environment, data folder. Raises DriverError when it does
        not run.
        """
        found = self._instances.get(instance)
        if found is None or found.workload.key != key or not found.seen().pid:
            raise DriverError(f"{instance} does not run", reason=Reason.NOT_RUNNING)
        env = self._host.env(found.workload, instance, found.port)
        ours = not found.workload.program  # which has a PATH of its own, and says so itself
        if ours and shutil.which(command[0], path=env.get("PATH")) is None and "/" not in command[0]:
            raise DriverError(f"{command[0]} cannot be started: no such program", retryable=False)
        inside = await self._host.inside(found.workload, instance, found.port, command, terminal=tty)
        folder = Path("/") if found.workload.program else data_folder(self._home, key)
        async with executing(inside, env, folder, tty=tty) as running:
            yield running

    async def lacks(self) -> Sequence[str]:
        """What this machine cannot wall in."""
        return await self._host.lacks()

    async def list_workloads(self) -> Sequence[ObjectKey]:
        """Every workload with an instance, or for which one is desired."""
        return sorted({*self._desired, *(each.workload.key for each in self._instances.values())})

    def on_event(self, listener: Callable[[RuntimeEvent], None]) -> None:
        """Every listener gets every event, in order of subscription."""
        self._listeners.append(listener)

    async def logs(self, key: ObjectKey, instance: str | None, *, tail: int) -> Sequence[str]:
        """Log lines from the files, so an instance that is gone can still be read."""
        ours = await self._threads.run(lambda: logged_instances(self._home, base_name(key)))
        chosen = [name for name in ours if instance in (None, name)]
        paths = [log_path(self._home, each) for each in chosen]
        lines = await self._threads.run(
            lambda: in_order([(tail_of(path, tail), written_last(path)) for path in paths])
        )
        return lines[-tail:] if tail else []

    async def log_marks(self) -> Sequence[LogMark]:
        """By their files."""
        keys = await self.list_workloads()
        return await self._threads.run(lambda: [mark for key in keys for mark in self._marks(key)])

    def _marks(self, key: ObjectKey) -> Iterator[LogMark]:
        for name in logged_instances(self._home, base_name(key)):
            yield LogMark(key, name, mark_of(log_path(self._home, name)))

    async def log_entries(self, key: ObjectKey, instance: str, position: str) -> LogEntries:
        """Times are those the lines say. Raises ValueError."""
        if instance not in await self._threads.run(lambda: logged_instances(self._home, base_name(key))):
            return LogEntries((), position)
        return await self._threads.run(lambda: self._read_after(log_path(self._home, instance), position))

    def _read_after(self, path: Path, position: str) -> LogEntries:
        with contextlib.suppress(OSError):  # of a full disk: what is there is read
            settle(path, keep=self._log_files)
        return _entries(read_after(path, position))

    async def _require_walls(self, name: str) -> None:
        """Raises DriverError."""
        try:
            lacking = await self._host.refuses_programs()
        except OSError as busy:
            raise DriverError(str(busy), reason=Reason.SANDBOX_UNAVAILABLE) from busy
        if lacking:
            text = f"{name} is a program, and this machine cannot wall it in: it lacks {lacking}"
            raise DriverError(text, reason=Reason.SANDBOX_UNAVAILABLE, retryable=False)

    def _of(self, key: ObjectKey) -> list[SupervisedInstance]:
        ours = [each for each in self._instances.values() if each.workload.key == key]
        return sorted(ours, key=lambda each: index_of(each.name))

    def _seen(self, key: ObjectKey) -> list[ObservedInstance]:
        return [each.seen() for each in self._of(key)]

    def _advance(self, key: ObjectKey) -> None:
        wanted = self._desired.get(key)
        if wanted is None or self._closing:
            return
        if because := self._rollbacks.note(wanted, self._seen(key)):
            self._desired[key] = wanted = self._rollbacks.instead_of(wanted)
            self._emit(RuntimeEvent(key, wanted.uid, EventReason.ROLLED_BACK, because, warning=True))
        for step in plan(wanted, self._seen(key)):
            self._do(step, wanted)

    def _do(self, step: Step, wanted: Workload) -> None:
        if isinstance(step, StartInstance):
            # The name may still belong to an instance the plan did not see (another key's): never two of one name.
            if step.name not in self._instances:
                self._start(step.name, wanted, None)
        elif step.name in self._instances:
            ready = self._instances[step.name].seen().ready
            self._instances[step.name].stop(step.because, drain_seconds=DRAIN_SECONDS if ready else 0.0)

    def _start(self, name: str, workload: Workload, adopted: tuple[InstanceRecord, Child] | None) -> None:
        if self._tasks is None:
            return
        self._instances[name] = SupervisedInstance(name, workload, self._deps, adopted)
        self._tasks.start_soon(self._supervise, self._instances[name])

    async def _supervise(self, instance: SupervisedInstance) -> None:
        await instance.run()
        del self._instances[instance.name]
        self._advance(instance.workload.key)
        if not self._instances:
            self._all_gone.set()

    async def _keep_logs_small(self) -> None:
        while True:
            await anyio.sleep(self._rotate_every)
            paths = [log_path(self._home, name) for name in self._instances]
            if paths:
                await self._threads.run(lambda paths=paths: self._rotate(paths))  # type: ignore[misc]

    async def _empty_trash(self) -> None:
        pause = TRASH_FIRST_SECONDS
        while True:
            await anyio.sleep(pause)
            now, pause = self._deps.clock.now(), TRASH_EVERY_SECONDS
            for each in await self._threads.run(lambda now=now: volumes.sweep(self._home, now)):  # type: ignore[misc]
                _log.info("removed from the trash after a week", name=each.name, since=str(each.since))

    def _rotate(self, paths: Sequence[Path]) -> None:
        for path in paths:
            with contextlib.suppress(OSError):  # the next round tries again; a log never ends the supervision
                rotate(path, limit=self._log_limit, keep=self._log_files)

    def _emit(self, news: RuntimeEvent) -> None:
        for listener in self._listeners:
            listener(news)


def _entries(found: ReadLines) -> LogEntries:
    return LogEntries([(nanoseconds_of(each), each) for each in found.lines], found.position, found.more, found.lost)


def _needs_a_container(workload: Workload) -> str:
    """What of it no process can have, and what to do; empty when there is nothing."""
    name = workload.key.name
    fix = "start Docker on this machine, then `aerekos down` and `aerekos up --runtime swarm`"
    # Never the command of an image as a plain process: people who ask for a container count on its walls.
    if workload.image:
        return f"{name} is a container ({workload.image}), and this cloud runs without Docker: {fix}"
    if not workload.command:
        return f"{name} has no command"
    if workload.program:
        return ""
    published = any(each.published for each in workload.ports)
    parts = {"published ports": published, "volumes": workload.volumes, "files": workload.files,
             "networks": workload.networks}  # fmt: skip
    asked = [each for each, wanted in parts.items() if wanted]
    return f"{name} asks for {', '.join(asked)}, which no managed service has: {fix}" if asked else ""
