"""Killed anywhere, nothing due is lost; and three days over a clock change are those of a model.

`make test` takes one of each; `make test-schedules` takes all of them, and more kills.
"""

from __future__ import annotations

import asyncio
import os
import random
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.schedule_manager.delivery import Delivery, DeliveryFault, Occasion
from services.schedule_manager.engine import Engine
from services.schedule_manager.kinds import SCHEDULE, Schedule, ScheduleSpec
from services.schedule_manager.metrics import ScheduleMetrics
from services.schedule_manager.planning import moment, planned, timing_of
from services.schedule_manager.schedule_store import Planned, ScheduleStore
from services.schedule_manager.tests.in_memory import QUEUE, ROLE
from services.sdk.resources import Backoff, Inline
from services.sdk.testing.virtual import LoopClock, VirtualLoop

FULL = os.environ.get("AEREKOS_SCHEDULES") == "full"
CHANGES = (datetime(2026, 10, 24, tzinfo=UTC), datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 10, 31, tzinfo=UTC))
ZONES = ("Europe/Berlin", "America/New_York", "UTC")
EXPRESSIONS = (
    "cron(0/20 * * * ? *)",
    "cron(30 1,2,3 * * ? *)",
    "rate(17 minutes)",
    "cron(15 0/4 ? * * *)",
    "rate(1 days)",
)


class Killed(BaseException):
    """The process ends here: nothing after it is done."""


class Receiver:
    """As `delivery.Caller`. Dies before or after what it got, as a kill between send and acknowledge does."""

    def __init__(self, rng: random.Random, deadly: float) -> None:
        self._rng, self._deadly = rng, deadly
        self.got: list[tuple[str, datetime]] = []
        self.now: Any = None
        self.late: list[timedelta] = []

    async def call(
        self, occasion: Occasion, service: str, region: str, operation: str, request: dict[str, Any]
    ) -> None:
        chance = self._rng.random()
        if chance < self._deadly / 2:
            raise Killed
        if chance < self._deadly:
            raise DeliveryFault("ServiceUnavailable", "away")
        self.got.append((occasion.firing.uid, moment(occasion.firing.due)))
        self.late.append(self.now() - moment(occasion.firing.due))
        if self._rng.random() < self._deadly / 2:
            raise Killed

    async def post(self, occasion: Occasion, url: str, body: bytes) -> None:
        raise AssertionError("nothing is posted here")


def schedules(made: datetime, missed: str) -> list[Schedule]:
    found = []
    for number, (zone, expression) in enumerate((z, e) for z in ZONES for e in EXPRESSIONS):
        target = {"arn": QUEUE, "roleArn": ROLE}
        spec = ScheduleSpec.model_validate(
            {"expression": expression, "timezone": zone, "target": target, "missedRuns": missed}
        )
        item = SCHEDULE.new(f"s{number}", namespace="default", spec=spec)
        item.metadata.uid, item.metadata.generation, item.metadata.creation_timestamp = f"u{number}", 1, made
        found.append(item)
    return found


def expected(items: list[Schedule], made: datetime, until: datetime) -> set[tuple[str, datetime]]:
    """The model: every due time of each, by its expression alone."""
    found = set()
    for item in items:
        times = timing_of(item.spec, made).times(made - timedelta(microseconds=1))
        found |= {(item.metadata.uid or "", each) for each in takewhile(lambda each: each <= until, times)}
    return found


async def lived(path: Path, items: list[Schedule], receiver: Receiver, start: datetime, hours: float) -> bool:
    """One life of a process. Whether it was killed."""
    clock = LoopClock(start)
    receiver.now = clock.now
    store = ScheduleStore(path)

    async def completed(plan: Planned) -> None:
        return None

    engine = Engine(
        store, Delivery(receiver), clock, Inline(), ScheduleMetrics(CollectorRegistry()), lambda plan: plan.uid,
        completed, Backoff(first=2.0, limit=60.0),
    )  # fmt: skip
    for item in items:
        if store.planned(item.metadata.uid or "") is None:
            store.plan(planned(item, clock.now(), None))
    try:
        async with asyncio.timeout(hours * 3600):
            await engine.run()
    except TimeoutError:
        return False
    except BaseExceptionGroup as group:
        assert group.subgroup(Killed) is not None
        return True
    finally:
        store.close()
    return False


def run(path: Path, items: list[Schedule], receiver: Receiver, start: datetime, hours: float) -> tuple[bool, float]:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        killed = runner.run(lived(path, items, receiver, start, hours))
        return killed, runner.get_loop().time()


@pytest.mark.parametrize("made", CHANGES if FULL else CHANGES[:1])
def test_72_hours_over_a_clock_change_are_those_of_the_model(made: datetime, tmp_path: Path) -> None:
    items, receiver = schedules(made, "Latest"), Receiver(random.Random(1), deadly=0)
    run(tmp_path / "s.db", items, receiver, made, 72)
    assert len(receiver.got) == len(set(receiver.got)), "nothing comes twice where nothing fails"
    assert set(receiver.got) == expected(items, made, made + timedelta(hours=72) - timedelta(seconds=1))
    assert max(receiver.late) < timedelta(seconds=1)
    assert [due for _, due in receiver.got] == sorted(due for _, due in receiver.got)


@pytest.mark.parametrize("seed", range(20 if FULL else 1))
def test_kills_and_failures_lose_nothing(seed: int, tmp_path: Path) -> None:
    """Duplicates are allowed, losses are not."""
    made = datetime(2026, 10, 24, 12, tzinfo=UTC)
    rng = random.Random(seed)
    items, receiver = schedules(made, "All"), Receiver(rng, deadly=0.15)
    now, end, kills = made, made + timedelta(hours=12), 0
    while now < end:
        killed, seconds = run(tmp_path / "s.db", items, receiver, now, (end - now).total_seconds() / 3600)
        kills += killed
        now += timedelta(seconds=seconds) + timedelta(minutes=rng.random() * 40 if killed else 0)
    settled = Receiver(rng, deadly=0)
    run(tmp_path / "s.db", items, settled, end, 1)
    wanted = expected(items, made, end)
    assert kills > 5 and wanted - set(receiver.got) - set(settled.got) == set()
