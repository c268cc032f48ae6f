"""Fields of stored resources that this version does not know: a newer one wrote them, before a rollback.

They are kept where they are, through every write by this version, and given back untouched. What a request brings
that was not there before is judged as ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

Location = tuple[str | int, ...]
_ABSENT = object()


class UnknownField(NamedTuple):
    """One field, and what is in it."""

    location: Location
    value: Any


def inherited(body: Any, stored: Any, locations: Iterable[Location]) -> list[UnknownField]:
    """Unknown fields of `body` that say what they said in `stored` already."""
    found = [(each, _at(body, each)) for each in locations]
    return [UnknownField(each, value) for each, value in found if value is not _ABSENT and value == _at(stored, each)]


def restored(body: dict[str, Any], fields: Sequence[UnknownField]) -> dict[str, Any]:
    """`body` with those fields again, wherever the object they were in is still there. Shares what is unchanged."""
    for field in fields:
        body = _with(body, field.location, field.value)
    return body


def lost(stored: Any, written: Any, locations: Iterable[Location]) -> list[UnknownField]:
    """The unknown fields of `stored` that are not in `written`, which was made by somebody who cannot know of them.

    In a list whose length has changed nobody can tell which item was which: there, nothing is found.
    """
    fields = []
    for location in locations:
        value = _at(stored, location)
        if value is not _ABSENT and _at(written, location) is _ABSENT and _same_lists(stored, written, location):
            fields.append(UnknownField(location, value))
    return fields


def _at(value: Any, location: Location) -> Any:
    for part in location:
        if isinstance(part, int):
            if not isinstance(value, list) or part >= len(value):
                return _ABSENT
            value = value[part]
        elif isinstance(value, dict) and part in value:
            value = value[part]
        else:
            return _ABSENT
    return value


def _with(body: Any, location: Location, value: Any) -> Any:
    part, rest = location[0], location[1:]
    if isinstance(part, int):
        if not isinstance(body, list) or part >= len(body):
            return body
        return [*body[:part], _with(body[part], rest, value) if rest else value, *body[part + 1 :]]
    if not isinstance(body, dict) or (rest and part not in body):
        return body
    return {**body, part: _with(body[part], rest, value) if rest else value}


def _same_lists(stored: Any, written: Any, location: Location) -> bool:
    for end, part in enumerate(location):
        if isinstance(part, int):
            before, after = _at(stored, location[:end]), _at(written, location[:end])
            if not isinstance(after, list) or len(before) != len(after):
                return False
    return True
