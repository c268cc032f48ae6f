"""Answers of Loki's API: how streams, vectors and matrices are written as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from services.logs_manager.logql.evaluate import Line, Steps
from services.logs_manager.logql.vectors import Labels, Vector

Json = dict[str, Any]
_STATS: Json = {"summary": {}, "querier": {}, "ingester": {}, "cache": {}}


def streams(lines: Sequence[Line], *, newest: bool) -> Json:
    """By labels, in the order they came."""
    found: dict[Labels, list[list[str]]] = {}
    for each in lines:
        found.setdefault(each.labels, []).append([str(each.at), each.line])
    result = [{"stream": dict(labels), "values": values} for labels, values in found.items()]
    return {"resultType": "streams", "result": result, "stats": _STATS}


def matrix(found: Vector, steps: Steps) -> Json:
    seconds = [_seconds(each) for each in steps.moments()]
    result = [
        {
            "metric": dict(labels),
            "values": [[at, number(v)] for at, v in zip(seconds, values, strict=True) if v is not None],
        }
        for labels, values in sorted(found.items())
    ]
    return {"resultType": "matrix", "result": result, "stats": _STATS}


def vector(found: Vector, at: int) -> Json:
    result = [
        {"metric": dict(labels), "value": [_seconds(at), number(values[0])]}
        for labels, values in sorted(found.items())
        if values[0] is not None
    ]
    return {"resultType": "vector", "result": result, "stats": _STATS}


def scalar(value: float, at: int) -> Json:
    return {"resultType": "scalar", "result": [_seconds(at), number(value)], "stats": _STATS}


def number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def _seconds(ns: int) -> float | int:
    return ns // 1_000_000_000 if ns % 1_000_000_000 == 0 else round(ns / 1e9, 3)
