"""OTLP metrics to samples: names, units and labels as Prometheus translates them.

Source: opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics. Deltas and exponential histograms
are rejected, in words, as the protocol has it: the rest of the request is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from crds.errors import BadRequest, TooLarge
from services.metrics_manager.promql.labels import NAME, Labels, labels_of
from services.metrics_manager.scraping import STALE_NUMBER
from services.metrics_manager.store.sample_store import Sample
from services.metrics_manager.taking import (
    LABELS_OF_SERIES,
    LONGEST_NAME,
    LONGEST_VALUE,
    MOST_LABELS,
    MOST_SAMPLES,
    too_many_labels,
    too_much,
)

_UNITS = {
    "d": "days",
    "h": "hours",
    "min": "minutes",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "By": "bytes",
    "KiBy": "kibibytes",
    "MiBy": "mebibytes",
    "GiBy": "gibibytes",
    "kBy": "kilobytes",
    "MBy": "megabytes",
    "GBy": "gigabytes",
    "m": "meters",
    "V": "volts",
    "A": "amperes",
    "J": "joules",
    "W": "watts",
    "g": "grams",
    "Cel": "celsius",
    "Hz": "hertz",
    "%": "percent",
}
_CUMULATIVE, _NO_VALUE = 2, 1


class Translated(NamedTuple):
    """`rejected`: how many points are not kept, and `because`."""

    samples: list[Sample]
    rejected: int
    because: str


def samples_of(body: bytes, forced: Mapping[str, str]) -> Translated:
    """What an ExportMetricsServiceRequest says, with these labels in the place of its own. Raises BadRequest,
    TooLarge.
    """
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

    request = ExportMetricsServiceRequest()
    try:
        request.ParseFromString(body)
    except DecodeError:
        raise BadRequest("the body is no ExportMetricsServiceRequest of OTLP") from None
    _require_few(request)
    found: list[Sample] = []
    rejected, because = 0, ""
    for resource in request.resource_metrics:
        own = _of_resource(resource.resource.attributes)
        for metric in (each for scope in resource.scope_metrics for each in scope.metrics):
            kind = metric.WhichOneof("data") or ""
            if fault := _fault(metric, kind):
                rejected += len(getattr(metric, kind).data_points) if kind else 0
                because = because or f"{metric.name}: {fault}"
                continue
            found += _points(metric, kind, {**own, **forced})
    return Translated(found, rejected, because)


def _require_few(request: Any) -> None:
    """Raises TooLarge."""
    samples = labels = 0
    for more_samples, more_labels in _sizes(request):
        samples, labels = samples + more_samples, labels + more_labels
        if samples > MOST_SAMPLES or labels > MOST_LABELS:
            raise TooLarge(too_much("send_batch_max_size of the batch processor"))


def _sizes(request: Any) -> Iterable[tuple[int, int]]:
    """How many samples and labels each part becomes; what is empty counts, for it is looked at, too."""
    for resource in request.resource_metrics:
        yield 0, 1 + len(resource.resource.attributes)
        for scope in resource.scope_metrics:
            yield 0, 1
            for metric in scope.metrics:
                yield 0, 1
                kind = metric.WhichOneof("data") or ""
                for point in getattr(metric, kind).data_points if kind else ():
                    series = _series_of(kind, point)
                    yield series, series * (len(point.attributes) + 3)


def _series_of(kind: str, point: Any) -> int:
    """How many series that point is, at most: a bucket each, sum and count."""
    if kind == "histogram":
        return len(point.explicit_bounds) + 3
    return len(point.quantile_values) + 2 if kind == "summary" else 1


def answer_of(translated: Translated) -> bytes:
    """An ExportMetricsServiceResponse."""
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

    response = ExportMetricsServiceResponse()
    if translated.rejected:
        response.partial_success.rejected_data_points = translated.rejected
        response.partial_success.error_message = translated.because
    content: bytes = response.SerializeToString()
    return content


def _fault(metric: Any, kind: str) -> str:
    if kind == "exponential_histogram":
        return "exponential histograms are not kept here; let the SDK make explicit buckets"
    if kind in ("sum", "histogram") and getattr(metric, kind).aggregation_temporality != _CUMULATIVE:
        return "deltas are not kept here; let the SDK send cumulative values"
    return "" if metric.name else "it has no name"


def _of_resource(attributes: Iterable[Any]) -> dict[str, str]:
    """`job` and `instance`."""
    found = {each.key: _text(each.value) for each in attributes}
    parts = (found.get("service.namespace", ""), found.get("service.name", ""))
    return {"job": "/".join(filter(None, parts)), "instance": found.get("service.instance.id", "")}


def _points(metric: Any, kind: str, own: Mapping[str, str]) -> Iterable[Sample]:
    data = getattr(metric, kind)
    name = metric_name(metric.name, metric.unit, is_counter=kind == "sum" and data.is_monotonic)
    for point in data.data_points:
        labels = _labels(point.attributes, own)
        time = point.time_unix_nano // 1_000_000
        is_gone = bool(point.flags & _NO_VALUE)
        for suffix, more, value in _values(kind, point):
            made = _with(labels, {**more, NAME: f"{name}{suffix}"})
            yield Sample(made, time, STALE_NUMBER if is_gone else value)


def _values(kind: str, point: Any) -> Iterable[tuple[str, dict[str, str], float]]:
    """What follows the name, labels, and the value, of each series of a point."""
    if kind in ("gauge", "sum"):
        yield "", {}, float(point.as_int if point.WhichOneof("value") == "as_int" else point.as_double)
        return
    if kind == "histogram":
        total = 0
        bounds = [f"{each:g}" for each in point.explicit_bounds]
        for bound, count in zip([*bounds, "+Inf"], point.bucket_counts or [point.count], strict=False):
            total += count
            yield "_bucket", {"le": bound}, float(total)
    else:
        for each in point.quantile_values:
            yield "", {"quantile": f"{each.quantile:g}"}, each.value
    yield "_sum", {}, point.sum
    yield "_count", {}, float(point.count)


def _labels(attributes: Sequence[Any], own: Mapping[str, str]) -> Labels:
    """Those that all series of a point have. Raises BadRequest."""
    if len(attributes) > LABELS_OF_SERIES or any(len(each.key) > LONGEST_NAME for each in attributes):
        raise BadRequest(too_many_labels("a point"))
    labels = labels_of({**{label_name(each.key): _text(each.value) for each in attributes}, **own})
    if len(labels) > LABELS_OF_SERIES - 2 or any(len(value) > LONGEST_VALUE for _, value in labels):
        raise BadRequest(too_many_labels("a point"))
    return labels


def _with(labels: Labels, more: Mapping[str, str]) -> Labels:
    """Nearly sorted already, which is sorted fast. Raises BadRequest."""
    if len(more[NAME]) > LONGEST_NAME:
        raise BadRequest("a metric has a name of more than 256 characters")
    return tuple(sorted((*(each for each in labels if each[0] not in more), *more.items())))


def metric_name(name: str, unit: str, *, is_counter: bool) -> str:
    """`http.server.duration` of the unit `s` is `http_server_duration_seconds`."""
    found = label_name(name)
    word = _UNITS.get(unit, "")
    if "/" in unit and unit.partition("/")[2] in _UNITS:
        word = f"{_UNITS.get(unit.partition('/')[0], '')}_per_{_UNITS[unit.partition('/')[2]].rstrip('s')}".lstrip(
            "_"
        )
    if word and not found.removesuffix("_total").endswith(word):
        found = f"{found.removesuffix('_total')}_{word}"
    return f"{found.removesuffix('_total')}_total" if is_counter else found


def label_name(text: str) -> str:
    """What is no letter, digit or `_` becomes one `_`."""
    found = "".join(each if each.isascii() and (each.isalnum() or each == "_") else "_" for each in text)
    while "__" in found.strip("_"):
        found = found.replace("__", "_")
    return f"_{found}" if found[:1].isdigit() else found


def _text(value: Any) -> str:
    kind = value.WhichOneof("value")
    if kind == "bool_value":
        return str(value.bool_value).lower()
    if kind in ("string_value", "int_value", "double_value"):
        return str(getattr(value, kind))
    return "" if kind is None else str(value).strip()
