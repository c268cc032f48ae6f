"""Traces as Jaeger's JSON has them. Source: jaegertracing.io/docs/latest/apis; Jaeger's model/json/model.go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from services.logs_manager.otlp import text_of
from services.logs_manager.traces.spans import kind_of
from services.logs_manager.traces.trace_store import Trace

Json = dict[str, Any]


def answer(data: Sequence[Any], limit: int = 0) -> Json:
    return {"data": list(data), "total": len(data), "limit": limit, "offset": 0, "errors": None}


def trace(id: str, found: Trace) -> Json:
    """Each span is written as soon as it is read: as objects they would take many times their bytes."""
    processes: dict[str, str] = {}
    shown, described = list[orjson.Fragment](), dict[str, orjson.Fragment]()
    for _, line, service in found.in_order():
        span = orjson.loads(line)
        key = f"{service}\x00{text_of(span['resource'])}"
        process = processes.setdefault(key, f"p{len(processes) + 1}")
        if process not in described:
            described[process] = _written({"serviceName": service, "tags": _tags(span["resource"])})
        shown.append(_written(_span(id, span, process)))
    warnings = (
        [f"there are more spans than these {len(shown)}: an answer has 8 MiB of them"] if found.is_cut else None
    )
    return {"traceID": id, "spans": shown, "processes": described, "warnings": warnings}


def _written(value: Json) -> orjson.Fragment:
    return orjson.Fragment(orjson.dumps(value))


def _span(id: str, span: Json, process: str) -> Json:
    parent = [{"refType": "CHILD_OF", "traceID": id, "spanID": span["parentId"]}] if span["parentId"] else []
    links = [{"refType": "FOLLOWS_FROM", "traceID": each[0], "spanID": each[1]} for each in span["links"]]
    return {
        "traceID": id,
        "spanID": span["spanId"],
        "flags": 1,
        "operationName": span["name"],
        "references": parent + links,
        "startTime": span["start"] // 1000,
        "duration": max(span["end"] - span["start"], 0) // 1000,
        "tags": _tags({**span["attributes"], **_said(span)}),
        "logs": [
            {"timestamp": at // 1000, "fields": _tags({"event": name, **more})} for at, name, more in span["events"]
        ],
        "processID": process,
        "warnings": None,
    }


def _said(span: Json) -> Json:
    found: Json = {"span.kind": kind_of(span["kind"])}
    if span["scope"]:
        found["otel.scope.name"] = span["scope"]
    if span["error"]:
        found |= {"error": True, "otel.status_description": span["error"]}
    return found


def _tags(found: Mapping[str, Any]) -> list[Json]:
    return [_tag(key, value) for key, value in found.items()]


def _tag(key: str, value: Any) -> Json:
    if isinstance(value, bool):
        return {"key": key, "type": "bool", "value": value}
    if isinstance(value, int):
        return {"key": key, "type": "int64", "value": value}
    if isinstance(value, float):
        return {"key": key, "type": "float64", "value": value}
    return {"key": key, "type": "string", "value": text_of(value)}
