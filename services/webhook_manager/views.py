"""Messages and attempts as the API shows them: without what is in them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from crds.model import rfc3339_micro
from services.webhook_manager.message import Attempt, Listed, State

Json = dict[str, Any]
_NAMES = {State.WAITING: "Waiting", State.DELIVERED: "Delivered", State.FAILED: "Failed"}


def message_view(message: Listed) -> Json:
    """`nextAttempt` while it waits, `endedAt` afterwards."""
    found: Json = {
        "id": message.id,
        "type": message.type,
        "bytes": message.size,
        "takenAt": time_text(message.made),
        "state": _NAMES[message.state],
        "attempts": message.attempts,
        "fault": message.fault,
    }
    if message.ended is None:
        return {**found, "nextAttempt": time_text(message.due)}
    return {**found, "endedAt": time_text(message.ended)}


def attempt_view(attempt: Attempt) -> Json:
    """`status`: absent where there was no answer."""
    found = {
        "message": attempt.id,
        "at": time_text(attempt.at),
        "milliseconds": round(attempt.seconds * 1000, 1),
        "fault": attempt.fault,
    }
    return {**found, "status": attempt.status} if attempt.status else found


def time_text(seconds: float) -> str:
    return rfc3339_micro(datetime.fromtimestamp(seconds, UTC))
