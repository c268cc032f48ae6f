"""MetricDataQueries computed: statistics of metrics, and expressions over them. In the thread that computes.

Source: Amazon CloudWatch API reference, GetMetricData, MetricDataQuery, MetricStat.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from services.metrics_manager.cloudwatch import errors
from services.metrics_manager.cloudwatch.datum import metric_in
from services.metrics_manager.cloudwatch.names import Metric
from services.metrics_manager.promql.errors import QueryError

if TYPE_CHECKING:
    from services.metrics_manager.cloudwatch.metric_math import Node
    from services.metrics_manager.cloudwatch.statistics import Budget, Grid
    from services.metrics_manager.promql.values import Floats
    from services.metrics_manager.store.sample_store import StoreReader

Json = Mapping[str, Any]
MINUTE = 60_000
MOST_COMPUTED = 10_000_000
"""Numbers that the steps of one expression take, each time it takes them: 80 MB where all are there at once."""
_SHORT = (1, 5, 10, 20, 30)
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789")


class Query(NamedTuple):
    """One of a request: either the statistic of a metric, or an expression. `period` in s; 0: as what it names."""

    id: str
    label: str
    returns: bool
    metric: Metric | None = None
    statistic: str = ""
    unit: str = ""
    period: int = 0
    expression: str = ""


class Result(NamedTuple):
    """What a query gave: a number for each period of the grid, NaN for none. `units`: of all that was put."""

    grid: Grid
    values: Floats
    units: tuple[str, ...] = ()


class Span(NamedTuple):
    """From `start` to before `end`, in ms."""

    start: int
    end: int

    def grid(self, period: int) -> Grid:
        """`period` in s. It begins at a whole minute, or at a whole period of less."""
        from services.metrics_manager.cloudwatch.statistics import Grid

        step = period * 1_000
        start = self.start - self.start % min(step, MINUTE)
        return Grid(start, step, max(math.ceil((self.end - start) / step), 0))


def require_period(period: int, path: str = "Period") -> None:
    """Raises AwsError."""
    if period not in _SHORT and period % 60:
        raise errors.invalid(f"The parameter {path} must be 1, 5, 10, 20, 30 or a multiple of 60.")


def require_statistic(name: str, path: str) -> None:
    """Raises AwsError for what is none, or is not done here."""
    from services.metrics_manager.cloudwatch.statistics import PLAIN, percentile_of

    if name not in PLAIN and percentile_of(name) is None:
        raise errors.invalid(
            f"The value {name} for parameter {path} is not done here: {', '.join(PLAIN)} and percentiles (p99.9) are."
        )


def read_queries(said: Sequence[Json], owner: str, region: str, account: str) -> list[Query]:
    """Raises AwsError."""
    found = [_read(each, i, owner, region, account) for i, each in enumerate(said, 1)]
    ids = [each.id for each in found]
    if double := next((each for each in ids if ids.count(each) > 1), ""):
        raise errors.validation(f"The value for parameter Id is used twice: {double}.")
    return found


def _read(said: Json, number: int, owner: str, region: str, account: str) -> Query:
    path, id = f"MetricDataQueries.member.{number}", said["Id"]
    if not id[:1].islower() or not _LETTERS.issuperset(id):
        raise errors.validation(
            f"The value {id} for parameter {path}.Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$."
        )
    if said.get("AccountId") not in (None, "", account):
        raise errors.validation(f"{path}.AccountId: metrics of other accounts are not seen here.")
    if "${" in (label := said.get("Label") or ""):
        raise errors.validation(f"{path}.Label: dynamic labels are not done here.")
    returns = said.get("ReturnData", True)
    stat, expression = said.get("MetricStat"), said.get("Expression") or ""
    if bool(stat) == bool(expression):
        raise errors.validation(f"{path} must have exactly one of MetricStat and Expression.")
    if not stat:
        period = said.get("Period") or 0
        require_period(period, f"{path}.Period")
        return Query(id, label, returns, period=period, expression=expression)
    metric = stat["Metric"]
    if not metric.get("Namespace") or not metric.get("MetricName"):
        raise errors.missing(f"{path}.MetricStat.Metric must have a Namespace and a MetricName.")
    require_period(stat["Period"], f"{path}.MetricStat.Period")
    require_statistic(stat["Stat"], f"{path}.MetricStat.Stat")
    meant = metric_in(metric, owner, region, f"{path}.MetricStat.Metric.Dimensions")
    return Query(id, label, returns, meant, stat["Stat"], stat.get("Unit") or "", stat["Period"])


def label_of(query: Query, queries: Sequence[Query]) -> str:
    """Its own, or what tells it from the others: the metric's name, with statistic and period where they differ."""
    if query.label:
        return query.label
    if query.metric is None:
        return query.id
    others = [each for each in queries if each.metric is not None and not each.label]
    parts = [query.metric.name]
    if len({each.statistic for each in others}) > 1:
        parts.append(query.statistic)
    if len({each.period for each in others}) > 1:
        parts.append(str(query.period))
    return " ".join(parts)


