"""Answers of the HTTP API of Prometheus: how values, series and errors are written as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.metrics_manager.promql.labels import Labels

if TYPE_CHECKING:
    from services.metrics_manager.promql.values import Floats, Value, Vector

Json = dict[str, Any]


def metric(labels: Labels) -> dict[str, str]:
    return dict(labels)


def instant(value: Value, at: int) -> Json:
    """`data` of an instant query; `at` in ms."""
    from services.metrics_manager.promql.aggregations import number_text
    from services.metrics_manager.promql.values import Matrix, Vector

    moment = at / 1000
    if isinstance(value, str):
        return {"resultType": "string", "result": [moment, value]}
    if isinstance(value, Vector):
        rows = zip(value.labels, value.values[:, 0], value.there[:, 0], strict=True)
        found = [{"metric": metric(labels), "value": [moment, number_text(float(v))]} for labels, v, t in rows if t]
        return {"resultType": "vector", "result": found}
    if isinstance(value, Matrix):
        return {"resultType": "matrix", "result": [_window(each) for each in value.windows]}
    return {"resultType": "scalar", "result": [moment, number_text(float(value[0]))]}


def _window(window: Any) -> Json:
    from services.metrics_manager.promql.aggregations import number_text

    part = slice(int(window.first[0]), int(window.last[0]))
    samples = zip(window.times[part], window.values[part], strict=True)
    return {"metric": metric(window.labels), "values": [[int(t) / 1000, number_text(float(v))] for t, v in samples]}


def matrix(value: Vector, start: int, step: int) -> Json:
    """`data` of a range query."""
    found: list[Json] = []
    for labels, values, there in zip(value.labels, value.values, value.there, strict=True):
        if there.any():
            found.append({"metric": metric(labels), "values": _points(values, there, start, step)})
    found.sort(key=lambda each: sorted(each["metric"].items()))
    return {"resultType": "matrix", "result": found}


def _points(values: Floats, there: Any, start: int, step: int) -> list[list[Any]]:
    from services.metrics_manager.promql.aggregations import number_text

    return [[(start + i * step) / 1000, number_text(float(values[i]))] for i in there.nonzero()[0].tolist()]


def target(labels: dict[str, str], url: str, seen: Any, interval: float) -> Json:
    """One of `activeTargets`."""
    from datetime import UTC, datetime

    when = datetime.fromtimestamp(seen.at / 1000, UTC).isoformat().replace("+00:00", "Z")
    health = "unknown" if not seen.at else ("down" if seen.error else "up")
    return {
        "discoveredLabels": {},
        "labels": labels,
        "scrapePool": labels.get("job", ""),
        "scrapeUrl": url,
        "globalUrl": url,
        "lastError": seen.error,
        "lastScrape": when,
        "lastScrapeDuration": round(seen.seconds, 6),
        "health": health,
        "scrapeInterval": f"{interval:g}s",
        "scrapeTimeout": "10s",
    }
