"""Backups are made once and noted, schedules make them when they are due, keep the newest and try them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import anyio
import pytest
from unit.reconcilers.houses import Shelf, Told

from controller.health.backups import of_schedules
from controller.kit.clock import LoopClock
from controller.reconcile.outcome import Temporary
from controller.reconcile.reconciler import World
from controller.reconcilers.backup import BackupJob, BackupOrder, BackupReconciler
from controller.reconcilers.backup_schedule import BackupScheduleReconciler
from crds.kinds.backup import BACKUP, BACKUP_SCHEDULE, BackupScheduleSpec, BackupSpec
from crds.meta import condition, is_true

pytestmark = pytest.mark.anyio
TO = "/srv/backups"
HOUR = 3600


class Jobs:
    """Orders, and what a test says of them."""

    def __init__(self) -> None:
        self.orders: list[BackupOrder] = []
        self.jobs: dict[str, BackupJob] = {}

    def find(self, name: str) -> BackupJob | None:
        return self.jobs.get(name)

    def start(self, name: str, order: BackupOrder, wake: Any) -> None:
        self.orders.append(order)
        self.jobs[name] = BackupJob()

    def drop(self, name: str) -> None:
        self.jobs.pop(name, None)

    def end(self, failure: str = "") -> None:
        for job in self.jobs.values():
            job.finished, job.failure = True, failure
            job.result = {"id": "20260301T120000Z-00000001", "revision": 7, "resources": 5, "counts": "2 objects"}


class Stored(Shelf):
    """As resources and as what was seen of them."""

    def __init__(self, clock: Any) -> None:
        super().__init__([])
        self.clock, self.number = clock, 0

    async def create(self, kind: Any, resource: Any) -> Any:
        self.number += 1
        resource.metadata.uid = f"0000000{self.number}-0000"
        resource.metadata.creation_timestamp = self.clock.now()
        return self.put(kind, resource)

    async def delete(self, kind: Any, name: str, namespace: Any = None, *, uid: Any = None) -> None:
        self.items = [each for each in self.items if each[1].metadata.name != name]


class House:
    def __init__(self) -> None:
        clock = LoopClock()
        self.stored, self.jobs = Stored(clock), Jobs()
        self.world = World(resources=self.stored, seen=self.stored, clock=clock, events=Told())  # type: ignore[arg-type]
        self.backups, self.schedules = BackupReconciler(self.jobs), BackupScheduleReconciler(self.jobs)

    async def backup(self, **spec: Any) -> Any:
        return await self.stored.create(BACKUP, BACKUP.new("now", spec=BackupSpec(to=TO, **spec)))

    async def schedule(self, **spec: Any) -> Any:
        made = BACKUP_SCHEDULE.new("nightly", spec=BackupScheduleSpec(to=TO, **spec))
        return await self.stored.create(BACKUP_SCHEDULE, made)

    async def settle(self, hours: float, schedule: Any, failure: str = "") -> None:
        """Every ten minutes of so many hours, all is looked at; jobs end at once."""
        for _ in range(int(hours * 6)):
            for _ in range(3):
                await self.schedules.reconcile(schedule, self.world)
                for each in self.stored.list(BACKUP):
                    await self.backups.reconcile(each, self.world)
                self.jobs.end(failure)
            await anyio.sleep(600)

    @property
    def news(self) -> list[str]:
        return [reason for reason, _ in self.world.events.news]  # type: ignore[attr-defined]


def wire(schedule: Any) -> dict[str, Any]:
    return dict(schedule.model_dump(mode="json", by_alias=True))


async def test_a_backup_is_made_once_and_says_how_far_it_is() -> None:
    house = House()
    backup = await house.backup()
    await house.backups.reconcile(backup, house.world)
    assert backup.status.phase == "Running" and not house.jobs.orders, "what its id follows from is stored first"
    await house.backups.reconcile(backup, house.world)
    (order,) = house.jobs.orders
    assert (order.action, order.to) == ("create", "/srv/backups")
    assert (order.made_at, order.mark) == (backup.status.started_at, "00000001")
    house.jobs.jobs["00000001-0000"].read_bytes = 42
    await house.backups.reconcile(backup, house.world)
    assert backup.status.read_bytes == 42 and backup.status.phase == "Running"
    house.jobs.end()
    await house.backups.reconcile(backup, house.world)
    assert backup.status.phase == "Succeeded" and is_true(backup.status.conditions, "Complete")
    assert (backup.status.resources, backup.status.revision) == (5, 7) and house.news == ["BackupSucceeded"]
    await house.backups.reconcile(backup, house.world)
    assert len(house.jobs.orders) == 1


async def test_one_that_was_running_when_the_conductor_ended_is_the_same_backup_again() -> None:
    house = House()
    backup = await house.backup()
    for _ in range(2):
        await house.backups.reconcile(backup, house.world)
    house.jobs.jobs.clear()
    await anyio.sleep(HOUR)
    await house.backups.reconcile(backup, house.world)
    first, second = house.jobs.orders
    assert first == second


async def test_one_that_fails_says_why_and_is_not_tried_again() -> None:
    house = House()
    backup = await house.backup()
    for _ in range(2):
        await house.backups.reconcile(backup, house.world)
    house.jobs.end("there is no folder")
    for _ in range(3):
        await house.backups.reconcile(backup, house.world)
    why = condition(backup.status.conditions, "Complete")
    assert backup.status.phase == "Failed" and why is not None and why.message == "there is no folder"
    assert house.news == ["BackupFailed"] and len(house.jobs.orders) == 1


async def test_with_its_resource_a_backup_goes_unless_it_is_retained() -> None:
    house = House()
    backup = await house.backup()
    backup.status.phase, backup.status.id = "Succeeded", "20260301T120000Z-00000001"
    assert not (await house.backups.finalize(backup, house.world)).settled
    house.jobs.end("the disk is away")
    with pytest.raises(Temporary, match="the disk is away"):
        await house.backups.finalize(backup, house.world)
    await house.backups.finalize(backup, house.world)
    house.jobs.end()
    assert (await house.backups.finalize(backup, house.world)).settled
    assert {each.action for each in house.jobs.orders} == {"forget"} and house.jobs.orders[0].id == backup.status.id
    backup.spec.deletion_policy = "Retain"
    assert (await house.backups.finalize(backup, house.world)).settled and len(house.jobs.orders) == 2


async def test_a_schedule_makes_keeps_and_tries() -> None:
    house = House()
    schedule = await house.schedule(every_hours=6, keep=3, drill_every_hours=24)
    await house.settle(49, schedule)
    actions = [each.action for each in house.jobs.orders]
    assert actions.count("create") == 9 and actions.count("check") == 3
    assert len(house.stored.list(BACKUP)) == 3, "the newest"
    status = schedule.status
    assert is_true(status.conditions, "BackedUp") and is_true(status.conditions, "Restorable")
    newest = max(each.status.started_at for each in house.stored.list(BACKUP))
    assert status.last_backup_at == newest and status.next_backup_at is not None
    assert status.next_backup_at > house.world.clock.now() and "DrillSucceeded" in house.news


async def test_a_failed_backup_is_repeated_within_the_hour_and_told() -> None:
    house = House()
    schedule = await house.schedule(every_hours=24)
    await house.settle(8, schedule, "the disk is full")
    assert 7 <= len([each for each in house.jobs.orders if each.action == "create"]) <= 9
    assert len(house.stored.list(BACKUP)) <= 4, "of failed ones, the last"
    (finding,) = of_schedules([wire(schedule)], house.world.clock.now())
    assert (finding.severity, str(finding.code)) == (
        "warning",
        "BackupFailed",
    ) and "the disk is full" in finding.message


async def test_a_backup_that_cannot_be_restored_is_the_worst_of_all() -> None:
    house = House()
    schedule = await house.schedule(every_hours=24)
    await house.settle(1, schedule)
    house.jobs.jobs[f"{schedule.metadata.uid}/drill"] = BackupJob(finished=True, failure="chunk 12 is missing")
    await house.schedules.reconcile(schedule, house.world)
    body = wire(schedule)
    (finding,) = of_schedules([body], house.world.clock.now())
    assert (finding.severity, str(finding.code)) == ("critical", "BackupNotRestorable")
    assert "chunk 12 is missing" in finding.message and "DrillFailed" in house.news
    (late, *_) = list(of_schedules([body], house.world.clock.now() + timedelta(hours=60)))[1:]
    assert str(late.code) == "BackupOverdue"


async def test_a_suspended_schedule_does_nothing() -> None:
    house = House()
    schedule = await house.schedule(suspended=True)
    await house.settle(30, schedule)
    assert not house.jobs.orders and not house.stored.list(BACKUP)
    body = wire(schedule)
    assert not list(of_schedules([body], house.world.clock.now() + timedelta(days=9)))


@pytest.mark.parametrize("to", ["relative", "/srv/../etc", "s3://", "ftp://x", "/a\nb", ""])
def test_a_location_that_is_none_is_refused(to: str) -> None:
    with pytest.raises(ValueError, match="to"):
        BackupSpec(to=to)
