"""Sweeps a slot when whoever held it is gone, even by SIGKILL.

Started with one end of a pipe as standard input: the end of that stream means its holder ended. Usage:
`python guard.py <slot number>`. When the holder swept by itself there is nothing left to do.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from swarm.slots import Slot, sweep


def start_guard(number: int) -> subprocess.Popen[bytes]:
    """Its standard input is the pipe: close it (or die) to let it go."""
    return subprocess.Popen(
        [sys.executable, __file__, str(number)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


def main() -> None:
    while os.read(0, 4096):
        continue
    with Path(f"/tmp/aerekos-swarm-{sys.argv[1]}.lock").open("a") as lock:
        # The kernel may close the pipe of a dying process a moment before it lets go of the lock.
        deadline = time.monotonic() + 5
        while not _locked(lock):
            if time.monotonic() > deadline:
                return  # somebody else has the slot, and swept it first
            time.sleep(0.05)
        sweep(Slot(int(sys.argv[1]), lock))


def _locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


if __name__ == "__main__":
    main()
