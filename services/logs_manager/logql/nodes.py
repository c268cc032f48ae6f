"""A query of LogQL, as it was understood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Matcher(NamedTuple):
    """`op`: = != =~ !~."""

    name: str
    op: str
    value: str


class LineFilter(NamedTuple):
    """`op`: |= != |~ !~; any of the values."""

    op: str
    values: tuple[str, ...]


class Parse(NamedTuple):
    """`how`: json, logfmt, regexp or pattern. `fields`: (label, expression) of those that are wanted, all where there
    are none; `text`: the expression of the last two.
    """

    how: str
    fields: tuple[tuple[str, str], ...] = ()
    text: str = ""


class Compare(NamedTuple):
    """A label filter. `op`: = != =~ !~ for texts, == != > >= < <= for numbers; `unit`: number, duration or bytes."""

    name: str
    op: str
    value: str | float
    unit: str = ""


class Both(NamedTuple):
    """Label filters that hold together (`and`), or one of them (`or`)."""

    op: str
    left: LabelFilter
    right: LabelFilter


LabelFilter = Compare | Both


class Format(NamedTuple):
    """line_format: `name` is empty. label_format: the label that becomes what the template says, or another label."""

    name: str
    template: str
    rename: bool = False


class Only(NamedTuple):
    """drop and keep: labels, or those that match."""

    keep: bool
    names: tuple[str, ...]
    matchers: tuple[Matcher, ...]


class Unwrap(NamedTuple):
    """`convert`: empty, duration, duration_seconds or bytes."""

    name: str
    convert: str


Stage = LineFilter | Parse | Compare | Both | Format | Only | Unwrap


@dataclass(frozen=True, slots=True)
class LogQuery:
    matchers: tuple[Matcher, ...]
    stages: tuple[Stage, ...]


@dataclass(frozen=True, slots=True)
class Grouping:
    """`by` these labels, or `without` them."""

    without: bool
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RangeAggregation:
    """`seconds`: of the range; `offset` in s; `parameter`: of quantile_over_time."""

    function: str
    query: LogQuery
    seconds: float
    offset: float
    grouping: Grouping | None
    parameter: float = 0.0


@dataclass(frozen=True, slots=True)
class Aggregation:
    """`parameter`: of topk and bottomk."""

    function: str
    of: MetricQuery
    grouping: Grouping | None
    parameter: int = 0


@dataclass(frozen=True, slots=True)
class Operation:
    op: str
    left: MetricQuery
    right: MetricQuery
    as_bool: bool


@dataclass(frozen=True, slots=True)
class Number:
    value: float
    is_vector: bool = False


MetricQuery = RangeAggregation | Aggregation | Operation | Number
Query = LogQuery | MetricQuery
