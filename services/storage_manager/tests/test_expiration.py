"""Lifecycles at work on an index, in time that the test makes pass."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.storage_manager import expiration
from services.storage_manager.configuration.object_lock import retention_of
from services.storage_manager.expiration import Expiration
from services.storage_manager.metadata import MetadataIndex, Object, Upload

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


class House:
    """An index whose clock the test sets, and a bucket `b` in it."""

    def __init__(self, path: Path) -> None:
        self.now = START
        self.index = MetadataIndex(path / "index.db", lambda: self.now.timestamp())
        self.expiration = Expiration(self.index, self._commit)
        self.changes = 0

    async def _commit(self, change: Callable[[], Any]) -> Any:
        self.changes += 1
        return change()

    def rules(self, **rule: Any) -> None:
        whole = {"ID": "r", "Status": "Enabled", "Filter": {}, **rule}
        self.index.put_configuration("b", "lifecycle", {"Rules": [whole]})

    def versions(self, status: str) -> None:
        self.index.put_configuration("b", "versioning", {"Status": status})

    def put(self, key: str, **attributes: Any) -> None:
        self.index.put("b", Object(key, 1, "e", self.now.timestamp(), {}, (), attributes))

    def keys(self) -> list[str]:
        """Of every version, delete markers with a star."""
        page = self.index.version_page("b", ("", None), True, 5000)
        return [each.key + "*" * each.marker for each in page]

    def after(self, passed: timedelta) -> list[str]:
        """What there is when that time has passed and nothing more is to be done."""
        self.now += passed
        while asyncio.run(self.expiration.advance("b", self.now)):
            pass
        return self.keys()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_what_is_old_goes_and_nothing_else(house: House) -> None:
    house.rules(Filter={"Prefix": "logs/"}, Expiration={"Days": 2})
    house.put("logs/1")
    house.put("kept")
    assert house.after(DAY) == ["kept", "logs/1"]
    house.put("logs/2")
    assert house.after(2 * DAY) == ["kept", "logs/2"]
    assert house.after(DAY) == ["kept"]


def test_a_pass_is_made_each_hour_and_when_rules_change(house: House) -> None:
    house.rules(Expiration={"Days": 9})
    house.put("a")
    assert house.after(3 * DAY) == ["a"]
    house.rules(Expiration={"Days": 1})
    assert house.after(timedelta()) == []
    house.put("b")
    house.now += 9 * DAY
    house.index.drop_configuration("b", "lifecycle")
    assert house.after(DAY) == ["b"]


def test_tags_are_looked_at(house: House) -> None:
    house.rules(Filter={"Tag": {"Key": "t", "Value": "1"}}, Expiration={"Days": 1})
    house.put("a", tags={"t": "1"})
    house.put("b", tags={"t": "2"})
    assert house.after(3 * DAY) == ["b"]


def test_versions_get_a_marker_first(house: House) -> None:
    house.versions("Enabled")
    house.rules(Expiration={"Days": 1}, NoncurrentVersionExpiration={"NoncurrentDays": 2})
    house.put("a")
    assert house.after(2 * DAY) == ["a*", "a"]
    assert house.after(2 * DAY) == ["a*", "a"]
    assert house.after(DAY) == ["a*"]
    assert house.after(DAY) == []


def test_the_newest_noncurrent_versions_stay(house: House) -> None:
    house.versions("Enabled")
    house.rules(NoncurrentVersionExpiration={"NoncurrentDays": 1, "NewerNoncurrentVersions": 2})
    for _ in range(5):
        house.put("a")
    assert house.after(9 * DAY) == ["a"] * 3


def test_what_is_locked_stays(house: House) -> None:
    house.versions("Enabled")
    house.rules(NoncurrentVersionExpiration={"NoncurrentDays": 1})
    house.put("a", retention=retention_of("GOVERNANCE", START + 20 * DAY))
    house.put("a", **{"legal-hold": {"Status": "ON"}})
    house.put("a")
    assert house.after(9 * DAY) == ["a"] * 3
    assert house.after(20 * DAY) == ["a"] * 2


def test_uploads_that_nobody_completes_go(house: House) -> None:
    house.rules(AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1})
    house.index.begin(Upload("u", "b", "a", START.timestamp(), {}))
    house.after(DAY)
    assert len(house.index.uploads("b", "")) == 1
    house.after(DAY)
    assert house.index.uploads("b", "") == []


def test_many_keys_and_many_versions_of_one(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiration, "PAGE", 3)
    monkeypatch.setattr(expiration, "PAGES_AT_ONCE", 1)
    house.versions("Enabled")
    house.rules(Expiration={"Days": 1}, NoncurrentVersionExpiration={"NoncurrentDays": 1})
    for number in range(7):
        house.put(f"k{number}")
    for _ in range(8):
        house.put("many")
    names = [*(f"k{number}" for number in range(7)), "many"]
    assert house.after(9 * DAY) == [f"{name}{mark}" for name in names for mark in ("*", "")]
    assert house.after(9 * DAY) == [f"{name}*" for name in names]
    assert house.after(9 * DAY) == []


def test_what_changed_meanwhile_stays(house: House) -> None:
    house.rules(Expiration={"Days": 1})
    house.put("a")
    house.now += 9 * DAY
    old = house.index.find("b", "a")
    assert old is not None
    house.put("a")
    with pytest.raises(Exception, match="another one by now"):
        house.index.remove("b", "a", expiration._same(old))
    assert house.keys() == ["a"]
