"""What the gateway does of its own accord, beside answering: what the conductor counts of it and shows."""

from __future__ import annotations

from typing import Literal, Protocol

Event = Literal["ejected", "retried", "retry-refused", "timed-out", "limited"]
EVENTS: tuple[Event, ...] = ("ejected", "retried", "retry-refused", "timed-out", "limited")


class NotesEvents(Protocol):
    """Hears of each. `subject`: the service; of `limited`, the kind of limit. `instance` and `seconds`: of `ejected`
    which one, and for how long.
    """

    def note(self, event: Event, subject: str, instance: str = "", seconds: float = 0.0) -> None: ...


class NoEvents:
    """Where nobody counts."""

    def note(self, event: Event, subject: str, instance: str = "", seconds: float = 0.0) -> None:
        return None
