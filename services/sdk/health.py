"""Alive, ready, degraded: what `/health` and `/ready` answer, from named checks.

A check returns None when all is well, or a sentence saying what is not. An essential one makes the instance not
ready (503); the others only make it degraded: it goes on serving, and says so.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

Ask = Callable[[], str | None] | Callable[[], Awaitable[str | None]]


@dataclass(frozen=True, slots=True)
class Check:
    """`ask` should take milliseconds: it is asked every second."""

    name: str
    ask: Ask
    essential: bool = True


async def readiness(checks: Sequence[Check]) -> tuple[int, dict[str, Any]]:
    """HTTP code and body of `/ready`."""
    broken: list[str] = []
    degraded: list[str] = []
    for check in checks:
        if because := await _result(check):
            (broken if check.essential else degraded).append(f"{check.name}: {because}")
    body: dict[str, Any] = {"ready": not broken}
    if broken:
        body["because"] = "; ".join(broken)
    if degraded:
        body["degraded"] = "; ".join(degraded)
    return (503 if broken else 200), body


async def _result(check: Check) -> str | None:
    try:
        answer = check.ask()
        return await answer if inspect.isawaitable(answer) else answer
    except Exception as error:
        return f"cannot tell: {error!r}"
