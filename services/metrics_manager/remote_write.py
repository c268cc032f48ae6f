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

MOST_BODY, MOST_RAW = 4 << 20, 8 << 20
MOST_KNOWN, LONGEST_KNOWN = 10_000, 1_024
_INT64, _DOUBLE, _STRING, _MESSAGE, _BYTES = 3, 1, 9, 11, 12


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


@cache
def message_class(name: str) -> Any:
    """`WriteRequest`, or a `Label`, which a request has as bytes: they are read where they are not known."""
    from google.protobuf import message_factory

    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"aerekos.prw.{name}"))


@cache
def _pool() -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool

    file = descriptor_pb2.FileDescriptorProto(
        name="aerekos/remote_write.proto", package="aerekos.prw", syntax="proto3"
    )
    _add(file, "Label", (("name", 1, _STRING, ""), ("value", 2, _STRING, "")))
    _add(file, "Sample", (("value", 1, _DOUBLE, ""), ("timestamp", 2, _INT64, "")))
    _add(
        file,
        "TimeSeries",
        (
            ("labels", 1, _BYTES, "*"),
            ("samples", 2, _MESSAGE, "Sample"),
            ("exemplars", 3, _BYTES, "*"),
            ("histograms", 4, _BYTES, "*"),
        ),
    )
    _add(file, "WriteRequest", (("timeseries", 1, _MESSAGE, "TimeSeries"), ("metadata", 3, _BYTES, "*")))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


def _add(file: Any, name: str, fields: tuple[tuple[str, int, int, str], ...]) -> None:
    message = file.message_type.add(name=name)
    for field, number, type, of in fields:
        added = message.field.add(name=field, number=number, type=type, label=3 if of else 1)
        if type == _MESSAGE:
            added.type_name = f".aerekos.prw.{of}"
