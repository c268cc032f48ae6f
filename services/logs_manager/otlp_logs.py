"""`POST /v1/logs`: lines from OpenTelemetry. They go into the group `otel` of their sender's namespace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from crds.errors import BadRequest
from services.logs_manager.kinds import LOG_GROUP
from services.logs_manager.otlp import MOST_ITEMS, answer, attributes_of, read_into, text_of, value_of
from services.logs_manager.push import LONGEST_VALUE, MOST_FIELDS, Pushed
from services.logs_manager.store.log_store import LONGEST_LINE
from services.logs_manager.taking import AHEAD_NS, Taking
from services.sdk.reconcile import Clock
from services.sdk.routes import Request, Response, route

GROUP = "otel"
LEVELS = ((21, "critical"), (17, "error"), (13, "warn"), (9, "info"), (5, "debug"), (1, "trace"))


class OtlpLogRoutes:
    """One route."""

    def __init__(self, taking: Taking, clock: Clock) -> None:
        self._taking, self._clock = taking, clock

    @route("POST", "/v1/logs", permission=("use", LOG_GROUP), raw=True)
    async def logs(self, request: Request) -> Response:
        """200 once all that is kept is durable; what is rejected is told within the answer."""
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
            ExportLogsServiceRequest,
            ExportLogsServiceResponse,
        )

        sent, response = ExportLogsServiceRequest(), ExportLogsServiceResponse()
        read_into(sent, request)
        now = round(self._clock.now().timestamp() * 1e9)
        pushed, rejected = _pushed(sent, now, self._taking.oldest(request.namespace, GROUP, now))
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
    found: dict[str, Pushed] = {}
    rejected = count = 0
    for service, resource, record in _records(sent):
        count += 1
        if count > MOST_ITEMS:
            raise BadRequest(f"at most {MOST_ITEMS} records are taken at once: lower send_batch_max_size")
        at = record.time_unix_nano or record.observed_time_unix_nano or now
        line = _line(record)
        if not oldest <= at <= now + AHEAD_NS or len(line.encode("utf-8", "replace")) > LONGEST_LINE:
            rejected += 1
            continue
        each = found.setdefault(service, Pushed({"service": service}, []))
        each.lines.append((at, line, _fields(record, resource)))
    return list(found.values()), rejected


def _records(sent: Any) -> Iterator[tuple[str, dict[str, Any], Any]]:
    for part in sent.resource_logs:
        resource = attributes_of(part.resource.attributes)
        service = text_of(resource.pop("service.name", "unknown_service"))[:LONGEST_VALUE]
        for scope in part.scope_logs:
            for record in scope.log_records:
                yield service, resource, record


def _line(record: Any) -> str:
    found = value_of(record.body)
    return "" if found is None else text_of(found)


def _fields(record: Any, resource: dict[str, Any]) -> dict[str, str]:
    """Structured metadata: ids, level, attributes; of too many the first."""
    found = {
        "trace_id": record.trace_id.hex(),
        "span_id": record.span_id.hex(),
        "severity_text": record.severity_text,
        "level": next((name for least, name in LEVELS if record.severity_number >= least), ""),
    }
    for key, value in (attributes_of(record.attributes) | resource).items():
        if len(found) < MOST_FIELDS and value is not None:
            found.setdefault(_name(key), text_of(value)[:LONGEST_VALUE])
    return {name: value for name, value in found.items() if value}


def _name(key: str) -> str:
    name = "".join(each if each.isascii() and (each.isalnum() or each == "_") else "_" for each in key[:128])
    return f"_{name}" if name[:1].isdigit() else name or "_"
