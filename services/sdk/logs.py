"""Logs: one JSON object a line on standard output. Plain `logging` underneath, so libraries' logs look the same.

`logger.info("reconciled", extra={"fields": {"key": "acme/payments"}})` adds fields to the event.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from time import time
from typing import Any

import orjson

from controller.kit.unfailing import unfailing
from crds.model import rfc3339_milli

FLUSH_SECONDS, MOST_WAITING = 0.1, 500


class JsonLines(logging.Formatter):
    """`bound` fields (service, instance) are on every line."""

    def __init__(self, **bound: str) -> None:
        super().__init__()
        self._bound = bound

    def format(self, record: logging.LogRecord) -> str:
        """A line; of a record with `lines` (moment, fields), as many."""
        if lines := getattr(record, "lines", None):
            return "\n".join([self._line(record, moment, fields) for moment, fields in lines])
        return self._line(record, record.created, getattr(record, "fields", {}))

    def _line(self, record: logging.LogRecord, moment: float, fields: Mapping[str, Any]) -> str:
        line: dict[str, Any] = {
            "timestamp": rfc3339_milli(datetime.fromtimestamp(moment, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **self._bound,
            **fields,
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def start_logging(level: str = "INFO", **bound: str) -> None:
    """Send everything to standard output. Chatty libraries speak from WARNING on."""
    # No line says them, and finding them out takes longer than writing the line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(unfailing(sys.stdout))
    handler.setFormatter(JsonLines(**bound))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("httpx", "httpcore", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.WARNING)


class AccessLog:
    """A line for each request, in the shape of all others. Lines wait a tenth of a second and are handed to `logging`
    as one: the work of a request is small beside what it does for a single line.
    """

    def __init__(self) -> None:
        self._log = logging.getLogger("access")
        self._waiting: list[tuple[float, Mapping[str, Any]]] = []
        self._timer: asyncio.TimerHandle | None = None

    def note(self, fields: Mapping[str, Any]) -> None:
        """One request was answered."""
        if not self._log.isEnabledFor(logging.INFO):
            return
        self._waiting.append((time(), fields))
        if len(self._waiting) >= MOST_WAITING:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Hand over what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._log.info("answered", extra={"lines": waiting})


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
