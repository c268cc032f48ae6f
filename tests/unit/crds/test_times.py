"""Times as Kubernetes writes them: the whole second that has begun, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from crds.model import rfc3339, rfc3339_micro, rfc3339_milli

moments = st.datetimes(
    datetime(2, 1, 1),  # noqa: DTZ001 - the strategy's own zone is UTC
    datetime(9998, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(moment=moments)
def test_it_is_the_second_that_has_begun(moment: datetime) -> None:
    text = rfc3339(moment)
    assert text == f"{moment.replace(microsecond=0, tzinfo=None).isoformat()}Z"
    assert rfc3339(moment) == text, "remembered as it was"


@given(moment=moments, offset=offsets)
def test_the_same_moment_elsewhere_is_the_same_text(moment: datetime, offset: timezone) -> None:
    assert rfc3339(moment.astimezone(offset)) == rfc3339(moment)


def test_a_time_without_a_zone_is_the_machines_own() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901)  # noqa: DTZ001
    assert rfc3339(moment) == rfc3339(moment.astimezone(UTC))


@given(moment=moments, offset=offsets)
def test_shorter_texts_are_the_beginning_of_longer_ones(moment: datetime, offset: timezone) -> None:
    elsewhere = moment.astimezone(offset)
    assert rfc3339_micro(elsewhere)[:-4] == rfc3339_milli(elsewhere)[:-1]
    assert rfc3339_milli(elsewhere)[:-5] == rfc3339(elsewhere)[:-1]
