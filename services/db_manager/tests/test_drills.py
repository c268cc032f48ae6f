"""When a drill is due, what it makes, and what is said of one that passed or failed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crds.errors import ApiError
from crds.kinds.event import EVENT
from crds.meta import Condition, condition
from services.db_manager.backups.database_archive import DatabaseArchives
from services.db_manager.backups.database_restore import DatabaseRestores
from services.db_manager.conditions import RestorePhase
from services.db_manager.drills import LONGEST, Drills, _number, is_due
from services.db_manager.kinds import (
    DATABASE,
    BackupPolicy,
    BackupStatus,
    Database,
    DatabaseSpec,
    DrillStatus,
    RestoreStatus,
)
from services.db_manager.manifest import MANIFEST
from services.db_manager.names import LONGEST_NAME, drill_name
from services.db_manager.reconciler import DatabaseReconciler
from services.sdk.reconcile import done
from services.sdk.testing import in_memory, virtual_time
from services.sdk.testing.virtual import MemoryService

_LOOK_SECONDS = 1800.0
NOW = datetime(2026, 11, 30, tzinfo=UTC)
LAST = NOW - timedelta(minutes=1)
STORED = BackupStatus(earliest_restorable_time=LAST, latest_restorable_time=NOW, base_backups=1)


def a_database(days: int | None = 7, last: datetime | None = None, wish: str = "") -> Database:
    spec = DatabaseSpec(engine="postgresql", backup=BackupPolicy(drill_days=days))
    made = DATABASE.new("shop", namespace="default", spec=spec)
    made.metadata.annotations = {"aerekos.cloud/drillAt": wish} if wish else None
    made.status.backup = STORED
    made.status.drill = DrillStatus(began_at=last, finished_at=last) if last else None
    return made


@pytest.mark.parametrize(
    ("database", "due"),
    [
        (a_database(), True),
        (a_database(days=None), False),
        (a_database(last=NOW - timedelta(days=6)), False),
        (a_database(last=NOW - timedelta(days=7)), True),
        (a_database(last=NOW - timedelta(days=1), wish="2026-11-29T23:00:00+00:00"), True),
        (a_database(last=NOW - timedelta(days=1), wish="2026-11-28T23:00:00+00:00"), False),
        (a_database(last=NOW - timedelta(days=1), wish="soon"), False),
    ],
)
def test_it_is_due_when_the_policy_or_somebody_says_so(database: Database, due: bool) -> None:
    assert is_due(database, NOW) == due


def test_there_is_nothing_to_try_before_a_backup() -> None:
    database = a_database()
    for stored in (BackupStatus(), BackupStatus(earliest_restorable_time=NOW, latest_restorable_time=LAST)):
        database.status.backup = stored
        assert not is_due(database, NOW)


@pytest.mark.parametrize("name", ["shop", "s" * LONGEST_NAME, f"{'s' * 54}-{'s' * 6}"])
def test_its_name_has_room(name: str) -> None:
    assert len(drill_name(name)) <= LONGEST_NAME and "--" not in drill_name(name)


def test_two_long_names_have_two_drills() -> None:
    assert drill_name(f"{'s' * 55}-a") != drill_name(f"{'s' * 55}-b")


class World:
    """The server and the archive of `shop` answer; what its drill comes to is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(DatabaseReconciler, "_reconciled", self._reconciled)
        monkeypatch.setattr(DatabaseArchives, "finish", _nothing)
        monkeypatch.setattr(Drills, "_asked", self._asked)
        monkeypatch.setattr(DatabaseRestores, "forget", lambda *_: None)
        self.tables = {"shop": 3, "shop-drill": 3}

    async def _reconciled(self, database: Database, world: Any) -> Any:
        if database.metadata.name == "shop":
            database.status.backup = STORED
            await Drills(self).keep(database, world)  # type: ignore[arg-type]
        return done(requeue_after=_LOOK_SECONDS)

    async def _asked(self, database: Database) -> tuple[int, str]:
        tables = self.tables[database.metadata.name]
        return tables, f"{tables} tables"

    def __getattr__(self, name: str) -> Any:
        """Of the service's own resources."""
        return getattr(self.resources, name)

    async def create(self, kind: Any, made: Any) -> Any:
        self._require_up()
        return await self.resources.create(kind, made)

    async def delete(self, kind: Any, name: str, namespace: str) -> None:
        self._require_up()
        drill = (await self.resources.get(DATABASE, "shop", namespace)).status.drill
        self.deleted_while_running |= drill is not None and drill.finished_at is None
        await self.resources.delete(kind, name, namespace)

    def _require_up(self) -> None:
        if self.refusals:
            self.refusals -= 1
            raise ApiError("the conductor restarts")

    resources: Any = None
    refusals = 0
    """So many writes fail."""
    deleted_while_running = False


async def _nothing(*_: Any) -> None:
    return None


async def told(service: MemoryService, status: str, reason: str, message: str = "") -> None:
    there = await service.resources.get(DATABASE, "shop-drill", "default")
    there.status.conditions = [Condition(type="Ready", status=status, reason=reason, message=message)]
    there.status.restore = RestoreStatus(phase=RestorePhase.DONE, time=NOW)
    await service.resources.patch(
        DATABASE, "shop-drill", {"status": there.status.wire()}, "default", subresource="status"
    )
    await service.advance(2 * _LOOK_SECONDS + 1)


