"""What every driver of local processes promises, tried with real processes. No sleeps: news say when to look."""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from controller.kit.clock import SystemClock
from controller.runtime.driver import DriverError, File, Limits, ObservedInstance, Port, RuntimeEvent, Workload
from controller.runtime.forking.client import ForkOrder, ForkRefused, ForkServer, Reap
from controller.runtime.process import ProcessDriver, state_files, stop_orphans
from controller.runtime.process.process_host import INSTANCE, MODULE_COMMAND
from controller.runtime.process.processes import start_ticks
from controller.runtime.process.spawning import Launch, SpawnFailed, inherited_environment, spawn
from crds.meta import ObjectKey
from crds.probes import HttpGet, Probe, Probes

pytestmark = pytest.mark.anyio
KEY = ObjectKey("aerekos.cloud", "services", "default", "web")
HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _services_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(HERE))


def workload(says: str = "one", replicas: int = 1, **env: str) -> Workload:
    probe = Probe(http_get=HttpGet(), period_seconds=0.2, timeout_seconds=0.2, failure_threshold=2)
    return Workload(
        key=KEY,
        uid="uid-web",
        revision=says,
        replicas=replicas,
        command=(*MODULE_COMMAND, "serving", INSTANCE),
        env={"PORT": "{port}", "SAYS": says, "ODD": "{x}{instance}", **env},
        probes=Probes(liveness=probe, readiness=probe),
        stop_grace_seconds=0.5,
    )


class House:
    """A running driver, and everything it told."""

    def __init__(self, driver: ProcessDriver) -> None:
        self.driver = driver
        self.told: list[RuntimeEvent] = []
        self._heard = anyio.Event()
        driver.on_event(self._hear)

    def _hear(self, news: RuntimeEvent) -> None:
        self.told.append(news)
        self._heard.set()

    async def until(self, holds: Callable[[list[ObservedInstance]], bool]) -> list[ObservedInstance]:
        with anyio.fail_after(60):
            while not holds(seen := list(await self.driver.observe(KEY))):
                self._heard = anyio.Event()
                await self._heard.wait()
        return seen

    def reasons(self) -> list[str]:
        return [news.reason for news in self.told]


Factory = Callable[[Path], ProcessDriver]


def process_driver(home: Path, forks: ForkServer | None = None) -> ProcessDriver:
    return ProcessDriver(
        home,
        worker="here",
        clock=SystemClock(),
        rng=random.Random(1),
        forks=forks,
        log_limit_bytes=200,
        rotate_every_seconds=0.05,
    )


def forking_driver(home: Path) -> ProcessDriver:
    path = {"PYTHONPATH": os.pathsep.join([str(HERE), *filter(None, sys.path)])}
    return process_driver(home, _MustFork(["serving"], inherited_environment() | path, SystemClock()))


class _MustFork(ForkServer):
    """Whoever asks for a fork gets one, or the test fails: another start would hide that it does not work."""

    def can_fork(self, env: Mapping[str, str]) -> bool:
        return True

    def fork(self, order: ForkOrder, gate: int, log: int, sockets: Sequence[int] = ()) -> tuple[int, Reap]:
        try:
            return super().fork(order, gate, log, sockets)
        except ForkRefused as refused:
            raise AssertionError("it was not forked") from refused


@pytest.fixture(params=[process_driver, forking_driver])
def factory(request: pytest.FixtureRequest) -> Factory:
    made: Factory = request.param
    return made


@asynccontextmanager
async def running(factory: Factory, home: Path, *, leave: bool = False) -> AsyncIterator[House]:
    driver = factory(home)
    async with anyio.create_task_group() as tasks:
        await tasks.start(driver.run)
        try:
            yield House(driver)
        finally:
            with anyio.CancelScope(shield=True), anyio.fail_after(60):
                if not leave:
                    await driver.stop_all()
            tasks.cancel_scope.cancel()


def ready(count: int, revision: str = "one") -> Callable[[list[ObservedInstance]], bool]:
    return lambda seen: len(seen) == count and all(each.ready and each.revision == revision for each in seen)


def replaced(pid: int) -> Callable[[list[ObservedInstance]], bool]:
    return lambda seen: ready(1)(seen) and seen[0].pid != pid


