"""Log calls on a disk that is full: nothing is raised, whoever logs, and what was lost is counted."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from controller.kit.unfailing import Unfailing, unfailing

FULL = Path("/dev/full")
PROGRAM = """
import logging, sys
import anyio, structlog
{configure}
async def main():
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(speak)
async def speak():
    for _ in range(3):
        structlog.get_logger("x").warning("lost")
        logging.getLogger("library").warning("lost")
        try:
            1 / 0
        except ZeroDivisionError:
            structlog.get_logger("x").exception("lost")
    await anyio.lowlevel.checkpoint()
    done.write("went on")
done = open(sys.argv[1], "w")
anyio.run(main)
done.close()
"""
PROCESSES = {
    "conductor": "from api.logging import configure_logging; configure_logging('info')",
    "service": "from services.sdk.logs import start_logging, start_structlog; start_logging(), start_structlog()",
    "agent": "from agent.main import start_logging; start_logging('info')",
}


class FullDisk(io.StringIO):
    """Takes what there is room for."""

    full = False

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(text)


def test_what_is_lost_is_counted_and_told_when_there_is_room() -> None:
    disk = FullDisk()
    stream = Unfailing(disk)
    stream.write("one\n")
    disk.full = True
    for _ in range(3):
        stream.write("lost\n")
    assert stream.lost == 3
    disk.full = False
    stream.write("two\n")
    stream.write("three\n")
    first, told, *rest = [line for line in disk.getvalue().splitlines() if line]
    assert (first, rest) == ("one", ["two", "three"])
    assert json.loads(told)["count"] == 3 and "No space left" in json.loads(told)["because"]


def test_a_failing_flush_and_a_closed_stream_are_no_reason_either() -> None:
    class Late(io.StringIO):
        def flush(self) -> None:
            raise OSError(errno.ENOSPC, "full")

    late, closed = Unfailing(Late()), FullDisk()
    late.write("x")
    assert late.lost == 1
    closed.close()
    Unfailing(closed).write("x")


def test_both_kinds_of_logger_go_on() -> None:
    disk = FullDisk()
    disk.full = True
    stream = unfailing(disk)
    structlog.WriteLoggerFactory(file=stream)().info("x")
    handler = logging.StreamHandler(stream)
    handler.handle(logging.makeLogRecord({"msg": "x"}))
    assert stream.lost == 2  # type: ignore[attr-defined]


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
@pytest.mark.parametrize("process", PROCESSES)
def test_no_process_of_ours_ends_by_its_log(process: str, tmp_path: Path) -> None:
    program, done = PROGRAM.format(configure=PROCESSES[process]), tmp_path / "done"
    with FULL.open("w") as full:
        command, env = [sys.executable, "-c", program, str(done)], {**os.environ, "PYTHONUNBUFFERED": "1"}
        subprocess.run(command, stdout=full, stderr=full, timeout=60, check=False, env=env)
    assert done.read_text() == "went on"
