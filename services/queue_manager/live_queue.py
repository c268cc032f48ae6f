"""A queue as this process has it in memory: the order of its messages, and who waits for one."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from services.queue_manager.deduplication import Deduplication
from services.queue_manager.fifo_order import FifoOrder
from services.queue_manager.standard_order import StandardOrder

ADDRESS = "address:"
"""What begins the uid of a queue that no resource describes: of an address that subscribed to a topic."""


@dataclass(frozen=True, slots=True)
class QueueRules:
    """What its resource says, as messages need it; times in milliseconds. `dead_letters`: where a message goes that
    was received `most_receives` times, and `arn` is told there; None for nowhere.
    """

    delay: int
    retention: int
    arn: str = ""
    most_receives: int = 0
    dead_letters: LiveQueue | None = None
    per_group: bool = False
    """Whether deduplication ids are unique in their group alone."""


class LiveQueue:
    """One of the event loop. `now`: the wall clock in milliseconds. `measured`: whether the sizes of its messages are
    known.
    """

    def __init__(self, number: int, uid: str, fifo: bool, now: Callable[[], int]) -> None:
        self.number, self.uid, self.fifo, self._now = number, uid, fifo, now
        self.order: StandardOrder = FifoOrder() if fifo else StandardOrder()
        self.deduplication = Deduplication()
        self.attempts: OrderedDict[str, tuple[int, tuple[tuple[int, int], ...]]] = OrderedDict()
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self.stopped = self.dropped = False
        self.measured = uid.startswith(ADDRESS)

    async def changed(self, seconds: float, *, first: bool = False) -> None:
        """Returns when there may be something to receive, or the time has passed. first: before all who wait."""
        waiter = asyncio.get_running_loop().create_future()
        if first:
            self._waiters.appendleft(waiter)
        else:
            self._waiters.append(waiter)
        self._arm()
        try:
            async with asyncio.timeout(seconds):
                await waiter
        except TimeoutError:
            return
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.wake(1)  # it was this one's turn, and it has gone
            raise
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def wake(self, most: int) -> None:
        """Something may be received: by so many of those who wait."""
        while most > 0 and self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                most -= 1

    def stop(self) -> None:
        """Nobody waits any more."""
        self.stopped = True
        self.wake(len(self._waiters))

    def drop(self) -> None:
        """It is being deleted: nothing goes into it any more, from this step on."""
        self.dropped = True
        self.stop()

    def come_due(self) -> None:
        """Show what is due by now."""
        before = self.order.visible
        self.order.advance(self._now())
        self.wake(max(self.order.visible - before, 0))

    def _arm(self) -> None:
        """Come back when the next hidden message is due, if somebody waits for it."""
        due = self.order.next_due()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due is not None and self._waiters:
            seconds = max(due - self._now(), 0) / 1000
            self._timer = asyncio.get_running_loop().call_later(seconds, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self.come_due()
        self._arm()

    def rearm(self) -> None:
        """Something is hidden, or comes back at another time."""
        if self._waiters:
            self._arm()
