"""A message: as it is sent, as it is remembered in memory (without its body), and as it is given to who receives it.

Times are whole milliseconds since 1970, as SQS tells them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody wants to send. delay_seconds: None for what the queue says. attributes: as AWS has them."""

    body: str
    delay_seconds: int | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    trace: str = ""
    group: str = ""
    deduplication: str = ""
    sender: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent. `id`: as clients know it. `sequence`: of a FIFO queue, else 0."""

    id: str
    sequence: int = 0


class Message:
    """What the order of a queue needs of a message. `due`: when it is, or was, visible. `hidden`: it is not visible;
    `in_flight`: because somebody received it, at `taken`. `receipt`: the number of that receive, which nobody can
    guess; 0 before the first. `size`: bytes of its body where its queue is measured, else 0.
    """

    __slots__ = ("due", "group", "hidden", "id", "in_flight", "receipt", "receives", "sent", "size", "taken")

    def __init__(
        self,
        id: int,
        sent: int,
        due: int,
        group: str = "",
        receives: int = 0,
        receipt: int = 0,
        taken: int = 0,
        size: int = 0,
    ) -> None:
        self.id, self.sent, self.due, self.group = id, sent, due, group
        self.receives, self.receipt, self.taken, self.size = receives, receipt, taken, size
        self.hidden = self.in_flight = False


@dataclass(frozen=True, slots=True)
class Received:
    """A message on its way to whoever asked. `id`: as clients know it; `number`: as the queue does. `origin`: the ARN
    of the queue it failed in, for a dead letter.
    """

    id: str
    number: int
    receipt: int
    body: str
    attributes: dict[str, Any]
    trace: str
    group: str
    deduplication: str
    sender: str
    sent: int
    receives: int
    first_received: int
    origin: str