async def said(service: MemoryService) -> tuple[str, str]:
    shop = await service.resources.get(DATABASE, "shop", "default")
    found = condition(shop.status.conditions, "Restorable")
    return (found.reason, found.message) if found else ("", "")


async def is_there(service: MemoryService) -> bool:
    return any(each.metadata.name == "shop-drill" for each in (await service.resources.list(DATABASE)).items)


@asynccontextmanager
async def a_cloud() -> AsyncIterator[tuple[World, MemoryService]]:
    """With `shop`, which is tried every day."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        world = World(monkeypatch)
        async with in_memory(MANIFEST) as service:
            world.resources = service.resources
            spec = DatabaseSpec(engine="postgresql", backup=BackupPolicy(drill_days=1))
            await service.resources.create(DATABASE, DATABASE.new("shop", namespace="default", spec=spec))
            yield world, service


@virtual_time
async def test_what_is_stored_is_restored_asked_and_removed_and_what_is_missing_is_told() -> None:
    async with a_cloud() as (_, service):
        await service.advance(1)
        drill = await service.resources.get(DATABASE, "shop-drill", "default")
        assert drill.spec.restore is not None and drill.spec.restore.database == "shop"
        assert drill.spec.backup is None and [each.name for each in drill.metadata.owner_references or ()] == ["shop"]
        await told(service, "True", "Available")
        reason, message = await said(service)
        assert reason == "DrillPassed" and "3 tables" in message and not await is_there(service)
        await service.advance(22 * 3600)
        assert not await is_there(service), "a day has not passed"
        await service.advance(3 * 3600)
        await told(service, "False", "RestoreFailed", "the log from 0/5000000 to 0/5200000 is missing")
        assert await said(service) == ("DrillFailed", "the log from 0/5000000 to 0/5200000 is missing")
        assert not await is_there(service)
        events = (await service.resources.list(EVENT, "default")).items
        assert {"DrillPassed", "DrillFailed"} <= {each.reason for each in events}
        await service.advance(25 * 3600)
        assert await is_there(service)
        await service.advance(LONGEST.total_seconds() + 2 * _LOOK_SECONDS)
        assert (await said(service))[1].startswith("it was not back within 12 hours") and not await is_there(service)


@virtual_time
async def test_what_a_drill_has_made_goes_though_the_api_fails_and_after_its_end_is_stored() -> None:
    async with a_cloud() as (world, service):
        await service.advance(1)
        world.refusals = 1
        await told(service, "True", "Available")
        await service.advance(2 * _LOOK_SECONDS)
        assert world.refusals == 0 and (await said(service))[0] == "DrillPassed"
        assert not await is_there(service) and not world.deleted_while_running


@virtual_time
async def test_it_goes_with_the_policy_too_though_the_api_fails() -> None:
    async with a_cloud() as (world, service):
        await service.advance(1)
        world.refusals = 1
        await service.resources.patch(DATABASE, "shop", {"spec": {"backup": {"drillDays": None}}}, "default")
        await service.advance(2 * _LOOK_SECONDS + 1)
        assert world.refusals == 0 and not await is_there(service) and await said(service) == ("", "")


@virtual_time
async def test_what_an_earlier_drill_has_left_proves_nothing() -> None:
    async with a_cloud() as (_, service):
        await service.advance(1)
        left = await service.resources.get(DATABASE, "shop-drill", "default")
        shop = await service.resources.get(DATABASE, "shop", "default")
        assert shop.status.drill is not None
        earlier = shop.status.drill.began_at - timedelta(days=3)
        lost = DrillStatus(began_at=earlier, finished_at=earlier, passed=True)
        await service.resources.patch(
            DATABASE, "shop", {"status": {"drill": lost.wire()}}, "default", subresource="status"
        )
        await told(service, "True", "Available")
        there = await service.resources.get(DATABASE, "shop-drill", "default")
        assert there.metadata.uid != left.metadata.uid and await said(service) == ("", "")


@virtual_time
async def test_one_that_cannot_be_made_at_once_or_is_deleted_is_made_later() -> None:
    async with a_cloud() as (world, service):
        world.refusals = 1
        await service.advance(_LOOK_SECONDS + 2)
        assert world.refusals == 0 and await is_there(service)
        await service.resources.delete(DATABASE, "shop-drill", "default")
        await service.advance(_LOOK_SECONDS + 2)
        assert await is_there(service) and await said(service) == ("", "")


@virtual_time
async def test_nothing_is_no_proof_where_there_is_something() -> None:
    async with a_cloud() as (world, service):
        world.tables["shop-drill"] = 0
        await service.advance(1)
        await told(service, "True", "Available")
        reason, message = await said(service)
        assert reason == "DrillFailed" and "empty (0 tables), and there are 3 tables now" in message


@pytest.mark.parametrize(("text", "keys", "expires"), [("keys=3,expires=1,avg_ttl=0", 3, 1), ("", 0, 0)])
def test_keys_are_counted_as_valkey_tells_of_them(text: str, keys: int, expires: int) -> None:
    assert (_number(text, "keys"), _number(text, "expires")) == (keys, expires)
