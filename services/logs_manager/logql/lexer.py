"""LogQL, word by word. Source: grafana.com/docs/loki/latest/query."""

from __future__ import annotations

import math
from typing import NamedTuple

from services.logs_manager.logql.errors import QueryFault

LONGEST_QUERY = 16_384
_TWO = ("|=", "|~", "!=", "!~", "=~", "==", ">=", "<=", "|>", "!>")
_ONE = "{}()[],=<>|+-*/%^:"
_ESCAPES = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "\\": "\\",
    '"': '"',
    "'": "'",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "v": "\v",
}
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SECONDS["y"] = 31_536_000
_BYTES = {"b": 1, "kib": 1 << 10, "kb": 1_000, "mib": 1 << 20, "mb": 10**6, "gib": 1 << 30, "gb": 10**9}
_BYTES |= {"tib": 1 << 40, "tb": 10**12}


class Token(NamedTuple):
    """`kind`: name, string, number, duration (`value` in s), bytes, or the sign itself; `end` for the end."""

    kind: str
    text: str
    at: int
    value: float = 0.0


def tokens_of(text: str) -> list[Token]:
    """Raises QueryFault."""
    if len(text) > LONGEST_QUERY:
        raise QueryFault(f"the query has more than {LONGEST_QUERY} characters")
    found, at = list[Token](), 0
    while at < len(text):
        if text[at].isspace():
            at += 1
        elif text[at] == "#":
            at = (text + "\n").index("\n", at)
        else:
            token, at = _token(text, at)
            found.append(token)
    return [*found, Token("end", "", at)]


def _token(text: str, at: int) -> tuple[Token, int]:
    char = text[at]
    if char in "\"'`":
        return _string(text, at)
    if char.isascii() and (char.isdigit() or (char == "." and text[at + 1 : at + 2].isdigit())):
        return _number(text, at)
    if char.isascii() and (char.isalpha() or char == "_"):
        end = at
        while end < len(text) and text[end].isascii() and (text[end].isalnum() or text[end] in "_."):
            end += 1
        return Token("name", text[at:end], at), end
    if text[at : at + 2] in _TWO:
        return Token(text[at : at + 2], text[at : at + 2], at), at + 2
    if char in _ONE:
        return Token(char, char, at), at + 1
    raise QueryFault(f"at {at + 1}: {char!r} is not understood")


def _string(text: str, at: int) -> tuple[Token, int]:
    quote, end, found = text[at], at + 1, list[str]()
    while end < len(text):
        char = text[end]
        if char == quote:
            return Token("string", "".join(found), at), end + 1
        if char == "\\" and quote != "`":
            char, end = _escaped(text, end + 1)
            found.append(char)
            continue
        found.append(char)
        end += 1
    raise QueryFault(f"at {at + 1}: the text that begins here has no end")


def _escaped(text: str, at: int) -> tuple[str, int]:
    char = text[at : at + 1]
    if char in _ESCAPES and char:
        return _ESCAPES[char], at + 1
    length = {"x": 2, "u": 4, "U": 8}.get(char, 0)
    digits = text[at + 1 : at + 1 + length]
    try:
        found = chr(int(digits, 16))
        found.encode()  # half of a pair is no text
        return found, at + 1 + length
    except (ValueError, OverflowError):
        raise QueryFault(f"at {at}: \\{char} is no escape; write a regular expression in backticks") from None


def _number(text: str, at: int) -> tuple[Token, int]:
    end = at
    while end < len(text) and text[end].isascii() and (text[end].isalnum() or text[end] in ".µ"):
        end += 1
        if (
            text[end - 1] in "eE"
            and text[end : end + 1] in ("+", "-")
            and text[at : end - 1].replace(".", "").isdigit()
        ):
            end += 1
    word = text[at:end]
    number = number_of(word)
    if number is not None:
        return Token("number", word, at, number), end
    seconds = seconds_of(word)
    if seconds is not None:
        return Token("duration", word, at, seconds), end
    size = bytes_of(word)
    if size is None:
        raise QueryFault(f"at {at + 1}: {word!r} is no number, duration or size")
    return Token("bytes", word, at, size), end


def number_of(text: str) -> float | None:
    """None for what is none, and for what has no end."""
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def seconds_of(word: str) -> float | None:
    """Of `1h30m`; None for what is no duration."""
    total, at, text = 0.0, 0, word.removeprefix("-")
    if not text or len(text) > 64:
        return None
    while at < len(text):
        number, at = _digits(text, at)
        unit, at = _letters(text, at)
        if not number or unit not in _SECONDS:
            return None
        total += float(number) * _SECONDS[unit]
    return -total if word.startswith("-") else total


def bytes_of(word: str) -> float | None:
    """Of `5KB`, `1.5 MiB`; None for what is no size."""
    number, at = _digits(word, 0)
    unit = word[at:].strip().lower()
    return float(number) * _BYTES[unit] if number and unit in _BYTES and len(word) < 64 else None


def _digits(text: str, at: int) -> tuple[str, int]:
    end = at
    while end < len(text) and text[end].isascii() and (text[end].isdigit() or text[end] == "."):
        end += 1
    found = text[at:end]
    return ("" if found.count(".") > 1 or not found.strip(".") else found), end


def _letters(text: str, at: int) -> tuple[str, int]:
    end = at
    while end < len(text) and text[end].isalpha():
        end += 1
    return text[at:end], end
