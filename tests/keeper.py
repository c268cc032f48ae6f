"""Ends what tests started when pytest is gone, even by SIGKILL: a cloud is no child of the test that started it.

The keeper is a process of its own, started for the first home. Its standard input is a pipe whose other end only
pytest holds: a line for each home, and the end of the stream when pytest has ended, however that came about. Then
every process whose environment names one of these homes is killed. Where fixtures did their work there is none.
"""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

# A conductor that is about to be killed may have started another service meanwhile.
ROUNDS, PAUSE_SECONDS = 50, 0.1


def ends_with_pytest(home: Path) -> None:
    """From now on, no process that was told of this folder outlives this one."""
    pipe = _keeper(os.getpid()).stdin
    assert pipe is not None
    pipe.write(os.fsencode(home) + b"\n")


@functools.cache
def _keeper(_: int) -> subprocess.Popen[bytes]:
    # In a session of its own: a Ctrl-C at the terminal is for pytest, and the keeper comes after it.
    command = [sys.executable, "-I", "-S", __file__]
    return subprocess.Popen(command, stdin=subprocess.PIPE, bufsize=0, start_new_session=True, env={})


def told_of(homes: set[bytes]) -> list[int]:
    """Every living process whose environment names one of these folders."""
    found = []
    for each in Path("/proc").iterdir():
        # Not there any more, or of somebody else.
        with suppress(OSError):
            if each.name.isdigit() and names((each / "environ").read_bytes(), homes):
                found.append(int(each.name))
    return found


def names(environ: bytes, homes: set[bytes]) -> bool:
    """Whether a variable is one of these folders, or lies in one."""
    values = [pair.partition(b"=")[2] for pair in environ.split(b"\0")]
    return any(value == home or value.startswith(home + b"/") for value in values for home in homes)


def main() -> None:
    homes = {line.rstrip(b"\n") for line in sys.stdin.buffer} - {b""}
    for _ in range(ROUNDS):
        left = told_of(homes)
        if not left:
            return
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
