"""What can go wrong between a client and the resource API. One tree, drawn here:

    ApiError                 has an HTTP code, a Kubernetes reason and details
    ├── BadRequest 400       the request itself makes no sense
    ├── Unauthorized 401     nobody knows who is asking
    ├── Forbidden 403        somebody known may not
    ├── NotFound 404
    ├── MethodNotAllowed 405
    ├── NotAcceptable 406
    ├── AlreadyExists 409
    ├── Conflict 409         the resource changed since it was read
    ├── Expired 410          the history asked for is compacted away
    ├── TooLarge 413
    ├── UnsupportedMedia 415
    ├── Invalid 422          the resource's content breaks its rules; `causes` name the fields
    ├── TooManyRequests 429  has `retry_after` seconds
    ├── InternalError 500
    ├── Unavailable 503      try again
    └── Timeout 504          try again

Source: apimachinery `meta/v1` Status and StatusReason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from crds.meta import ObjectKey

CONDUCTOR_AWAY = "ConductorAway"
"""The reason of the cause by which a gateway says that nobody stands behind it."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One fault of one field. `reason` is a Kubernetes CauseType such as `FieldValueInvalid`."""

    field: str
    message: str
    reason: str = "FieldValueInvalid"


class ApiError(Exception):
    """Base of all answers that are not a success. `go_on`: the token with which a broken list can still go on."""

    code: ClassVar[int] = 500
    reason: ClassVar[str] = "InternalError"

    def __init__(
        self,
        message: str,
        *,
        key: ObjectKey | None = None,
        causes: tuple[Cause, ...] = (),
        retry_after: int | None = None,
        go_on: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.key = key
        self.causes = causes
        self.retry_after = retry_after
        self.go_on = go_on

    def status(self) -> dict[str, Any]:
        """The `Status` object clients print."""
        details: dict[str, Any] = {}
        if self.key:
            details = {"name": self.key.name, "group": self.key.group, "kind": self.key.plural}
        if self.causes:
            details["causes"] = [{"reason": c.reason, "message": c.message, "field": c.field} for c in self.causes]
        if self.retry_after is not None:
            details["retryAfterSeconds"] = self.retry_after
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {"continue": self.go_on} if self.go_on else {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        if details:
            body["details"] = details
        return body


class BadRequest(ApiError):
    code, reason = 400, "BadRequest"


class Unauthorized(ApiError):
    code, reason = 401, "Unauthorized"


class Forbidden(ApiError):
    code, reason = 403, "Forbidden"


class NotFound(ApiError):
    code, reason = 404, "NotFound"


class MethodNotAllowed(ApiError):
    code, reason = 405, "MethodNotAllowed"


class NotAcceptable(ApiError):
    code, reason = 406, "NotAcceptable"


class AlreadyExists(ApiError):
    code, reason = 409, "AlreadyExists"


class Conflict(ApiError):
    code, reason = 409, "Conflict"


class Expired(ApiError):
    code, reason = 410, "Expired"


class TooLarge(ApiError):
    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMedia(ApiError):
    code, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    code, reason = 422, "Invalid"


class TooManyRequests(ApiError):
    code, reason = 429, "TooManyRequests"


class InternalError(ApiError):
    code, reason = 500, "InternalError"


class Unavailable(ApiError):
    code, reason = 503, "ServiceUnavailable"


class Timeout(ApiError):
    code, reason = 504, "Timeout"


_BY_REASON: dict[str, type[ApiError]] = {each.reason: each for each in ApiError.__subclasses__()}
_BY_CODE: dict[int, type[ApiError]] = {each.code: each for each in reversed(ApiError.__subclasses__())}


def not_found(key: ObjectKey) -> NotFound:
    """The usual words for a missing resource."""
    kind = f"{key.plural}.{key.group}" if key.group else key.plural
    return NotFound(f'{kind} "{key.name}" not found', key=key)


def from_status(code: int, body: Any, fallback: str = "") -> ApiError:
    """The error a `Status` answer stands for, on the client's side. Any other body becomes its HTTP code's error."""
    status = body if isinstance(body, dict) and body.get("kind") == "Status" else {}
    details = status.get("details") or {}
    kind = _BY_REASON.get(status.get("reason", "")) or _BY_CODE.get(code, ApiError)
    key = ObjectKey(details.get("group", ""), details.get("kind", ""), "", details.get("name", ""))
    causes = tuple(
        Cause(each.get("field", ""), each.get("message", ""), each.get("reason", ""))
        for each in details.get("causes") or ()
    )
    return kind(
        status.get("message") or fallback or f"the server answered {code}",
        key=key if key.name else None,
        causes=causes,
        retry_after=details.get("retryAfterSeconds"),
    )
