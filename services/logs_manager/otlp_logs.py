"""`POST /v1/logs`: lines from OpenTelemetry. They go into the group `otel` of their sender's namespace."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from itertools import chain, islice
from typing import Any

from crds.errors import BadRequest
from services.logs_manager.kinds import LOG_GROUP
from services.logs_manager.otlp import MOST_RAW, answer, beside_the_loop, read_into, require_few, text_of, value_of
from services.logs_manager.push import LONGEST_VALUE, MOST_FIELD_BYTES, MOST_FIELDS, Pushed
from services.logs_manager.store.log_store import LONGEST_LINE
from services.logs_manager.taking import AHEAD_NS, Taking
from services.sdk.reconcile import Clock
from services.sdk.routes import Request, Response, route

GROUP, _SERVICE = "otel", "service.name"
LEVELS = ((21, "critical"), (17, "error"), (13, "warn"), (9, "info"), (5, "debug"), (1, "trace"))


class OtlpLogRoutes:
    """One route."""

    def __init__(self, taking: Taking, clock: Clock, reading: Executor) -> None:
        """`reading`: where large requests are taken apart."""
        self._taking, self._clock, self._reading = taking, clock, reading

    @route("POST", "/v1/logs", permission=("use", LOG_GROUP), raw=True)
    async def logs(self, request: Request) -> Response:
        """200 once all that is kept is durable; what is rejected is told within the answer."""
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
            ExportLogsServiceRequest,
            ExportLogsServiceResponse,
        )

        response, now = ExportLogsServiceResponse(), round(self._clock.now().timestamp() * 1e9)
        oldest = self._taking.oldest(request.namespace, GROUP, now)

        def read() -> tuple[list[Pushed], int]:
            read_into(sent := ExportLogsServiceRequest(), request)
            return _pushed(sent, now, oldest)

        pushed, rejected = await beside_the_loop(self._reading, request, read)
        if pushed:
            await self._taking.pushed(request.namespace, pushed, GROUP)
        if rejected:
            response.partial_success.rejected_log_records = rejected
            response.partial_success.error_message = (
                f"older than the group {GROUP} keeps lines, more than two hours ahead, or over {LONGEST_LINE} bytes"
            )
        return answer(response, request)


def _pushed(sent: Any, now: int, oldest: int) -> tuple[list[Pushed], int]:
    """By service, and how many records are rejected. Raises BadRequest."""
    require_few(sent.resource_logs, lambda part: part.scope_logs, lambda scope: scope.log_records)
    found: dict[str, Pushed] = {}
    rejected = size = 0
    for service, shared, record in _records(sent):
        at = record.time_unix_nano or record.observed_time_unix_nano or now
        line = _line(record)
        if not oldest <= at <= now + AHEAD_NS or len(line.encode("utf-8", "replace")) > LONGEST_LINE:
            rejected += 1
            continue
        fields = _fields(record, shared)
        size += len(line) + sum(len(name) + len(value) for name, value in fields.items())
        if size > MOST_RAW:
            raise BadRequest(
                f"the lines have more than {MOST_RAW} characters with the attributes of each: send fewer"
            )
        found.setdefault(service, Pushed({"service": service}, [])).lines.append((at, line, fields))
    return list(found.values()), rejected


def _records(sent: Any) -> Iterator[tuple[str, dict[str, str], Any]]:
    """Each with its service, and the fields it shares with others."""
    for part in sent.resource_logs:
        named = (value_of(each.value) for each in part.resource.attributes if each.key == _SERVICE)
        service = text_of(next(named, "unknown_service"))[:LONGEST_VALUE]
        resource = _texts(each for each in part.resource.attributes if each.key != _SERVICE)
        for scope in part.scope_logs:
            names = {"scope_name": scope.scope.name, "scope_version": scope.scope.version}
            shared = {name: text[:LONGEST_VALUE] for name, text in names.items()} | resource
            for record in scope.log_records:
                yield service, shared, record


def _line(record: Any) -> str:
    found = value_of(record.body)
    return "" if found is None else text_of(found)


def _fields(record: Any, shared: dict[str, str]) -> dict[str, str]:
    """Structured metadata: ids, level, attributes, then what it shares with others; of too many the first."""
    own = {
        "trace_id": record.trace_id.hex(),
        "span_id": record.span_id.hex(),
        "severity_text": record.severity_text[:LONGEST_VALUE],
        "level": next((name for least, name in LEVELS if record.severity_number >= least), ""),
        "event_name": record.event_name[:LONGEST_VALUE],
    }
    found, size = dict[str, str](), 0
    for name, text in chain(own.items(), _texts(record.attributes).items(), shared.items()):
        size += len(name) + len(text) if text and name not in found else 0
        if len(found) == MOST_FIELDS or size > MOST_FIELD_BYTES:
            break
        if text:
            found.setdefault(name, text)
    return found


def _texts(attributes: Iterable[Any]) -> dict[str, str]:
    """The first of them, by names that fields may have."""
    found = dict[str, str]()
    for each in islice(attributes, MOST_FIELDS):
        if (value := value_of(each.value)) is not None:
            found.setdefault(_name(each.key), text_of(value)[:LONGEST_VALUE])
    return found


def _name(key: str) -> str:
    name = "".join(each if each.isascii() and (each.isalnum() or each == "_") else "_" for each in key[:128])
    return f"_{name}" if name[:1].isdigit() else name or "_"
