"""Prometheus remote write 1.0: a WriteRequest of protobuf, in snappy's block format.

Source: prometheus.io/docs/specs/prw/remote_write_spec. The messages are described here, at the first request, so that
there is no generated code. What would be lost is refused: native histograms and exemplars.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from crds.errors import BadRequest
from services.metrics_manager.promql.labels import NAME, Labels, labels_of
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
from services.sdk.packed_bodies import unpacked_snappy
from services.sdk.protobuf_messages import BYTES, DOUBLE, INT64, STRING, Field, message_classes

MOST_BODY, MOST_RAW = 4 << 20, 8 << 20
MOST_KNOWN, LONGEST_KNOWN = 10_000, 1_024


class RemoteWrites:
    """Reads requests. Labels that came before, byte for byte, are known by these bytes: to read them anew took five
    times as long as all else.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, tuple[bytes, ...]], Labels] = {}

    def samples(self, body: bytes, namespace: str | None) -> list[Sample]:
        """What is written; `namespace`: what stands in the place of its own. Raises BadRequest."""
        request, raw = message_class("WriteRequest")(), unpacked_snappy(body, MOST_RAW)
        try:
            request.ParseFromString(raw)
        except Exception as error:
            raise BadRequest(f"the body is no WriteRequest of remote write 1.0: {type(error).__name__}") from None
        _require_few(request.timeseries)
        found: list[Sample] = []
        for series in request.timeseries:
            if len(series.histograms) or len(series.exemplars):
                raise BadRequest("native histograms and exemplars are not taken here; send classic histograms")
            labels = self._labels(tuple(series.labels), namespace)
            found += [Sample(labels, each.timestamp, each.value) for each in series.samples]
        return found

    def _labels(self, written: tuple[bytes, ...], namespace: str | None) -> Labels:
        """Raises BadRequest."""
        key = (namespace or "", written)
        known = self._known.get(key)
        if known is None:
            known = _read_labels(written, namespace)
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            if sum(map(len, written)) <= LONGEST_KNOWN:
                self._known[key] = known
        return known


def _require_few(series: Any) -> None:
    """Raises BadRequest."""
    samples = len(series) + sum(len(each.samples) for each in series)
    if samples > 2 * MOST_SAMPLES or sum(len(each.labels) for each in series) > MOST_LABELS:
        raise BadRequest(too_much("max_samples_per_send"))


def _read_labels(written: tuple[bytes, ...], namespace: str | None) -> Labels:
    label = message_class("Label")
    try:
        read = [label.FromString(each) for each in written]
    except Exception as error:
        raise BadRequest(f"a label is none: {type(error).__name__}") from None
    forced = {} if namespace is None else {"namespace": namespace}
    labels = labels_of([*((each.name, each.value) for each in read), *forced.items()])
    if not any(name == NAME for name, _ in labels):
        raise BadRequest("a series has no __name__")
    too_long = any(len(value) > LONGEST_VALUE or len(name) > LONGEST_NAME for name, value in labels)
    if len(labels) > LABELS_OF_SERIES or too_long:
        raise BadRequest(too_many_labels("a series"))
    return labels


def message_class(name: str) -> Any:
    """`WriteRequest`, or a `Label`, which a request has as bytes: they are read where they are not known."""
    return _messages()[name]


@cache
def _messages() -> dict[str, Any]:
    return message_classes(
        "aerekos.prw",
        {
            "Label": (Field("name", 1, STRING), Field("value", 2, STRING)),
            "Sample": (Field("value", 1, DOUBLE), Field("timestamp", 2, INT64)),
            "TimeSeries": (
                Field("labels", 1, BYTES, repeated=True),
                Field("samples", 2, "Sample", repeated=True),
                Field("exemplars", 3, BYTES, repeated=True),
                Field("histograms", 4, BYTES, repeated=True),
            ),
            "WriteRequest": (
                Field("timeseries", 1, "TimeSeries", repeated=True),
                Field("metadata", 3, BYTES, repeated=True),
            ),
        },
    )
