"""Engines in the process runtime: a stop of their own, time to recover, and configuration that is read again."""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from bottles import KEY, Bottle

from controller.kit.virtual import VirtualLoop
from controller.runtime.driver import File, Port, Workload
from controller.runtime.process import live_files
from crds.probes import Probe, Probes, TcpSocket

pytestmark = pytest.mark.anyio
CONFIG = File("/config/postgresql.conf", b"a = 1", live=True)
DATABASE = Workload(
    KEY, "uid", "one", 1, command=("serve",), program=True, ports=(Port(5432, name="sql"),), files=(CONFIG,),
    probes=Probes(readiness=Probe(tcp_socket=TcpSocket(), period_seconds=1)), stop_signal="SIGINT",
    reload_signal="SIGHUP", start_seconds=3600.0, stop_grace_seconds=30.0,
)  # fmt: skip


@pytest.fixture
def anyio_backend():
    return ("asyncio", {"loop_factory": VirtualLoop})


@pytest.fixture
async def bottle(tmp_path):
    return Bottle(tmp_path)


async def running(bottle, wish=DATABASE):
    await bottle.driver.apply(wish)
    await anyio.sleep(3)
    (seen,) = await bottle.seen()
    assert seen.ready
    return bottle.machine.children[seen.name]


async def test_a_stop_asks_its_first_process_alone(bottle):
    """SIGINT to all of a database's processes would end queries that a fast stop lets finish in order."""
    async with bottle.running():
        child = await running(bottle)
        await bottle.driver.remove(KEY)
        await anyio.sleep(1)
        assert child.signals[0] == ("leader", signal.SIGINT) and signal.SIGTERM not in child.signals
        assert await bottle.driver.remove(KEY)


async def test_one_that_does_not_obey_is_killed_when_its_time_is_up(bottle):
    bottle.machine.stubborn = True
    async with bottle.running():
        child = await running(bottle)
        await bottle.driver.remove(KEY)
        await anyio.sleep(29)
        assert signal.SIGKILL not in child.signals
        await anyio.sleep(2)
        assert signal.SIGKILL in child.signals


async def test_a_long_recovery_is_not_killed_half_way(bottle):
    bottle.prober.answers[""] = "it recovers"
    async with bottle.running():
        await bottle.driver.apply(DATABASE)
        await anyio.sleep(3000)
        assert len(bottle.machine.started_at) == 1
        await anyio.sleep(700)
        assert bottle.when("StartDeadlineExceeded") == [3600.0]


async def test_another_configuration_is_read_again_and_restarts_nothing(bottle):
    async with bottle.running():
        child = await running(bottle)
        await bottle.driver.apply(DATABASE)
        await anyio.sleep(1)
        other = replace(DATABASE, files=(replace(CONFIG, content=b"a = 2"),))
        before = child.signals.count(("leader", signal.SIGHUP))
        for _ in range(3):  # each pass says the same again
            await bottle.driver.apply(other)
            await anyio.sleep(1)
        assert child.signals.count(("leader", signal.SIGHUP)) == before + 1
        assert bottle.machine.put["web-0"] == {CONFIG.path: b"a = 2"} and len(bottle.machine.started_at) == 1


async def test_what_cannot_be_put_in_place_is_told_and_tried_again(bottle):
    async with bottle.running():
        child = await running(bottle)
        bottle.machine.full = True
        await bottle.driver.apply(DATABASE)
        await anyio.sleep(1)
        assert bottle.when("ReloadFailed") and child.signals == []
        bottle.machine.full = False
        await bottle.driver.apply(DATABASE)
        await anyio.sleep(1)
        assert child.signals == [("leader", signal.SIGHUP)]


def test_live_files_are_put_whole_and_what_is_gone_goes(tmp_path):
    deep = File("/config/conf.d/more.conf", b"b = 1", live=True)
    secret = File("/secrets/key", b"secret", secret=True)
    wish = replace(DATABASE, files=(CONFIG, deep, secret))
    assert live_files.put(tmp_path, "db-0", wish, os.getuid())
    root = live_files.folder(tmp_path, "db-0")
    assert (root / "postgresql.conf").read_bytes() == b"a = 1" and (root / "conf.d" / "more.conf").is_file()
    assert (root / "postgresql.conf").stat().st_mode & 0o777 == 0o400 and root.stat().st_mode & 0o077 == 0
    assert not live_files.put(tmp_path, "db-0", wish, os.getuid()), "the same is no change"
    assert live_files.put(tmp_path, "db-0", replace(wish, files=(CONFIG,)), os.getuid())
    assert [each.name for each in root.rglob("*") if each.is_file()] == ["postgresql.conf"]
    assert not any(b"secret" in each.read_bytes() for each in tmp_path.rglob("*") if each.is_file())
    live_files.drop(tmp_path, "db-0")
    assert not root.exists()