class Computing:
    """Computes queries of one request. `seconds`: until when, as `monotonic` counts."""

    def __init__(self, reader: StoreReader, queries: Sequence[Query], span: Span, budget: Budget, seconds: float):
        self._reader, self._span, self._budget = reader, span, budget
        self._queries = {each.id: each for each in queries}
        self._until = monotonic() + seconds
        self._results: dict[str, Result] = {}
        self._begun: set[str] = set()

    def result(self, id: str) -> Result:
        """Raises AwsError, QueryError."""
        if id not in self._results:
            if id in self._begun:
                raise errors.validation(f"The expression of {id} needs its own result.")
            self._begun.add(id)
            self._results[id] = self._computed(self._queries[id])
            self._require_time()
        return self._results[id]

    def _require_time(self) -> None:
        if monotonic() > self._until:
            raise QueryError("it takes too long to compute; ask of a shorter time, or of fewer metrics", "timeout")

    def _computed(self, query: Query) -> Result:
        return self._statistic(query, query.metric) if query.metric is not None else self._expression(query)

    def _statistic(self, query: Query, metric: Metric) -> Result:
        import numpy as np

        from services.metrics_manager.cloudwatch.statistics import by_period, read_units

        grid = self._span.grid(query.period)
        by_unit = read_units(self._reader, metric, query.unit, grid, self._budget)
        units = tuple(by_unit)
        if not units:
            return Result(grid, np.full(grid.steps, np.nan))
        return Result(grid, by_period(by_unit[units[0]], grid, query.statistic), units)

    def _expression(self, query: Query) -> Result:
        from services.metrics_manager.cloudwatch.math_functions import MathFault
        from services.metrics_manager.cloudwatch.metric_math import evaluate, names_in, parse
        from services.metrics_manager.cloudwatch.statistics import Budget

        try:
            node = parse(query.expression)
            names = names_in(node)
            metrics = [each.id for each in self._queries.values() if each.metric is not None] if "*" in names else []
            known = {each: self.result(each) for each in (*names, *metrics) if each in self._queries}
            grid, values = self._grid(query, node, known), {id: each.values for id, each in known.items()}
            budget = Budget(MOST_COMPUTED, "it computes with")

            def work(numbers: int) -> None:
                budget.take(numbers)
                self._require_time()

            return Result(grid, evaluate(node, grid, values, metrics, work))
        except MathFault as fault:
            raise errors.validation(f"Error in expression '{query.id}': {fault}.") from None

    def _grid(self, query: Query, node: Node, known: Mapping[str, Result]) -> Grid:
        from services.metrics_manager.cloudwatch.math_functions import MathFault

        grids = {each.grid for each in known.values()}
        if query.period:
            grids.add(self._span.grid(query.period))
        if len(grids) > 1:
            raise MathFault("what it is computed of has different periods")
        return next(iter(grids), self._span.grid(60))
