"""Warnings to the author of a write that was not refused: a `Warning` header for each (RFC 7234)."""

from __future__ import annotations

from api.kube.request import ApiRequest, duplicate

_MOST_WARNINGS, _LONGEST_WARNING = 20, 256


def warning_headers(ask: ApiRequest, warnings: tuple[str, ...] = ()) -> tuple[tuple[bytes, bytes], ...]:
    """Warning headers for `warnings`, and for what stood twice in the body."""
    if not ask.doubled and not warnings:
        return ()
    told = (*map(duplicate, ask.doubled), *warnings)
    return tuple((b"warning", f'299 - "{_quoted(text)}"'.encode()) for text in _few(told))


def _few(warnings: tuple[str, ...]) -> list[str]:
    """Clients take no answer with many headers (Python: 100) or long ones, though what was written is written."""
    told = [text if len(text) <= _LONGEST_WARNING else f"{text[:_LONGEST_WARNING]}..." for text in warnings]
    more = len(told) - _MOST_WARNINGS
    return told if more <= 0 else [*told[:_MOST_WARNINGS], f"{more} more warnings"]


def _quoted(text: str) -> str:
    printable = "".join(letter if letter.isprintable() else "?" for letter in text)
    return printable.replace("\\", "\\\\").replace('"', '\\"')
