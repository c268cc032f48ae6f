"""A process that has closed everything ends, whatever its threads still wait for."""

from __future__ import annotations

import subprocess
import sys

WAITING = """
import asyncio, threading
from controller.kit.process_exit import exit_now
async def work():
    asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)
    await asyncio.sleep(0.01)
    print("all is written")
with asyncio.Runner() as runner:
    runner.run(work())
    exit_now(7)
"""


def test_a_thread_that_waits_for_ever_holds_nobody_up() -> None:
    done = subprocess.run([sys.executable, "-c", WAITING], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (7, "all is written\n"), done.stderr
