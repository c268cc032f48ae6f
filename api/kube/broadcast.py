"""Watchers that keep up are told together: one of them follows the store, and writes to all.

A watcher that follows by itself costs two wake-ups of its task for each change: more than writing its line. So those
who have been told everything wait here, and the first leads: no task that somebody else would have to start and stop.
Who is too slow to be written to at once is sent away, and goes on by itself until it has caught up. Where each stands
(`told`) is its own, so nobody misses or doubles a change, whoever leads.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import anyio
import structlog

from api.asgi import AtOnce
from controller.store.records import SeekableFollower, StoreEvent

_log = structlog.get_logger(__name__)
BOOKMARK_SECONDS = 30.0


class EventEncoder(Protocol):
    """The form in which a watcher wants to see events. Views with the same `alike` see the same; None is like no
    other.
    """

    @property
    def alike(self) -> Hashable: ...

    def lines(self, batch: Sequence[StoreEvent]) -> bytes: ...

    def bookmark(self, revision: int) -> bytes: ...


@dataclass(eq=False, slots=True)
class Subscriber:
    """One watcher. `told`: everything up to that revision. `quiet`: nothing was written since the last mark."""

    view: EventEncoder
    write: AtOnce
    bookmarks: bool
    told: int
    quiet: bool = True
    leads: bool = False
    turn: anyio.Event = field(default_factory=anyio.Event)

    def tell(self, lines: bytes, position: int) -> bool:
        """Whether that was written at once, and with it everything up to `position` told."""
        if lines and not self.write(lines):
            return False
        self.quiet = self.quiet and not lines
        self.told = max(self.told, position)
        return True


class WatchBroadcaster:
    """All who watch one kind in one namespace, or in all, and keep up. `pause` says how many seconds a burst is
    gathered.
    """

    def __init__(self, pause: Callable[[], float]) -> None:
        self._pause = pause
        self._members: dict[Subscriber, None] = {}
        self._led = False
        self._position = 0
        """Everything up to there was told to those who are here."""
        self._mark_at = 0.0

    def __len__(self) -> int:
        return len(self._members)

    async def stay(self, member: Subscriber, follower: SeekableFollower) -> None:
        """Take part until `member` is too slow. However it ends, it is at `member.told` then. Raises Compacted."""
        self._members[member] = None
        try:
            if self._led:
                await member.turn.wait()
            else:
                self._led = member.leads = True
                self._position, self._mark_at = member.told, anyio.current_time() + BOOKMARK_SECONDS
            if member.leads:
                await self._lead(member, follower)
        finally:
            self._members.pop(member, None)
            if member.leads:
                self._hand_over()

    async def _lead(self, leader: Subscriber, follower: SeekableFollower) -> None:
        # Perhaps back: those who were here before it may have been told less than it has seen by itself.
        follower.seek(self._position)
        news = follower.__aiter__()
        while leader in self._members:
            batch: Sequence[StoreEvent] = ()
            with anyio.move_on_at(self._mark_at):
                batch = await news.__anext__()
            if batch:
                self._tell(batch, follower.position)
            if anyio.current_time() >= self._mark_at:
                self._mark(follower.position)
                self._mark_at = anyio.current_time() + BOOKMARK_SECONDS
            self._position = follower.position
            if batch:
                await anyio.sleep(self._pause())

    def _tell(self, batch: Sequence[StoreEvent], position: int) -> None:
        made: dict[Hashable, bytes] = {}
        for member in tuple(self._members):
            try:
                told = member.tell(self._lines(member, batch, made), position)
            except Exception:
                _log.exception("one watcher could not be told")
                told = False  # by itself it will see why, and only its own watch ends
            if not told:
                self._send_away(member)

    def _lines(self, member: Subscriber, batch: Sequence[StoreEvent], made: dict[Hashable, bytes]) -> bytes:
        alike = member.view.alike
        if member.told > self._position:  # it came while the others still had to be told of this
            return member.view.lines([each for each in batch if each.record.revision > member.told])
        if alike is None:
            return member.view.lines(batch)
        if alike not in made:
            made[alike] = member.view.lines(batch)
        return made[alike]

    def _mark(self, position: int) -> None:
        """What a selector hides moves a watcher on too: without marks it would come back to a place long gone."""
        for member in tuple(self._members):
            mark = member.view.bookmark(position) if member.bookmarks and member.quiet else b""
            if not member.tell(mark, position):
                self._send_away(member)
            member.quiet = True

    def _send_away(self, member: Subscriber) -> None:
        self._members.pop(member, None)
        member.turn.set()

    def _hand_over(self) -> None:
        following = next(iter(self._members), None)
        if following is None:
            self._led = False
        else:
            following.leads = True
            following.turn.set()
