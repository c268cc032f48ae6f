"""What a runtime promises, with real processes: started, healed, rolled, adopted, gone without a trace."""

import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from controller.kit.clock import SystemClock
from controller.runtime.driver import DriverError, ObservedInstance, RuntimeEvent, Workload
from controller.runtime.process import ProcessDriver, state_files, stop_orphans
from crds.meta import ObjectKey
from crds.probes import HttpGet, Probe, Probes

pytestmark = pytest.mark.anyio

KEY = ObjectKey("aerekos.cloud", "services", "default", "web")
SERVER = """
import http.server, os, sys
class Ok(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.send_response(200); self.end_headers(); self.wfile.write(os.environ["SAYS"].encode())
    def log_message(self, *a): pass
print("serving as", os.environ["SAYS"], flush=True)
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Ok).serve_forever()
"""


def workload(says: str = "one", replicas: int = 1, **more: object) -> Workload:
    probe = Probe(http_get=HttpGet(path="/"), period_seconds=0.2, timeout_seconds=0.3, failure_threshold=2)
    return Workload(
        key=KEY,
        uid="uid-web",
        revision=says,
        replicas=replicas,
        command=(sys.executable, "-c", SERVER),
        env={"PORT": "{port}", "SAYS": says},
        probes=Probes(liveness=probe, readiness=probe),
        stop_grace_seconds=2,
        **more,  # type: ignore[arg-type]
    )


class House:
    """A driver that runs, and what it told."""

    def __init__(self, driver: ProcessDriver) -> None:
        self.driver, self.told = driver, []  # type: ignore[var-annotated]
        self._changed = anyio.Event()
        driver.on_event(self._hear)

    def _hear(self, news: RuntimeEvent) -> None:
        self.told.append(news)
        self._changed.set()

    async def heard(self) -> None:
        """Until there is news."""
        await self._changed.wait()
        self._changed = anyio.Event()

    async def until(
        self, wanted: Workload, holds: Callable[[list[ObservedInstance]], bool]
    ) -> list[ObservedInstance]:
        """Apply again whenever there is news, as the loop does, until `holds`."""
        with anyio.fail_after(60):
            while True:
                self._changed = anyio.Event()
                await self.driver.apply(wanted)
                seen = list(await self.driver.observe(KEY))
                if holds(seen):
                    return seen
                await self._changed.wait()


@asynccontextmanager
async def running(home: Path, *, leave: bool = False) -> AsyncIterator[House]:
    driver = ProcessDriver(home, worker="here", clock=SystemClock(), rng=random.Random(1))
    async with anyio.create_task_group() as group:
        await group.start(driver.run)
        try:
            yield House(driver)
        finally:
            with anyio.CancelScope(shield=True), anyio.fail_after(60):
                if not leave:
                    await driver.stop_all()
            group.cancel_scope.cancel()


def all_ready(count: int, revision: str = "one") -> Callable[[list[ObservedInstance]], bool]:
    return lambda seen: len(seen) == count and all(each.ready and each.revision == revision for each in seen)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_what_is_wanted_becomes_ready_and_its_log_can_be_read(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        (seen,) = await house.until(workload(), all_ready(1))
        assert seen.name == "web-0"
        assert await house.driver.logs(KEY, None, tail=5) == ["serving as one"]
    assert not alive(seen.pid)
    assert state_files.read_all(tmp_path) == []


async def test_a_killed_process_is_back_and_the_news_say_why(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        (before,) = await house.until(workload(), all_ready(1))
        os.kill(before.pid, signal.SIGKILL)
        (after,) = await house.until(workload(), lambda s: all_ready(1)(s) and s[0].pid != before.pid)
        assert after.restarts == 1
        assert any("SIGKILL" in news.message and news.warning for news in house.told)
        assert any(news.reason == "Recovered" for news in house.told)


async def test_a_hanging_process_is_replaced(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        (before,) = await house.until(workload(), all_ready(1))
        os.kill(before.pid, signal.SIGSTOP)
        await house.until(workload(), lambda s: all_ready(1)(s) and s[0].pid != before.pid)
        assert any("iveness" in news.message for news in house.told)
        assert not alive(before.pid)


async def test_a_new_revision_never_takes_two_down(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        await house.until(workload(replicas=3), all_ready(3))
        fewest = 3

        def rolled(seen: list[ObservedInstance]) -> bool:
            nonlocal fewest
            fewest = min(fewest, sum(each.ready for each in seen))
            return all_ready(3, "two")(seen)

        await house.until(workload("two", replicas=3), rolled)
        assert fewest == 2


async def test_scaling_down_stops_the_highest_first(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        await house.until(workload(replicas=2), all_ready(2))
        (left,) = await house.until(workload(replicas=1), all_ready(1))
        assert left.name == "web-0"


async def test_the_next_conductor_adopts_what_the_last_one_left(tmp_path: Path) -> None:
    async with running(tmp_path, leave=True) as house:
        (before,) = await house.until(workload(), all_ready(1))
    async with running(tmp_path) as house:
        (after,) = await house.until(workload(), all_ready(1))
        assert after.pid == before.pid
        os.kill(after.pid, signal.SIGKILL)
        await house.until(workload(), lambda s: all_ready(1)(s) and s[0].pid != before.pid)


async def test_what_nobody_wants_any_more_can_be_forgotten_after_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path, leave=True) as house:
        (before,) = await house.until(workload(), all_ready(1))
    async with running(tmp_path) as house:
        assert await house.driver.list_workloads() == [KEY]
        await house.driver.stop_all()
    assert not alive(before.pid)


async def test_a_sweep_needs_no_conductor(tmp_path: Path) -> None:
    async with running(tmp_path, leave=True) as house:
        (seen,) = await house.until(workload(), all_ready(1))
    assert stop_orphans(tmp_path) == [seen.pid]
    assert stop_orphans(tmp_path) == []


async def test_nothing_runs_that_could_not_be_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(home: Path, record: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(state_files, "write", full)
    async with running(tmp_path) as house:
        await house.driver.apply(workload())
        with anyio.fail_after(60):
            while not any("disk full" in news.message for news in house.told):
                await house.heard()
        assert await house.driver.logs(KEY, "web-0", tail=5) == []


async def test_a_container_is_refused_in_words(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        with pytest.raises(DriverError, match="--runtime swarm") as refused:
            await house.driver.apply(Workload(KEY, "uid", "r", 1, image="nginx"))
        assert not refused.value.retryable