async def test_what_is_wanted_becomes_ready_and_leaves_nothing_behind(factory: Factory, tmp_path: Path) -> None:
    async with running(factory, tmp_path) as house:
        await house.driver.apply(workload())
        (seen,) = await house.until(ready(1))
        assert (seen.name, seen.worker, seen.restarts) == ("web-0", "here", 0)
        assert await house.driver.logs(KEY, None, tail=5) == ["serving one {x}web-0"]
        assert house.reasons() == ["Started", "Ready"]
    assert start_ticks(seen.pid) is None
    assert state_files.read_all(tmp_path) == []


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def said_at(path: str) -> str:
    """What whoever listens there says to those who connect."""
    async with await anyio.connect_unix(path) as stream:
        return (await stream.receive()).decode()


async def test_an_instance_answers_at_a_socket_that_only_we_can_open(factory: Factory, tmp_path: Path) -> None:
    async with running(factory, tmp_path) as house:
        await house.driver.apply(workload(replicas=2))
        first, second = await house.until(ready(2))
        assert first.socket != second.socket
        assert [await said_at(each.socket) for each in (first, second)] == ["one", "one"]
        assert [mode_of(Path(first.socket)), mode_of(Path(first.socket).parent)] == [0o600, 0o700]
        os.kill(first.pid, signal.SIGKILL)
        await house.until(lambda seen: ready(2)(seen) and seen[0].pid != first.pid)
        assert await said_at(first.socket) == "one"
    assert files_in(Path(first.socket).parent) == []


async def test_the_socket_of_an_adopted_instance_is_known(factory: Factory, tmp_path: Path) -> None:
    async with running(factory, tmp_path, leave=True) as house:
        await house.driver.apply(workload())
        await house.until(ready(1))
    async with running(factory, tmp_path) as house:
        (seen,) = await house.until(ready(1))
        assert await said_at(seen.socket) == "one"
        await house.driver.apply(workload())


async def test_a_killed_process_is_back_on_its_port_and_the_news_say_why(factory: Factory, tmp_path: Path) -> None:
    async with running(factory, tmp_path) as house:
        await house.driver.apply(workload())
        (before,) = await house.until(ready(1))
        os.kill(before.pid, signal.SIGKILL)
        (after,) = await house.until(replaced(before.pid))
        assert (after.restarts, after.address) == (1, before.address)
        assert house.reasons() == ["Started", "Ready", "Crashed", "Started", "Recovered"]
        assert "killed by SIGKILL" in house.told[2].message and house.told[2].warning


async def test_a_stopped_process_is_killed_and_replaced(factory: Factory, tmp_path: Path) -> None:
    async with running(factory, tmp_path) as house:
        await house.driver.apply(workload())
        (before,) = await house.until(ready(1))
        os.kill(before.pid, signal.SIGSTOP)
        await house.until(replaced(before.pid))
        (why,) = [news.message for news in house.told if news.reason == "LivenessFailed"]
        assert "liveness failed 2 times, killed: no answer within 0.2 s" in why
        assert "Crashed" not in house.reasons()


async def test_a_new_revision_never_takes_two_down(factory: Factory, tmp_path: Path) -> None:
    async with running(factory, tmp_path) as house:
        await house.driver.apply(workload(replicas=3))
        await house.until(ready(3))
        await house.driver.apply(workload("two", replicas=3))
        fewest = 3

        def rolled(seen: list[ObservedInstance]) -> bool:
            nonlocal fewest
            fewest = min(fewest, sum(each.ready for each in seen))
            return ready(3, "two")(seen)

        await house.until(rolled)
        assert fewest == 2


async def test_scaling_up_leaves_the_old_ones_and_down_takes_the_highest(factory: Factory, tmp_path: Path) -> None:
    async with running(factory, tmp_path) as house:
        await house.driver.apply(workload())
        (first,) = await house.until(ready(1))
        await house.driver.apply(workload(replicas=2))
        both = await house.until(ready(2))
        await house.driver.apply(workload())
        (left,) = await house.until(ready(1))
        assert [each.name for each in both] == ["web-0", "web-1"]
        assert left.pid == both[0].pid == first.pid


async def test_forgetting_kills_what_ignores_sigterm(factory: Factory, tmp_path: Path) -> None:
    async with running(factory, tmp_path) as house:
        await house.driver.apply(workload(STUBBORN="1"))
        (seen,) = await house.until(ready(1))
        assert not await house.driver.remove(KEY)
        await house.until(lambda seen: not seen)
        assert await house.driver.remove(KEY)
        assert await house.driver.list_workloads() == []
        assert start_ticks(seen.pid) is None
        assert "killed: it did not stop within 0.5 s" in house.told[-1].message


