"""Schedules: what a million of them cost while they wait, and how late they are called.

    python -m bench.schedules [--schedules 1000000] [--due 2000]

The engine of schedule_manager over its own SQLite file, without a cloud around it: what is measured is what it adds.
`--due` schedules are due within twenty seconds, two hundred at the same moment among them.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from services.schedule_manager.app import RETRIES
from services.schedule_manager.delivery import Delivery, Occasion
from services.schedule_manager.engine import Engine
from services.schedule_manager.kinds import ScheduleSpec
from services.schedule_manager.metrics import ScheduleMetrics
from services.schedule_manager.schedule_store import Planned, ScheduleStore
from services.sdk.resources import SystemClock, Threads

AT_REST_SECONDS = 20.0
SPREAD_SECONDS = 20
TOGETHER = 200
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
    for begin in range(0, count, 50_000):
        names = range(begin, min(begin + 50_000, count))
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


async def measured(store: ScheduleStore, due: int) -> None:
    receiver, registry = Receiver(), CollectorRegistry()

    async def completed(plan: Planned) -> None:
        return None

    engine = Engine(
        store, Delivery(receiver), SystemClock(), Threads(1), ScheduleMetrics(registry), lambda plan: plan.uid,
        completed, RETRIES,
    )  # fmt: skip
    running = asyncio.create_task(engine.run())
    await asyncio.sleep(0.5)
    before = spent()
    await asyncio.sleep(AT_REST_SECONDS)
    print(f"at rest: {(spent() - before) / AT_REST_SECONDS:.3%} of a core")
    store.plan(*due_soon(due))
    engine.wake()
    await receiver.has(due)
    running.cancel()
    late = sorted(receiver.late)
    print(f"{due} called: lateness median {statistics.median(late) * 1000:.0f} ms, ", end="")
    print(f"p99 {late[int(len(late) * 0.99)] * 1000:.0f} ms, last {late[-1] * 1000:.0f} ms")


def spent() -> float:
    """Seconds of CPU this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=1_000_000)
    parser.add_argument("--due", type=int, default=2000)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        path = Path(folder) / "schedules.db"
        store = filled(path, wanted.schedules)
        size = path.stat().st_size / 2**20
        print(f"{wanted.schedules} schedules written in {time.monotonic() - began:.0f} s, {size:.0f} MiB")
        asyncio.run(measured(store, wanted.due))
        store.close()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"memory at most {memory:.0f} MiB, python and what it imports included")


if __name__ == "__main__":
    main()
