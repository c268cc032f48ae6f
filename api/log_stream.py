"""Log streams: what the instances of a service wrote, and what they go on writing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import anyio

from controller.runtime.driver import Driver
from controller.runtime.log_order import in_order, moment_of
from crds.errors import BadRequest, NotFound
from crds.meta import ObjectKey
from crds.model import rfc3339

_FOLLOW_SECONDS = 0.5
_WINDOW = 1000
"""Lines looked at in each turn of following: who writes more in half a second loses the oldest of them."""
MOST_LINES = 100_000
_NOW = float("inf")


async def log_lines(
    driver: Driver, key: ObjectKey, instance: str | None, tail: int, *, follow: bool
) -> AsyncIterator[str]:
    """The last lines, then (when following) what is new each half second."""
    known = await _windows(driver, key, instance) if follow else {}
    yield text_of(await driver.logs(key, instance, tail=tail))
    while follow:
        await anyio.sleep(_FOLLOW_SECONDS)
        now = await _windows(driver, key, instance)
        # Lines that say no time were written in this half second: after those that say one.
        fresh = in_order([(after(known.get(name, ()), lines), _NOW) for name, lines in now.items()])
        if fresh:
            yield text_of(fresh)
        known |= now


async def _windows(driver: Driver, key: ObjectKey, instance: str | None) -> dict[str, Sequence[str]]:
    """The last lines of each instance for itself: put together, one that writes would move all the others."""
    names = [instance] if instance else [each.name for each in await driver.observe(key)]
    return {name: list(await driver.logs(key, name, tail=_WINDOW)) for name in names}


async def search(
    driver: Driver, key: ObjectKey, instance: str | None, contains: str
) -> tuple[list[str], dict[str, str]]:
    """The lines that hold `contains`, whatever their case, oldest first, and headers that say how far it reached: the
    number of lines searched, and the time of the oldest one where it says one."""
    lines = await driver.logs(key, instance, tail=MOST_LINES)
    wanted = contains.casefold()
    reach = {"x-aerekos-searched-lines": str(len(lines))}
    oldest = next((moment for moment in map(moment_of, lines) if moment is not None), None)
    if oldest is not None:
        reach["x-aerekos-searched-since"] = rfc3339(datetime.fromtimestamp(oldest, UTC))
    return [line for line in lines if wanted in line.casefold()], reach


async def previous_lines(driver: Driver, key: ObjectKey, instance: str | None) -> Sequence[str]:
    """What an instance wrote before it was started last: it goes on in the log of the one before it.

    Raises BadRequest unless that is one instance, NotFound when nothing of then is kept.
    """
    there = await driver.observe(key)
    seen = [each for each in there if instance in (None, each.name)]
    if len(seen) != 1:
        names = ", ".join(each.name for each in there) or "none"
        raise BadRequest(f"previous: say of which instance; {key.name} has {names}")
    lines = await driver.logs(key, seen[0].name, tail=MOST_LINES)
    started = seen[0].started_at.timestamp() if seen[0].started_at else _NOW
    begin = next((at for at, line in enumerate(lines) if (moment_of(line) or 0.0) >= started), len(lines))
    if not begin:
        raise NotFound(f"nothing is kept of before {seen[0].name} was started")
    return lines[:begin]


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


def text_of(lines: Sequence[str]) -> str:
    """Each line with its end."""
    return "".join(f"{line}\n" for line in lines)
