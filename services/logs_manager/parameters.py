"""Members of queries and forms, as Loki takes them: moments in ns, s or RFC 3339; durations."""

from __future__ import annotations

from datetime import UTC, datetime

from crds.errors import BadRequest
from services.logs_manager.logql.lexer import number_of, seconds_of
from services.sdk.query_members import QueryMembers

NS = 1_000_000_000
_LAST = 1 << 62


class Parameters(QueryMembers):
    """Raises BadRequest for members that are not understood, and for those that stand there twice and may not."""

    def has(self, name: str) -> bool:
        return bool(self.value(name))

    def text(self, name: str, default: str | None = None) -> str:
        """Raises BadRequest where it has to be there."""
        value = self.value(name)
        if not value and default is None:
            raise BadRequest(f"{name}: it has to be there")
        return value or default or ""

    def moment(self, name: str, default: int) -> int:
        """In ns. Whole numbers are s up to ten digits, ns above; others are s."""
        value = self.value(name)
        found = default if not value else _moment(value)
        if found is None or not 0 <= found < _LAST:
            raise BadRequest(f"{name}: {value[:40]!r} is no moment: ns or s since 1970, or RFC 3339")
        return found

    def duration(self, name: str, default: int) -> int:
        """In ms: s, or as `1h30m`."""
        value = self.value(name)
        if not value:
            return default
        number = number_of(value)
        found = seconds_of(value) if number is None else number
        if found is None or not 0 < found < 1e10:
            raise BadRequest(f"{name}: {value[:40]!r} is no duration: seconds, or as 1h30m")
        return max(round(found * 1000), 1)

    def count(self, name: str, default: int, most: int) -> int:
        value = self.value(name, str(default))
        if not (value.isascii() and value.isdigit() and len(value) < 10 and 0 < int(value) <= most):
            raise BadRequest(f"{name}: {value[:40]!r} is no count from 1 to {most}")
        return int(value)


def _moment(text: str) -> int | None:
    if text.isascii() and text.isdigit() and len(text) < 21:
        return int(text) if len(text) > 10 else int(text) * NS
    if (number := number_of(text)) is not None:
        return round(number * NS) if abs(number) < 1e10 else round(number)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return round(found.replace(tzinfo=found.tzinfo or UTC).timestamp() * 1_000_000) * 1_000
