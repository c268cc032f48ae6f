"""What an instance leaves behind: processes in sessions of their own that work in its data."""

import os
import pty
import signal
import subprocess
from pathlib import Path

from controller.runtime.process.leftovers import end_leftovers


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
