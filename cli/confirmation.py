"""Questions before what cannot be taken back; only where somebody sits at a terminal: no script is ever stopped."""

from __future__ import annotations

import sys

from cli.output import ask
from controller.main.errors import UserError


def is_somebody_there() -> bool:
    """Whether a question would be read and answered by a person."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str, *, hint: str = "answer y, or give --yes") -> None:
    """Asks, where somebody is there. Raises UserError unless the answer is yes."""
    if not is_somebody_there():
        return
    if ask(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
        raise UserError("nothing was changed", hint=hint)
