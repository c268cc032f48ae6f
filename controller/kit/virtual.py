"""An event loop whose time jumps: a test that waits an hour takes no time, to the exact second.

When nothing is ready to run, the loop moves its clock to the next timer instead of sleeping. Real I/O
that is already there is still served first. Waiting for something that no timer will bring raises,
because in such a test it would wait for ever.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import Any


class NothingWillHappen(RuntimeError):
    """Every task waits and no timer is set: the test would hang."""


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise NothingWillHappen("every task is waiting and no timer is set")
        self._jump(timeout)
        return ready


_ROUNDING = 1e-6


class VirtualLoop(asyncio.SelectorEventLoop):
    """Give it to anyio as `backend_options={"loop_factory": VirtualLoop}`."""

    _scheduled: list[asyncio.TimerHandle]  # asyncio's own heap of timers

    def __init__(self) -> None:
        self._virtual_now = 0.0
        super().__init__(_JumpingSelector(self._advance))

    def _advance(self, seconds: float) -> None:
        target = self._virtual_now + max(seconds, 0.0)
        # The wait was computed by subtraction; the timer itself says when, to the last bit.
        if self._scheduled and abs(self._scheduled[0].when() - target) < _ROUNDING:
            target = self._scheduled[0].when()
        self._virtual_now = max(target, self._virtual_now)

    def time(self) -> float:
        return self._virtual_now