async def test_the_next_driver_adopts_and_supervises(factory: Factory, tmp_path: Path) -> None:
    async with running(factory, tmp_path, leave=True) as house:
        await house.driver.apply(workload(replicas=2))
        before = await house.until(ready(2))
    async with running(factory, tmp_path) as house:
        assert await house.driver.list_workloads() == [KEY]
        after = await house.until(ready(2))
        await house.driver.apply(workload(replicas=2))
        assert [each.pid for each in after] == [each.pid for each in before]
        assert "Started" not in house.reasons()
        os.kill(after[0].pid, signal.SIGKILL)
        await house.until(lambda seen: ready(2)(seen) and seen[0].pid != after[0].pid)


async def test_a_record_of_somebody_elses_process_is_not_believed(factory: Factory, tmp_path: Path) -> None:
    async with running(factory, tmp_path, leave=True) as house:
        await house.driver.apply(workload())
        await house.until(ready(1))
    (record,) = state_files.read_all(tmp_path)
    assert stop_orphans(tmp_path) == [record.pid]
    state_files.write(tmp_path, replace(record, pid=os.getpid()))
    async with running(factory, tmp_path) as house:
        assert await house.driver.list_workloads() == []
    assert stop_orphans(tmp_path) == []


async def test_a_command_that_does_not_exist_is_told_not_raised(factory: Factory, tmp_path: Path) -> None:
    async with running(factory, tmp_path) as house:
        await house.driver.apply(replace(workload(), command=("no-such-program",)))
        (seen,) = await house.until(lambda seen: bool(seen) and seen[0].phase == "CrashLoopBackOff")
        assert "no such command: no-such-program" in seen.message
        assert house.reasons() == ["StartFailed", "StartFailed", "BackOff"]


async def test_a_container_is_refused_in_words(factory: Factory, tmp_path: Path) -> None:
    async with running(factory, tmp_path) as house:
        with pytest.raises(DriverError, match="--runtime swarm") as refused:
            await house.driver.apply(Workload(KEY, "uid", "r", 1, image="nginx"))
        assert (refused.value.reason, refused.value.retryable) == ("NeedsContainerRuntime", False)


async def test_what_only_containers_have_is_refused_by_name(factory: Factory, tmp_path: Path) -> None:
    async with running(factory, tmp_path) as house:
        wanted = replace(
            workload(), ports=(Port(80, published=8080),), files=(File("/run/x", b"secret", secret=True),)
        )
        with pytest.raises(DriverError, match="web asks for published ports, files, which no managed service has"):
            await house.driver.apply(wanted)


async def test_a_long_log_is_cut_and_still_read(factory: Factory, tmp_path: Path) -> None:
    script = "import os,time\nfor n in range(60): print('line', n, flush=True); time.sleep(0.01)\ntime.sleep(60)"
    async with running(factory, tmp_path) as house:
        await house.driver.apply(replace(workload(), command=(sys.executable, "-S", "-c", script), probes=Probes()))
        with anyio.fail_after(60):
            while "line 59" not in await house.driver.logs(KEY, "web-0", tail=2):  # noqa: ASYNC110 files tell nobody
                await anyio.sleep(0.02)
    assert (tmp_path / "logs/services/web-0.log.1").exists()
    assert (tmp_path / "logs/services/web-0.log").stat().st_size < 600


def test_without_a_record_the_command_never_runs(tmp_path: Path) -> None:
    marker, seen = tmp_path / "ran", []

    def refuse(pid: int, ticks: int) -> None:
        seen.append((pid, ticks))
        raise OSError("disk full")

    launch = Launch(
        "web-0", ("/bin/sh", "-c", f"touch {marker}"), dict(os.environ), tmp_path / "log", tmp_path, Limits()
    )
    with pytest.raises(SpawnFailed, match="disk full"):
        spawn(launch, refuse)
    assert start_ticks(seen[0][0]) is None
    assert not marker.exists()


def test_a_conductor_that_dies_before_the_gate_opens_leaves_no_orphan(tmp_path: Path) -> None:
    marker, told = tmp_path / "ran", tmp_path / "pid"
    launch = Launch(
        "web-0", ("/bin/sh", "-c", f"touch {marker}"), dict(os.environ), tmp_path / "log", tmp_path, Limits()
    )

    def die(pid: int, ticks: int) -> None:
        told.write_text(f"{pid} {ticks}")
        os._exit(9)

    conductor = os.fork()
    if conductor == 0:
        spawn(launch, die)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(conductor, 0)[1]) == 9
    pid, _ = map(int, told.read_text().split())
    try:
        gone = os.pidfd_open(pid)
    except ProcessLookupError:
        gone = -1
    if gone >= 0:
        import select

        assert select.select([gone], [], [], 5)[0]
        os.close(gone)
    assert not marker.exists()
