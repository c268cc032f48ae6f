"""What an instance leaves behind: processes in sessions of their own that work in its data."""

import json
import os
import pty
import signal
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.runtime.driver import Workload
from controller.runtime.process import state_files
from controller.runtime.process.leftovers import end_leftovers
from controller.runtime.process.process_host import LocalProcessHost
from controller.runtime.process.processes import boot_id, start_ticks
from controller.runtime.process.state_files import InstanceRecord
from crds.kinds.service import SERVICE


def working_in(folder: Path) -> subprocess.Popen[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(["sleep", "60"], cwd=folder, start_new_session=True)


def test_those_that_work_in_its_data_are_ended_also_stopped_ones(tmp_path: Path) -> None:
    theirs = [working_in(tmp_path / "shop-0" / "data"), working_in(tmp_path / "shop-0" / "data" / "15")]
    others = [working_in(tmp_path / "shop-1" / "data"), working_in(tmp_path)]
    try:
        theirs[1].send_signal(signal.SIGSTOP)
        assert sorted(end_leftovers(tmp_path / "shop-0")) == sorted(each.pid for each in theirs)
        assert [each.wait(10) for each in theirs] == [-signal.SIGKILL] * 2
        assert end_leftovers(tmp_path / "shop-0") == [] and end_leftovers(tmp_path / "gone") == []
        assert [each.poll() for each in others] == [None, None]
    finally:
        for each in (*theirs, *others):
            each.kill()
            each.wait(10)


def test_somebody_who_looks_around_in_it_is_left_alone(tmp_path: Path) -> None:
    """A shell has a terminal."""
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(tmp_path)
        os.execvp("sleep", ["sleep", "60"])
    try:
        while Path(f"/proc/{pid}/comm").read_text() != "sleep\n":
            os.sched_yield()
        assert end_leftovers(tmp_path) == []
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def recorded(home: Path, instance: str, pid: int, ticks: int) -> None:
    """As a conductor that has ended left it."""
    key = SERVICE.key(instance.rpartition("-")[0], "default")
    workload = Workload(key, uid="u", revision="r", replicas=1, command=("sleep",), program=True)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    state_files.write(home, InstanceRecord(instance, pid, ticks, boot_id(), 4000, now, workload))


@pytest.mark.parametrize("readable", [True, False])
def test_a_conductor_that_starts_ends_what_an_instance_left_behind_that_died_meanwhile(
    tmp_path: Path, readable: bool
) -> None:
    """Whoever asks it whether the instance is gone may believe it."""
    left = working_in(tmp_path / "data" / "shop-0" / "data")
    try:
        recorded(tmp_path, "shop-0-0", left.pid, ticks=1)  # the number is somebody else's by now
        if not readable:
            file = state_files.folder(tmp_path) / "shop-0-0.json"
            file.write_text(json.dumps({**json.loads(file.read_bytes()), "wish": 7}))
        host = LocalProcessHost(tmp_path)
        host.end_unreadable()
        assert host.adopt() == [] and left.wait(10) == -signal.SIGKILL
    finally:
        left.kill()
        left.wait(10)


def test_what_an_adopted_instance_leaves_behind_is_ended_with_it(tmp_path: Path) -> None:
    first = working_in(tmp_path / "elsewhere")
    left = working_in(tmp_path / "data" / "shop-0" / "data")
    try:
        ticks = start_ticks(first.pid)
        assert ticks is not None
        recorded(tmp_path, "shop-0-0", first.pid, ticks)
        host = LocalProcessHost(tmp_path)
        ((_, child),) = host.adopt()
        child.close()
        assert left.poll() is None
        host.discard("shop-0-0")
        assert left.wait(10) == -signal.SIGKILL and first.poll() is None
    finally:
        for each in (first, left):
            each.kill()
            each.wait(10)


def test_an_instance_that_shares_its_data_is_not_taken_for_what_another_left_behind(tmp_path: Path) -> None:
    """One was there before the Service was scaled up: it started when nobody else had that data."""
    first, second = working_in(tmp_path / "elsewhere"), working_in(tmp_path / "data" / "shop-0" / "data")
    try:
        for number, each in enumerate((first, second)):
            recorded(tmp_path, f"shop-0-{number}", each.pid, start_ticks(each.pid) or 0)
        host = LocalProcessHost(tmp_path)
        for _, child in host.adopt():
            child.close()
        host.discard("shop-0-0")
        assert second.poll() is None
        host.discard("shop-0-1")
        assert second.wait(10) == -signal.SIGKILL and first.poll() is None
    finally:
        for each in (first, second):
            each.kill()
            each.wait(10)
