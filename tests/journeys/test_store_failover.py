"""One conductor leads: killed, or frozen and thawed, under writes. What was acknowledged is there, each key goes its
way step by step, and nothing of a former leader lands after another one has written.

Processes that lead and write like a conductor, two at a time, on a real PostgreSQL. `make test` takes some rounds,
`make test-failover` fifty.
"""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import orjson
import psycopg
import pytest
from postgres import database, postgres

REPOSITORY = Path(__file__).parents[2]
ROUNDS = int(os.environ.get("AEREKOS_FAILOVER_ROUNDS", "3"))
KEYS = 5
__all__ = ["database", "postgres"]

CONDUCTOR = f"""
import os, sys
import anyio, anyio.to_thread
from controller.kit.clock import SystemClock
from controller.kit.threads import Threads
from controller.store.leading import Lead
from controller.store.records import Change, NotLeading, Stale, StoreAway
from controller.store.sql import open_store, prepare
from crds.meta import ObjectKey

async def main(url, name):
    prepare(url)
    while True:
        lead = Lead(url, name, "")
        try:
            while not await anyio.to_thread.run_sync(lead.take):
                await anyio.sleep(0.1)
            lead.keep()
            store = await open_store(url, threads=Threads(4), clock=SystemClock(), epoch=lead.epoch)
            async with anyio.create_task_group() as tasks:
                for number in range({KEYS}):
                    tasks.start_soon(count, store, name, lead.epoch, number)
        except* (NotLeading, StoreAway) as over:
            print(name, "rests:", *over.exceptions, file=sys.stderr, flush=True)
        await anyio.to_thread.run_sync(lead.give_back)

async def count(store, name, epoch, number):
    key = ObjectKey("test.dev", "things", "default", str(number))
    while True:
        head = store.get(key)
        value = head.object["value"] + 1 if head else 1
        body = {{"metadata": {{"name": key.name}}, "value": value}}
        try:
            (record,) = await store.write([Change(key, body, head.revision if head else 0)], by=str(epoch))
        except (StoreAway, Stale):  # the second: it was frozen, and others have written
            continue
        os.write(1, b"%s wrote %d %d %d\\n" % (name.encode(), number, value, record.revision))
        await anyio.sleep(0.01)

anyio.run(main, *sys.argv[1:])
"""


class Conductors:
    """Those of one database, and what they have said."""

    def __init__(self, url: str) -> None:
        self._url, self._number = url, 0
        self._pipe, self._write = os.pipe()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.acknowledged: list[tuple[int, int, int]] = []
        """Key, value and revision."""
        self.leader, self._rest = "", b""

    def begin(self) -> None:
        self._number += 1
        name = f"c{self._number}"
        command = [sys.executable, "-c", CONDUCTOR, self._url, name]
        self.processes[name] = subprocess.Popen(command, cwd=REPOSITORY, stdout=self._write)

    def listen(self, seconds: float, but: str = "") -> bool:
        """Until somebody other than `but` has written. Whether somebody has."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self._pipe], [], [], left)[0]:
                continue
            *lines, self._rest = (self._rest + os.read(self._pipe, 1 << 16)).split(b"\n")
            for name, what, *numbers in (line.decode().split() for line in lines):
                if what == "wrote":
                    key, value, revision = map(int, numbers)
                    self.acknowledged.append((key, value, revision))
                    self.leader = name
            if lines and self.leader and self.leader != but:
                return True
        return False

    def close(self) -> None:
        for each in self.processes.values():
            each.kill()
        for each in self.processes.values():
            each.wait()
        os.close(self._write)
        os.close(self._pipe)


@pytest.fixture
def conductors(database: str) -> Iterator[Conductors]:
    made = Conductors(database)
    try:
        yield made
    finally:
        made.close()


def check(url: str, acknowledged: list[tuple[int, int, int]]) -> None:
    """The whole history: no gaps, one step at a time for each key, epochs that never go back."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT revision, name, written_by, body FROM records ORDER BY revision").fetchall()
    assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
    epochs = [int(row[2]) for row in rows]
    assert epochs == sorted(epochs)
    found = {(int(name), int(orjson.loads(body)["value"]), revision) for revision, name, _, body in rows}
    assert set(acknowledged) <= found
    steps = defaultdict[str, list[int]](list)
    for _, name, _, body in rows:
        steps[name].append(orjson.loads(body)["value"])
    assert all(values == list(range(1, len(values) + 1)) for values in steps.values())


def test_no_write_of_a_former_leader_lands(database: str, conductors: Conductors) -> None:
    rng, pauses = random.Random(20), list[float]()
    conductors.begin()
    conductors.begin()
    assert conductors.listen(120)
    for turn in range(ROUNDS):
        conductors.listen(rng.uniform(1.5, 3.0), but=conductors.leader)
        old, kill = conductors.leader, turn % 2 == 0
        conductors.processes[old].send_signal(signal.SIGKILL if kill else signal.SIGSTOP)
        began = time.monotonic()
        assert conductors.listen(120, but=old), f"nobody took over from {old}"
        pauses.append(time.monotonic() - began)
        if kill:
            conductors.begin()
        else:  # it wakes up in the middle of what it was doing, is told, and stands by
            conductors.listen(0.2, but=conductors.leader)
            conductors.processes[old].send_signal(signal.SIGCONT)
    conductors.listen(1.0, but=conductors.leader)
    check(database, conductors.acknowledged)
    print(f"\n{ROUNDS} rounds: writes resumed after {median(pauses):.2f} s (median), {max(pauses):.2f} s (longest)")
