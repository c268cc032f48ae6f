"""Logs: one JSON object a line on standard output. Plain `logging` underneath, so libraries' logs look the same.

`logger.info("reconciled", extra={"fields": {"key": "acme/payments"}})` adds fields to the event.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any

import orjson

from controller.kit.unfailing import unfailing


class JsonLines(logging.Formatter):
    """`bound` fields (service, instance) are on every line."""

    def __init__(self, **bound: str) -> None:
        super().__init__()
        self._bound = bound

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "timestamp": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **self._bound,
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def start_logging(level: str = "INFO", **bound: str) -> None:
    """Send everything to standard output. Chatty libraries speak from WARNING on."""
    handler = logging.StreamHandler(unfailing(sys.stdout))
    handler.setFormatter(JsonLines(**bound))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("httpx", "httpcore", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.WARNING)


def start_structlog(**bound: str) -> None:
    """The loop logs through structlog: give its lines the same shape."""
    import structlog

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            lambda _logger, _method, event: {**bound, **event},
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=unfailing(sys.stdout)),
    )
