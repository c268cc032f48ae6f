"""Lines of several instances in the order of their times.

A line says its time itself: as a field of its JSON (`timestamp`, `time`, `ts`), or at its beginning. One that says
none (a traceback, a banner) belongs to the line before it. Lines of one instance never change places: it wrote them
so.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from controller.kit.patterns import compile_pattern

_ISO = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
_FIELD = compile_pattern(rf'"(?:timestamp|time|ts)"\s*:\s*"({_ISO})"')
_START = re.compile(rf"\s*\[?({_ISO})")
_NEEDED = 300
"""Characters looked at: a time stands near the beginning or end of a line, and lines may have megabytes."""

_NEVER = 1 << 33
"""Seconds since 1970, in the year 2242: soon after it, ns do not fit into 64 bits."""


def moment_of(line: str) -> float | None:
    """Seconds since 1970; None when the line says no time. One without a zone is meant in this machine's."""
    found = _FIELD.search(line[:_NEEDED]) or _FIELD.search(line[-_NEEDED:]) if line[:1] == "{" else _START.match(line)
    if found is None:
        return None
    try:
        return datetime.fromisoformat(found[1].replace(",", ".")).timestamp()
    except (ValueError, OverflowError):
        return None


def nanoseconds_of(line: str) -> int | None:
    """As `moment_of`, in ns since 1970, as exact as microseconds. A time that no clock shows is none: Go's zero is of
    the year 1.
    """
    found = moment_of(line)
    return round(found * 1_000_000) * 1_000 if found is not None and 0 <= found < _NEVER else None


def in_order(logs: Sequence[tuple[Sequence[str], float]]) -> list[str]:
    """The lines of all logs, oldest first. Each comes with the time (seconds since 1970) that counts for it when none
    of its lines says one."""
    return [line for _, _, line in heapq.merge(*(_timed(*each) for each in logs), key=lambda each: each[0])]


def _timed(lines: Sequence[str], otherwise: float) -> Iterator[tuple[float, int, str]]:
    moments = [moment_of(line) for line in lines]
    latest = next((each for each in moments if each is not None), otherwise)
    for number, (moment, line) in enumerate(zip(moments, lines, strict=True)):
        latest = latest if moment is None else max(latest, moment)
        yield latest, number, line
