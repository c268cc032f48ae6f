"""Schedules: what a million of them cost while they wait, and how late they are called.

`python bench/schedules.py [schedules]`. The engine of schedule_manager over its own SQLite file, without a cloud
around it: what is measured is what it adds. 2,000 are due within twenty seconds, 200 of them at the same moment.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from verdicts import Verdict, limit, table

from services.schedule_manager.app import RETRIES
from services.schedule_manager.delivery import Delivery, Occasion
from services.schedule_manager.engine import Engine
from services.schedule_manager.kinds import ScheduleSpec
from services.schedule_manager.metrics import ScheduleMetrics
from services.schedule_manager.schedule_store import Planned, ScheduleStore
from services.sdk.resources import SystemClock, Threads

AT_REST_SECONDS = 20.0
SPREAD_SECONDS, DUE, TOGETHER = 20, 2000, 200
AT_ONCE = 50_000
TARGET = {
    "arn": "arn:aws:sqs:us-east-1:000000000000:jobs",
    "roleArn": "arn:aws:iam::000000000000:role/sends",
    "input": "work",
}


class Receiver:
    """Takes everything at once, and notes how late it came."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self._wanted, self._all = 0, asyncio.Event()

    async def has(self, count: int) -> None:
        """Until so many came."""
        self._wanted = count
        if len(self.late) < count:
            await self._all.wait()

    async def call(self, occasion: Occasion, *_: Any) -> None:
        self.late.append(time.time() - occasion.firing.due)
        if len(self.late) == self._wanted:
            self._all.set()

    async def post(self, occasion: Occasion, url: str, body: bytes) -> None:
        raise AssertionError("nothing is posted here")


def filled(path: Path, count: int) -> ScheduleStore:
    """`count` schedules that are due in years."""
    store, made = ScheduleStore(path), time.time()
    spec = spec_at(datetime(2090, 1, 1, tzinfo=UTC))
    for begin in range(0, count, AT_ONCE):
        names = range(begin, min(begin + AT_ONCE, count))
        store.plan(*(Planned(f"rest-{each}", 1, "default", spec, made, 3_786_912_000.0 + each) for each in names))
    return store


def spec_at(moment: datetime) -> str:
    text = f"at({moment:%Y-%m-%dT%H:%M:%S})"
    return ScheduleSpec.model_validate({"expression": text, "target": TARGET}).model_dump_json(by_alias=True)


def due_soon(count: int) -> list[Planned]:
    """Spread over seconds, and many in one of them."""
    begin = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=3)
    found = []
    for number in range(count):
        second = SPREAD_SECONDS // 2 if number < TOGETHER else number % SPREAD_SECONDS
        moment = begin + timedelta(seconds=second)
        found.append(Planned(f"due-{number}", 1, "default", spec_at(moment), time.time(), moment.timestamp()))
    return found


async def called(store: ScheduleStore, due: int) -> tuple[float, float]:
    """CPU at rest, in percent of a core, and the lateness that 99 of 100 calls do not exceed, in milliseconds."""
    receiver = Receiver()

    async def completed(plan: Planned) -> None:
        return None

    metrics = ScheduleMetrics(CollectorRegistry())
    engine = Engine(
        store, Delivery(receiver), SystemClock(), Threads(1), metrics, lambda plan: plan.uid, completed, RETRIES
    )
    running = asyncio.create_task(engine.run())
    await asyncio.sleep(0.5)
    before = spent()
    await asyncio.sleep(AT_REST_SECONDS)
    at_rest = (spent() - before) / AT_REST_SECONDS * 100
    store.plan(*due_soon(due))
    engine.wake()
    await receiver.has(due)
    running.cancel()
    return at_rest, sorted(receiver.late)[int(due * 0.99)] * 1000


def spent() -> float:
    """Seconds of CPU this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(count: int = 1_000_000) -> list[Verdict]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "schedules.db"
        store = filled(path, count)
        size = path.stat().st_size / 2**20
        at_rest, late = asyncio.run(called(store, DUE))
        store.close()
    return [
        limit(f"{count:,} schedules at rest, CPU", at_rest, 0.5, " % of a core"),
        Verdict(f"{count:,} schedules, file", size, None, False, f"{size:.0f} MiB"),
        limit(f"lateness of calls, p99, {DUE:,} in {SPREAD_SECONDS} s, {TOGETHER} at once", late, 1000, " ms"),
    ]


if __name__ == "__main__":
    print(table(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)))
