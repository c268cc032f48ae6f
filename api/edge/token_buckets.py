"""Token buckets: how often something may happen, by name, with a burst of two seconds' worth.

What is left is told in `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset`: three headers of whole
numbers, as drafts up to -06 have them and clients read them; later drafts put all of it into one structured field.
Source: draft-ietf-httpapi-ratelimit-headers-06.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, NamedTuple

BURST_SECONDS = 2.0
MOST_BUCKETS = 65_536
VERDICT = "aerekos.rate_limit"
"""Where a scope has the verdict of the tightest limit that was looked at."""


class Verdict(NamedTuple):
    """`left` of `most` tokens are left, and `rate` come each second."""

    admitted: bool
    left: float
    most: float
    rate: float

    @property
    def reset(self) -> int:
        """Whole seconds until all are there again."""
        return math.ceil((self.most - self.left) / self.rate)

    @property
    def retry_after(self) -> int:
        """Whole seconds until there is one."""
        return math.ceil((1.0 - self.left) / self.rate)


class TokenBuckets:
    """A bucket for each name. Full ones are forgotten, and no more than MOST_BUCKETS are kept: the oldest of too many
    begin anew, which only helps who has one.
    """

    def __init__(self, per_second: float, now: Callable[[], float]) -> None:
        self.per_second, self._now = per_second, now
        self._left: dict[str, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._left)

    def take(self, name: str, times: float = 1.0) -> Verdict:
        """One token. `times`: how many times as much that name may ask."""
        rate, now = self.per_second * times, self._now()
        most = max(rate * BURST_SECONDS, 1.0)
        known = self._left.get(name)
        if known is None:
            left = most
            if len(self._left) >= MOST_BUCKETS:
                self._make_room(now)
        else:
            left = min(known[0] + (now - known[1]) * rate, most)
        admitted = left >= 1.0
        if admitted:
            left -= 1.0
            self._left[name] = (left, now)
        return Verdict(admitted, left, most, rate)

    def _make_room(self, now: float) -> None:
        """A bucket nobody took from for as long as a burst lasts is full, and the same as none."""
        self._left = {name: each for name, each in self._left.items() if now - each[1] < BURST_SECONDS}
        for name in tuple(islice(self._left, max(len(self._left) - MOST_BUCKETS * 3 // 4, 0))):
            del self._left[name]


def rate_limit_lines(verdict: Verdict | None) -> bytes:
    """The same as they go over the wire."""
    if verdict is None:
        return b""
    _, left, most, rate = verdict
    told = (most, left, math.ceil((most - left) / rate))
    return b"ratelimit-limit: %d\r\nratelimit-remaining: %d\r\nratelimit-reset: %d\r\n" % told


def rate_limit_headers(scope: Mapping[str, Any]) -> tuple[tuple[bytes, bytes], ...]:
    """What is left of the tightest limit that was looked at; nothing where none was."""
    verdict: Verdict | None = scope.get(VERDICT)
    if verdict is None:
        return ()
    return (
        (b"ratelimit-limit", b"%d" % verdict.most),
        (b"ratelimit-remaining", b"%d" % verdict.left),
        (b"ratelimit-reset", b"%d" % verdict.reset),
    )
