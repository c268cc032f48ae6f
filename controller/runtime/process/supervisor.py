"""Supervises one instance for as long as it is wanted: start, watch, restart with backoff, stop.

Its task is cancelled when the conductor goes; the process then stays and is adopted by the next one.

- A crash is followed by a restart at once; the next ones wait 1, 2, 4 … 60 s, until it was ready for 60 s.
- Until it was ready for the first time, the deadline of its workload (plus its readiness probe's initial delay)
  rules; liveness is asked after that, and never before its own initial delay since the start.
- An adopted process older than 30 s was ready before, and counts as ready until its probe says otherwise:
  a new conductor must not take what it has not asked yet for broken.
- A process that fails its liveness is killed, not asked: a hung or stopped one does not obey SIGTERM.
"""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import anyio

from controller.kit.backoff import Backoff
from controller.kit.clock import Clock
from controller.runtime.driver import ObservedInstance, RuntimeEvent, Workload
from controller.runtime.probes import Prober, ProbeResult, watch
from controller.runtime.process.crash_backoff import CrashBackoff
from controller.runtime.process.process_host import Child, ProcessHost
from controller.runtime.process.programs import where_it_is
from controller.runtime.process.spawning import SpawnFailed
from controller.runtime.process.state_files import InstanceRecord
from crds.event_reasons import EventReason
from crds.phases import InstancePhase
from crds.probes import Exec, Probe

SETTLED_SECONDS = 30.0
CRASH_BACKOFF = Backoff(first=1.0, factor=2.0, limit=60.0, jitter=0.0)


@dataclass(frozen=True)
class SupervisorDeps:
    """Dependencies that every instance of one driver shares. `changed` is called after each change, `emit` for
    people.
    """

    host: ProcessHost
    prober: Prober
    clock: Clock
    worker: str
    emit: Callable[[RuntimeEvent], None]
    changed: Callable[[SupervisedInstance], None]
    crash_backoff: Callable[[], CrashBackoff]


@dataclass
class ProcessRun:
    """One process of an instance, from its start to its end."""

    child: Child
    env: dict[str, str]
    began: float
    first_ready: anyio.Event = field(default_factory=anyio.Event)
    settled: bool = False
    killed_because: str = ""


