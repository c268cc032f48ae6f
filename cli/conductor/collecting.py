"""When Python looks for cycles of objects nobody needs any more.

Left alone, the collector walks over all that was kept lately again and again, and finds nothing: requests leave
hardly a cycle. With a busy store that stopped the loop for 90 ms, and under load for a tenth of all time. So it looks
once at what is new, a few times a second, and freezes what lives: no later look goes there. What becomes a cycle
after that waits for the whole collection, every few minutes.
"""

from __future__ import annotations

import gc

import anyio

YOUNG_SECONDS = 0.25
WHOLE_SECONDS = 300.0


async def collect_seldom() -> None:
    """Until cancelled. Begins with a whole collection: modules, routes and models are there for good."""
    gc.disable()  # or it would look after every 700 new objects, most of which belong to requests not done yet
    try:
        while True:
            gc.unfreeze()
            gc.collect()
            with anyio.move_on_after(WHOLE_SECONDS):
                await _collect_young()
    finally:
        gc.enable()


async def _collect_young() -> None:
    while True:
        gc.freeze()
        await anyio.sleep(YOUNG_SECONDS)
        gc.collect(1)  # everything since; a whole one would also empty the lists of objects kept for reuse
