"""Options of reading logs, by `sinceSeconds`, `sinceTime`, `limitBytes` and `timestamps`.

The runtime keeps lines and no times, so a line's time is the one it tells of itself: at its beginning, or as the
field `timestamp`, `time` or `ts` of a JSON object. A line that tells none is as old as the one before it; where no
line has told any yet, it is kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from api.kube.request import as_count
from controller.kit.clock import Clock
from crds.errors import BadRequest

_TIME = r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,12})?(?:Z|[+-]\d\d:?\d\d)?)"
_TOLD = re.compile(rf'^\[?{_TIME}|"(?:timestamp|time|ts)"\s{{0,8}}:\s{{0,8}}"{_TIME}"')
_SEARCHED = 1000


class LogOptions:
    """Remembers the newest time and what is left of the limit. Raises BadRequest for parameters that are none."""

    def __init__(self, params: Mapping[str, str], clock: Clock) -> None:
        self._since, self._left = _since(dict(params), clock), as_count(dict(params), "limitBytes")
        self._stamped = params.get("timestamps") in ("true", "1")
        self._newest: datetime | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more may come."""
        return self._left == 0

    def of(self, text: str) -> bytes:
        """What is wanted of these whole lines."""
        if self._since or self._stamped:
            text = "".join(self._line(line) for line in text.splitlines(keepends=True))
        chosen = text.encode()
        if self._left is not None:
            chosen = chosen[: self._left]
            self._left -= len(chosen)
        return chosen

    def _line(self, line: str) -> str:
        self._newest = time_of(line) or self._newest
        if self._newest is None:
            return line
        if self._since and self._newest < self._since:
            return ""
        return f"{self._newest.isoformat().replace('+00:00', 'Z')} {line}" if self._stamped else line


def time_of(line: str) -> datetime | None:
    """Time of a line, as it says itself; without a zone it is taken for UTC."""
    found = _TOLD.search(line[:_SEARCHED])
    if found is None:
        return None
    try:
        told = datetime.fromisoformat((found[1] or found[2]).replace(",", "."))
    except ValueError:
        return None
    return told.astimezone(UTC) if told.tzinfo else told.replace(tzinfo=UTC)


def _since(params: dict[str, str], clock: Clock) -> datetime | None:
    seconds, moment = as_count(params, "sinceSeconds"), params.get("sinceTime", "")
    if seconds is not None and moment:
        raise BadRequest("at most one of sinceTime or sinceSeconds may be specified")
    if seconds is not None:
        return _before(clock, seconds)
    if not moment:
        return None
    told = time_of(moment)
    if told is None:
        raise BadRequest(f"sinceTime: {moment!r} is no RFC 3339 time")
    return told


def _before(clock: Clock, seconds: int) -> datetime:
    try:
        return clock.now() - timedelta(seconds=seconds)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)
