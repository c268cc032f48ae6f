"""Moments in the three forms of AWS: seconds since 1970, ISO 8601, and the date of HTTP.

Source: Smithy "timestampFormat"; botocore `serialize.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

from crds.model import rfc3339_milli

EPOCH, ISO, HTTP = "unixTimestamp", "iso8601", "rfc822"
_LONGEST = 64
_NUMBER = frozenset("0123456789.-+eE")


def named_format(name: str | None, default: str) -> str:
    """One of the three, from the many spellings in the models."""
    lower = (name or default).lower()
    return EPOCH if lower == "unixtimestamp" else HTTP if lower == "rfc822" else ISO


def moment_reader(wanted: str) -> Callable[[Any], datetime]:
    """From text or number to a moment in UTC. Raises ValueError."""
    return {EPOCH: _from_epoch, ISO: _from_iso, HTTP: _from_http}[wanted]


def moment_writer(wanted: str, *, always_milliseconds: bool = False) -> Callable[[datetime], str]:
    """The text of a moment. S3 writes milliseconds even where there are none."""
    if wanted == ISO and always_milliseconds:
        return rfc3339_milli
    return {EPOCH: _epoch_text, ISO: iso_text, HTTP: _http_text}[wanted]


def from_epoch(seconds: float) -> datetime:
    """Raises ValueError for what is no time."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        raise ValueError("no time") from None


def iso_text(moment: datetime) -> str:
    """Milliseconds where there are any, microseconds only where milliseconds would lose some."""
    found = _in_utc(moment)
    digits = "seconds" if not found.microsecond else "microseconds" if found.microsecond % 1000 else "milliseconds"
    return f"{found.isoformat(timespec=digits)[:-6]}Z"


def _in_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


def _from_epoch(raw: Any) -> datetime:
    if isinstance(raw, str):
        if not 0 < len(raw) <= _LONGEST or not _NUMBER.issuperset(raw):
            raise ValueError("no number of seconds")
        raw = float(raw)
    return from_epoch(raw)


def _from_iso(raw: Any) -> datetime:
    if not isinstance(raw, str) or len(raw) > _LONGEST:
        raise ValueError("no time in ISO 8601")
    found = datetime.fromisoformat(raw)
    try:
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except OverflowError:
        raise ValueError("no time") from None


def _from_http(raw: Any) -> datetime:
    if not isinstance(raw, str) or len(raw) > _LONGEST:
        raise ValueError("no date of HTTP")
    try:
        found = parsedate_to_datetime(raw)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        raise ValueError("no date of HTTP") from None


def _epoch_text(moment: datetime) -> str:
    seconds = moment.timestamp()
    return str(int(seconds)) if seconds.is_integer() else str(seconds)


def _http_text(moment: datetime) -> str:
    return format_datetime(moment.astimezone(UTC), usegmt=True)
