"""What webhook_manager counts: attempts by how they ended and how long they took, and what came in."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram


class WebhookMetrics:
    """Nothing of an endpoint is in a label."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._attempts = Counter(
            "aerekos_webhook_attempts",
            "Attempts to send a message by how they ended: delivered, failed (tried again), given up.",
            ["outcome"],
            registry=registry,
        )
        self._seconds = Histogram(
            "aerekos_webhook_attempt_seconds",
            "How long an attempt took until its answer.",
            buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 30),
            registry=registry,
        )
        self._lateness = Histogram(
            "aerekos_webhook_lateness_seconds",
            "Between the moment a message was taken and its first attempt.",
            buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 5, 60, 600),
            registry=registry,
        )
        self._disabled = Counter(
            "aerekos_webhook_endpoints_disabled",
            "Endpoints that were disabled, since they failed.",
            registry=registry,
        )
        self._received = Counter(
            "aerekos_webhook_received",
            "Messages that were posted to sources: taken, known (had come before), refused, challenge.",
            ["outcome"],
            registry=registry,
        )

    def count_attempt(self, outcome: str, seconds: float) -> None:
        self._attempts.labels(outcome).inc()
        self._seconds.observe(seconds)

    def observe_lateness(self, seconds: float) -> None:
        self._lateness.observe(max(seconds, 0.0))

    def count_disabled(self) -> None:
        self._disabled.inc()

    def count_received(self, outcome: str) -> None:
        self._received.labels(outcome).inc()
