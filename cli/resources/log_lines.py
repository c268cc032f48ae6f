"""Log lines for people: JSON lines as time, instance, level and words. Other lines stay as they are.

Programs get what was written: in a pipe, and with `-o json`, nothing is changed.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from cli.output import plain

_NAMED = ("timestamp", "time", "ts", "level", "instance", "service", "event", "message", "msg", "logger")
_NOISE = ("traceparent", "requestId", "request_id")
_COLOURS = {"debug": "2", "warning": "33", "warn": "33", "error": "31", "critical": "31;1", "fatal": "31;1"}


def pretty(line: str, *, colour: bool) -> str:
    """Ready to be written to a terminal: nothing of what a service wrote can steer it."""
    found = _object(line)
    if found is None:
        return plain(line)
    level = str(found.get("level", "")).lower()
    words = [_clock(found), str(found.get("instance", "")), level.upper().ljust(5), _said(found), *_fields(found)]
    text = plain(" ".join(filter(None, words)).replace("\n", "\n    "))
    code = _COLOURS.get(level) if colour else None
    return f"\x1b[{code}m{text}\x1b[0m" if code else text


def _object(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and (_said(found) or "level" in found) else None


def _clock(found: dict[str, Any]) -> str:
    """In the time zone of the one who reads it."""
    told = next((found[name] for name in ("timestamp", "time", "ts") if name in found), "")
    try:
        return datetime.fromisoformat(str(told)).astimezone().strftime("%m-%d %H:%M:%S.%f")[:-3]
    except (ValueError, OverflowError):
        return str(told)


def _said(found: dict[str, Any]) -> str:
    return str(next((found[name] for name in ("event", "message", "msg") if found.get(name)), ""))


def _fields(found: dict[str, Any]) -> list[str]:
    kept = {key: value for key, value in found.items() if key not in _NAMED and key not in _NOISE}
    return [
        f"{key}={value if isinstance(value, (str, int, float)) else json.dumps(value)}" for key, value in kept.items()
    ]
