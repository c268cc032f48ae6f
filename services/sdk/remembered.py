"""Answers of the conductor about callers, remembered for a second. While no conductor runs nobody's rights change, so
what it said last holds for some minutes: calls of AWS tools go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from controller.kit.clock import Clock
from crds.errors import CONDUCTOR_AWAY, Unavailable

REMEMBER_SECONDS = 1.0  # who lost a right must not use it two seconds later
HOLDS_SECONDS = 300.0
_REMEMBERED = 8192
Q = TypeVar("Q", bound=Hashable)
A = TypeVar("A")


class RememberedAnswers(Generic[Q, A]):
    """`ask` is asked each question once at a time, however many wait for the answer."""

    def __init__(self, ask: Callable[[Q], Awaitable[A]], clock: Clock) -> None:
        self._ask, self._clock = ask, clock
        self._known: dict[Q, tuple[A, float]] = {}
        self._asking: dict[Q, asyncio.Task[A]] = {}

    async def of(self, question: Q) -> A:
        """At most `REMEMBER_SECONDS` old where there is a conductor to ask. Raises what `ask` raises."""
        known = self._known.get(question)
        if known and known[1] > self._clock.monotonic():
            return known[0]
        asking = self._asking.get(question)
        if asking is None:  # who comes while the same is asked already waits for that answer
            asking = self._asking[question] = asyncio.create_task(self._answer(question))
            asking.add_done_callback(lambda ended: self._asked(question, ended))
        return await asyncio.shield(asking)

    def _asked(self, question: Q, ended: asyncio.Task[A]) -> None:
        del self._asking[question]
        if not ended.cancelled():
            ended.exception()  # seen, also where everybody who waited for it has left

    async def _answer(self, question: Q) -> A:
        until = self._clock.monotonic() + REMEMBER_SECONDS
        try:
            answer = await self._ask(question)
        except Unavailable as error:
            known = self._known.get(question)
            if known is None or known[1] + HOLDS_SECONDS < until or not _is_away(error):
                raise
            return known[0]
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[question] = (answer, until)
        return answer


def _is_away(error: Unavailable) -> bool:
    """Whether the gateway itself says that nobody is there; one that only takes long may be about to say no."""
    return any(each.reason == CONDUCTOR_AWAY for each in error.causes)
