"""Server-side apply: what somebody wants, merged into what is there, unless it belongs to somebody else."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from controller.resources.managed_fields.fields import (
    NONE,
    Fields,
    Path,
    child_schema,
    differences,
    fields_of,
    item_element,
    keyed_items,
    shown,
)
from controller.resources.managed_fields.managers import Entry, Manager, Managers, owned_by_others, updated
from crds.errors import Cause, Conflict
from crds.meta import ObjectKey
from crds.schema import Schema


def apply(
    live: dict[str, Any], config: dict[str, Any], schema: Schema, managers: Managers, me: Manager, *, now: str
) -> tuple[dict[str, Any], Managers, dict[Manager, Fields]]:
    """`live` with `config` applied by `me`, the new owners, and the conflicts: fields of others it would change.

    Fields `me` applied before and left out now go, unless others own them too. Conflicts are already settled in
    favour of `me` in what is returned: callers who do not force must refuse.
    """
    wanted = fields_of(config, schema)
    before = managers[me].fields if me in managers else NONE
    merged = merged_config(live, config, schema)
    others = owned_by_others(managers, me)
    pruned = _pruned(merged, before - wanted - others, others | wanted, schema)
    changed, removed = differences(live, pruned, schema)
    conflicts = {
        manager: entry.fields & changed
        for manager, entry in managers.items()
        if manager != me and entry.fields & changed
    }
    after = updated(managers, me, changed, removed, now=now)
    time = managers[me].time if me in managers and before == wanted else now
    after[me] = Entry(wanted, time)
    return pruned, {manager: entry for manager, entry in after.items() if entry.fields}, conflicts


def conflict_error(conflicts: Mapping[Manager, Fields], key: ObjectKey) -> Conflict:
    """409 with one cause for each field, in the words kubectl shows."""
    causes = tuple(
        Cause(shown(path), f"conflict with {manager}", "FieldManagerConflict")
        for manager, fields in sorted(conflicts.items())
        for path in sorted(fields)
    )
    count = f"{len(causes)} conflict{'s' if len(causes) > 1 else ''}"
    told = "\n".join(f"{cause.message}: {cause.field}" for cause in causes)
    return Conflict(f"Apply failed with {count}: {told}", key=key, causes=causes)


def merged_config(live: Any, config: Any, schema: Schema) -> Any:
    """`config` laid over `live`: objects and keyed lists merge, everything else is replaced."""
    if isinstance(config, dict) and isinstance(live, dict) and schema.get("x-kubernetes-map-type") != "atomic":
        merged = dict(live)
        for name, value in config.items():
            merged[name] = merged_config(live.get(name), value, child_schema(schema, name))
        return merged
    theirs, mine = keyed_items(live, schema), keyed_items(config, schema)
    if theirs is None or mine is None:
        return config
    items = schema.get("items") or {}
    merged = {**theirs, **mine}
    for name in theirs.keys() & mine.keys():
        merged[name] = merged_config(theirs[name], mine[name], items)
    return [merged[name] for name in merged_order(list(theirs), list(mine))]


def merged_order(live: Sequence[str], applied: Sequence[str]) -> list[str]:
    """All of both, once: what is applied in its own order, what only is there already behind what it stood behind.

    As structured-merge-diff merges lists: what both have moves to where the applied order wants it.
    """
    merged, wanted = list[str](), deque(applied)
    mine, theirs = set(applied), set(live)
    shared = deque(name for name in applied if name in theirs)
    for name in live:
        if name not in mine:
            merged.append(name)
        elif shared and name == shared[0]:
            shared.popleft()
            while (taken := wanted.popleft()) != name:
                merged.append(taken)
            merged.append(name)
    return [*merged, *wanted]


def _pruned(resource: dict[str, Any], unwanted: Fields, kept: Fields, schema: Schema) -> dict[str, Any]:
    """Without the unwanted places, except those that hold something kept, and the keys of kept items."""
    needed = {path[:length] for path in kept for length in range(1, len(path) + 1)}
    needed |= {(*path, f"f:{key}") for path in needed if path[-1][:2] == "k:" for key in orjson.loads(path[-1][2:])}
    for path in sorted(unwanted - needed, key=len):
        resource = _removed(resource, path, schema)
    return resource


def _removed(value: Any, path: Path, schema: Schema) -> Any:
    """A copy without that place. Objects and keyed lists that become empty by it go too."""
    element, rest = path[0], path[1:]
    if isinstance(value, list):
        return _removed_item(value, element, rest, schema)
    name = element.removeprefix("f:")
    if not isinstance(value, dict) or name not in value:
        return value
    without = {other: each for other, each in value.items() if other != name}
    if not rest:
        return without
    inner = _removed(value[name], rest, child_schema(schema, name))
    if inner in ({}, []) and value[name] not in ({}, []):
        return without
    return {**value, name: inner}


def _removed_item(items: list[Any], element: str, rest: Path, schema: Schema) -> list[Any]:
    result = []
    for item in items:
        if item_element(item, schema) != element:
            result.append(item)
        elif rest:
            result.append(_removed(item, rest, schema.get("items") or {}))
    return result
