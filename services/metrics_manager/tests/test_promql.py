"""PromQL, by scripts in the language of Prometheus's tests; `make test-promql` runs Prometheus's own."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.metrics_manager.promql.engine import Limits, query_instant, query_range
from services.metrics_manager.promql.errors import NotSupported, QueryError
from services.metrics_manager.promql.values import Vector
from services.metrics_manager.tests.promql_judge import MemorySource, Script, main

SCRIPT = """
load 15s
  requests_total{job="a", code="200"} 0+15x40
  requests_total{job="a", code="500"} 0+3x20 0+3x19
  requests_total{job="b", code="200"} 0+30x40
  limit{job="a"} 2x40
  limit{job="b"} 1x40
  lat_bucket{le="0.1"} 0+1x40
  lat_bucket{le="1"} 0+3x40
  lat_bucket{le="+Inf"} 0+4x40
  gone 1 1 stale

eval instant at 10m sum by (job) (rate(requests_total{code="200"}[5m]))
  {job="a"} 1
  {job="b"} 2

eval instant at 10m rate(requests_total{code="500"}[5m])
  {job="a", code="500"} 0.19

eval instant at 10m resets(requests_total{code="500"}[10m])
  {job="a", code="500"} 1

eval instant at 10m sum by (job) (rate(requests_total[5m])) > on(job) limit
  {job="b"} 2

eval instant at 10m topk(1, sum by (job) (rate(requests_total[5m])))
  expect ordered
  {job="b"} 2

eval instant at 10m histogram_quantile(0.5, rate(lat_bucket[5m]))
  {} 0.55

eval instant at 10m predict_linear(requests_total{job="b"}[5m], 60)
  {job="b", code="200"} 1320

eval instant at 30s gone
  expect no_warn

eval instant at 15s gone
  gone 1

eval range from 0 to 1m step 30s limit * 2
  {job="a"} 4 4 4
  {job="b"} 2 2 2

eval instant at 10m absent(nothing{job="z", code=~"5.."})
  {job="z"} 1

eval instant at 10m max_over_time(sum by (job) (rate(requests_total[1m]))[5m:1m])
  {job="a"} 1.2
  {job="b"} 2

eval instant at 10m requests_total / on(job) limit
  expect fail

eval instant at 10m label_replace(limit, "who", "$1!", "job", "(.)")
  limit{job="a", who="a!"} 2
  limit{job="b", who="b!"} 1
"""


def test_a_script(tmp_path: Path) -> None:
    path = tmp_path / "ours.test"
    path.write_text(SCRIPT)
    script = Script(path)
    script.run()
    assert script.failed == []
    assert len(script.passed) == SCRIPT.count("eval ")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("histogram_count(x)", "the function histogram_count is not supported"),
        ("limit_ratio(0.5, x)", "limit_ratio is not supported"),
        ("sum(", "unclosed left parenthesis"),
        ("x" * 20_000, "more than 16384 characters"),
        ("1" + "+1" * 201, "more than 200 operators"),
        ("-" * 300 + "x", "more than 200 operators"),
        ("(" * 61 + "x" + ")" * 61, "more than 60 brackets"),
        ("abs(" * 3000, "more than 60 brackets"),
        ('x{a=~"("}', "regex"),
    ],
)
def test_what_is_refused_is_named(query: str, words: str) -> None:
    with pytest.raises(QueryError, match=words):
        query_instant(MemorySource(), query, 0)


def test_what_is_quoted_is_no_operator() -> None:
    query = 'x{a="' + "+(" * 300 + '"} # ' + "+" * 300
    assert query_instant(MemorySource(), query, 0) is not None


def test_an_evaluation_has_a_deadline() -> None:
    with pytest.raises(QueryError, match="timed out") as late:
        query_instant(MemorySource(), "sum(x) + 1", 0, Limits(seconds=-1.0))
    assert late.value.type == "timeout"
    with pytest.raises(QueryError, match="timed out"):
        query_instant(MemorySource(), "max_over_time(x[5m:1m])", 0, Limits(seconds=-1.0))


def test_too_fine_a_range_is_refused() -> None:
    with pytest.raises(QueryError, match="11,000 points"):
        query_range(MemorySource(), "x", 0, 11_001_000, 1000)


def test_a_query_has_an_end() -> None:
    source = source_of([1.0] * 30)
    for query in ("quantile_over_time(0.5, x[9s])", "sum(x)", "max_over_time(rate(x[3s])[9s:1s])"):
        with pytest.raises(QueryError, match="timed out") as refused:
            query_range(source, query, 0, 30_000, 1000, Limits(seconds=-1.0))
        assert refused.value.type == "timeout"
    with pytest.raises(QueryError, match="too many samples"):
        query_range(source, "x", 0, 30_000, 1000, Limits(points=10))


samples = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)


def source_of(*series: list[float]) -> MemorySource:
    source = MemorySource()
    for number, values in enumerate(series):
        labels = (("__name__", "x"), ("i", str(number)))
        source.add(labels, [(step * 1000, value) for step, value in enumerate(values)])
    return source


@settings(max_examples=12)
@given(samples, st.integers(3, 9))
def test_a_range_is_the_instants_one_after_the_other(values: list[float], step: int) -> None:
    source, end = source_of(values), 40_000
    for query in ("x", "rate(x[10s])", "sum(x)", "x > 0", "avg_over_time(x[7s])", "x offset 3s", "changes(x[9s])"):
        whole = query_range(source, query, 0, end, step * 1000)
        for column, at in enumerate(range(0, end + 1, step * 1000)):
            alone = query_instant(source, query, at)
            assert isinstance(alone, Vector)
            one = {k: v for k, v, t in zip(alone.labels, alone.values[:, 0], alone.there[:, 0], strict=True) if t}
            many = {
                labels: row[column]
                for labels, row, there in zip(whole.labels, whole.values, whole.there, strict=True)
                if there[column]
            }
            assert one.keys() == many.keys()
            assert all(math.isclose(one[key], many[key], rel_tol=1e-9, abs_tol=1e-9) for key in one)


@settings(max_examples=40)
@given(samples, samples)
def test_sums_are_sums(a: list[float], b: list[float]) -> None:
    found = query_instant(source_of(a, b), "sum(x)", 0)
    assert isinstance(found, Vector)
    assert math.isclose(found.values[0, 0], a[0] + b[0], abs_tol=1e-6)


@settings(max_examples=40)
@given(st.lists(st.integers(0, 10**9).map(float), min_size=1, max_size=30))
def test_a_counter_never_has_a_negative_rate(values: list[float]) -> None:
    found = query_range(source_of(values), "rate(x[10s])", 0, 40_000, 1000)
    assert (found.values[found.there] >= 0).all()


@given(st.text("abxy(){}[]<>=!~\"'+-*/^%, 0159.smh@:_", max_size=40))
def test_any_text_is_answered_or_refused(text: str) -> None:
    try:
        found = query_instant(source_of([1.0, 2.0]), text, 1000)
    except QueryError:
        return
    assert isinstance(found, Vector | str | np.ndarray) or found.windows is not None


@pytest.mark.skipif("AEREKOS_PROMQL_TESTS" not in os.environ, reason="make test-promql runs Prometheus's own cases")
def test_cases_of_prometheus() -> None:
    assert main(Path(os.environ["AEREKOS_PROMQL_TESTS"])) == 0


def test_refusals_are_errors_of_queries() -> None:
    assert issubclass(NotSupported, QueryError)
