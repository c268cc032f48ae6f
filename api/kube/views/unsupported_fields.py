"""Fields that a write to a view would lose: those that somebody set and that what is stored has no place for.

Better refused than answered with "paused", "serviceaccount updated", and nothing done. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from crds.errors import Cause, Invalid
from crds.kind import Kind

Body = dict[str, Any]
_PARTS = (("spec",), ("metadata", "labels"))
# Kept even where it does not show: a service that is switched off shows no copies.
_KEPT = frozenset({"spec.replicas"})
_NOTHING: tuple[Any, ...] = (None, {}, [])


def refuse_losses(kind: Kind[Any], shown: Body, wanted: Body, after: Body) -> None:
    """Raises Invalid naming every field that is another in `wanted` than was `shown`, and that no write changed."""
    found = [each for part in _PARTS for each in lost(_at(shown, part), _at(wanted, part), _at(after, part), part)]
    if found := [each for each in found if each not in _KEPT]:
        causes = tuple(Cause(each, "Forbidden: cannot be set here", "FieldValueForbidden") for each in found)
        told = ", ".join(found)
        name = shown["metadata"]["name"]
        text = (
            f'{kind.resource} "{name}" is invalid: {told}: a {kind.name} is a view here, and has no such thing to set'
        )
        raise Invalid(text, causes=causes)


def lost(shown: Any, wanted: Any, after: Any, path: tuple[str, ...]) -> Iterator[str]:
    """What was taken away and came back is no loss: views fill in what they always show."""
    if wanted in _NOTHING or wanted == shown:
        return
    if isinstance(wanted, dict):
        for name, value in wanted.items():
            yield from lost(_field(shown, name), value, _field(after, name), (*path, name))
    elif _are_alike(shown, wanted, after):
        for index, value in enumerate(wanted):
            yield from lost(shown[index], value, after[index], (*path[:-1], f"{path[-1]}[{index}]"))
    elif after == shown or (after in _NOTHING and shown in _NOTHING):
        yield ".".join(path)


def _are_alike(*lists: Any) -> bool:
    """Whether they are lists of objects, item by item the same ones."""
    return all(isinstance(each, list) and len(each) == len(lists[0]) for each in lists) and all(
        isinstance(item, dict) and item.get("name") == lists[0][index].get("name")
        for each in lists
        for index, item in enumerate(each)
    )


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _at(body: Body, path: tuple[str, ...]) -> Any:
    value: Any = body
    for name in path:
        value = _field(value, name)
    return value
