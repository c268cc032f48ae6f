"""The base of words that programs go by and people look up: phases, condition types, reasons.

A term is a string on the wire. What it means stands beside it, so that the reference of all terms
(`docs/reference/`) is made from the code.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Term(StrEnum):
    """One closed list of words. A member is written as its word and one sentence that says what it means."""

    description: str

    def __new__(cls, word: str, description: str = "") -> Self:
        member = str.__new__(cls, word)
        member._value_ = word
        member.description = description
        return member
