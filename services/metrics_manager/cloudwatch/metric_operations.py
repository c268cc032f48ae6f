"""CloudWatch's operations about metrics.

Source: Amazon CloudWatch API reference, PutMetricData, ListMetrics, GetMetricStatistics, GetMetricData.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from services.metrics_manager.cloudwatch import errors
from services.metrics_manager.cloudwatch.datum import Datum, metric_in, read_data
from services.metrics_manager.cloudwatch.names import COUNT, GROUP, MAX, MIN, OWNER, REGION, Metric, metric_of
from services.metrics_manager.cloudwatch.querying import (
    Computing,
    Query,
    Result,
    Span,
    label_of,
    read_queries,
    require_period,
    require_statistic,
)
from services.metrics_manager.cloudwatch.slots import NoRoom, TimeSlots, Wanted
from services.metrics_manager.kinds import SCRAPE_TARGET
from services.metrics_manager.promql.errors import QueryError
from services.metrics_manager.promql.labels import Labels
from services.metrics_manager.promql.matcher import Matcher
from services.metrics_manager.queries import Queries
from services.metrics_manager.store.sample_store import Sample, SampleStore, TooManySeries
from services.metrics_manager.taking import write
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.aws.pagination import InvalidToken, PageTokens
from services.sdk.resources import Clock

if TYPE_CHECKING:
    from services.metrics_manager.store.sample_store import StoreReader

Json = dict[str, Any]
T = TypeVar("T")
PAGE, MOST_POINTS, MOST_STATISTICS, MOST_QUERIES = 500, 100_800, 1_440, 500
MOST_READ, MOST_SECONDS = 50_000_000, 20.0
_RECENTLY = 3 * 3_600_000
_PUT = ("Namespace", "MetricData")
_STATISTICS = (
    *("Namespace", "MetricName", "Dimensions", "StartTime", "EndTime", "Period"),
    *("Statistics", "ExtendedStatistics", "Unit"),
)
_DATA = ("MetricDataQueries", "StartTime", "EndTime", "NextToken", "ScanBy", "MaxDatapoints")


class MetricOperations:
    """One declared method per operation. A caller sees the metrics of their account and region."""

    def __init__(
        self, store: SampleStore, queries: Queries, access: CallerAccess, tokens: PageTokens, clock: Clock
    ) -> None:
        self._store, self._queries, self._access, self._tokens = store, queries, access, tokens
        self._clock, self._slots = clock, TimeSlots(store)

    @operation("PutMetricData", permission=("create", SCRAPE_TARGET), understands=_PUT)
    async def put_metric_data(self, call: RequestContext, request: Json) -> None:
        """Durable when it is answered: all of it, or none."""
        await self._access.require(call._replace(facts={"cloudwatch:namespace": request["Namespace"]}))
        data = read_data(request, call.namespace, call.region, self._now())
        try:
            labels = [each.metric.labels(each.unit) for each in data]
            async with self._slots.held():
                with self._store.series_for(labels) as series:
                    await self._keep(data, series)
        except TooManySeries as full:
            raise errors.limit(str(full)) from None
        except NoRoom as full:
            raise AwsError("Throttling", str(full)) from None

    async def _keep(self, data: Sequence[Datum], series: Sequence[int]) -> None:
        """Raises NoRoom, TooManySeries, Unavailable."""
        times = await self._slots.place(
            [Wanted(id, each.time, each.span) for id, each in zip(series, data, strict=True)]
        )
        samples = (_samples(*pair) for pair in zip(data, times, strict=True))
        await write(self._store, [sample for each in samples for sample in each])

    @operation(
        "ListMetrics",
        permission=("list", SCRAPE_TARGET),
        understands=("Namespace", "MetricName", "Dimensions", "NextToken", "RecentlyActive"),
    )
    async def list_metrics(self, call: RequestContext, request: Json) -> Json:
        """Those that have values, of the last 15 days."""
        await self._access.require(call)
        found = await self._computed(lambda reader: self._listed(reader, call, request))
        scope = (call.operation, call.account, call.region, repr(_filters(request)))
        try:
            page = self._tokens.page(found, repr, scope, request.get("NextToken"), PAGE)
        except InvalidToken:
            raise errors.invalid_token() from None
        rows = [{"Namespace": m.group, "MetricName": m.name, "Dimensions": _dimensions(m)} for m in page.items]
        return {"Metrics": rows, **({"NextToken": page.token} if page.token else {})}

    @operation("GetMetricStatistics", permission=("list", SCRAPE_TARGET), understands=_STATISTICS)
    async def get_metric_statistics(self, call: RequestContext, request: Json) -> Json:
        """Of several units, each has points of its own."""
        await self._access.require(call)
        span, period = _span(request), request["Period"]
        require_period(period)
        plain, extended = request.get("Statistics") or (), request.get("ExtendedStatistics") or ()
        if not plain and not extended:
            raise errors.combination("At least one of the parameters Statistics and ExtendedStatistics is required.")
        for each in (*plain, *extended):
            require_statistic(each, "Statistics" if each in plain else "ExtendedStatistics")
        if (points := span.grid(period).steps) > MOST_STATISTICS:
            raise errors.combination(
                f"You have requested up to {points:,} datapoints, which exceeds the limit of 1,440. You may reduce "
                "the datapoints requested by increasing Period, or decreasing the time range."
            )
        metric = metric_in(request, call.namespace, call.region)
        unit = request.get("Unit") or ""
        found = await self._computed(lambda reader: _datapoints(reader, metric, unit, span, period, plain, extended))
        return {"Label": metric.name, "Datapoints": found}

    @operation("GetMetricData", permission=("list", SCRAPE_TARGET), understands=_DATA)
    async def get_metric_data(self, call: RequestContext, request: Json) -> Json:
        await self._access.require(call)
        queries = read_queries(request["MetricDataQueries"], call.namespace, call.region, call.account)
        if len(queries) > MOST_QUERIES:
            raise errors.validation(f"The collection MetricDataQueries must not have more than {MOST_QUERIES}.")
        span, most = _span(request), request.get("MaxDatapoints") or MOST_POINTS
        if not 1 <= most <= MOST_POINTS:
            raise errors.validation(f"The parameter MaxDatapoints must be 1 to {MOST_POINTS}.")
        _require_few(queries, span)
        results = await self._computed(lambda reader: _results(reader, queries, span))
        is_descending = (request.get("ScanBy") or "TimestampDescending") == "TimestampDescending"
        shown = [_shown(each, result, queries, is_descending) for each, result in results]
        return {"Messages": [], **self._cut(call, request, shown, most)}

    def _cut(self, call: RequestContext, request: Json, shown: list[Json], most: int) -> Json:
        """So many points of all results, one after the other."""
        scope = (call.operation, call.account, call.region)
        try:
            begin = self._tokens.open(scope, request["NextToken"]) if request.get("NextToken") else 0
        except InvalidToken:
            raise errors.invalid_token() from None
        at, total, kept = 0, sum(len(each["Values"]) for each in shown), []
        for each in shown:
            size = len(each["Values"])
            first, last = max(begin - at, 0), max(min(begin + most - at, size), 0)
            part = {**each, "Timestamps": each["Timestamps"][first:last], "Values": each["Values"][first:last]}
            if last < size:
                part["StatusCode"] = "PartialData"
            if part["Values"] or not begin:
                kept.append(part)
            at += size
        more = {"NextToken": self._tokens.seal(scope, begin + most)} if begin + most < total else {}
        return {"MetricDataResults": kept, **more}

    def _listed(self, reader: StoreReader, call: RequestContext, request: Json) -> list[Metric]:
        wanted = [Matcher(OWNER, "=", call.namespace), Matcher(REGION, "=", call.region)]
        group = request.get("Namespace")
        wanted.append(Matcher(GROUP, "=", group) if group else Matcher(GROUP, "!=", ""))
        ids = self._store.index.matching([wanted])
        labels = {id: self._store.index.labels.get(id, ()) for id in ids}
        if request.get("RecentlyActive"):
            now = self._now()
            labels = {id: each for id, each in labels.items() if _has_samples(reader, each, now)}
        found = {metric for each in labels.values() if (metric := metric_of(each)) is not None}
        return [each for each in found if _is_meant(each, request)]

    async def _computed(self, ask: Callable[[StoreReader], T]) -> T:
        """Raises AwsError."""
        try:
            return await self._queries.read(ask)
        except QueryError as error:
            raise AwsError("Throttling" if error.type == "timeout" else "ValidationError", str(error)) from None

    def _now(self) -> int:
        return round(self._clock.now().timestamp() * 1000)


def _samples(datum: Datum, time: int) -> Iterator[Sample]:
    metric, unit = datum.metric, datum.unit
    yield Sample(metric.labels(unit), time, datum.value)
    if datum.weight != 1:
        yield Sample(metric.labels(unit, COUNT), time, datum.weight)
    if datum.low != datum.value:
        yield Sample(metric.labels(unit, MIN), time, datum.low)
    if datum.high != datum.value:
        yield Sample(metric.labels(unit, MAX), time, datum.high)


def _span(request: Json) -> Span:
    """Raises AwsError."""
    start, end = (round(request[name].timestamp() * 1000) for name in ("StartTime", "EndTime"))
    if start >= end:
        raise errors.validation("The parameter EndTime must be greater than StartTime.")
    return Span(start, end)


def _require_few(queries: Sequence[Query], span: Span) -> None:
    if sum(span.grid(each.period or 60).steps for each in queries) > 10 * MOST_POINTS:
        raise errors.validation(f"The request is for more than {10 * MOST_POINTS} periods: lengthen them.")


def _filters(request: Json) -> list[Any]:
    dimensions = [(each["Name"], each.get("Value")) for each in request.get("Dimensions") or ()]
    return [request.get("Namespace"), request.get("MetricName"), dimensions, request.get("RecentlyActive")]


def _is_meant(metric: Metric, request: Json) -> bool:
    if request.get("MetricName") not in (None, "", metric.name):
        return False
    own = dict(metric.dimensions)
    wanted = request.get("Dimensions") or ()
    return all(each["Name"] in own and each.get("Value") in (None, own[each["Name"]]) for each in wanted)


def _has_samples(reader: StoreReader, labels: Labels, now: int) -> bool:
    series = reader.named(labels, now - _RECENTLY, now + _RECENTLY)
    return series is not None and len(series.times) > 0


def _dimensions(metric: Metric) -> list[Json]:
    return [{"Name": name, "Value": value} for name, value in metric.dimensions]


def _datapoints(
    reader: StoreReader,
    metric: Metric,
    unit: str,
    span: Span,
    period: int,
    plain: Sequence[str],
    extended: Sequence[str],
) -> list[Json]:
    import numpy as np

    from services.metrics_manager.cloudwatch.statistics import Budget, by_period, read_units

    grid = span.grid(period)
    found = []
    for name, points in read_units(reader, metric, unit, grid, Budget(MOST_READ)).items():
        columns = {each: by_period(points, grid, each) for each in ("SampleCount", *plain, *extended)}
        for i in np.flatnonzero(~np.isnan(columns["SampleCount"])):
            row: Json = {"Timestamp": moment(grid.start + int(i) * grid.period), "Unit": name}
            row |= {each: float(columns[each][i]) for each in plain}
            if known := {each: float(columns[each][i]) for each in extended if not np.isnan(columns[each][i])}:
                row["ExtendedStatistics"] = known
            found.append(row)
    return found


def _results(reader: StoreReader, queries: Sequence[Query], span: Span) -> list[tuple[Query, Result]]:
    from services.metrics_manager.cloudwatch.statistics import Budget

    computing = Computing(reader, queries, span, Budget(MOST_READ), MOST_SECONDS)
    return [(each, computing.result(each.id)) for each in queries if each.returns]


def _shown(query: Query, result: Result, queries: Sequence[Query], is_descending: bool) -> Json:
    import numpy as np

    there = np.flatnonzero(~np.isnan(result.values))
    order = [int(each) for each in (there[::-1] if is_descending else there)]
    shown: Json = {
        "Id": query.id,
        "Label": label_of(query, queries),
        "Timestamps": [moment(result.grid.start + i * result.grid.period) for i in order],
        "Values": [float(result.values[i]) for i in order],
        "StatusCode": "Complete",
    }
    if len(result.units) > 1:
        text = f"Multiple units returned: '[{', '.join(result.units)}]'"
        shown["Messages"] = [{"Code": "MultipleUnits", "Value": text}]
    return shown


def moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
