"""Bounds how many lines one sort of event may write: beyond a rate, events of one kind become one line with a count.

Nothing goes unmentioned. The first events of a burst are written whole; the rest are counted under who, what and how
it ended, and told every few seconds. Kinds are bounded as well: when too many wait, the rest share one line.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from controller.kit.clock import Clock

FLUSH_SECONDS = 10.0
_MOST_KINDS = 512
# What all events of one kind share; the rest is that of the first.
_SHARED = ("user", "by", "accessKey", "login", "method", "action", "code", "from", "decision")
_TOO_MANY = ("*",)


class Aggregator:
    """`per_second` whole lines, with bursts of ten seconds' worth."""

    def __init__(self, clock: Clock, *, per_second: float) -> None:
        self._clock, self._rate = clock, per_second
        self._left, self._since = per_second * 10, clock.monotonic()
        self._waiting: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._oldest = 0.0

    def take(self, line: dict[str, Any]) -> dict[str, Any] | None:
        """The line, to be written at once; None when it was added to those that wait."""
        now = self._clock.monotonic()
        self._left = min(self._left + (now - self._since) * self._rate, self._rate * 10)
        self._since = now
        if self._left >= 1:
            self._left -= 1
            return line
        self._add(line, now)
        return None

    def due(self, *, everything: bool = False) -> Iterator[dict[str, Any]]:
        """Lines that have waited long enough, one for each kind."""
        if self._waiting and (everything or self._clock.monotonic() - self._oldest >= FLUSH_SECONDS):
            ready, self._waiting = self._waiting, {}
            yield from ready.values()

    def _add(self, line: dict[str, Any], now: float) -> None:
        if not self._waiting:
            self._oldest = now
        kind = tuple(line.get(name) for name in _SHARED)
        if kind not in self._waiting and len(self._waiting) >= _MOST_KINDS:
            kind = _TOO_MANY
        known = self._waiting.get(kind)
        if known is not None:
            known["count"] += 1
            known["until"] = line["time"]
        else:
            first = {**line, "count": 1, "until": line["time"]}
            self._waiting[kind] = {**first, "user": "(many)", "from": "(many)"} if kind == _TOO_MANY else first
