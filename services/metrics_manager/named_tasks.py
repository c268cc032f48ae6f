"""Tasks by name, of each name one at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

log = logging.getLogger(__name__)


class NamedTasks:
    """`what`: what one of them is, for the line that says that one failed."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._running: dict[str, asyncio.Task[None]] = {}

    def __contains__(self, name: str) -> bool:
        """Whether that one runs."""
        return name in self._running

    def begin(self, name: str, make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Nothing, where one of that name runs."""
        if name in self._running:
            return
        task = asyncio.ensure_future(make())
        self._running[name] = task
        task.add_done_callback(lambda done: self._ended(name, done))

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        self._running.pop(name, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error(f"{self._what} failed", exc_info=error)

    async def end(self) -> None:
        """All of them, now."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
