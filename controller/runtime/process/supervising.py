"""One instance for as long as it is wanted: start, watch, restart with patience, stop.

Its task is cancelled when the conductor goes; the process then stays and is adopted by the next one.

- A crash is followed by a restart at once; the next ones wait 1, 2, 4 … 60 s, until it was ready for 60 s.
- Until it was ready for the first time, a deadline of 30 s (plus its readiness probe's initial delay) rules;
  liveness is asked after that, and never before its own initial delay since the start.
- An adopted process older than that deadline was ready before, and counts as ready until its probe says otherwise:
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
from controller.runtime.driver import ObservedInstance, Phase, RuntimeEvent, Workload
from controller.runtime.probes import Prober, ProbeResult, watch
from controller.runtime.process.machine import Child, Machine
from controller.runtime.process.patience import Patience
from controller.runtime.process.programs import where_it_is
from controller.runtime.process.records import Record
from controller.runtime.process.spawning import SpawnFailed
from crds.probes import Exec, Probe

START_DEADLINE_SECONDS = 30.0
PATIENCE = Backoff(first=1.0, factor=2.0, limit=60.0, jitter=0.0)


@dataclass(frozen=True)
class Tools:
    """What every instance of one driver shares. `changed` is called after each change, `tell` for people."""

    machine: Machine
    prober: Prober
    clock: Clock
    worker: str
    tell: Callable[[RuntimeEvent], None]
    changed: Callable[[Instance], None]
    patience: Callable[[], Patience]


@dataclass
class Life:
    """One process of an instance, from its start to its end."""

    child: Child
    env: dict[str, str]
    began: float
    first_ready: anyio.Event = field(default_factory=anyio.Event)
    settled: bool = False
    killed_because: str = ""


class Instance:
    """Runs `wish` under `name`. `wish` may be replaced by one of the same revision at any time."""

    def __init__(self, name: str, wish: Workload, tools: Tools, adopted: tuple[Record, Child] | None = None):
        self.name, self.wish, self._tools = name, wish, tools
        self._adopted = adopted
        self._stopping, self._complete = anyio.Event(), anyio.Event()
        if adopted is None or not wish.program:  # what a record holds of a program is not all of it
            self._complete.set()
        self._patience = tools.patience()
        # Decided here, not when the task first runs: a plan made in between must see it as serving.
        self._settled = adopted is not None and self._age(adopted[0]) >= self._start_deadline()
        self._phase: Phase = "Ready" if self._settled else "Starting"
        if self._settled:
            self._patience.note_ready()
        self._pid = self._restarts = 0
        self._port = adopted[0].port if adopted else 0
        self._message = self._lacking = ""
        self._started_at: datetime | None = None
        self._down_since: float | None = None
        self._drain = 0.0

    def seen(self) -> ObservedInstance:
        """As it is now."""
        return ObservedInstance(
            name=self.name,
            phase=self._phase,
            ready=self._phase == "Ready",
            revision=self.wish.revision,
            address=self._address if self._port and self._answers else "",
            worker=self._tools.worker,
            pid=self._pid,
            restarts=self._restarts,
            started_at=self._started_at,
            message=self._message,
        )

    @property
    def port(self) -> int:
        """Where it listens; 0 before its first start."""
        return self._port

    def take(self, wish: Workload) -> None:
        """The same revision, as it is known now: its number of copies and all that no record holds."""
        self.wish = wish
        self._complete.set()

    def stop(self, because: str, *, drain_seconds: float = 0.0) -> None:
        """Ask it to end; its task ends when the process group is gone.

        It is seen as Stopping at once, and goes on serving for `drain_seconds`: those who choose among instances
        must hear of it before it refuses them.
        """
        if not self._stopping.is_set():
            self._drain = drain_seconds
            self._stopping.set()
            self._complete.set()
            self._become("Stopping", because)

    async def run(self) -> None:
        """Until stopped."""
        while not self._stopping.is_set():
            ended = await self._one_life()
            if not self._stopping.is_set():
                await self._pause(ended)
            await self._complete.wait()
        self._tools.machine.discard(self.name)
        self._news("Stopped", self._message or "stopped")

    @property
    def _answers(self) -> bool:
        """Whether it listens anywhere: a program without ports does not."""
        return bool(self.wish.ports) or not self.wish.program

    @property
    def _address(self) -> str:
        return f"127.0.0.1:{self._port}"

    async def _one_life(self) -> str:
        """Why it ended."""
        try:
            life = self._take_over() if self._adopted else await self._start()
        except SpawnFailed as refused:
            self._news("StartFailed", f"{self.name} could not be started: {refused}", warning=True)
            return str(refused)
        try:
            return await self._supervise(life)
        finally:
            life.child.close()

    def _take_over(self) -> Life:
        assert self._adopted is not None
        (record, child), self._adopted = self._adopted, None
        self._pid, self._started_at = child.pid, record.started_at
        began = self._tools.clock.monotonic() - self._age(record)
        life = Life(child, self._env(), began, settled=self._settled)
        if life.settled:
            life.first_ready.set()
        self._news("Adopted", f"{self.name} still runs (pid {child.pid}); it was not restarted")
        return life

    def _age(self, record: Record) -> float:
        return max((self._tools.clock.now() - record.started_at).total_seconds(), 0.0)

    async def _start(self) -> Life:
        now = self._tools.clock.now()
        spawned = await self._tools.machine.spawn(self.wish, self.name, self._port, now)
        child, self._port, self._lacking = spawned
        self._pid, self._started_at = child.pid, now
        self._become("Stopping" if self._stopping.is_set() else "Starting", self._lacking)
        self._news("Started", f"{self.name} started (pid {child.pid}, port {self._port}). {self._lacking}".strip())
        return Life(child, self._env(), self._tools.clock.monotonic())

    def _env(self) -> dict[str, str]:
        return self._tools.machine.env(self.wish, self.name, self._port)

    async def _supervise(self, life: Life) -> str:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch_readiness, life)
            tasks.start_soon(self._watch_liveness, life)
            tasks.start_soon(self._watch_the_start, life)
            tasks.start_soon(self._end_when_told, life)
            ended = str(await life.child.wait())
            tasks.cancel_scope.cancel()
        self._note_end(life, ended)
        return life.killed_because or ended

    def _note_end(self, life: Life, ended: str) -> None:
        self._tools.machine.release(self._port)
        if self._phase == "Ready":
            self._down_since = self._tools.clock.monotonic()
        self._patience.note_not_ready()
        self._pid = 0
        if not self._stopping.is_set() and not life.killed_because:
            self._news("Crashed", f"{self.name} (pid {life.child.pid}) crashed: {ended}", warning=True)

    async def _pause(self, because: str) -> None:
        self._restarts += 1
        seconds = self._patience.next_delay()
        self._become("BackingOff" if seconds else "Starting", because)
        if not seconds:
            return
        self._news("BackingOff", f"{self.name} is restarted in {seconds:.0f} s: {because}", warning=True)
        with anyio.move_on_after(seconds):
            await self._stopping.wait()

    async def _watch_readiness(self, life: Life) -> None:
        probe = self.wish.probes.readiness
        if probe is None:
            if not life.settled:
                self._note_readiness(life, ProbeResult(True, 1, ""))
            return
        delay = self._left(probe.initial_delay_seconds, life)
        prober = _Checked(self._tools.prober, lambda: self._let_in(life)) if self.wish.program else None
        await self._ask(
            probe,
            life,
            lambda verdict: self._note_readiness(life, verdict),
            delay,
            passing=life.settled,
            prober=prober,
        )

    async def _let_in(self, life: Life) -> str:
        """Why it must not go on although it answers; empty when it may."""
        because = await self._tools.machine.exposed(self.wish, self.name, self._port)
        if because and not self._stopping.is_set():
            self._kill(life, "Exposed", because)
        return because

    def _note_readiness(self, life: Life, verdict: ProbeResult) -> None:
        if self._stopping.is_set() or life.killed_because:
            return
        if verdict.passing:
            life.first_ready.set()
            self._note_ready()
        elif self._phase == "Ready":
            self._down_since = self._tools.clock.monotonic()
            self._patience.note_not_ready()
            text = f"readiness failed {verdict.times} times: {verdict.because}"
            self._become("Running", text)
            self._news("Unhealthy", f"{self.name}: {text}", warning=True)

    def _note_ready(self) -> None:
        self._patience.note_ready()
        self._become("Ready", self._lacking)
        if self._down_since is None:
            self._news("Ready", f"{self.name} is ready at {self._address}")
            return
        outage = self._tools.clock.monotonic() - self._down_since
        self._down_since = None
        self._news("Recovered", f"{self.name} is ready again after {outage:.2f} s")

    async def _watch_liveness(self, life: Life) -> None:
        probe = self.wish.probes.liveness
        if probe is None:
            return
        await life.first_ready.wait()
        delay = self._left(probe.initial_delay_seconds, life)
        await self._ask(probe, life, lambda verdict: self._kill_unalive(life, verdict), delay, passing=True)

    def _kill_unalive(self, life: Life, verdict: ProbeResult) -> None:
        if not verdict.passing and not self._stopping.is_set():
            self._kill(life, "LivenessFailed", f"liveness failed {verdict.times} times, killed: {verdict.because}")

    async def _watch_the_start(self, life: Life) -> None:
        if life.first_ready.is_set():  # asked first: a wait with no time left is cancelled even when it is over
            return
        with anyio.move_on_after(self._left(self._start_deadline(), life)):
            await life.first_ready.wait()
            return
        if not self._stopping.is_set():
            self._kill(life, "NotReadyInTime", f"not ready within {self._start_deadline():.0f} s, killed")

    def _start_deadline(self) -> float:
        readiness = self.wish.probes.readiness
        return START_DEADLINE_SECONDS + (readiness.initial_delay_seconds if readiness else 0.0)

    def _left(self, seconds: float, life: Life) -> float:
        return max(life.began + seconds - self._tools.clock.monotonic(), 0.0)

    def _kill(self, life: Life, reason: str, text: str) -> None:
        if life.killed_because:
            return
        if self._phase == "Ready":
            self._down_since = self._tools.clock.monotonic()
        life.killed_because = text
        life.child.signal(signal.SIGKILL)
        self._become("Running", text)
        self._news(reason, f"{self.name} (pid {life.child.pid}): {text}", warning=True)

    async def _end_when_told(self, life: Life) -> None:
        await self._stopping.wait()
        await anyio.sleep(self._drain)
        life.child.signal(signal.SIGTERM)
        life.child.signal(signal.SIGCONT)  # a stopped process hears SIGTERM only when it goes on
        await anyio.sleep(self.wish.stop_grace_seconds)
        self._message = f"killed: it did not stop within {self.wish.stop_grace_seconds:g} s"
        life.child.signal(signal.SIGKILL)

    async def _ask(
        self,
        probe: Probe,
        life: Life,
        told: Callable[[ProbeResult], None],
        delay: float,
        *,
        passing: bool,
        prober: Prober | None = None,
    ) -> None:
        address = self._address
        if self.wish.program:
            probe, port = where_it_is(probe, self._tools.machine.ports(self.wish, self.name, self._port), self._port)
            address = f"127.0.0.1:{port}"
        if probe.exec is not None:
            command = await self._tools.machine.inside(self.wish, self.name, self._port, probe.exec.command)
            probe = probe.model_copy(update={"exec": Exec(command=list(command))})
        await watch(
            probe,
            prober or self._tools.prober,
            address,
            life.env,
            told,
            passing=passing,
            delay=delay,
            quickly=not passing,
        )

    def _become(self, phase: Phase, message: str) -> None:
        self._phase, self._message = phase, message
        self._tools.changed(self)

    def _news(self, reason: str, message: str, *, warning: bool = False) -> None:
        self._tools.tell(RuntimeEvent(self.wish.key, self.wish.uid, reason, message, warning))


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
