"""Metrics of watches. Plain numbers, written on the event loop alone."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class WatchMetrics:
    """`by_kind` (`plural.group`): watchers now. `slow`: how often one could not be told at once with the others, and
    went on by itself; nobody is dropped for that. `expired`: how many were told to list again, their history being
    gone.
    """

    now: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)
    slow: int = 0
    expired: int = 0

    def began(self, kind: str) -> None:
        """One more watches `kind`."""
        self.now += 1
        self.by_kind[kind] = self.by_kind.get(kind, 0) + 1

    def ended(self, kind: str) -> None:
        """One fewer does. A kind nobody watches leaves no trace: people may define any number of kinds."""
        self.now -= 1
        self.by_kind[kind] -= 1
        if not self.by_kind[kind]:
            del self.by_kind[kind]
