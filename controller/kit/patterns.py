"""Regular expressions that outsiders wrote, or that read what outsiders wrote: by RE2, whose time is linear.

Python's own engine tries again and again where an expression can be understood in many ways: a few hundred bytes then
stop a process for hours. RE2 has no such expressions, and is what Kubernetes means by `pattern`. What an expression
may cost is bounded too: its size by memory, its work by size times text.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Protocol, cast

LONGEST_PATTERN = 4096
MOST_MEMORY = 2**20
"""Bytes one compiled expression may use, with all it remembers while it runs."""
MOST_WORK = 2**24
"""Steps of all searches in one document at worst: some tenths of a second."""
_KEPT = 128


class PatternError(ValueError):
    """The text is no expression of RE2, or too big a one."""


class Compiled(Protocol):
    """What is used of an RE2 expression."""

    programsize: int

    def search(self, text: str) -> Any: ...


@lru_cache(_KEPT)
def compile_pattern(pattern: str) -> Compiled:
    """Raises PatternError."""
    if len(pattern) > LONGEST_PATTERN:
        raise PatternError(f"is longer than {LONGEST_PATTERN} characters")
    import re2  # 2 MiB of a process, and most that know kinds never judge a value

    options = re2.Options()
    options.log_errors, options.max_mem = False, MOST_MEMORY
    try:
        return cast(Compiled, re2.compile(pattern, options))
    except (re2.error, UnicodeEncodeError) as wrong:
        raise PatternError(f"is no RE2 expression: {_said(wrong)}") from None


class Work:
    """The rest of the steps that one document may cost."""

    __slots__ = ("left",)

    def __init__(self, steps: int = MOST_WORK) -> None:
        self.left = steps

    def spend(self, steps: int) -> None:
        """Raises WorkSpent."""
        self.left -= steps
        if self.left < 0:
            raise WorkSpent("it would take too long to check")


class WorkSpent(Exception):
    """A document costs more than anybody may ask for."""


def found_in(pattern: str, text: str, work: Work | None = None) -> bool:
    """Whether `pattern` matches anywhere in `text`. Raises PatternError, WorkSpent."""
    compiled = compile_pattern(pattern)
    (work or Work()).spend(compiled.programsize * len(text))
    try:
        return compiled.search(text) is not None
    except UnicodeEncodeError:
        return False  # half a surrogate pair is no text


def _said(wrong: Exception) -> str:
    told = wrong.args[0] if wrong.args else ""
    return told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)
