"""How severe a line is, by what it says of itself, as Loki's `detected_level`: by its fields or words."""

from __future__ import annotations

import re2

_NEEDED = 512
_NAMED = re2.compile(
    r'(?i)(?:"(?:level|severity|lvl|severity_text|log\.level)"\s*:\s*"?|\b(?:level|lvl|severity)="?)([a-z]+)'
)
_WORD = re2.compile(r"\b(FATAL|CRITICAL|PANIC|ERROR|ERR|WARNING|WARN|NOTICE|INFO|DEBUG|TRACE)\b")
_NAMES = {
    "fatal": "critical",
    "critical": "critical",
    "panic": "critical",
    "emerg": "critical",
    "alert": "critical",
    "crit": "critical",
    "error": "error",
    "err": "error",
    "eror": "error",
    "warning": "warn",
    "warn": "warn",
    "wrn": "warn",
    "notice": "info",
    "info": "info",
    "information": "info",
    "inf": "info",
    "log": "info",
    "debug": "debug",
    "dbg": "debug",
    "trace": "trace",
    "trc": "trace",
}


def level_of(line: str) -> str:
    """critical, error, warn, info, debug or trace; `unknown` where the line says none."""
    at = line.find('"level"', 0, _NEEDED)
    if at >= 0 and (known := _NAMES.get(line[at + 7 : at + 24].lstrip(': "').partition('"')[0].lower())):
        return known
    part = line if len(line) <= 2 * _NEEDED else line[:_NEEDED] + line[-_NEEDED:]
    try:
        found = _NAMED.search(part) or _WORD.search(part)
    except UnicodeEncodeError:
        return "unknown"
    return _NAMES.get(found[1].lower(), "unknown") if found is not None else "unknown"
