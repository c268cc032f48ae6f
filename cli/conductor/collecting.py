"""When Python looks for cycles of objects nobody needs any more.

Left alone, the collector walks over all that was kept lately again and again, and finds nothing: requests leave
hardly a cycle. With a busy store that stopped the loop for 90 ms, and under load for a tenth of all time. So what has
lived for a moment is frozen: no later collection looks at it. What becomes a cycle after that waits for the whole
collection, every few minutes. Young objects are looked at as ever.
"""

from __future__ import annotations

import gc

import anyio

FREEZE_SECONDS = 0.25
WHOLE_SECONDS = 300.0


async def collect_seldom() -> None:
    """Until cancelled. Begins with a whole collection: modules, routes and models are there for good."""
    while True:
        gc.unfreeze()
        gc.collect()
        with anyio.move_on_after(WHOLE_SECONDS):
            while True:
                gc.freeze()
                await anyio.sleep(FREEZE_SECONDS)
