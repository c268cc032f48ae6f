"""How a command fails: a message, the next thing to try, and an exit code with meaning.

0 done · 1 refused · 2 misuse · 3 not reachable · 4 the cloud is not well (`status`) · 130 interrupted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

REFUSED, MISUSE, NOT_REACHABLE, NOT_WELL, INTERRUPTED = 1, 2, 3, 4, 130


class CliError(Exception):
    """Ends the command. `hint` is the next thing to try; every failure has one where we know it."""

    def __init__(self, message: str, *, hint: str = "", code: int = REFUSED) -> None:
        super().__init__(message)
        self.message, self.hint, self.code = message, hint, code

    def __str__(self) -> str:
        return f"{self.message}\n  try: {self.hint}" if self.hint else self.message


class Misuse(CliError):
    """What was typed or configured makes no sense."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint, code=MISUSE)


class NotReachable(CliError):
    """Nobody answers where the cloud should be."""

    def __init__(self, message: str, *, hint: str = "start it: aerekos up") -> None:
        super().__init__(message, hint=hint, code=NOT_REACHABLE)


class Refused(CliError):
    """The cloud answered, and said no. `status` is its HTTP code, `reason` a word for programs, `details` those of
    Kubernetes's Status, `path` what was asked."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        hint: str = "",
        reason: str = "",
        details: Mapping[str, Any] | None = None,
        path: str = "",
    ) -> None:
        super().__init__(message, hint=hint, code=REFUSED)
        self.status, self.reason, self.details, self.path = status, reason, details or {}, path
