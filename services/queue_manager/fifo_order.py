"""The order of a FIFO queue: in each group one after the other, and no group to two readers at once. Pure.

A group with a message in flight gives nothing, whichever of its messages that is: what follows would overtake it.
Source: Amazon SQS Developer Guide, "FIFO queue delivery logic".
"""

from __future__ import annotations

from collections import deque

from services.queue_manager.lazy_heap import LazyHeap
from services.queue_manager.message import Message
from services.queue_manager.standard_order import StandardOrder


class _Group:
    """Its messages, oldest first; those that were removed are passed over. `in_flight`: how many somebody has."""

    __slots__ = ("in_flight", "left", "numbers")

    def __init__(self) -> None:
        self.numbers: deque[int] = deque()
        self.in_flight = self.left = 0


class FifoOrder(StandardOrder):
    """As StandardOrder; `take` gives as many of one group as there are, then of the next."""

    def __init__(self) -> None:
        self._groups: dict[str, _Group] = {}
        super().__init__()

    def _make_ready(self) -> None:
        self._offered: LazyHeap[tuple[int, str]] = LazyHeap(self._may_go, lambda: len(self._groups))

    def add(self, message: Message, now: int, *, in_flight: bool = False) -> None:
        group = self._groups.setdefault(message.group, _Group())
        group.numbers.append(message.id)
        group.left += 1
        super().add(message, now, in_flight=in_flight)

    def take(self, most: int) -> list[Message]:
        taken: list[Message] = []
        seen: set[str] = set()  # a group may be offered more than once
        while len(taken) < most and (first := self._offered.pop()) is not None:
            if first[1] not in seen:
                seen.add(first[1])
                taken += self._of_group(self._groups[first[1]], most - len(taken))
        return taken

    def remove(self, message: Message) -> None:
        group = self._groups[message.group]
        super().remove(message)
        group.left -= 1
        if not group.left:
            del self._groups[message.group]
        else:
            self._offer(message.group, group)

    def set_delay(self, delay: int, now: int) -> None:
        """A changed delay of a FIFO queue counts for what waits already. delay: in milliseconds."""
        for message in [each for each in self.messages.values() if not each.receives and not each.in_flight]:
            until = message.sent + delay
            if message.hidden:
                self.postpone(message, until, now)
            elif until > now:
                message.due = until
                self._hide(message, in_flight=False)

    def clear(self) -> None:
        self._groups.clear()
        super().clear()

    def _of_group(self, group: _Group, most: int) -> list[Message]:
        found: list[Message] = []
        for number in group.numbers:
            message = self.messages.get(number)
            if message is None:
                continue
            if message.hidden or len(found) == most:
                break
            found.append(message)
        return found

    def _show(self, message: Message) -> None:
        self._offer(message.group, self._groups[message.group])

    def _offer(self, name: str, group: _Group) -> None:
        head = self._head(group)
        if head is not None and not head.hidden and not group.in_flight:
            self._offered.push((head.id, name))

    def _head(self, group: _Group) -> Message | None:
        while group.numbers:
            head = self.messages.get(group.numbers[0])
            if head is not None:
                return head
            group.numbers.popleft()
        return None

    def _count(self, message: Message, by: int) -> None:
        super()._count(message, by)
        if message.in_flight:
            self._groups[message.group].in_flight += by

    def _may_go(self, entry: tuple[int, str]) -> bool:
        group = self._groups.get(entry[1])
        if group is None or group.in_flight:
            return False
        head = self._head(group)
        return head is not None and head.id == entry[0] and not head.hidden
