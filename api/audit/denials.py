"""The newest refusals, by request id: whom, what, and what decided. In memory alone, and bounded for each principal.

Somebody who is refused without end forgets their own refusals and nobody else's. Nothing of a body, a query or a
header is kept, and request ids are no secret: whoever asks hears of their own refusals, and admins of all.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from api.audit.attributes import Attributes
from api.audit.fields import LIMITS, bounded
from api.audit.notes import Notes

MOST, EACH = 4096, 64
_TEXTS = ("outcome", "source", "reason")
_NEEDED = ("source", "policy", "effect")
_OF_STATEMENT = (*_NEEDED, "sid")
Json = dict[str, Any]


class Denial(NamedTuple):
    """A refusal. `principal` empty: nobody was proven. `action`: of an AWS call, or a verb; `resource`: an ARN, or
    the object as Kubernetes names it. `policies`: what policies of IAM or of the resource decided, where they did.
    """

    time: str
    request_id: str
    principal: str
    code: int
    action: str
    resource: str | Json
    reason: str
    policies: Json | None


class Denials:
    """One per conductor."""

    def __init__(self, most: int = MOST, each: int = EACH) -> None:
        self._most, self._each, self._count = most, each, 0
        self._kept: OrderedDict[str, deque[Denial]] = OrderedDict()

    def record(self, denial: Denial) -> None:
        """Keep it. Whoever was refused least recently is forgotten first."""
        own = self._kept.setdefault(denial.principal, deque(maxlen=self._each))
        self._count += len(own) < self._each
        own.append(denial)
        self._kept.move_to_end(denial.principal)
        while self._count > self._most:
            _, forgotten = self._kept.popitem(last=False)
            self._count -= len(forgotten)

    def find(self, request_id: str, principal: str | None = None) -> list[Denial]:
        """All refusals of that id, newest first: clients choose ids, so there may be several. `principal`: of them
        alone; None for everybody's."""
        return sorted(
            (each for each in self._of(principal) if each.request_id == request_id),
            key=lambda each: each.time,
            reverse=True,
        )

    def newest(self, most: int, principal: str | None = None) -> list[Denial]:
        """The last ones, newest first."""
        return sorted(self._of(principal), key=lambda each: each.time, reverse=True)[:most]

    def _of(self, principal: str | None) -> Iterator[Denial]:
        if principal is not None:
            yield from self._kept.get(principal, ())
            return
        for each in self._kept.values():
            yield from each


def denial_of(time: str, request_id: str, principal: str, code: int, what: Attributes, notes: Notes) -> Denial:
    """The refusal of a request, as the audit log knows it."""
    return Denial(
        time,
        bounded(request_id, LIMITS["requestId"]),
        bounded(principal, LIMITS["user"]),
        code,
        bounded(notes.action or what.verb, LIMITS["action"]),
        _resource(what, notes),
        bounded(notes.reason, LIMITS["reason"]),
        _decided(notes.decided),
    )


def _resource(what: Attributes, notes: Notes) -> str | Json:
    if notes.resource:
        return bounded(notes.resource, LIMITS["resource"])
    if (reference := what.reference) is not None:
        return dict(reference)
    return bounded(what.path, LIMITS["path"])


def _decided(text: str) -> Json | None:
    """What a service told, as far as it is a decision; None for what was cut on its way."""
    try:
        found = orjson.loads(text) if text else None
    except orjson.JSONDecodeError:
        return None
    if not isinstance(found, dict) or not all(isinstance(found.get(each), str) for each in _TEXTS):
        return None
    told: Json = {each: bounded(found[each], LIMITS["reason"]) for each in _TEXTS}
    statement = found.get("statement")
    if isinstance(statement, dict) and isinstance(statement.get("index"), int):
        named = {each: statement[each] for each in _OF_STATEMENT if isinstance(statement.get(each), str)}
        told["statement"] = {"index": statement["index"], **dict.fromkeys(_NEEDED, ""), **named}
    return told
