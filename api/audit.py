"""Who changed what, when, from where, and how it ended: one JSON line per write in `logs/audit.log`.

Also logins and joins, refused ones too. Bodies and secrets are never in it. Lines are handed to the kernel before the
request's connection is free again; they are not synced to disk one by one. The newest stay in memory, to be shown.
"""

from __future__ import annotations

import os
import re
from collections import deque
from itertools import islice
from pathlib import Path

import orjson

from api.auth.principal import Principal
from api.wire.answering import Scope
from controller.kit.clock import Clock
from crds.model import rfc3339

LIMIT_BYTES = 64 * 2**20
FILES_KEPT = 5
KEPT_LINES = 1000
_END_BYTES = 2**19
# Whoever has the whole of a presigned URL may use it until it expires.
_SECRETS = re.compile(r"(X-Amz-(?:Signature|Security-Token))=[^&]*", re.IGNORECASE)
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
# Asked by POST, but questions: they change nothing.
_QUESTIONS = ("/apis/authorization.k8s.io/", "/apis/authentication.k8s.io/")
# What identities of the house do all day, changing nothing people keep.
_ROUTINE = frozenset({"/agents/heartbeat", "/agents/register", "/auth/token", "/auth/signing-keys", "/auth/refresh"})


class Audit:
    """Appends to one file; beyond 64 MiB it begins a new one and keeps five."""

    def __init__(self, file: Path, clock: Clock) -> None:
        self._path, self._clock = file, clock
        file.parent.mkdir(parents=True, exist_ok=True)
        self._open()
        self._newest = deque(_end_of(file), maxlen=KEPT_LINES)
        self._count = len(self._newest)

    def note(self, scope: Scope, who: Principal | None, code: int, request_id: str) -> None:
        """Write the line, if the request was a write."""
        method, path = scope["method"], scope["path"]
        if method in _READS or path in _ROUTINE or path.startswith(_QUESTIONS):
            return
        line = {
            "time": rfc3339(self._clock.now()),
            "user": who.name if who else "",
            "groups": sorted(who.groups) if who else [],
            "by": who.acting if who else "",
            "method": method,
            "path": path,
            "query": _without_secrets(scope["query_string"]),
            "code": code,
            "from": (scope.get("client") or ("",))[0],
            "userAgent": _header(scope, b"user-agent"),
            "requestId": request_id,
        }
        text = orjson.dumps(line)
        self._newest.append(text)
        self._count += 1
        self._size += os.write(self._file, text + b"\n")
        if self._size > LIMIT_BYTES:
            self._turn_over()

    def since(self, seen: int) -> tuple[int, list[bytes]]:
        """How many lines there were, and those after the first `seen` of them that are still in memory."""
        fresh = max(0, min(self._count - seen, len(self._newest)))
        return self._count, list(islice(self._newest, len(self._newest) - fresh, None))

    def close(self) -> None:
        os.close(self._file)

    def _open(self) -> None:
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = os.fstat(self._file).st_size

    def _turn_over(self) -> None:
        os.close(self._file)
        for number in range(FILES_KEPT - 1, -1, -1):
            old = self._numbered(number)
            if old.exists():
                old.replace(self._numbered(number + 1))
        self._open()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path


def _end_of(file: Path) -> list[bytes]:
    """The last whole lines; of one that a power cut broke, nothing."""
    with file.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - _END_BYTES))
        lines = stream.read().split(b"\n")
    whole = lines[1:] if size > _END_BYTES else lines
    return [line for line in whole if line.startswith(b"{") and line.endswith(b"}")]


def _without_secrets(query: bytes) -> str:
    return _SECRETS.sub(r"\1=...", query.decode("latin-1")) if query else ""


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")
