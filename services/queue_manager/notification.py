"""What is published to a topic, before it is known who gets it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from services.queue_manager.filter_policy import body_of, filterable


@dataclass(frozen=True)
class Notification:
    """What is published. `texts`: by protocol, with `default`, where it is another one for each."""

    message: str
    subject: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    group: str = ""
    deduplication: str = ""

    @property
    def for_queues(self) -> str:
        return self.text_for("sqs")

    def text_for(self, protocol: str) -> str:
        """What those who subscribed by that protocol get."""
        return (self.texts.get(protocol) or self.texts["default"]) if self.texts else self.message

    @cached_property
    def values(self) -> dict[str, Any]:
        """Its attributes as filter policies see them."""
        return filterable(self.attributes)

    @cached_property
    def body(self) -> dict[str, Any] | None:
        """Its text as filter policies see it."""
        return body_of(self.for_queues)


@dataclass(frozen=True, slots=True)
class Published:
    """As who published it knows it. `sequence`: of a FIFO topic, else 0."""

    id: str
    sequence: int = 0
