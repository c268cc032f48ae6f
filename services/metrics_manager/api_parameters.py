"""Members of queries and forms, as Prometheus takes them: moments, durations, lists."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from crds.errors import BadRequest
from services.sdk.query_members import QueryMembers

_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000}


class Parameters(QueryMembers):
    """Raises BadRequest for members that are not understood, and for those that stand there twice and may not."""

    def text(self, name: str, default: str | None = None) -> str:
        """Raises BadRequest where it has to be there."""
        value = self.value(name)
        if value:
            return value
        if default is None:
            raise BadRequest(f'invalid parameter "{name}": it is not there')
        return default

    def moment(self, name: str, default: int | None = None) -> int:
        """In ms: seconds since 1970, or RFC 3339."""
        value = self.value(name)
        if not value and default is not None:
            return default
        seconds = _number(value)
        if seconds is None:
            seconds = _date(value)
        if seconds is None or abs(seconds) > 1e12:
            raise BadRequest(f'invalid parameter "{name}": cannot parse "{value}" to a valid timestamp')
        return round(seconds * 1000)

    def duration(self, name: str, default: int | None = None) -> int:
        """In ms: seconds, or as `1h30m`."""
        value = self.value(name)
        if not value and default is not None:
            return default
        seconds = _number(value)
        found = round(seconds * 1000) if seconds is not None and abs(seconds) < 1e12 else _duration(value)
        if found is None:
            raise BadRequest(f'invalid parameter "{name}": cannot parse "{value}" to a valid duration')
        return found

    def count(self, name: str) -> int:
        """0, where it is not there: no limit."""
        value = self.value(name, "0")
        if not (value.isascii() and value.isdigit() and len(value) < 10):
            raise BadRequest(f'invalid parameter "{name}": {value!r} is no count')
        return int(value)


def _number(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _date(text: str) -> float | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.replace(tzinfo=found.tzinfo or UTC).timestamp()


def _duration(text: str) -> int | None:
    total, digits, unit = 0, "", ""
    if not text or len(text) > 64:
        return None
    for each in text + "0":
        if each.isascii() and each.isdigit():
            if unit:
                if unit not in _UNITS or not digits:
                    return None
                total, digits, unit = total + int(digits) * _UNITS[unit], "", ""
            digits += each
        else:
            unit += each
    return total if not unit and digits == "0" and total else None
