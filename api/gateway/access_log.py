"""The access log: one JSON line for each request, in `logs/access.log` of the home.

Lines wait a tenth of a second and are written together. Several gateways append to the same file; whoever finds it
large puts it aside. A disk that takes no more costs lines, never requests: how many is said once there is room. No
query, header or body is in a line: signatures and tokens travel there.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import structlog

from api.asgi import CLIENT_LEFT, Scope
from api.auth.authentication import WHO
from api.auth.principal import Principal
from api.request_context import PRINCIPAL, REQUEST_ID, TRACE, UPSTREAM
from services.sdk.edge.client_request import ClientRequest

log = structlog.get_logger("gateway")
EVERY_SECONDS, MOST_WAITING = 0.1, 1_000
LIMIT_BYTES, FILES_KEPT = 64 * 2**20, 3
LONGEST_PATH = 1024
_NOBODY = ("", "")
_MODE = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
_UTC = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z


class AccessLog:
    """Appends to `file`. Raises OSError when it cannot be opened at the start."""

    def __init__(self, file: Path) -> None:
        self._path = file
        self._waiting: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self.lost = 0
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._opened()

    def note(self, request: ClientRequest) -> None:
        """One request is over."""
        if self._file < 0:
            return  # the connection outlived the server
        self._waiting.append(orjson.dumps(access_record(request), option=_UTC))
        if len(self._waiting) >= MOST_WAITING:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(EVERY_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._waiting = self._waiting, []
        if not lines:
            return
        try:
            self._turn_over()
            self._write(b"".join([*self._confession(), *lines]))
        except OSError as refused:
            if not self.lost:
                log.warning("the access log cannot be written; requests go on", because=refused.strerror)
            self.lost += len(lines)
        else:
            self.lost = 0

    def close(self) -> None:
        """Write what waits, and no more after it."""
        self.flush()
        os.close(self._file)
        self._file = -1

    def _opened(self) -> int:
        return os.open(self._path, _MODE, 0o600)

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._file, data) :]

    def _confession(self) -> list[bytes]:
        # The newline first: the last write before may have stopped in the middle of its line.
        return [b"\n", orjson.dumps({"event": "lines were lost", "count": self.lost}), b"\n"] if self.lost else []

    def _turn_over(self) -> None:
        """Put a large file aside, unless another gateway just did."""
        if not self._moved() and os.fstat(self._file).st_size >= LIMIT_BYTES:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            if not self._moved():
                for number in range(FILES_KEPT, 0, -1):
                    older = self._aside(number - 1)
                    if older.exists():
                        older.replace(self._aside(number))
        if self._moved():
            opened = self._opened()
            os.close(self._file)
            self._file = opened

    def _moved(self) -> bool:
        try:
            return not os.path.samestat(self._path.stat(), os.fstat(self._file))
        except FileNotFoundError:
            return True

    def _aside(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path


def access_record(request: ClientRequest) -> dict[str, Any]:
    """What the access log says of a request that is over."""
    scope = request.scope
    line: dict[str, Any] = {
        "time": datetime.now(UTC),
        "client": scope["client"][0] if scope else request.address,
        "method": request.method.decode("latin-1"),
        "path": request.target.partition(b"?")[0][:LONGEST_PATH].decode("latin-1"),
        # Status 499: the client left before it was answered.
        "status": request.status or CLIENT_LEFT,
        "received": request.body.seen,
        "sent": request.sent,
        "seconds": round(request.seconds, 6),
    }
    if request.status and not request.answered:
        line["incomplete"] = True
    if scope:
        _add_notes(line, scope)
    return line


def _add_notes(line: dict[str, Any], scope: Scope) -> None:
    """What those who answered noted, as far as it is known."""
    service, instance = scope.get(UPSTREAM, _NOBODY)
    if service:
        line["service"] = service
    if instance:
        line["instance"] = instance
    who = scope.get(WHO)
    if principal := who.name if isinstance(who, Principal) else scope.get(PRINCIPAL):
        line["principal"] = principal
    if id := scope.get(REQUEST_ID):
        line["requestId"] = id.decode("latin-1")
    if trace := scope.get(TRACE):
        line["traceparent"] = trace.decode("latin-1")
