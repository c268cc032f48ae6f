"""CloudWatch's metrics: what is put is there at once for every way of asking, in virtual time."""

from __future__ import annotations

import math
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.metrics_manager import upkeep
from services.metrics_manager.cloudwatch.math_functions import MathFault
from services.metrics_manager.cloudwatch.metric_math import evaluate, parse
from services.metrics_manager.cloudwatch.names import Metric, metric_of
from services.metrics_manager.cloudwatch.slots import SECOND, _free
from services.metrics_manager.cloudwatch.statistics import Grid, Points, by_period, percentile_of
from services.metrics_manager.tests.in_memory import Metrics, metrics
from services.sdk.testing import User, virtual_time

TARGET = "GraniteServiceVersion20100801"


class CloudWatch:
    """By its JSON protocol."""

    def __init__(self, service: Metrics, user: User | None = None) -> None:
        self.metrics, self.user = service, user or User()

    @property
    def now(self) -> float:
        return self.metrics.service.context.clock.now().timestamp()

    async def ask(self, operation: str, **body: Any) -> tuple[int, dict[str, Any]]:
        headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": f"{TARGET}.{operation}"}
        async with self.metrics.service.client(self.user) as client:
            answer = await client.post("/monitoring", headers=headers, json=body)
        return answer.status_code, answer.json() if answer.content else {}

    async def call(self, operation: str, **body: Any) -> dict[str, Any]:
        status, answer = await self.ask(operation, **body)
        assert status == 200, answer
        return answer

    async def refused(self, operation: str, **body: Any) -> tuple[str, str]:
        status, answer = await self.ask(operation, **body)
        assert status >= 400, answer
        return answer["__type"].rpartition("#")[2], answer["message"]

    async def put(self, *data: dict[str, Any], group: str = "Web") -> None:
        await self.call("PutMetricData", Namespace=group, MetricData=list(data))

    async def statistics(self, name: str = "Latency", period: int = 60, **more: Any) -> list[dict[str, Any]]:
        asked = {
            "Namespace": "Web",
            "MetricName": name,
            "StartTime": self.now - 600,
            "EndTime": self.now + 60,
            "Period": period,
            **({"Statistics": ["Sum", "SampleCount", "Minimum", "Maximum", "Average"]} | more),
        }
        return list((await self.call("GetMetricStatistics", **asked))["Datapoints"])

    async def data(self, *queries: dict[str, Any], **more: Any) -> dict[str, Any]:
        asked = {"StartTime": self.now - 600, "EndTime": self.now + 60, "MetricDataQueries": list(queries), **more}
        return await self.call("GetMetricData", **asked)


def stat(id: str = "m1", name: str = "Latency", statistic: str = "Average", **more: Any) -> dict[str, Any]:
    metric = {"Namespace": "Web", "MetricName": name}
    return {"Id": id, "MetricStat": {"Metric": metric, "Period": 60, "Stat": statistic}, **more}


@virtual_time
async def test_many_values_of_one_moment_are_all_counted() -> None:
    async with metrics() as service:
        cloud = CloudWatch(service)
        await service.advance(1)
        at = math.floor(cloud.now / 60) * 60
        await cloud.put(*({"MetricName": "Latency", "Value": v, "Timestamp": at, "Unit": "Seconds"} for v in (1, 2)))
        await cloud.put(
            {"MetricName": "Latency", "Values": [6, 3], "Counts": [2, 1], "Timestamp": at, "Unit": "Seconds"}
        )
        whole = {"SampleCount": 4, "Sum": 20, "Minimum": 2, "Maximum": 11}
        await cloud.put({"MetricName": "Latency", "StatisticValues": whole, "Timestamp": at, "Unit": "Seconds"})
        (found,) = await cloud.statistics()
        assert found == {
            "Timestamp": at,
            "Unit": "Seconds",
            **{"Sum": 38.0, "SampleCount": 9.0, "Minimum": 1.0, "Maximum": 11.0, "Average": 38 / 9},
        }
        (none,) = await cloud.statistics(Statistics=["Sum"], ExtendedStatistics=["p50"])
        assert "ExtendedStatistics" not in none  # of a set of four nobody knows the middle
        assert await service.value("count_over_time(cloudwatch_Latency[10m])") == 5
        labels = (await service.ask("series", None, **{"match[]": "cloudwatch_Latency"}))[0]
        said = [labels[each] for each in ("cloudwatch_namespace", "region", "namespace", "unit")]
        assert said == ["Web", "us-east-1", "default", "Seconds"]


