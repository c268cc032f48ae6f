"""How close the store comes to SQLite itself: durable writes per second, as ratios within one run.

`python bench/store.py [seconds]`. Both sides use the same folder, pragmas and 1 KB bodies. "raw" inserts one
row per commit with the plain driver; with 64 writers, 64 threads each commit for themselves. "raw batched"
commits as many rows at once as the store did on average: what group commit alone would give. "raw one thread"
is there because 64 threads that wait for SQLite's lock sleep more than they write: it is the harder measure.
"""

from __future__ import annotations

import queue
import sqlite3
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import anyio
import uvloop
from verdicts import Verdict, ratio, table

from controller.kit.clock import SystemClock
from controller.kit.threads import Threads
from controller.store.records import Change
from controller.store.sql import SqlStore, open_store
from controller.store.sqlite import PRAGMAS
from crds.meta import ObjectKey

TABLE = "CREATE TABLE rows (revision INTEGER PRIMARY KEY, name TEXT, written_at INTEGER, body BLOB)"
INSERT = "INSERT INTO rows (name, written_at, body) VALUES (?, ?, ?)"
TEXT = "x" * 1000
ROUNDS = 3
TARGET = 0.60


class Compared(NamedTuple):
    """Rows per second: the store, and three ways to use SQLite without it."""

    ours: float
    plain: float
    one_thread: float
    batched: float


def connect(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, isolation_level=None, timeout=60)
    for pragma in PRAGMAS:
        connection.execute(pragma)
    return connection


def raw(file: Path, writers: int, seconds: float, batch: int = 1) -> float:
    """Rows per second."""
    connect(file).execute(TABLE)
    counts: queue.Queue[int] = queue.Queue()
    threads = [threading.Thread(target=_raw_writer, args=(file, seconds, batch, counts)) for _ in range(writers)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts.get() for _ in threads) / (time.monotonic() - began)


def _raw_writer(file: Path, seconds: float, batch: int, counts: queue.Queue[int]) -> None:
    connection = connect(file)
    connection.execute("PRAGMA busy_timeout=60000")
    deadline, done = time.monotonic() + seconds, 0
    while time.monotonic() < deadline:
        rows = [(f"row-{done + n}", time.time_ns(), TEXT.encode()) for n in range(batch)]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(INSERT, rows)
        connection.execute("COMMIT")
        done += batch
    counts.put(done)


async def store(file: Path, writers: int, seconds: float) -> tuple[float, float]:
    """Writes per second, and how many shared a commit on average."""
    opened = await open_store(f"sqlite:///{file}", threads=Threads(8), clock=SystemClock())
    assert isinstance(opened, SqlStore)
    commits = _count_commits(opened)
    deadline = time.monotonic() + seconds

    async def write(who: int) -> None:
        turn = 0
        while time.monotonic() < deadline:
            key = ObjectKey("bench.dev", "rows", "default", f"{who}-{turn % 100}")
            head = opened.get(key)
            meta = {"name": key.name, "uid": "u", "generation": 1}
            body = {"metadata": meta, "spec": {"text": TEXT}}
            await opened.write([Change(key, body, head.revision if head else 0)], by="bench")
            turn += 1

    began = time.monotonic()
    async with anyio.create_task_group() as tasks:
        for who in range(writers):
            tasks.start_soon(write, who)
    taken = time.monotonic() - began
    written = opened.revision
    await opened.close()
    return written / taken, written / max(commits[0], 1)


def _count_commits(opened: SqlStore) -> list[int]:
    count, append = [0], opened._disk.append

    def counted(*args: Any) -> bool:
        count[0] += 1
        return append(*args)

    opened._disk.append = counted  # type: ignore[method-assign, assignment]
    return count


def compare(folder: Path, writers: int, seconds: float, turn: int) -> Compared:
    """The store and the raw ways, one after the other."""
    name = f"{writers}-{turn}"
    plain = raw(folder / f"raw-{name}.db", writers, seconds)
    lone = plain if writers == 1 else raw(folder / f"lone-{name}.db", 1, seconds)
    ours, shared = uvloop.run(store(folder / f"store-{name}.db", writers, seconds))
    batched = raw(folder / f"batched-{name}.db", 1, seconds, max(round(shared), 1))
    return Compared(ours, plain, lone, batched)


def measure(seconds: float = 2.0) -> list[Verdict]:
    """One writer, then 64: medians of rounds taken in turn. Files lie where temporary files do, on one disk."""
    verdicts = []
    with tempfile.TemporaryDirectory() as folder:
        for writers in (1, 64):
            rounds = [compare(Path(folder), writers, seconds, turn) for turn in range(ROUNDS)]
            ours, plain, lone, batched = (median(column) for column in zip(*rounds, strict=True))
            what = f"store, {writers} writer{'s' if writers > 1 else ''}, against"
            verdicts.append(ratio(f"{what} raw SQLite", ours, plain, TARGET if writers > 1 else None))
            if writers > 1:
                verdicts.append(ratio(f"{what} raw SQLite, one thread", ours, lone, TARGET))
                verdicts.append(ratio(f"{what} raw SQLite, as many rows per commit", ours, batched))
    return verdicts


def main() -> None:
    print(table(measure(float(sys.argv[1]) if len(sys.argv) > 1 else 2.0)))


if __name__ == "__main__":
    main()
