"""Wildcards of policies, compiled: `*` is any text, the empty one included, and `?` is any one character.

The time of a match is linear in the text, whatever the pattern: parts between stars are searched once each, from left
to right; a pattern with `?` between stars runs as an automaton that takes one step for each character.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum

Matcher = Callable[[str], bool]


class Wild(Enum):
    """A wildcard in a pattern; all its other parts are plain text."""

    STAR = "*"
    ONE = "?"


Pattern = Sequence[str | Wild]


def pattern_of(text: str) -> list[str | Wild]:
    """The parts of a text in which `*` and `?` are wildcards."""
    parts: list[str | Wild] = []
    plain = ""
    for each in text:
        if each not in "*?":
            plain += each
            continue
        parts += [plain, Wild(each)] if plain else [Wild(each)]
        plain = ""
    return [*parts, plain] if plain else parts


def matcher(pattern: Pattern) -> Matcher:
    """Tells whether a whole text is as the pattern says."""
    if Wild.ONE in pattern:
        return _Automaton(pattern).matches
    pieces = _pieces(pattern)
    if len(pieces) == 1:
        return pieces[0].__eq__
    if not any(pieces):
        return lambda text: True
    return _between_stars(pieces)


def _pieces(pattern: Pattern) -> list[str]:
    """The plain texts between stars; one alone where there is no star."""
    pieces = [""]
    for part in pattern:
        if part is Wild.STAR:
            pieces.append("")
        else:
            pieces[-1] += str(part)
    return pieces


def _between_stars(pieces: list[str]) -> Matcher:
    first, *middle, last = pieces
    middle, least = [each for each in middle if each], sum(map(len, pieces))

    def matches(text: str) -> bool:
        if len(text) < least or not text.startswith(first) or not text.endswith(last):
            return False
        at, end = len(first), len(text) - len(last)
        for piece in middle:
            at = text.find(piece, at, end)
            if at < 0:
                return False
            at += len(piece)
        return True

    return matches


class _Automaton:
    """Bit i of the state: the text so far may be what stands before place i of the pattern.

    Source: Baeza-Yates and Gonnet, "A New Approach to Text Searching" (shift-and).
    """

    def __init__(self, pattern: Pattern) -> None:
        self._stays = self._any = 0
        self._next: dict[str, int] = {}
        place = 0
        for part in pattern:
            if part is Wild.STAR:
                self._stays |= 1 << place
                continue
            for each in part if isinstance(part, str) else (None,):
                place += 1
                if each is None:
                    self._any |= 1 << place
                else:
                    self._next[each] = self._next.get(each, 0) | 1 << place
        self._end = 1 << place

    def matches(self, text: str) -> bool:
        state, stays, wild, after = 1, self._stays, self._any, self._next
        for each in text:
            state = (state << 1) & (after.get(each, 0) | wild) | state & stays
            if not state:
                return False
        return bool(state & self._end)
