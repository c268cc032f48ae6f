"""`metadata.managedFields`: one entry for each manager, operation and subresource, with the fields it set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import orjson

from controller.resources.managed_fields.fields import NONE, Fields, from_fields_v1, to_fields_v1

Operation = Literal["Apply", "Update"]
MOST_UPDATERS = 10
ANCIENT = "ancient-changes"
_SHORT = 4096  # bytes of JSON that are worth remembering


class Manager(NamedTuple):
    """A field manager: who writes, and how. The same program applying and updating counts as two."""

    name: str
    operation: Operation
    api_version: str
    subresource: str = ""

    def __str__(self) -> str:
        below = f" with subresource {self.subresource!r}" if self.subresource else ""
        return f'"{self.name}"{below} using {self.api_version}'


@dataclass(frozen=True, slots=True)
class Entry:
    """The fields of one manager, and when they last became others (RFC 3339)."""

    fields: Fields
    time: str


Managers = Mapping[Manager, Entry]


def read_managers(managed_fields: Sequence[Any]) -> Managers:
    """The entries of `managedFields`. Shared. Raises ValueError for what is not well-formed."""
    text = orjson.dumps(managed_fields)
    # A resource that is written again and again has the same owners each time.
    return _remembered_managers(text) if len(text) <= _SHORT else _managers(text)


def _managers(managed_fields: bytes) -> Managers:
    managers: dict[Manager, Entry] = {}
    for each in orjson.loads(managed_fields):
        if not isinstance(each, dict):
            raise ValueError("each entry of managedFields must be a JSON object")
        operation = each.get("operation")
        if operation not in ("Apply", "Update") or each.get("fieldsType", "FieldsV1") != "FieldsV1":
            raise ValueError("an entry of managedFields needs an operation (Apply or Update) and fieldsType FieldsV1")
        text = orjson.dumps(each.get("fieldsV1") or {})
        fields = _remembered_fields(text) if len(text) <= _SHORT else _fields(text)
        name, version = str(each.get("manager", "")), str(each.get("apiVersion", ""))
        manager = Manager(name, operation, version, str(each.get("subresource", "")))
        managers[manager] = Entry(fields, str(each.get("time", "")))
    return managers


def _fields(fields_v1: bytes) -> Fields:
    try:
        return from_fields_v1(orjson.loads(fields_v1))
    except TypeError as error:
        raise ValueError(str(error)) from error


_remembered_managers = lru_cache(maxsize=1024)(_managers)
# Those of one kind have the same fields, though not since the same time.
_remembered_fields = lru_cache(maxsize=1024)(_fields)


def write_managers(managers: Managers) -> list[dict[str, Any]]:
    """As `managedFields`: appliers first, then by time."""
    order = sorted(managers.items(), key=lambda pair: (pair[0].operation, pair[1].time, pair[0]))
    return [_written(manager, entry) for manager, entry in order if entry.fields]


def owned_by_others(managers: Managers, me: Manager) -> Fields:
    """Everything that somebody but `me` owns."""
    return NONE.union(*(entry.fields for manager, entry in managers.items() if manager != me))


def are_its_own(managers: Managers, me: Manager, fields: Fields) -> bool:
    """Whether `me` owns those fields already, and nobody else does."""
    mine = managers.get(me)
    if mine is None or not fields <= mine.fields:
        return not fields
    return all(entry is mine or fields.isdisjoint(entry.fields) for entry in managers.values())


def updated(managers: Managers, me: Manager, changed: Fields, removed: Fields, *, now: str) -> dict[Manager, Entry]:
    """After `me` changed and removed those fields: the changed ones are its own alone."""
    after: dict[Manager, Entry] = {}
    for manager, entry in managers.items():
        lost = removed if manager == me else removed | changed
        after[manager] = _with(entry, entry.fields - lost, now if manager == me else entry.time)
    mine = after.get(me, Entry(NONE, now))
    after[me] = _with(mine, mine.fields | changed, now)
    return _few({manager: entry for manager, entry in after.items() if entry.fields})


def without(managers: Managers, fields: Fields) -> Managers:
    """The managers, none of which owns those fields any more."""
    return {manager: _with(entry, entry.fields - fields, entry.time) for manager, entry in managers.items()}


def same_ownership(one: Sequence[Any] | None, other: Sequence[Any] | None) -> bool:
    """Whether both say the same, whenever it became so."""
    return _timeless(one) == _timeless(other)


def _timeless(managed_fields: Iterable[Any] | None) -> list[Any]:
    entries = [{name: value for name, value in each.items() if name != "time"} for each in managed_fields or ()]
    return sorted(entries, key=repr)


def _with(entry: Entry, fields: Fields, time: str) -> Entry:
    return entry if fields == entry.fields else Entry(fields, time)


def _few(managers: dict[Manager, Entry]) -> dict[Manager, Entry]:
    """The oldest updaters beyond ten become one, so that objects do not grow with every program that ever wrote."""
    updaters = sorted((m for m in managers if m.operation == "Update"), key=lambda m: managers[m].time)
    if len(updaters) <= MOST_UPDATERS:
        return managers
    old = updaters[: len(updaters) - MOST_UPDATERS + 1]
    ancient = Manager(ANCIENT, "Update", old[-1].api_version)
    fields = NONE.union(*(managers[manager].fields for manager in old))
    kept = {manager: entry for manager, entry in managers.items() if manager not in old}
    return {**kept, ancient: Entry(fields, managers[old[-1]].time)}


def _written(manager: Manager, entry: Entry) -> dict[str, Any]:
    written = {
        "manager": manager.name,
        "operation": manager.operation,
        "apiVersion": manager.api_version,
        "time": entry.time,
        "fieldsType": "FieldsV1",
        "fieldsV1": to_fields_v1(entry.fields),
    }
    if manager.subresource:
        written["subresource"] = manager.subresource
    return written
