"""Tuning of the garbage collector: when Python looks for cycles of objects nobody needs any more.

Left alone, the collector walks over all that was kept lately again and again, and finds nothing: requests leave
hardly a cycle. With a busy store that stopped the loop for 90 ms, and under load for a tenth of all time. So it looks
once at what is new, a few times a second, and freezes what lives: no later look goes there. What becomes a cycle
after that waits for the whole collection, every few minutes, or as soon as memory has grown by much: a definition of
a kind is megabytes of small objects, and whoever follows its resources begins anew with each change of it.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path

import anyio

YOUNG_SECONDS = 0.25
FEW_OBJECTS = 2_000
WHOLE_SECONDS = 300.0
GROWN_BYTES = 2**27


async def collect_seldom() -> None:
    """Collect garbage seldom, until cancelled. Begins with a whole collection: modules, routes and models are there
    for good.
    """
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
    """Until memory has grown by much."""
    began = resident_bytes()
    gc.freeze()
    while True:
        await anyio.sleep(YOUNG_SECONDS)
        if gc.get_count()[0] < FEW_OBJECTS:
            continue  # hardly more came than went: what an idle conductor leaves can wait
        gc.collect(1)  # everything since; a whole one would also empty the lists of objects kept for reuse
        if resident_bytes() - began >= GROWN_BYTES:
            return
        gc.freeze()


def resident_bytes() -> int:
    """How much memory this process has; 0 where the machine does not tell."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
