"""What the instances of a service wrote, and what they go on writing."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio

from controller.runtime.driver import Driver
from crds.meta import ObjectKey

_FOLLOW_SECONDS = 0.5


async def log_lines(
    driver: Driver, key: ObjectKey, instance: str | None, tail: int, *, follow: bool
) -> AsyncIterator[str]:
    """The last lines, then (when following) what is new each half second."""
    told = list(await driver.logs(key, instance, tail=tail))
    yield "".join(f"{line}\n" for line in told)
    while follow:
        await anyio.sleep(_FOLLOW_SECONDS)
        now = list(await driver.logs(key, instance, tail=max(tail, 1000)))
        fresh = _after(told, now)
        if fresh:
            yield "".join(f"{line}\n" for line in fresh)
        told = now


def _after(before: list[str], now: list[str]) -> list[str]:
    """The lines of `now` that come after the end of `before`, however far the window has moved."""
    if not before:
        return now
    for end in range(len(now), 0, -1):
        start = max(0, end - len(before))
        if now[start:end] == before[len(before) - (end - start) :]:
            return now[end:]
    return now
