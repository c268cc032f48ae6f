"""When a lifecycle's time has come: midnights, filters, the earliest of several rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.storage_manager.configuration.lifecycle_rules import (
    Expiry,
    Subject,
    current_expiry,
    expiration_header,
    noncurrent_expiry,
    removes_lone_markers,
    upload_expiry,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def rules(*found: dict[str, Any]) -> dict[str, Any]:
    base = {"Status": "Enabled", "Filter": {}}
    return {"Rules": [{**base, "ID": f"r{number}", **each} for number, each in enumerate(found)]}


def days(count: int, **more: Any) -> dict[str, Any]:
    return {"Expiration": {"Days": count}, **more}


def test_days_end_with_the_day() -> None:
    found = current_expiry(rules(days(1)), Subject("a", NOON))
    assert found is not None
    assert found.at == datetime(2026, 3, 3, tzinfo=UTC)
    assert expiration_header(found) == 'expiry-date="Tue, 03 Mar 2026 00:00:00 GMT", rule-id="r0"'
    kept_before = expiration_header(Expiry(found.at, 'ü"\r\nx: y'))
    assert kept_before.endswith('rule-id="%C3%BC%22%0D%0Ax%3A%20y"')
    midnight = current_expiry(rules(days(1)), Subject("a", datetime(2026, 3, 1, tzinfo=UTC)))
    assert midnight is not None and midnight.at == datetime(2026, 3, 2, tzinfo=UTC)
    for_ever = current_expiry(rules(days(2**31 - 1)), Subject("a", NOON))
    assert for_ever is not None and for_ever.at.year == 9999


def test_the_earliest_rule_counts() -> None:
    both = rules(days(9), days(2), {"Expiration": {"Date": "2026-03-20T00:00:00Z"}})
    found = current_expiry(both, Subject("a", NOON))
    assert found is not None and found.rule == "r1"
    assert current_expiry(rules(days(1, Status="Disabled")), Subject("a", NOON)) is None


@pytest.mark.parametrize(
    ("filter", "fits"),
    [
        ({}, True),
        ({"Prefix": "logs/"}, True),
        ({"Prefix": "other/"}, False),
        ({"Tag": {"Key": "a", "Value": "1"}}, True),
        ({"Tag": {"Key": "a", "Value": "2"}}, False),
        ({"And": {"Prefix": "logs/", "Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]}}, False),
        ({"ObjectSizeGreaterThan": 10}, False),
        ({"ObjectSizeGreaterThan": 9}, True),
        ({"ObjectSizeLessThan": 10}, False),
        ({"And": {"ObjectSizeGreaterThan": 9, "ObjectSizeLessThan": 11}}, True),
    ],
)
def test_filters(filter: dict[str, Any], fits: bool) -> None:
    subject = Subject("logs/1", NOON, 10, {"a": "1"})
    assert (current_expiry(rules(days(1, Filter=filter)), subject) is not None) is fits


def test_noncurrent_versions_uploads_and_lone_markers() -> None:
    kept = rules({"NoncurrentVersionExpiration": {"NoncurrentDays": 1, "NewerNoncurrentVersions": 2}})
    assert noncurrent_expiry(kept, Subject("a", NOON), newer=1) is None
    assert noncurrent_expiry(kept, Subject("a", NOON), newer=2) is not None
    assert current_expiry(kept, Subject("a", NOON)) is None
    aborts = rules({"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}})
    assert upload_expiry(aborts, Subject("a", NOON)) is not None
    lone = rules({"Expiration": {"ExpiredObjectDeleteMarker": True}})
    assert removes_lone_markers(lone, Subject("a", NOON), NOON)
    assert current_expiry(lone, Subject("a", NOON)) is None
    assert not removes_lone_markers(rules(days(1)), Subject("a", NOON), NOON)
    assert removes_lone_markers(rules(days(1)), Subject("a", NOON), NOON + timedelta(days=2))


@given(
    st.lists(st.integers(1, 4000), min_size=1, max_size=5),
    st.integers(0, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
)
def test_nothing_goes_before_its_days_are_over(counts: list[int], since: datetime) -> None:
    found = current_expiry(rules(*map(days, counts)), Subject("a", since))
    assert found is not None
    assert since + timedelta(days=min(counts)) <= found.at < since + timedelta(days=min(counts) + 1)
