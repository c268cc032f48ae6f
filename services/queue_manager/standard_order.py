"""The order of a standard queue: which messages are visible, in flight or delayed, oldest first. Pure.

What no reader can tell: how deep the queue is. Every step takes time that grows with the logarithm of it.
"""

from __future__ import annotations

from services.queue_manager.lazy_heap import LazyHeap
from services.queue_manager.message import Message


class StandardOrder:
    """Messages by their number. `in_flight`, `delayed`: how many are hidden, and why. `size`: bytes of those whose
    size is known.
    """

    def __init__(self) -> None:
        self.messages: dict[int, Message] = {}
        self.in_flight = self.delayed = self.size = 0
        self._due: LazyHeap[tuple[int, int]] = LazyHeap(self._is_due_then, lambda: self.in_flight + self.delayed)
        self._sent: LazyHeap[tuple[int, int]] = LazyHeap(self._is_there, lambda: len(self.messages))
        self._make_ready()

    def _make_ready(self) -> None:
        self._ready: LazyHeap[tuple[int]] = LazyHeap(self._is_visible, lambda: len(self.messages))

    @property
    def visible(self) -> int:
        return len(self.messages) - self.in_flight - self.delayed

    def add(self, message: Message, now: int, *, in_flight: bool = False) -> None:
        """in_flight: as it was before a restart."""
        self.messages[message.id] = message
        self.size += message.size
        self._sent.push((message.sent, message.id))
        if message.due > now:
            self._hide(message, in_flight=in_flight)
        else:
            self._show(message)

    def advance(self, now: int) -> None:
        """Show what is due."""
        while (first := self._due.first()) is not None and first[0] <= now:
            self._due.pop()
            self._come_back(self.messages[first[1]])

    def next_due(self) -> int | None:
        """When something that is hidden becomes visible next."""
        first = self._due.first()
        return None if first is None else first[0]

    def oldest(self) -> int | None:
        """When the oldest message was sent."""
        first = self._sent.first()
        return None if first is None else first[0]

    def oldest_number(self) -> int | None:
        """The oldest message."""
        first = self._sent.first()
        return None if first is None else first[1]

    def take(self, most: int) -> list[Message]:
        """The next visible messages. Each must be hidden or removed before anything else is done."""
        taken: list[Message] = []
        while len(taken) < most and (first := self._ready.pop()) is not None:
            if not taken or taken[-1].id != first[0]:  # one that was hidden and shown again is there twice
                taken.append(self.messages[first[0]])
        return taken

    def take_sent_until(self, before: int, most: int) -> list[Message]:
        """The oldest of those sent by then, hidden or not; `oldest` looks at them no more."""
        taken: list[Message] = []
        while len(taken) < most and (first := self._sent.first()) is not None and first[0] <= before:
            self._sent.pop()
            if not taken or taken[-1].id != first[1]:
                taken.append(self.messages[first[1]])
        return taken

    def keep(self, message: Message) -> None:
        """It was to go for its age, and stays."""
        self._sent.push((message.sent, message.id))

    def hide(self, message: Message, until: int) -> None:
        """It was received by somebody, and comes back then. What is hidden already stays in flight, or delayed."""
        message.due = until
        if message.hidden:
            self._due.push((until, message.id))
        else:
            self._hide(message, in_flight=True)

    def put_back(self, message: Message) -> None:
        """It was taken, and nothing became of it."""
        if message.hidden:
            self._come_back(message)
        else:
            self._show(message)

    def postpone(self, message: Message, until: int, now: int) -> None:
        """Another time for a message in flight to come back; at once, where it has passed."""
        message.due = until
        if until <= now:
            self._come_back(message)
        else:
            self._due.push((until, message.id))

    def remove(self, message: Message) -> None:
        del self.messages[message.id]
        self.size -= message.size
        self._count(message, -1)

    def clear(self) -> None:
        """Forget all of them."""
        self.messages.clear()
        self.in_flight = self.delayed = self.size = 0
        self._due.clear()
        self._sent.clear()
        self._make_ready()

    def _hide(self, message: Message, *, in_flight: bool) -> None:
        message.hidden, message.in_flight = True, in_flight
        self._count(message, 1)
        self._due.push((message.due, message.id))

    def _come_back(self, message: Message) -> None:
        self._count(message, -1)
        message.hidden = message.in_flight = False
        self._show(message)

    def _show(self, message: Message) -> None:
        self._ready.push((message.id,))

    def _count(self, message: Message, by: int) -> None:
        if message.in_flight:
            self.in_flight += by
        elif message.hidden:
            self.delayed += by

    def _is_due_then(self, entry: tuple[int, int]) -> bool:
        message = self.messages.get(entry[1])
        return message is not None and message.hidden and message.due == entry[0]

    def _is_there(self, entry: tuple[int, int]) -> bool:
        return entry[1] in self.messages

    def _is_visible(self, entry: tuple[int]) -> bool:
        message = self.messages.get(entry[0])
        return message is not None and not message.hidden
