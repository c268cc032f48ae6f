"""Whatever a test run started ends with it, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from clouds import REPOSITORY, eventually

# Starts what stands for a cloud: in a session of its own, told of its home, no child that anybody waits for.
RUN = """
import os, subprocess, sys, time
from pathlib import Path
from keeper import ends_with_pytest

home = Path(sys.argv[1])
ends_with_pytest(home)
for env in ({"AEREKOS_HOME": str(home)}, {"AEREKOS_HOME": f"{home}er"}):
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    print(subprocess.Popen(command, env=env, start_new_session=True, stdout=subprocess.DEVNULL).pid, flush=True)
if sys.argv[2] == "leave":
    os._exit(0)
time.sleep(600)
"""


def is_there(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, None])
def test_what_was_told_of_a_home_ends_with_the_run_that_made_it(tmp_path: Path, how: signal.Signals | None) -> None:
    command = [sys.executable, "-c", RUN, str(tmp_path / "home"), "leave" if how is None else "stay"]
    path = os.pathsep.join([str(REPOSITORY / "tests"), str(REPOSITORY)])
    # What began in the background of a shell does not hear Ctrl-C, nor do its children, unless they are told to.
    hear = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "preexec_fn": hear}
    ours = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, text=True, **pipes)  # type: ignore[call-overload]
    assert ours.stdout is not None
    cloud, other = (int(ours.stdout.readline()) for _ in range(2))
    try:
        if how is not None:
            assert is_there(cloud)
            ours.send_signal(how)
        ours.wait(60)
        eventually(lambda: not is_there(cloud), "nothing of it runs any more")
        assert is_there(other), "a folder whose name only begins alike is somebody else's"
    finally:
        os.kill(other, signal.SIGKILL)
