"""Keeps `logs/conductor.log` small: the conductor writes to it as its standard output, and never opens it itself."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import anyio

from controller.kit.threads import BlockingExecutor
from controller.runtime.process.logfiles import rotate

LIMIT_BYTES, FILES_KEPT, LOOK_EVERY_SECONDS = 10 * 1024 * 1024, 3, 5.0


async def keep_small(
    file: Path, threads: BlockingExecutor, *, limit: int = LIMIT_BYTES, keep: int = FILES_KEPT
) -> NoReturn:
    """Rotate the log until cancelled. A disk that takes no more is no reason to end: the next look tries again."""
    while True:
        with suppress(OSError):
            await threads.run(lambda: rotate(file, limit=limit, keep=keep))
        await anyio.sleep(LOOK_EVERY_SECONDS)
