"""Metrics of the store. Plain numbers, written on the event loop alone."""

from __future__ import annotations

from dataclasses import dataclass, field

from controller.kit.distribution import Distribution

BATCH_CHANGES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1000)
COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5)


@dataclass(slots=True)
class StoreMetrics:
    """`batches`: changes in each commit. `commits`: seconds of the transaction on its thread, nearly all of it the
    disk's. `failed`: transactions that ended with an error."""

    batches: Distribution = field(default_factory=lambda: Distribution(BATCH_CHANGES))
    commits: Distribution = field(default_factory=lambda: Distribution(COMMIT_SECONDS))
    failed: int = 0
