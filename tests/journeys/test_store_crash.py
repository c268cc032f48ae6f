"""What was acknowledged is there, whenever the process dies: two hundred times kill -9 in mid-write.

A preloaded nursery process forks the writers, because importing everything anew for each life would take
longer than the lives. A killed process says nothing about a lost power supply: the pages it handed to the
kernel survive it. That commits are synced before they are acknowledged is `synchronous=FULL`'s promise.
"""

from __future__ import annotations

import os
import random
import select
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
LIVES, FILES, WRITERS = 200, 4, 16

NURSERY = f"""
import os, sys
import anyio
from controller.kit.clock import SystemClock
from controller.kit.threads import Threads
from controller.store.records import Change
from controller.store.sql import open_store
from crds.meta import ObjectKey

async def live(url):
    store = await open_store(url, threads=Threads(4), clock=SystemClock())
    os.write(1, b"alive %d\\n" % store.revision)

    async def write(who):
        turn = 0
        while True:
            turn += 1
            key = ObjectKey("test.dev", "things", "default", f"{{who}}-{{turn % 7}}")
            head = store.get(key)
            dies = head is not None and turn % 5 == 0
            body = None if dies else {{"metadata": {{"name": key.name}}, "text": "x" * 300}}
            (record,) = await store.write([Change(key, body, head.revision if head else 0)], by=str(who))
            os.write(1, b"%s %d\\n" % (key.name.encode(), record.revision))

    async with anyio.create_task_group() as tasks:
        for who in range({WRITERS}):
            tasks.start_soon(write, who)

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        anyio.run(live, line.strip())
    os.write(1, b"pid %d\\n" % child)
    os.waitpid(child, 0)
    os.write(1, b"dead\\n")
"""


class Nursery:
    """Starts one writer at a time and reads what it says."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", NURSERY],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )

    def one_life(self, url: str, seconds: float) -> tuple[int, list[tuple[str, int]]]:
        """The revision it woke up with, and what it acknowledged before it was killed."""
        assert self._process.stdin is not None
        self._process.stdin.write(url.encode() + b"\n")
        said = self._read_until(lambda text: b"alive " in text and b"pid " in text, 20)
        said += self._read_until(lambda _: False, seconds)
        lines = said.split(b"\n")
        pid = int(next(line for line in lines if line.startswith(b"pid ")).split()[1])
        os.kill(pid, signal.SIGKILL)
        said += self._read_until(lambda text: text.endswith(b"dead\n"), 20)
        words = [line.decode().split() for line in said.split(b"\n") if line.count(b" ") == 1]
        woke = next(int(number) for word, number in words if word == "alive")
        return woke, [(word, int(number)) for word, number in words if word not in ("alive", "pid")]

    def _read_until(self, enough: object, seconds: float) -> bytes:
        assert self._process.stdout is not None
        assert callable(enough)
        text, deadline = b"", time.monotonic() + seconds
        while not enough(text) and (left := deadline - time.monotonic()) > 0:
            if select.select([self._process.stdout], [], [], left)[0]:
                text += os.read(self._process.stdout.fileno(), 1 << 16)
        return text

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def check(file: Path, acknowledged: list[tuple[str, int]]) -> int:
    """Every acknowledged record is there, revisions have no gap, heads are the newest. Returns the newest."""
    connection = sqlite3.connect(file)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    rows = connection.execute("SELECT revision, name, verb FROM records ORDER BY revision").fetchall()
    (clock,) = connection.execute("SELECT revision FROM clock").fetchone()
    assert [row[0] for row in rows] == list(range(1, clock + 1))
    assert {(revision, name) for name, revision in acknowledged} <= {(row[0], row[1]) for row in rows}
    newest = {name: (revision, verb != "deleted") for revision, name, verb in rows}
    heads = connection.execute("SELECT name, revision, living FROM heads").fetchall()
    assert {name: (revision, bool(living)) for name, revision, living in heads} == newest
    connection.close()
    return int(clock)


@pytest.mark.parametrize("number", range(FILES))
def test_nothing_acknowledged_is_lost(tmp_path: Path, number: int) -> None:
    file = tmp_path / "records.db"
    rng, nursery, acknowledged = random.Random(number), Nursery(), []
    try:
        for _ in range(LIVES // FILES):
            woke, written = nursery.one_life(f"sqlite:///{file}", rng.uniform(0.0, 0.09))
            assert woke >= max((revision for _, revision in acknowledged), default=0)
            acknowledged += written
    finally:
        nursery.close()
    assert len(acknowledged) > LIVES
    assert check(file, acknowledged) >= len(acknowledged)