@virtual_time
async def test_what_was_put_outlives_a_restart_and_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values of one second, before and after: none takes the place of another."""
    with tempfile.TemporaryDirectory() as folder:
        at = 0.0
        monkeypatch.setattr(upkeep, "CUT_SECONDS", 10.0)
        for _ in range(3):
            async with metrics(Path(folder)) as service:
                cloud = CloudWatch(service)
                at = at or math.floor(cloud.now)
                for _ in range(5):
                    await cloud.put({"MetricName": "Latency", "Value": 1.0, "Timestamp": at})
                (found,) = await cloud.statistics(StartTime=at - 60, EndTime=at + 60)
                last = found["SampleCount"]
                await service.advance(15)  # chunks are made
        assert last == 15


@virtual_time
async def test_queries_and_math() -> None:
    async with metrics() as service:
        cloud = CloudWatch(service)
        await service.advance(400)
        begin = math.floor(cloud.now / 60) * 60 - 300
        for i in range(5):
            await cloud.put({"MetricName": "Errors", "Value": float(i), "Timestamp": begin + 60 * i + 5})
            if i != 2:
                await cloud.put({"MetricName": "Latency", "Value": 10.0 * i, "Timestamp": begin + 60 * i + 7})
        found = await cloud.data(
            stat("m1", "Errors", "Sum"),
            stat("m2", ReturnData=False),
            {"Id": "e1", "Expression": "m1 + m2 / 10"},
            {"Id": "e2", "Expression": "FILL(m2, REPEAT) * 2", "Label": "twice"},
            {"Id": "e3", "Expression": "IF(m1 > 2, m1, 0)"},
            {"Id": "e4", "Expression": "RATE(m1)"},
            {"Id": "e5", "Expression": "MAX(METRICS())"},
            StartTime=begin,
            EndTime=begin + 300,
            ScanBy="TimestampAscending",
        )
        got = {each["Id"]: each["Values"] for each in found["MetricDataResults"]}
        assert got["m1"] == [0.0, 1.0, 2.0, 3.0, 4.0] and "m2" not in got
        assert got["e1"] == [0.0, 2.0, 6.0, 8.0] and got["e2"] == [0.0, 20.0, 20.0, 60.0, 80.0]
        assert got["e3"] == [0.0, 0.0, 0.0, 3.0, 4.0] and got["e4"] == [1 / 60] * 4
        assert got["e5"] == [0.0, 10.0, 2.0, 30.0, 40.0]
        labels = {each["Id"]: each["Label"] for each in found["MetricDataResults"]}
        assert labels == {"m1": "Errors Sum", **{f"e{i}": f"e{i}" for i in (1, 3, 4, 5)}, "e2": "twice"}
        cut = await cloud.data(stat(name="Errors", statistic="Sum"), MaxDatapoints=3)
        rest = await cloud.data(stat(name="Errors", statistic="Sum"), MaxDatapoints=3, NextToken=cut["NextToken"])
        parts = [each["MetricDataResults"][0] for each in (cut, rest)]
        assert [each["Values"] for each in parts] == [[4.0, 3.0, 2.0], [1.0, 0.0]]
        assert [each["StatusCode"] for each in parts] == ["PartialData", "Complete"] and "NextToken" not in rest


@virtual_time
async def test_units_are_told_apart() -> None:
    async with metrics() as service:
        cloud = CloudWatch(service)
        for unit, value in (("Seconds", 1.0), ("Milliseconds", 60.0), (None, 7.0)):
            await cloud.put({"MetricName": "Latency", "Value": value, **({"Unit": unit} if unit else {})})
        assert sorted(each["Unit"] for each in await cloud.statistics()) == ["Milliseconds", "None", "Seconds"]
        (found,) = (await cloud.data(stat(statistic="Sum")))["MetricDataResults"]
        assert found["Values"] == [60.0]
        assert found["Messages"][0]["Value"] == "Multiple units returned: '[Milliseconds, None, Seconds]'"
        only = await cloud.statistics(Unit="Seconds")
        assert [each["Sum"] for each in only] == [1.0]


@virtual_time
async def test_metrics_are_listed_by_what_they_are() -> None:
    async with metrics() as service:
        cloud = CloudWatch(service)
        page = {"Name": "Page", "Value": "a b"}
        await cloud.put({"MetricName": "Hits", "Value": 1, "Dimensions": [page, {"Name": "x.y", "Value": "1"}]})
        await cloud.put({"MetricName": "Hits", "Value": 1})
        await cloud.put({"MetricName": "Other", "StatisticValues": dict.fromkeys(
            ("SampleCount", "Sum", "Minimum", "Maximum"), 2)}, group="Else")  # fmt: skip
        every = (await cloud.call("ListMetrics"))["Metrics"]
        assert len(every) == 3 and {each["Namespace"] for each in every} == {"Web", "Else"}
        (found,) = (await cloud.call("ListMetrics", Dimensions=[{"Name": "Page"}]))["Metrics"]
        assert found["Dimensions"] == [page, {"Name": "x.y", "Value": "1"}]
        recent = {"Namespace": "Web", "RecentlyActive": "PT3H"}
        assert len((await cloud.call("ListMetrics", **recent))["Metrics"]) == 2
        await cloud.put({"MetricName": "Old", "Value": 1, "Timestamp": cloud.now - 4 * 3_600})
        names = [each["MetricName"] for each in (await cloud.call("ListMetrics", **recent))["Metrics"]]
        assert names == ["Hits", "Hits"] and len((await cloud.call("ListMetrics"))["Metrics"]) == 4
        assert await cloud.statistics("Hits", Dimensions=[page]) == []  # all dimensions, or another metric


@virtual_time
async def test_accounts_and_regions_see_their_own() -> None:
    async with metrics() as service:
        ours, theirs = CloudWatch(service), CloudWatch(service, User("eve", namespace="other"))
        await ours.put({"MetricName": "Latency", "Value": 1})
        assert (await theirs.call("ListMetrics"))["Metrics"] == [] and await theirs.statistics() == []
        await theirs.put({"MetricName": "Latency", "Value": 5})
        assert [each["Sum"] for each in await ours.statistics()] == [1.0]


@virtual_time
async def test_what_is_wrong_is_named() -> None:
    async with metrics() as service:
        cloud = CloudWatch(service)

        async def refused(**datum: Any) -> tuple[str, str]:
            return await cloud.refused("PutMetricData", Namespace="Web", MetricData=[{"MetricName": "L", **datum}])

        code, text = await refused(Value=1, Timestamp=cloud.now - 15 * 86_400)
        assert code == "InvalidParameterValueException" and "MetricData.member.1.Timestamp" in text
        assert "two hours in the future" in (await refused(Value=1, Timestamp=cloud.now + 7_300))[1]
        assert (await refused())[0] == "MissingRequiredParameterException"
        assert (await refused(Value=1, Values=[1]))[0] == "InvalidParameterCombinationException"
        assert "same size" in (await refused(Values=[1, 2], Counts=[1]))[1]
        assert "invalid" in (await refused(Value="Infinity"))[1]
        assert "twice" in (await refused(Value=1, Dimensions=[{"Name": "a", "Value": "b"}] * 2))[1]
        assert "1 or 60" in (await refused(Value=1, StorageResolution=5))[1]
        assert await cloud.ask("PutMetricData", Namespace="W", StrictEntityValidation=True) != (200, {})
        code, text = await cloud.refused(
            "GetMetricStatistics", Namespace="W", MetricName="m", StartTime=0, EndTime=1_000_000, Period=60,
            Statistics=["Sum"],
        )  # fmt: skip
        assert code == "InvalidParameterCombinationException" and "16,667 datapoints" in text
        for expression, words in {
            "SEARCH('x', 'Sum', 60)": "SEARCH is not done here",
            "m9 + 1": "m9 is the id of no query",
            "SUM(m1)": "TIME_SERIES(...)",
            "e1 + 1": "needs its own result",
            "m1 +": "ends too early",
        }.items():
            code, text = await cloud.refused(
                "GetMetricData", StartTime=cloud.now - 60, EndTime=cloud.now,
                MetricDataQueries=[stat(), {"Id": "e1", "Expression": expression}],
            )  # fmt: skip
            assert code == "ValidationException" and words in text, text
        (found,) = (await cloud.statistics("nothing"),)
        assert found == []
        once = {"Id": "e1", "Expression": "TIME_SERIES(1)", "Period": 1, "ReturnData": False}
        many = {"Id": "e2", "Expression": f"SUM([{','.join(['e1'] * 140)}])"}
        code, text = await cloud.refused(
            "GetMetricData", StartTime=cloud.now - 80_000, EndTime=cloud.now, MetricDataQueries=[once, many]
        )
        assert code == "ValidationException" and "computes with more than 10000000 values" in text


@virtual_time
async def test_a_second_has_room_for_a_thousand() -> None:
    async with metrics() as service:
        cloud = CloudWatch(service)
        at = math.floor(cloud.now) + 0.5
        fine = {"MetricName": "Latency", "Timestamp": at, "StorageResolution": 1}
        for _ in range(10):
            await cloud.put({**fine, "Values": list(range(100))})
        code, text = await cloud.refused("PutMetricData", Namespace="Web", MetricData=[{**fine, "Value": 1}])
        assert code == "Throttling" and "StatisticValues" in text
        await cloud.put({"MetricName": "Latency", "Timestamp": at, "Value": 1})  # without it, the minute has more
        found = await cloud.statistics()
        assert sum(each["SampleCount"] for each in found) == 1_001


def test_a_metric_is_what_its_series_says() -> None:
    metric = Metric("shop", "eu-central-1", "My/App", "Orders Placed", (("a.b", "x"), ("ü", "{}")))
    assert metric_of(metric.labels("Count")) == metric
    assert metric_of(metric.labels("Count", "count")) is None
    assert metric_of((("__name__", "up"),)) is None


@given(st.integers(0, (1 << SECOND) - 1), st.integers(0, SECOND - 1))
def test_the_next_free_moment_is_free(taken: int, offset: int) -> None:
    found = _free(taken, offset)
    if found is None:
        assert taken == (1 << SECOND) - 1
        return
    assert not taken >> found & 1
    before = range(offset, found) if found >= offset else [*range(offset, SECOND), *range(found)]
    assert all(taken >> each & 1 for each in before)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(1, 5)), min_size=1, max_size=40), st.floats(0, 100))
def test_percentiles_are_those_of_all_values(values: list[tuple[float, int]], percent: float) -> None:
    numbers, counts = (np.array(each, dtype=float) for each in zip(*values, strict=True))
    times = np.arange(len(values), dtype=np.int64)
    points, grid = Points(times, numbers, counts, numbers, numbers), Grid(0, 1_000, 1)
    every = np.repeat(numbers, counts.astype(int))
    expected = np.quantile(every, (percentile_of(f"p{percent:.4f}") or 0.0))
    assert by_period(points, grid, f"p{percent:.4f}")[0] == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert by_period(points, grid, "Average")[0] == pytest.approx(every.mean(), rel=1e-6, abs=1e-6)


@given(st.text(alphabet="m1e(),+-*/^<>=&|[]'\" .FILLSUMx", max_size=60))
def test_any_expression_is_computed_or_refused(text: str) -> None:
    grid = Grid(0, 60_000, 3)
    with suppress(MathFault):
        evaluate(parse(text), grid, {"m1": np.array([1.0, np.nan, 3.0])}, ["m1"], lambda _: None)


def test_operators_bind_as_everybody_expects() -> None:
    known, taken = {"a": np.array([2.0, 3.0]), "b": np.array([1.0, 0.0])}, list[int]()

    def value(text: str) -> list[float]:
        return [float(each) for each in evaluate(parse(text), Grid(0, 60_000, 2), known, ["a", "b"], taken.append)]

    assert value("a + b * 2 ^ 2") == [6.0, 3.0] and value("-a ^ 2") == [-4.0, -9.0]
    assert value("(a > 2) OR (b == 1) AND 0") == [0.0, 1.0]
    assert value("SUM([a, b])") == [3.0, 3.0] and value("a / SUM(a) * 100") == [40.0, 60.0]
    assert math.isnan(value("a / b")[1]) and value("RUNNING_SUM(a)") == [2.0, 5.0]
    assert value("FILL(a / b, 0)") == [2.0, 0.0]
    taken.clear()
    assert value("SUM([a, b, a])") == [5.0, 6.0]
    assert taken == [2, 8], "two numbers of a list's own, and three series of two to sum up to two"
