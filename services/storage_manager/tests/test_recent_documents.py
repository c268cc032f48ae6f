"""Documents of buckets that each request reads: what this process changes counts at once, what others do soon."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.storage_manager.metadata import MetadataIndex, configurations

POLICY, OTHER = {"Policy": "one"}, {"Policy": "two"}


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(configurations, "time", clock)
    return clock


def test_what_this_process_changes_is_read_at_once(tmp_path: Path, clock: Clock) -> None:
    index = MetadataIndex(tmp_path / "book.db")
    assert index.recent("b").documents == {}
    index.put_configuration("b", "policy", POLICY)
    assert index.recent("b").documents == {"policy": POLICY}
    index.put_configuration("b", "policy", OTHER)
    assert index.recent("b").documents == {"policy": OTHER}
    index.drop_configuration("b", "policy")
    assert index.recent("b").documents == {}


def test_what_another_process_changes_is_read_soon(tmp_path: Path, clock: Clock) -> None:
    mine, others = MetadataIndex(tmp_path / "book.db"), MetadataIndex(tmp_path / "book.db")
    mine.put_configuration("b", "policy", POLICY)
    assert mine.recent("b").documents == {"policy": POLICY}
    others.drop_configuration("b", "policy")
    clock.now += 2 * configurations.RECENT_SECONDS
    assert mine.recent("b").documents == {}


def test_what_was_derived_stays_while_nothing_changes(tmp_path: Path, clock: Clock) -> None:
    index = MetadataIndex(tmp_path / "book.db")
    index.put_configuration("b", "policy", POLICY)
    index.recent("b").derived["x"] = 1
    clock.now += 10
    assert index.recent("b").derived == {"x": 1}
    index.put_configuration("b", "policy", OTHER)
    assert index.recent("b").derived == {}


def test_what_was_read_before_a_change_is_not_kept_after_it(tmp_path: Path, clock: Clock) -> None:
    """Another thread commits between the reading and the keeping."""

    class Slow(MetadataIndex):
        between = False

        def configurations(self, bucket: str) -> dict[str, configurations.Document]:
            found = super().configurations(bucket)
            if self.between:
                self.between = False
                self.put_configuration(bucket, "policy", OTHER)
            return found

    index = Slow(tmp_path / "book.db")
    index.between = True
    assert index.recent("b").documents == {}
    assert index.recent("b").documents == {"policy": OTHER}
