"""The body of one message on its way through: parts that a parser feeds and one reader takes, with backpressure."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence

HIGH_WATER, LOW_WATER, LARGE_PART = 256 * 1024, 64 * 1024, 16 * 1024
LARGE_BODY = 64 * 1024
"""What is left of a body whose length was said goes past the parser if it is so large: it would copy each part."""


def length_said(headers: Sequence[tuple[bytes, bytes]]) -> int:
    """The bytes of the body of a message with that head, which a parser has taken; 0 where it does not say them."""
    told = dict(headers)
    said = b"" if b"transfer-encoding" in told else told.get(b"content-length", b"")
    return int(said) if said.isdigit() else 0


class BodyStream:
    """One reader. `pause` is called when more than HIGH_WATER bytes wait to be read, `resume` when fewer than
    LOW_WATER do.
    """

    __slots__ = ("_buffered", "_error", "_pause", "_resume", "_waiter", "complete", "parts", "paused", "seen")

    def __init__(self, pause: Callable[[], object], resume: Callable[[], object]) -> None:
        self._pause, self._resume = pause, resume
        self.parts: deque[bytes] = deque()
        self._buffered = self.seen = 0
        self.complete = self.paused = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    def feed(self, part: bytes) -> None:
        """One more part."""
        self.parts.append(part)
        self.seen += len(part)
        self._buffered += len(part)
        if self._buffered > HIGH_WATER and not self.paused:
            self.paused = True
            self._pause()
        if self._waiter is not None:
            self._wake()

    def finish(self) -> None:
        """There is no more."""
        self.complete = True
        if self._waiter is not None:
            self._wake()

    def fail(self, error: Exception) -> None:
        """There is no more, though there should be. The reader gets the parts, then the first such error."""
        if self._error is None:
            self._error = error
        self._wake()

    def take(self) -> bytes:
        """Everything that waits."""
        if len(self.parts) == 1:
            data = self.parts.popleft()
        else:
            data = b"".join(self.parts)
            self.parts.clear()
        self._buffered = 0
        if self.paused:
            self._let_on()
        return data

    def take_next(self) -> bytes:
        """Some of what waits: a large part by itself, small ones put together."""
        if not self.parts or len(self.parts[0]) < LARGE_PART:
            return self.take()
        part = self.parts.popleft()
        self._buffered -= len(part)
        if self.paused:
            self._let_on()
        return part

    def peek(self) -> bytes:
        """Everything that waits, which goes on waiting."""
        return self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)

    def whole(self) -> bytes | None:
        """The rest of it, if all has come; None while more is to come."""
        return self.take() if self.complete else None

    async def changed(self) -> None:
        """Wait until there is more to take, or it is complete. Raises what `fail` was given."""
        if self.parts or self.complete:
            return
        if self._error is not None:
            raise self._error
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if self._error is not None and not self.parts:
            raise self._error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await self.changed()
            while self.parts:
                part = self.parts.popleft()
                self._buffered -= len(part)
                if self.paused:
                    self._let_on()
                yield part
            if self.complete:
                return

    def _let_on(self) -> None:
        if self._buffered < LOW_WATER:
            self.paused = False
            self._resume()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
