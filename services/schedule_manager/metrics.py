"""What schedule_manager counts: attempts by how they ended, and how late calls are made."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram


class ScheduleMetrics:
    """Nothing of a schedule is in a label."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._firings = Counter(
            "aerekos_schedule_firings",
            "Due times of schedules by how an attempt ended: delivered, failed (tried again), given up, skipped.",
            ["outcome"],
            registry=registry,
        )
        self._lateness = Histogram(
            "aerekos_schedule_lateness_seconds",
            "Between the moment a schedule was to be called and its first attempt.",
            buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 15, 60, 600),
            registry=registry,
        )

    def count(self, outcome: str, number: int = 1) -> None:
        self._firings.labels(outcome).inc(number)

    def observe_lateness(self, seconds: float) -> None:
        self._lateness.observe(max(seconds, 0.0))
