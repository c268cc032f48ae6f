"""How close the store comes to SQLite itself: durable writes per second, as ratios within one run.

`python bench/store.py [seconds]`. Both sides use the same folder, pragmas and 1 KB bodies. "raw" inserts one
row per commit with the plain driver; with 64 writers, 64 threads each commit for themselves. "raw batched"
commits as many rows at once as the store did on average: what group commit alone would give. "raw one thread"
is there because 64 threads that wait for SQLite's lock sleep more than they write: it is the harder measure.
"""

from __future__ import annotations

import json
import queue
import sqlite3
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import anyio

from controller.kit.clock import SystemClock
from controller.kit.threads import Threads
from controller.store.records import Change
from controller.store.sql import SqlStore, open_store
from controller.store.sqlite import PRAGMAS
from crds.meta import ObjectKey

TABLE = "CREATE TABLE rows (revision INTEGER PRIMARY KEY, name TEXT, written_at INTEGER, body BLOB)"
INSERT = "INSERT INTO rows (name, written_at, body) VALUES (?, ?, ?)"
TEXT = "x" * 1000


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

    opened._disk.append = counted  # type: ignore[method-assign]
    return count


def compare(folder: Path, writers: int, seconds: float, turn: int) -> dict[str, float]:
    """One line: the store and both raw ways, one after the other."""
    name = f"{writers}-{turn}"
    plain = raw(folder / f"raw-{name}.db", writers, seconds)
    lone = plain if writers == 1 else raw(folder / f"lone-{name}.db", 1, seconds)
    ours, shared = anyio.run(store, folder / f"store-{name}.db", writers, seconds)
    batched = raw(folder / f"batched-{name}.db", 1, seconds, max(round(shared), 1))
    return {
        "writers": writers,
        "store_per_second": round(ours),
        "raw_per_second": round(plain),
        "store_to_raw": round(ours / plain, 2),
        "raw_one_thread_per_second": round(lone),
        "store_to_raw_one_thread": round(ours / lone, 2),
        "writes_per_commit": round(shared, 1),
        "raw_batched_per_second": round(batched),
        "store_to_raw_batched": round(ours / batched, 2),
    }


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        for turn in range(2):
            for writers in (1, 64):
                print(json.dumps(compare(Path(folder), writers, seconds, turn)), flush=True)


if __name__ == "__main__":
    main()
