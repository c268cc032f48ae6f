"""What the instances of a service wrote, and what they go on writing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import anyio

from controller.runtime.driver import Driver
from crds.meta import ObjectKey

_FOLLOW_SECONDS = 0.5
_WINDOW = 1000
"""Lines looked at in each turn of following: who writes more in half a second loses the oldest of them."""


async def log_lines(
    driver: Driver, key: ObjectKey, instance: str | None, tail: int, *, follow: bool
) -> AsyncIterator[str]:
    """The last lines, then (when following) what is new each half second."""
    known = await _windows(driver, key, instance) if follow else {}
    yield _text(await driver.logs(key, instance, tail=tail))
    while follow:
        await anyio.sleep(_FOLLOW_SECONDS)
        now = await _windows(driver, key, instance)
        fresh = [line for name, lines in now.items() for line in after(known.get(name, ()), lines)]
        if fresh:
            yield _text(fresh)
        known |= now


async def _windows(driver: Driver, key: ObjectKey, instance: str | None) -> dict[str, Sequence[str]]:
    """The last lines of each instance for itself: put together, one that writes would move all the others."""
    names = [instance] if instance else [each.name for each in await driver.observe(key)]
    return {name: list(await driver.logs(key, name, tail=_WINDOW)) for name in names}


def after(before: Sequence[str], now: Sequence[str]) -> Sequence[str]:
    """The lines of `now` that come after the end of `before`, supposing that the window moved as little as it can.

    The last line may have been half written when it was read; then it comes again, whole.
    """
    for known in (before, before[:-1]):
        for moved in range(len(known)):
            overlap = len(known) - moved
            if now[:1] == known[moved : moved + 1] and now[:overlap] == known[moved:]:
                return now[overlap:]
    return now


def _text(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
