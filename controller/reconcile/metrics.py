"""Metrics of the reconcile loop: plain numbers, written by the loop and by nobody else.

The loop knows no metrics library. Whoever publishes (services/sdk/loop_collector.py, api/loop_health.py) reads a
`LoopMetrics` when somebody asks; nothing is formatted, locked or remembered for it meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol, get_args

from controller.kit.distribution import Distribution
from controller.reconcile.result import FAILURES, How
from controller.reconcile.work_queue import QueueState

RESULTS: tuple[How, ...] = get_args(How)
"""How a pass can end; each has a count from the beginning, so that a first failure is seen as a rise from zero."""
PASS_SECONDS = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0)


@dataclass(slots=True)
class PassMetrics:
    """The counters of one kind. `retries`: passes that were followed by another with backoff. `last_at`: when the
    last one ended, by the monotonic clock; None before the first."""

    results: dict[How, int] = field(default_factory=lambda: dict.fromkeys(RESULTS, 0))
    seconds: Distribution = field(default_factory=lambda: Distribution(PASS_SECONDS))
    retries: int = 0
    last_at: float | None = None
    last: How | None = None

    def record_pass(self, how: How, began: float, ended: float) -> None:
        """Count one pass."""
        self.results[how] += 1
        self.seconds.add(ended - began)
        self.last_at, self.last = ended, how

    @property
    def failed(self) -> int:
        """Passes that people are warned of."""
        return sum(self.results[how] for how in FAILURES)


@dataclass(frozen=True, slots=True)
class ControllerState:
    """The controller of one kind (`plural.group`) now. `passes` goes on counting; `last_seconds_ago` is None before
    the first pass."""

    kind: str
    passes: PassMetrics
    queue: QueueState
    last_seconds_ago: float | None


@dataclass(frozen=True, slots=True)
class InformerState:
    """The copy of one kind now. `revision`: of the last change it knows, None before the first listing.
    `disconnected_seconds`: for how long it has had no watch; 0 while it follows."""

    kind: str
    group: str
    plural: str
    resources: int
    revision: int | None
    disconnected_seconds: float

    def lag(self, newest: int) -> int:
        """How far it stands behind that revision, the newest of its kind."""
        return max(newest - (self.revision or 0), 0)


class LoopMetrics(Protocol):
    """What can be read of a loop at any time."""

    def controllers(self) -> Iterable[ControllerState]:
        """Each kind that is reconciled."""
        ...

    def informers(self) -> Iterable[InformerState]:
        """Each kind that is followed, those that are only read too."""
        ...
