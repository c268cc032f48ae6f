"""What of a DatabaseUser is decided without a server: when it rotates, whose name it may have, what it waits for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from crds.meta import condition
from services.db_manager.kinds import DATABASE, DatabaseSpec
from services.db_manager.manifest import MANIFEST
from services.db_manager.roles import UserRoles
from services.db_manager.user_kinds import DATABASE_USER, DatabaseUser, DatabaseUserSpec
from services.db_manager.user_reconciler import ROTATE, is_due, next_rotation
from services.sdk.reconcile import Temporary
from services.sdk.testing import in_memory, virtual_time

MADE = datetime(2026, 1, 1, tzinfo=UTC)


def a_user(name: str = "app", annotation: str = "", **spec: Any) -> DatabaseUser:
    made = DATABASE_USER.new(name, namespace="default", spec=DatabaseUserSpec(database="shop", **spec))
    made.metadata.annotations = {ROTATE: annotation} if annotation else None
    return made


@pytest.mark.parametrize(
    ("days", "wish", "expected"),
    [
        (None, "", None),
        (30, "", MADE + timedelta(days=30)),
        (30, "2026-01-02T00:00:00Z", MADE + timedelta(days=1)),
        (30, "2025-12-31T00:00:00Z", MADE + timedelta(days=30)),
        (None, "2026-01-01T00:00:00Z", None),
        (None, "2026-01-01T01:00:00+01:00", None),
    ],
)
def test_it_rotates_by_the_calendar_or_when_somebody_says(
    days: int | None, wish: str, expected: datetime | None
) -> None:
    user = a_user(annotation=wish, rotation={"days": days} if days else None)
    assert next_rotation(user, MADE) == expected
    if expected is not None:
        assert not is_due(user, MADE, expected - timedelta(seconds=1)) and is_due(user, MADE, expected)
    assert not is_due(user, None, MADE)


@pytest.mark.parametrize("wish", ["now", "2026-01-01T00:00:00"])
def test_a_wish_that_is_no_time_is_told(wish: str) -> None:
    with pytest.raises(Temporary, match="annotation") as caught:
        next_rotation(a_user(annotation=wish), MADE)
    assert caught.value.reason == "InvalidAnnotation", "a corrected annotation is seen without another spec"


def test_its_logins_take_turns_and_have_room_for_their_number() -> None:
    roles = UserRoles.of(a_user(username="a" * 61), "shop", "shop")
    assert roles.other(roles.logins[0]) == roles.logins[1] and roles.other(roles.logins[1]) == roles.logins[0]
    assert max(map(len, roles.logins)) == 63
    with pytest.raises(ValidationError):
        a_user(username="a" * 62)
    for each in ("postgres", "pg_monitor", "Web", 'a"b'):
        with pytest.raises(ValidationError):
            a_user(username=each)


@virtual_time
async def test_it_says_what_it_waits_for_and_goes_when_its_database_is_gone() -> None:
    async with in_memory(MANIFEST) as service:
        await service.resources.create(DATABASE_USER, a_user())
        await service.advance(1)
        assert await reason(service) == "DatabaseMissing"
        await service.resources.create(DATABASE, DATABASE.new("shop", namespace="default", spec=spec()))
        await service.advance(20)
        assert await reason(service) == "DatabaseNotReady"
        await service.resources.delete(DATABASE, "shop", "default")
        await service.resources.delete(DATABASE_USER, "app", "default")
        await service.advance(20)
        assert not (await service.resources.list(DATABASE_USER, "default")).items


def spec() -> DatabaseSpec:
    return DatabaseSpec(engine="postgresql")


async def reason(service: Any) -> str:
    said = condition((await service.resources.get(DATABASE_USER, "app", "default")).status.conditions, "Reconciled")
    return said.reason if said else ""
