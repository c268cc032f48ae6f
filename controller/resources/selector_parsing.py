"""A label selector as requirements, read from left to right once: no character is looked at again.

Source: apimachinery `labels.Parse`: `key`, `!key`, `key=value`, `==`, `!=`, `<`, `>`, `key in (a,b)`, `notin`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from crds.errors import BadRequest

MOST_REQUIREMENTS = 256
"""In one selector: each is asked of each resource."""
LONGEST_NUMBER = 18
_SPACES = frozenset(" \t\n\r\f\v")
_WORD_ENDS = _SPACES | frozenset(",()=!<>")
_DIGITS = frozenset("0123456789")


@dataclass(frozen=True, slots=True)
class Requirement:
    """`operator` is empty for a label that must be there, `!` for one that must not."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()


def parse_requirements(text: str) -> list[Requirement]:
    """Raises BadRequest that says where it could not be read."""
    scanner = _Scanner(text)
    return list(scanner.requirements())


def is_number(text: str) -> bool:
    """A whole number that 64 bits hold."""
    digits = text[1:] if text.startswith("-") else text
    return 0 < len(digits) <= LONGEST_NUMBER and _DIGITS.issuperset(digits)


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def requirements(self) -> Iterator[Requirement]:
        """Each, until the text is used up."""
        count = 0
        while self._at < len(self._text):
            count += 1
            if count > MOST_REQUIREMENTS:
                raise BadRequest(f"unable to parse label selector: it has more than {MOST_REQUIREMENTS} requirements")
            yield self._requirement()
            if self._next() not in ("", ","):
                raise self._unreadable()
            self._at += 1

    def _requirement(self) -> Requirement:
        if self._next() == "!":
            self._at += 1
            return Requirement(self._word(least=1), "!")
        key = self._word(least=1)
        operator = self._operator()
        if operator in ("in", "notin"):
            return Requirement(key, operator, self._set())
        if operator in ("<", ">"):
            return Requirement(key, operator, frozenset({self._number()}))
        return Requirement(key, operator, frozenset({self._word(least=0)}) if operator else frozenset())

    def _operator(self) -> str:
        symbol = self._next()
        if symbol in ("", ","):
            return ""
        for operator in ("==", "=", "!=", "<", ">"):
            if self._text.startswith(operator, self._at):
                self._at += len(operator)
                return operator
        word = self._word(least=1)
        if word not in ("in", "notin"):
            raise self._unreadable()
        return word

    def _set(self) -> frozenset[str]:
        if self._next() != "(":
            raise self._unreadable()
        end = self._text.find(")", self._at)
        inner = self._text[self._at + 1 : end]
        if end < 0 or "(" in inner:
            raise self._unreadable()
        self._at = end + 1
        return frozenset(value.strip() for value in inner.split(","))

    def _number(self) -> str:
        word = self._word(least=1)
        if not is_number(word):
            raise self._unreadable()
        return word

    def _word(self, *, least: int) -> str:
        self._next()
        begin = end = self._at
        while end < len(self._text) and self._text[end] not in _WORD_ENDS and not self._text[end].isspace():
            end += 1
        if end - begin < least:
            raise self._unreadable()
        self._at = end
        return self._text[begin:end]

    def _next(self) -> str:
        """The next character that is no space, without taking it; empty at the end."""
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1
        return self._text[self._at : self._at + 1]

    def _unreadable(self) -> BadRequest:
        shown = self._text if len(self._text) <= 200 else self._text[:200] + "..."
        return BadRequest(f"unable to parse label selector {shown!r} at character {self._at}")
