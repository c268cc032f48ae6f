"""Tasks that last as long as their process. What fails in one of them is said, and begun again: the others go on.

A task group ends all of its tasks when one fails. That is right where they need each other, and wrong for a process
whose sweeper could not open a file.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import anyio
import anyio.abc
import structlog

from controller.kit.backoff import Backoff

_log = structlog.get_logger(__name__)
_PAUSE = Backoff(first=1.0, factor=2.0, limit=60.0)
_LASTING_SECONDS = 300.0
"""So long without a failure, and the next one is the first again."""
Work = Callable[..., Awaitable[Any]]


class Lasting:
    """Starts work in `group`. `fatal`: failures that end the group after all."""

    def __init__(
        self, group: anyio.abc.TaskGroup, rng: random.Random, fatal: tuple[type[BaseException], ...] = ()
    ) -> None:
        self._group, self._rng, self._fatal = group, rng, fatal

    def start_soon(self, work: Work, *arguments: Any, name: str) -> None:
        """Begun now, and again whenever it fails. What returns is done."""
        self._group.start_soon(partial(self._keep, partial(work, *arguments), name, 0), name=name)

    async def start(self, work: Work, *arguments: Any, name: str) -> None:
        """The same for work that says when it has started (`task_status`). Raises what it raises before that."""
        bound = partial(work, *arguments)

        async def first(*, task_status: anyio.abc.TaskStatus[None]) -> None:
            started = _Started(task_status)
            try:
                await bound(task_status=started)
            except Exception as failed:
                if not started.yes or self._is_fatal(failed):
                    raise
                self._say(name, failed)
                await self._keep(bound, name, 1)

        await self._group.start(first, name=name)

    async def _keep(self, work: Callable[[], Awaitable[Any]], name: str, failures: int) -> None:
        while True:
            if failures:
                await anyio.sleep(_PAUSE.delay(failures, self._rng))
            began = anyio.current_time()
            try:
                await work()
                return
            except Exception as failed:
                if self._is_fatal(failed):
                    raise
                self._say(name, failed)
                failures = 1 if anyio.current_time() - began > _LASTING_SECONDS else failures + 1

    def _is_fatal(self, failed: BaseException) -> bool:
        if isinstance(failed, BaseExceptionGroup):
            return any(map(self._is_fatal, failed.exceptions))
        return isinstance(failed, self._fatal)

    def _say(self, name: str, failed: BaseException) -> None:
        _log.error("a task failed; it begins again", task=name, error=repr(failed), exc_info=failed)


class _Started:
    """Passes the word on, once, and remembers it."""

    def __init__(self, status: anyio.abc.TaskStatus[None]) -> None:
        self._status, self.yes = status, False

    def started(self, value: None = None) -> None:
        """As `anyio.abc.TaskStatus`."""
        if not self.yes:
            self.yes = True
            self._status.started(value)
