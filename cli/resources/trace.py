"""`aerekos trace`: one request through everything that wrote of it, from what the service that speaks `logs` keeps.

Lines that hold the id, and those that hold the trace of the first (their `traceparent` names it); spans, where some
were sent. What the conductor, the gateway and agents write is not among them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

from cli.api_client import ApiClient
from cli.errors import Refused
from cli.output import plain
from cli.resources import log_lines
from controller.main.errors import Misuse
from crds.managed import ManagedService
from services.sdk.discovery import managed_services

MOST_LINES, MOST_TRACES = 2_000, 5
_SPEAKS = "logs"
_ID = re.compile(r"[A-Za-z0-9._-]{8,128}")
_TRACE = re.compile(r"\b00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}\b")


class Step(NamedTuple):
    """A line, or a span. `at`: ns since 1970; `took`: ns, of a span."""

    at: int
    who: str
    text: str
    took: int | None = None


def steps(api: ApiClient, id: str, seconds: int, now: int, tell: Callable[[str], None]) -> list[Step]:
    """In the order of time. `now` in ns. `tell` is told of what is left out. Raises Misuse, Refused."""
    if not _ID.fullmatch(id):
        raise Misuse(f'"{id}" is no id of a request or a trace', hint="the X-Request-ID of an answer, or a trace id")
    start = now - seconds * 1_000_000_000
    found = dict.fromkeys(_lines(api, id, start, now, tell))
    traces = dict.fromkeys([id] if re.fullmatch("[0-9a-f]{32}", id) else [])
    traces |= dict.fromkeys(trace for each in found for trace in _TRACE.findall(each.text))
    if len(traces) > MOST_TRACES:
        tell(f"{len(traces)} traces are named: only the first {MOST_TRACES} are shown")
    for trace in list(traces)[:MOST_TRACES]:
        found |= dict.fromkeys((*_lines(api, trace, start, now, tell), *_spans(api, trace)))
    return sorted(found, key=lambda each: each.at)


def shown(found: Iterable[Step], *, colour: bool) -> list[str]:
    """For people."""
    return [_span_text(each) if each.took is not None else _line_text(each, colour) for each in found]


def as_dicts(found: Iterable[Step]) -> list[dict[str, Any]]:
    """For programs."""
    return [
        {"at": _time(each.at).isoformat(), "who": each.who, "text": each.text, "seconds": _seconds(each.took)}
        for each in found
    ]


@cache
def _logs() -> ManagedService:
    """The one that keeps lines and spans."""
    return next(each for each in managed_services() if _SPEAKS in each.speaks)


def _lines(api: ApiClient, text: str, start: int, end: int, tell: Callable[[str], None]) -> list[Step]:
    """Raises Refused."""
    asked = {
        "query": f'{{namespace=~".+"}} |= "{text}"',
        "start": str(start),
        "end": str(end),
        "limit": str(MOST_LINES),
        "direction": "forward",
    }
    try:
        answer = api.get(f"/services/{_logs().service_name}/loki/api/v1/query_range", params=asked)
    except Refused as refused:
        if refused.status in (404, 503):
            refused.hint = f"start it: kubectl apply a Service with spec.managed: {_logs().name} (docs/logs.md)"
        raise
    found = [
        Step(int(at), _who(stream["stream"]), line)
        for stream in answer["data"]["result"]
        for at, line in stream["values"]
    ]
    if len(found) >= MOST_LINES:
        tell(f"of the lines with {text} only the first {MOST_LINES} are shown: there may be more after them")
    return found


def _who(labels: dict[str, str]) -> str:
    known = labels.get("instance") or labels.get("log_stream") or labels.get("service") or labels["log_group"]
    return f"{labels['namespace']}/{known}"


def _spans(api: ApiClient, trace: str) -> list[Step]:
    """Raises Refused."""
    try:
        data = api.get(f"/services/{_logs().service_name}/jaeger/api/traces/{trace}")["data"]
    except Refused as refused:
        if refused.status == 404:
            return []
        raise
    return [
        Step(
            span["startTime"] * 1000,
            each["processes"][span["processID"]]["serviceName"],
            span["operationName"],
            span["duration"] * 1000,
        )
        for each in data
        for span in each["spans"]
    ]


def _line_text(step: Step, colour: bool) -> str:
    return f"{_clock(step)} {plain(step.who)}  {log_lines.pretty(step.text, colour=colour)}"


def _span_text(step: Step) -> str:
    return f"{_clock(step)} {plain(step.who)}  span {plain(step.text)} {_seconds(step.took)} s"


def _clock(step: Step) -> str:
    return _time(step.at).astimezone().strftime("%H:%M:%S.%f")[:-3]


def _time(ns: int) -> datetime:
    return datetime.fromtimestamp(ns / 1e9, UTC)


def _seconds(ns: int | None) -> float | None:
    return None if ns is None else round(ns / 1e9, 6)
