"""Failures that whoever started a program can mend: a message, the next thing to try, a meaningful exit code.

0 done · 1 refused · 2 misuse · 3 not reachable · 4 the cloud is not well (`status`) · 130 interrupted.
"""

from __future__ import annotations

REFUSED, MISUSE, INTERRUPTED = 1, 2, 130


class UserError(Exception):
    """Ends the program. `hint` is the next thing to try; every failure has one where we know it."""

    def __init__(self, message: str, *, hint: str = "", code: int = REFUSED) -> None:
        super().__init__(message)
        self.message, self.hint, self.code = message, hint, code

    def __str__(self) -> str:
        return f"{self.message}\n  try: {self.hint}" if self.hint else self.message


class Misuse(UserError):
    """Something typed or configured makes no sense."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint, code=MISUSE)
