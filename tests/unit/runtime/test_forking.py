"""The fork server with real processes: what its children are, how their end is known, what happens when it ends."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from controller.kit.clock import SystemClock
from controller.runtime.driver import Limits, Workload
from controller.runtime.forking import running_server
from controller.runtime.forking.client import ForkOrder, ForkRefused, ForkServer
from controller.runtime.forking.running_server import RunningServer
from controller.runtime.process.process_host import INSTANCE, MODULE_COMMAND, LocalProcessHost
from controller.runtime.process.processes import Exit, Process, start_ticks
from controller.runtime.process.spawning import Launch, SpawnFailed, inherited_environment, spawn
from crds.meta import ObjectKey

pytestmark = pytest.mark.anyio
HERE = Path(__file__).parent
GO = b"go\n"
# What no random number of two forks may share, in the order of `chores`.
SOURCES = ("random", "secrets", "ssl", "cryptography")


class HandClock(SystemClock):
    """Stands still until it is moved."""

    seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class Forks:
    """A fork server, and a folder for logs."""

    server: ForkServer
    clock: HandClock
    folder: Path

    def child(self, *chore: str, env: Mapping[str, str] | None = None, go: bytes = GO) -> Process:
        hears, says = os.pipe()
        log = os.open(self.folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
        try:
            process = Process(*self.server.fork(ForkOrder("chores", chore, env or {}), hears, log))
            os.write(says, go)
        finally:
            for each in (hears, says, log):
                os.close(each)
        return process

    async def told(self, env: Mapping[str, str] | None = None) -> dict[str, Any]:
        (self.folder / "log").unlink(missing_ok=True)
        assert await self.child("tell", "one", env=env).wait() == Exit(code=0)
        return dict(json.loads(self.log()))

    def log(self) -> str:
        return (self.folder / "log").read_text()

    @property
    def pid(self) -> int:
        return self.server._begun().pid


def title_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def ended(pid: int) -> bool:
    """Whether it ends within ten seconds."""
    try:
        gone = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([gone], [], [], 10)[0])
    finally:
        os.close(gone)


def environment(*more: Path) -> dict[str, str]:
    path = [*map(str, more), str(HERE), *filter(None, sys.path)]
    return inherited_environment() | {"PYTHONPATH": os.pathsep.join(path)}


@pytest.fixture
def forks(tmp_path: Path) -> Iterator[Forks]:
    clock = HandClock()
    server = ForkServer(["chores"], environment(tmp_path), clock)
    yield Forks(server, clock, tmp_path)
    server.close()


async def test_a_child_is_as_one_that_was_started(forks: Forks) -> None:
    facts = await forks.told({"GIVEN": "yes", "PATH": "/bin"})
    assert facts["session"] == facts["group"] == facts["pid"] != forks.pid
    assert facts["env"] == {"GIVEN": "yes", "PATH": "/bin"}
    assert facts["shown"] == ["GIVEN=yes", "PATH=/bin"], "and nothing of what the server was started with"
    assert facts["arguments"] == ["chores", "tell", "one"]
    assert facts["title"] == "python -P -m chores tell one\0"
    assert facts["descriptors"] == [0, 1, 2] and facts["threads"] == 1
    assert title_of(forks.pid) == "python -P -m controller.runtime.forking.server\0"


async def test_no_two_children_draw_the_same_random_numbers(forks: Forks) -> None:
    one, other = (await forks.told())["random"], (await forks.told())["random"]
    for source, first, second in zip(SOURCES, one, other, strict=True):
        assert first != second, source


async def test_how_a_child_ended_is_known_though_it_is_no_child_of_ours(forks: Forks) -> None:
    assert await forks.child("exit", "3").wait() == Exit(code=3)
    assert await forks.child("fail", "of its own").wait() == Exit(code=1)
    assert "ValueError: of its own" in forks.log()
    waits = forks.child("wait")
    waits.signal(signal.SIGKILL)
    assert await waits.wait() == Exit(signal=9)
    assert forks.server._running is not None and not forks.server._running.children


async def test_a_gate_that_closes_unopened_ends_the_child(forks: Forks) -> None:
    assert await forks.child("exit", "0", go=b"").wait() == Exit(code=125)


async def test_a_server_that_ends_leaves_its_children_and_is_begun_again(forks: Forks) -> None:
    old, waits = forks.pid, forks.child("wait")
    forks.clock.seconds += 60
    os.kill(old, signal.SIGKILL)
    assert ended(old)
    assert start_ticks(waits.pid) is not None
    assert await forks.child("exit", "4").wait() == Exit(code=4)
    assert forks.pid != old
    waits.signal(signal.SIGKILL)
    assert await waits.wait() == Exit(), "who knew is gone"


async def test_the_end_of_a_child_does_not_wait_for_the_next_server_to_load(
    forks: Forks, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, waits = forks.pid, forks.child("wait")
    begin, loading, load = RunningServer.begin, threading.Event(), threading.Event()
    released: list[bool] = []

    def slowly(modules: Sequence[str], env: Mapping[str, str]) -> RunningServer:
        loading.set()
        released.append(load.wait(20))
        return begin(modules, env)

    monkeypatch.setattr(RunningServer, "begin", slowly)
    forks.clock.seconds += 60
    os.kill(old, signal.SIGKILL)
    assert ended(old)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.to_thread.run_sync, lambda: forks.pid)
        await anyio.to_thread.run_sync(loading.wait)
        waits.signal(signal.SIGKILL)
        await waits.wait()
        load.set()
    assert released == [True], "it loaded only after it was heard of"


async def test_a_server_that_does_not_last_is_not_begun_again_at_once(forks: Forks) -> None:
    os.kill(old := forks.pid, signal.SIGKILL)
    assert ended(old)
    with pytest.raises(ForkRefused):
        forks.child("exit", "0")
    forks.clock.seconds += 1
    assert await forks.child("exit", "0").wait() == Exit(code=0)


async def test_it_is_kept_running_while_nobody_asks(forks: Forks) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(forks.server.run)
        with anyio.fail_after(30):
            old = await anyio.to_thread.run_sync(lambda: forks.pid)
            forks.clock.seconds += 60
            os.kill(old, signal.SIGKILL)
            while forks.server._running is None or forks.server._running.pid == old:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        new = forks.pid
        tasks.cancel_scope.cancel()
    assert ended(new), "it ends with what keeps it"


async def test_other_code_gets_another_server_and_the_old_one_stays_for_its_children(
    forks: Forks, tmp_path: Path
) -> None:
    module = tmp_path / "changing.py"
    module.write_text("def main(): raise SystemExit(1)")
    forks.server._modules = ("chores", "changing")
    old, waits = forks.pid, forks.child("wait")
    module.write_text("def main(): raise SystemExit(2)")
    os.utime(module, ns=(0, 0))
    assert await forks.child("exit", "5").wait() == Exit(code=5)
    assert forks.pid != old and start_ticks(old) is not None
    waits.signal(signal.SIGTERM)
    assert await waits.wait() == Exit(signal=15), "the old one still tells"
    assert ended(old)


THREAD = "import threading, time\nthreading.Thread(target=time.sleep, args=[9], daemon=True).start()"


@pytest.mark.parametrize("code", ["import no_such_module", THREAD])
def test_what_cannot_be_loaded_or_has_threads_serves_nobody(forks: Forks, tmp_path: Path, code: str) -> None:
    (tmp_path / "broken.py").write_text(code)
    forks.server._modules = ("chores", "broken")
    with pytest.raises(ForkRefused, match="exit code 1"):
        forks.child("exit", "0")


def test_a_server_that_does_not_answer_is_ended(forks: Forks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_server, "ANSWER_SECONDS", 0.2)
    os.kill(stopped := forks.pid, signal.SIGSTOP)
    with pytest.raises(ForkRefused, match="timed out"):
        forks.child("exit", "0")
    assert ended(stopped)


def test_what_an_interpreter_reads_at_its_start_is_not_forked(forks: Forks) -> None:
    own = environment(forks.folder)
    assert forks.server.can_fork({**own, "PYTHONSAFEPATH": "1", "AEREKOS_LOG_LEVEL": "DEBUG"})
    for name in ("PYTHONMALLOC", "LD_PRELOAD", "MALLOC_ARENA_MAX", "GLIBC_TUNABLES", "OPENSSL_CONF"):
        assert not forks.server.can_fork({**own, name: "x"}), name


KEY = ObjectKey("aerekos.cloud", "services", "default", "web")


async def test_without_a_fork_server_it_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), *filter(None, sys.path)]))
    server = ForkServer(["no_such_module"], inherited_environment(), SystemClock())
    command = (*MODULE_COMMAND, "chores", "exit", "6", INSTANCE)
    host = LocalProcessHost(tmp_path, None, server)
    child, port, lacking = await host.spawn(
        Workload(KEY, "uid", "one", 1, command=command), "web-0", 0, datetime.now(UTC)
    )
    assert port and not lacking
    assert await child.wait() == Exit(code=6)
    assert "ModuleNotFoundError" not in (tmp_path / "logs" / "services" / "web-0.log").read_text()


def launch_of(folder: Path, *chore: str) -> Launch:
    env = environment()
    fork = ForkOrder("chores", chore, env)
    return Launch("web-0", (*MODULE_COMMAND, "chores", *chore), env, folder / "log", folder, Limits(), fork=fork)


def test_without_a_record_a_fork_does_nothing(tmp_path: Path) -> None:
    server, seen = ForkServer(["chores"], environment(), SystemClock()), []

    def refuse(pid: int, ticks: int) -> None:
        seen.append(pid)
        raise OSError("disk full")

    with pytest.raises(SpawnFailed, match="disk full"):
        spawn(launch_of(tmp_path, "tell"), refuse, server)
    assert start_ticks(seen[0]) is None and not (tmp_path / "log").read_text()
    server.close()


def test_a_conductor_that_dies_before_the_gate_opens_leaves_neither_fork_nor_server(tmp_path: Path) -> None:
    told = tmp_path / "pids"
    conductor = os.fork()
    if conductor == 0:
        server = ForkServer(["chores"], environment(), SystemClock())

        def die(pid: int, ticks: int) -> None:
            told.write_text(f"{pid} {server._begun().pid}")
            os._exit(9)

        spawn(launch_of(tmp_path, "tell"), die, server)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(conductor, 0)[1]) == 9
    assert all(ended(int(each)) for each in told.read_text().split())
    assert not (tmp_path / "log").read_text()
