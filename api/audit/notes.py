"""Notes for the audit log by the parts that answer a request, beside what the request itself says.

Left in the request's scope. A managed service tells its action and resource in headers of its answer; the app takes
them off again (`taken`), whoever sent them. Only a service can send an answer: callers cannot forge these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from api.asgi import Message, Receive, Scope
from api.audit.fields import BODY_BYTES, body_of
from api.audit.policy import Level
from crds.errors import ApiError
from services.sdk.asgi import header_map

KEY = "aerekos.audit"
PREFIX = b"x-aerekos-audit-"
_LONGEST = 4096
_LONGEST_KEY = 64
Headers = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class Notes:
    """`aws`: the signing name of an AWS call. `access_key` is what the request claims; a 2xx answer proves it.
    `service_tells`: a managed service answers, whose word counts; of people's own containers it does not.
    `login`: the user that a refused login was for. `decided`: JSON, what policies decided where they refused.
    """

    aws: str = ""
    service_tells: bool = False
    access_key: str = ""
    login: str = ""
    action: str = ""
    resource: str = ""
    caller: str = ""
    decision: str = ""
    reason: str = ""
    decided: str = ""
    request: bytes = b""
    request_bytes: int = 0
    response: bytes = b""
    response_bytes: int = 0
    annotations: dict[str, str] = field(default_factory=dict)

    def bodies(self, level: Level) -> dict[str, Any]:
        """What a line of that level holds of the bodies."""
        told: dict[str, Any] = {}
        if level >= Level.REQUEST and self.request_bytes:
            told["requestObject"] = body_of(self.request, self.request_bytes)
        if level >= Level.REQUEST_RESPONSE and self.response_bytes:
            told["responseObject"] = body_of(self.response, self.response_bytes)
        return told

    def deny(self, reason: str) -> None:
        """The request was refused for who sent it, whatever HTTP code its protocol has for that."""
        self.decision, self.reason = "forbid", reason

    def hear(self, name: str, value: bytes) -> None:
        """One field a managed service tells."""
        if name in ("action", "resource", "caller", "decision", "reason", "decided"):
            setattr(self, name, _decoded(value[:_LONGEST]))

    def add_response(self, chunk: bytes) -> None:
        self.response_bytes += len(chunk)
        self.response += chunk[: max(0, BODY_BYTES - len(self.response))]


def notes_of(scope: Scope) -> Notes:
    """The notes of that request."""
    found: Notes | None = scope.get(KEY)
    if found is None:
        found = scope[KEY] = Notes()
    return found


def note_signed(scope: Scope, signing_name: str) -> Notes:
    """Note that the request is signed for that AWS service; with the access key it claims. The notes of it."""
    notes = notes_of(scope)
    notes.aws = signing_name or "unknown"
    notes.access_key = _claimed_key(scope)
    return notes


@contextmanager
def noting_refused_login(scope: Scope, name: str, user: Callable[[str], object | None]) -> Iterator[None]:
    """Note whom a login was for, when it is refused inside. Only names of users that exist: people type their
    password where their name belongs.
    """
    try:
        yield
    except ApiError:
        if user(name) is not None:
            notes_of(scope).login = name
        raise


def taken(headers: Iterable[tuple[bytes, bytes]], notes: Notes) -> Headers:
    """An instance's headers, their names in lower case, without those for the audit log, which are noted where a
    managed service answers.
    """
    kept: Headers = []
    for each in headers:
        if not each[0].startswith(PREFIX):
            kept.append(each)
        elif notes.service_tells:
            notes.hear(each[0].removeprefix(PREFIX).decode("ascii"), each[1])
    return kept


def recording(receive: Receive, notes: Notes) -> Receive:
    """`receive`, with the beginning of the body kept."""

    async def received() -> Message:
        message = await receive()
        if message["type"] == "http.request" and (chunk := message.get("body", b"")):
            notes.request_bytes += len(chunk)
            notes.request += chunk[: max(0, BODY_BYTES - len(notes.request))]
        return message

    return received


def _claimed_key(scope: Scope) -> str:
    """From `Credential=AKIA.../...` in the Authorization header, or X-Amz-Credential of a presigned URL."""
    header = header_map(scope).get(b"authorization", b"")[:2048]
    raw = header.partition(b"Credential=")[2] or scope["query_string"][:8192].partition(b"X-Amz-Credential=")[2]
    return _decoded(raw[: _LONGEST_KEY * 3].partition(b"/")[0])[:_LONGEST_KEY]


@lru_cache(1024)
def _decoded(value: bytes) -> str:
    """Remembered: few actions, resources and callers make up most requests."""
    return unquote(value.decode("latin-1"))
