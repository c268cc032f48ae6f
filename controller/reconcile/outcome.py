"""The outcome of a pass: one of three outcomes, or one of two exceptions.

done(...)                 spec and world agree (may ask for another pass later)
again(after, because)     progress is under way; another pass soon
waiting(for_)             something else must happen first; a watch will bring us back, and a slow retry too

Temporary                 it did not work now; try again with backoff
Permanent                 it will never work until the spec changes; tell people and stop trying
"""

from __future__ import annotations

from dataclasses import dataclass

from crds.conditions import Reason

WAITING_REQUEUE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """`reason` is CamelCase for machines, `message` a sentence for people; both become the condition."""

    settled: bool
    reason: str
    message: str = ""
    requeue_after: float | None = None


def done(message: str = "", *, reason: str = Reason.UP_TO_DATE, requeue_after: float | None = None) -> Outcome:
    """The world is as the spec wants it."""
    return Outcome(True, reason, message, requeue_after)


def again(after: float, because: str, *, reason: str = Reason.IN_PROGRESS) -> Outcome:
    """The outcome of a pass that is not done yet: another pass in `after` seconds."""
    return Outcome(False, reason, because, after)


def waiting(for_: str, *, reason: str = Reason.WAITING) -> Outcome:
    """Nothing to do until something else happens."""
    return Outcome(False, reason, f"waiting for {for_}", WAITING_REQUEUE_SECONDS)


class ReconcileError(Exception):
    """Base of what a reconciler raises on purpose. `reason` is CamelCase, for the condition."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class Temporary(ReconcileError):
    """Trying again may help. `after` overrides the backoff."""

    def __init__(self, message: str, *, reason: str = Reason.RETRYING, after: float | None = None) -> None:
        super().__init__(message, reason=reason)
        self.after = after


class Permanent(ReconcileError):
    """Trying again cannot help until somebody changes the spec."""

    def __init__(self, message: str, *, reason: str = Reason.REFUSED) -> None:
        super().__init__(message, reason=reason)
