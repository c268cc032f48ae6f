"""What PutMetricData sends, read and judged.

Source: Amazon CloudWatch API reference, PutMetricData, MetricDatum, StatisticSet.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from services.metrics_manager.cloudwatch import errors
from services.metrics_manager.cloudwatch.names import NO_UNIT, Metric
from services.metrics_manager.taking import MOST_SAMPLES

Json = Mapping[str, Any]
MOST_DATA, MOST_VALUES = 1_000, 150
AHEAD, KEPT = 2 * 3_600_000, 14 * 86_400_000
_BIGGEST = 2.0**360
_KINDS = ("Value", "StatisticValues", "Values")


class Datum(NamedTuple):
    """One value of a metric, `weight` times; where it is the average of others, these are between `low` and `high`.
    `time` in ms; `span`: within how many ms it may stand as well as there.
    """

    metric: Metric
    unit: str
    time: int
    span: int
    value: float
    weight: float
    low: float
    high: float


def read_data(request: Json, owner: str, region: str, now: int) -> list[Datum]:
    """All that a request puts. `now` in ms. Raises AwsError."""
    group, data = request["Namespace"], request.get("MetricData") or []
    if not data:
        raise errors.missing("The parameter MetricData is required.")
    if len(data) > MOST_DATA:
        raise errors.invalid(
            f"The collection MetricData must not have a size greater than {MOST_DATA}; it has {len(data)}."
        )
    found: list[Datum] = []
    for number, each in enumerate(data, 1):
        found += _read(each, f"MetricData.member.{number}", (owner, region, group), now)
    if len(found) > MOST_SAMPLES:
        raise errors.invalid(f"At most {MOST_SAMPLES} values are taken in one request; this one has {len(found)}.")
    return found


def metric_in(said: Json, owner: str, region: str, path: str = "Dimensions") -> Metric:
    """The metric that `Namespace`, `MetricName` and `Dimensions` mean. Raises AwsError."""
    pairs = [(each["Name"], each["Value"]) for each in said.get("Dimensions") or ()]
    if len({name for name, _ in pairs}) < len(pairs):
        raise errors.invalid(f"The parameter {path} names a dimension twice.")
    return Metric(owner, region, said["Namespace"], said["MetricName"], tuple(sorted(pairs)))


def _read(said: Json, path: str, place: tuple[str, str, str], now: int) -> Iterator[Datum]:
    owner, region, group = place
    metric = metric_in({**said, "Namespace": group}, owner, region, f"{path}.Dimensions")
    span = _span(said.get("StorageResolution"), path)
    time = _time(said.get("Timestamp"), now, path)
    for value, count, low, high in _values(said, path):
        yield Datum(metric, said.get("Unit") or NO_UNIT, time, span, value, count, low, high)


def _span(resolution: int | None, path: str) -> int:
    if resolution not in (None, 1, 60):
        raise errors.invalid(f"The parameter {path}.StorageResolution must be 1 or 60.")
    return 1_000 if resolution == 1 else 60_000


def _time(said: datetime | None, now: int, path: str) -> int:
    if said is None:
        return now
    time = math.floor(said.timestamp() * 1000)
    if time > now + AHEAD:
        raise errors.invalid(
            f"The parameter {path}.Timestamp must specify a time no more than two hours in the future."
        )
    if time < now - KEPT:
        raise errors.invalid(f"The parameter {path}.Timestamp must specify a time within the past two weeks.")
    return time


def _values(said: Json, path: str) -> list[tuple[float, float, float, float]]:
    """Value, how often, and the borders of what it is the average of. Raises AwsError."""
    kinds = [each for each in _KINDS if said.get(each) is not None]
    if not kinds:
        raise errors.missing(f"At least one of the parameters {path}.Value, Values or StatisticValues is required.")
    if len(kinds) > 1:
        raise errors.combination(
            f"The parameters {path}.{kinds[0]} and {path}.{kinds[1]} are mutually exclusive "
            "and you have specified both."
        )
    if kinds == ["Value"]:
        if said.get("Counts"):
            raise errors.combination(f"The parameter {path}.Counts is about {path}.Values, which are not there.")
        value = _number(said["Value"], f"{path}.Value")
        return [(value, 1.0, value, value)]
    if kinds == ["Values"]:
        return _counted(said["Values"], said.get("Counts"), path)
    return [_statistics(said["StatisticValues"], f"{path}.StatisticValues")]


def _counted(
    values: Sequence[float], counts: Sequence[float] | None, path: str
) -> list[tuple[float, float, float, float]]:
    if counts is not None and len(counts) != len(values):
        raise errors.invalid(f"The parameters {path}.Values and {path}.Counts must be of the same size.")
    if not 1 <= len(values) <= MOST_VALUES:
        raise errors.invalid(f"The parameter {path}.Values must have 1 to {MOST_VALUES} members.")
    found = []
    for number, each in enumerate(values, 1):
        value = _number(each, f"{path}.Values.member.{number}")
        count = 1.0 if counts is None else _number(counts[number - 1], f"{path}.Counts.member.{number}")
        if count <= 0:
            raise errors.invalid(f"The parameter {path}.Counts.member.{number} must be greater than 0.")
        found.append((value, count, value, value))
    return found


def _statistics(said: Json, path: str) -> tuple[float, float, float, float]:
    count, total, low, high = (
        _number(said[name], f"{path}.{name}") for name in ("SampleCount", "Sum", "Minimum", "Maximum")
    )
    if count <= 0:
        raise errors.invalid(f"The parameter {path}.SampleCount must be greater than 0.")
    if low > high:
        raise errors.combination(f"The parameter {path}.Maximum must be no less than {path}.Minimum.")
    return total / count, count, low, high


def _number(value: Any, path: str) -> float:
    number = float(value)
    if not math.isfinite(number) or abs(number) > _BIGGEST:
        raise errors.invalid(f"The value {value} for parameter {path} is invalid.")
    return number