class SupervisedInstance:
    """Runs `workload` under `name`. It may be replaced by one of the same revision at any time."""

    def __init__(
        self, name: str, workload: Workload, deps: SupervisorDeps, adopted: tuple[InstanceRecord, Child] | None = None
    ):
        self.name, self.workload, self._deps = name, workload, deps
        self._adopted = adopted
        self._stopping, self._complete = anyio.Event(), anyio.Event()
        if adopted is None or not workload.program:  # what a record holds of a program is not all of it
            self._complete.set()
        self._updated = anyio.Event()
        self._backoff = deps.crash_backoff()
        # Decided here, not when the task first runs: a plan made in between must see it as serving.
        self._settled = adopted is not None and self._age(adopted[0]) >= min(SETTLED_SECONDS, self._start_deadline())
        self._phase: InstancePhase = InstancePhase.READY if self._settled else InstancePhase.STARTING
        if self._settled:
            self._backoff.note_ready()
        self._pid = self._restarts = 0
        self._port = adopted[0].port if adopted else 0
        self._message = self._lacking = self._socket = ""
        self._started_at: datetime | None = None
        self._down_since: float | None = None
        self._drain = 0.0

    def seen(self) -> ObservedInstance:
        """The instance as it is now."""
        return ObservedInstance(
            name=self.name,
            phase=self._phase,
            ready=self._phase == InstancePhase.READY,
            revision=self.workload.revision,
            address=self._address if self._port and self._answers else "",
            socket=self._socket,
            worker=self._deps.worker,
            pid=self._pid,
            restarts=self._restarts,
            started_at=self._started_at,
            message=self._message,
        )

    @property
    def port(self) -> int:
        """The port it listens on; 0 before its first start."""
        return self._port

    def update(self, workload: Workload) -> None:
        """Take the same revision as it is known now: number of copies, all that no record holds, its live files."""
        self.workload = workload
        self._complete.set()
        self._updated.set()

    def stop(self, because: str, *, drain_seconds: float = 0.0) -> None:
        """Ask it to end; its task ends when the process group is gone.

        It is seen as Stopping at once, and goes on serving for `drain_seconds`: those who choose among instances
        must hear of it before it refuses them.
        """
        if not self._stopping.is_set():
            self._drain = drain_seconds
            self._stopping.set()
            self._complete.set()
            self._become(InstancePhase.STOPPING, because)

    async def run(self) -> None:
        """Supervise until stopped."""
        while not self._stopping.is_set():
            ended = await self._run_once()
            if not self._stopping.is_set():
                await self._pause(ended)
            await self._complete.wait()
        self._deps.host.discard(self.name)
        self._emit(EventReason.STOPPED, self._message or "stopped")

    @property
    def _answers(self) -> bool:
        """Whether it listens anywhere: a program without ports does not."""
        return bool(self.workload.ports) or not self.workload.program

    @property
    def _address(self) -> str:
        return f"127.0.0.1:{self._port}"

    async def _run_once(self) -> str:
        """Why it ended."""
        try:
            run = self._take_over() if self._adopted else await self._start()
        except SpawnFailed as refused:
            self._emit(EventReason.START_FAILED, f"{self.name} could not be started: {refused}", warning=True)
            return str(refused)
        try:
            return await self._supervise(run)
        finally:
            run.child.close()

    def _take_over(self) -> ProcessRun:
        assert self._adopted is not None
        (record, child), self._adopted = self._adopted, None
        self._pid, self._started_at = child.pid, record.started_at
        self._socket = self._deps.host.socket(self.name)
        began = self._deps.clock.monotonic() - self._age(record)
        run = ProcessRun(child, self._env(), began, settled=self._settled)
        if run.settled:
            run.first_ready.set()
        self._emit(EventReason.ADOPTED, f"{self.name} still runs (pid {child.pid}); it was not restarted")
        return run

    def _age(self, record: InstanceRecord) -> float:
        return max((self._deps.clock.now() - record.started_at).total_seconds(), 0.0)

    async def _start(self) -> ProcessRun:
        now = self._deps.clock.now()
        spawned = await self._deps.host.spawn(self.workload, self.name, self._port, now)
        child, self._port, self._lacking = spawned
        self._pid, self._started_at = child.pid, now
        self._socket = self._deps.host.socket(self.name)
        self._become(InstancePhase.STOPPING if self._stopping.is_set() else InstancePhase.STARTING, self._lacking)
        self._emit(
            EventReason.STARTED, f"{self.name} started (pid {child.pid}, port {self._port}). {self._lacking}".strip()
        )
        return ProcessRun(child, self._env(), self._deps.clock.monotonic())

    def _env(self) -> dict[str, str]:
        return self._deps.host.env(self.workload, self.name, self._port)

    async def _supervise(self, run: ProcessRun) -> str:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch_readiness, run)
            tasks.start_soon(self._watch_liveness, run)
            tasks.start_soon(self._watch_the_start, run)
            tasks.start_soon(self._end_when_stopped, run)
            tasks.start_soon(self._reload_when_updated, run)
            ended = str(await run.child.wait())
            tasks.cancel_scope.cancel()
        self._note_end(run, ended)
        return run.killed_because or ended

    def _note_end(self, run: ProcessRun, ended: str) -> None:
        self._deps.host.release(self._port)
        if self._phase == InstancePhase.READY:
            self._down_since = self._deps.clock.monotonic()
        self._backoff.note_not_ready()
        self._pid = 0
        if not self._stopping.is_set() and not run.killed_because:
            self._emit(EventReason.CRASHED, f"{self.name} (pid {run.child.pid}) crashed: {ended}", warning=True)

    async def _pause(self, because: str) -> None:
        self._restarts += 1
        seconds = self._backoff.next_delay()
        self._become(InstancePhase.CRASH_LOOP_BACK_OFF if seconds else InstancePhase.STARTING, because)
        if not seconds:
            return
        self._emit(EventReason.BACK_OFF, f"{self.name} is restarted in {seconds:.0f} s: {because}", warning=True)
        with anyio.move_on_after(seconds):
            await self._stopping.wait()

    async def _watch_readiness(self, run: ProcessRun) -> None:
        probe = self.workload.probes.readiness
        if probe is None:
            if not run.settled:
                self._note_readiness(run, ProbeResult(True, 1, ""))
            return
        delay = self._left(probe.initial_delay_seconds, run)
        prober = _Checked(self._deps.prober, lambda: self._check_exposure(run)) if self.workload.program else None
        await self._ask(
            probe,
            run,
            lambda verdict: self._note_readiness(run, verdict),
            delay,
            passing=run.settled,
            prober=prober,
        )

    async def _check_exposure(self, run: ProcessRun) -> str:
        """Why it must not go on although it answers; empty when it may."""
        because = await self._deps.host.exposed(self.workload, self.name, self._port)
        if because and not self._stopping.is_set():
            self._kill(run, EventReason.UNEXPECTED_LISTENER, because)
        return because

    def _note_readiness(self, run: ProcessRun, verdict: ProbeResult) -> None:
        if self._stopping.is_set() or run.killed_because:
            return
        if verdict.passing:
            run.first_ready.set()
            self._note_ready()
        elif self._phase == InstancePhase.READY:
            self._down_since = self._deps.clock.monotonic()
            self._backoff.note_not_ready()
            text = f"readiness failed {verdict.times} times: {verdict.because}"
            self._become(InstancePhase.RUNNING, text)
            self._emit(EventReason.UNHEALTHY, f"{self.name}: {text}", warning=True)

    def _note_ready(self) -> None:
        self._backoff.note_ready()
        self._become(InstancePhase.READY, self._lacking)
        if self._down_since is None:
            self._emit(EventReason.READY, f"{self.name} is ready at {self._address}")
            return
        outage = self._deps.clock.monotonic() - self._down_since
        self._down_since = None
        self._emit(EventReason.RECOVERED, f"{self.name} is ready again after {outage:.2f} s")

    async def _watch_liveness(self, run: ProcessRun) -> None:
        probe = self.workload.probes.liveness
        if probe is None:
            return
        await run.first_ready.wait()
        delay = self._left(probe.initial_delay_seconds, run)
        await self._ask(probe, run, lambda verdict: self._kill_unalive(run, verdict), delay, passing=True)

    def _kill_unalive(self, run: ProcessRun, verdict: ProbeResult) -> None:
        if not verdict.passing and not self._stopping.is_set():
            self._kill(
                run, EventReason.LIVENESS_FAILED, f"liveness failed {verdict.times} times, killed: {verdict.because}"
            )

    async def _watch_the_start(self, run: ProcessRun) -> None:
        if run.first_ready.is_set():  # asked first: a wait with no time left is cancelled even when it is over
            return
        with anyio.move_on_after(self._left(self._start_deadline(), run)):
            await run.first_ready.wait()
            return
        if not self._stopping.is_set():
            self._kill(
                run, EventReason.START_DEADLINE_EXCEEDED, f"not ready within {self._start_deadline():.0f} s, killed"
            )

    def _start_deadline(self) -> float:
        readiness = self.workload.probes.readiness
        return self.workload.start_seconds + (readiness.initial_delay_seconds if readiness else 0.0)

    def _left(self, seconds: float, run: ProcessRun) -> float:
        return max(run.began + seconds - self._deps.clock.monotonic(), 0.0)

    def _kill(self, run: ProcessRun, reason: EventReason, text: str) -> None:
        if run.killed_because:
            return
        if self._phase == InstancePhase.READY:
            self._down_since = self._deps.clock.monotonic()
        run.killed_because = text
        run.child.signal(signal.SIGKILL)
        self._become(InstancePhase.RUNNING, text)
        self._emit(reason, f"{self.name} (pid {run.child.pid}): {text}", warning=True)

    async def _end_when_stopped(self, run: ProcessRun) -> None:
        await self._stopping.wait()
        await anyio.sleep(self._drain)
        self._ask_to_end(run)
        run.child.signal(signal.SIGCONT)  # a stopped process hears SIGTERM only when it goes on
        await anyio.sleep(self.workload.stop_grace_seconds)
        self._message = f"killed: it did not stop within {self.workload.stop_grace_seconds:g} s"
        run.child.signal(signal.SIGKILL)

    async def _reload_when_updated(self, run: ProcessRun) -> None:
        """Other live files are put in place and read, without a restart; not before its start has read the first."""
        while True:
            await self._updated.wait()
            self._updated = anyio.Event()
            if (reload := self.workload.reload_signal) is None:
                continue
            await run.first_ready.wait()
            try:
                changed = await self._deps.host.put_live_files(self.workload, self.name)
            except OSError as refused:
                self._emit(
                    EventReason.RELOAD_FAILED, f"{self.name} keeps its old configuration: {refused}", warning=True
                )
                continue
            if changed and not self._stopping.is_set():
                run.child.signal_leader(signal.Signals[reload])
                self._emit(EventReason.RELOADED, f"{self.name} was told to read its configuration again")

    def _ask_to_end(self, run: ProcessRun) -> None:
        if self.workload.stop_signal == "SIGTERM":
            run.child.signal(signal.SIGTERM)
        else:  # means something else to the processes it has started
            run.child.signal_leader(signal.Signals[self.workload.stop_signal])

    async def _ask(
        self,
        probe: Probe,
        run: ProcessRun,
        told: Callable[[ProbeResult], None],
        delay: float,
        *,
        passing: bool,
        prober: Prober | None = None,
    ) -> None:
        address = self._address
        if self.workload.program:
            probe, port = where_it_is(probe, self._deps.host.ports(self.workload, self.name, self._port), self._port)
            address = f"127.0.0.1:{port}"
        if probe.exec is not None:
            command = await self._deps.host.inside(self.workload, self.name, self._port, probe.exec.command)
            probe = probe.model_copy(update={"exec": Exec(command=list(command))})
        await watch(
            probe,
            prober or self._deps.prober,
            address,
            run.env,
            told,
            passing=passing,
            delay=delay,
            quickly=not passing,
        )

    def _become(self, phase: InstancePhase, message: str) -> None:
        self._phase, self._message = phase, message
        self._deps.changed(self)

    def _emit(self, reason: EventReason, message: str, *, warning: bool = False) -> None:
        self._deps.emit(RuntimeEvent(self.workload.key, self.workload.uid, reason, message, warning))


class _Checked:
    """A prober that, once the answer is yes for the first time, asks for one more condition."""

    def __init__(self, prober: Prober, condition: Callable[[], Awaitable[str]]) -> None:
        self._prober, self._condition = prober, condition
        self._fulfilled = False

    async def ask(self, probe: Probe, address: str, env: Mapping[str, str]) -> str | None:
        because = await self._prober.ask(probe, address, env)
        if because is not None or self._fulfilled:
            return because
        because = await self._condition() or None
        self._fulfilled = because is None
        return because

    async def forget(self, probe: Probe, address: str) -> None:
        await self._prober.forget(probe, address)
