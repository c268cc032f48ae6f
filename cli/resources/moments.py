"""Moments of the past, as people say them: a revision, a time, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from cli.api_client import ApiClient
from controller.main.errors import Misuse

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_HINT = "a revision (4711), a time (2026-01-31T08:00:00Z), or how long ago (90s, 15m, 2h, 3d)"


def read_duration(text: str, option: str) -> int:
    """Seconds in `90`, `30s`, `15m`, `2h`, `1d` or `1h30m`. Raises Misuse, which names `option`."""
    whole = re.fullmatch(r"(\d{1,9})|((?:\d{1,9}[smhd])+)", text)
    if whole is None:
        raise Misuse(f'{option}: "{text}" is no duration', hint=f"e.g. {option} 30s, 15m, 2h or 1h30m")
    parts = re.findall(r"(\d+)([smhd]?)", text)
    return sum(int(number) * _UNITS[unit or "s"] for number, unit in parts)


def revision_at(api: ApiClient, text: str) -> str:
    """The revision of the moment that `text` names. Raises Misuse; Refused for one that is no longer kept."""
    if text.isdecimal() and int(text) > 0:
        return text
    return str(api.get("/history", params={"at": read_time(text, "--at").isoformat()})["revision"])


def read_time(text: str, option: str) -> datetime:
    """A time, or how long ago; one without a zone is meant in the zone of this machine. Raises Misuse, which names
    `option`.
    """
    if re.fullmatch(r"(?:\d{1,9}[smhd])+", text):
        return datetime.now(UTC) - timedelta(seconds=read_duration(text, option))
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Misuse(f'{option}: "{text}" is no moment', hint=_HINT) from error
