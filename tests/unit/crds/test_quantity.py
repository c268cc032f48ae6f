"""Quantities and durations read as Kubernetes and Go read them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crds.quantity import format_bytes, parse_duration, parse_quantity


@pytest.mark.parametrize(
    ("text", "amount"),
    [("500m", "0.5"), ("2", "2"), ("256Mi", "268435456"), ("1.5G", "1500000000"), ("1e3", "1000"), (".5", "0.5")],
)
def test_known_quantities(text: str, amount: str) -> None:
    assert parse_quantity(text) == Decimal(amount)


@pytest.mark.parametrize("text", ["", "x", "-1", "1 Gi", "1Gib", "1ki", "1e"])
def test_what_is_no_quantity_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        parse_quantity(text)


@given(st.integers(min_value=0, max_value=2**60))
def test_formatted_bytes_can_be_read_back_within_a_twentieth(count: int) -> None:
    assert abs(parse_quantity(format_bytes(count)) - count) <= Decimal(count) / 20


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("1h30m", 5400), ("7d", 604800), ("0.5s", 0.5)])
def test_known_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "1m1h", "abc", "-1s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)
