"""Growing patience: how long to wait before the next try."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays of `first`, then `factor` times more each time, at most `limit` seconds.

    `jitter` 0.2 spreads each delay evenly over ±20 %, so that things which failed together
    do not come back together.
    """

    first: float = 1.0
    factor: float = 2.0
    limit: float = 300.0
    jitter: float = 0.1

    def delay(self, failures: int, rng: random.Random) -> float:
        """Seconds to wait after that many failures in a row (at least one)."""
        steps = min(max(failures, 1) - 1, 64)
        plain = min(self.first * self.factor**steps, self.limit)
        return plain * (1 + self.jitter * (2 * rng.random() - 1))
