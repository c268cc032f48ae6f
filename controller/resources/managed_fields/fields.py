"""Sets of fields: the places of a resource that can have an owner, as Kubernetes FieldsV1 names them.

A path is a tuple of elements: `f:name` for a field, `k:{"name":"A"}` for an item of a list whose items have keys,
`v:"x"` for an item of a set. Lists without either have one owner as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from controller.resources.json_patch import same
from crds.meta import SERVER_OWNED
from crds.schema import LIST_KEYS, LIST_TYPE, Schema

Path = tuple[str, ...]
Fields = frozenset[Path]
NONE: Fields = frozenset()
_ITEM = object()  # the value of a place that only exists: an item of a keyed list

# What the server owns has no other owner: fields of the resource and of its metadata, by the path to them.
_UNOWNED: dict[Path, frozenset[str]] = {
    (): frozenset({"apiVersion", "kind"}),
    ("f:metadata",): SERVER_OWNED | {"name", "namespace", "generateName"},
}
_UNOWNED_PLACES = frozenset((*path, f"f:{name}") for path, names in _UNOWNED.items() for name in names)


def leaves(resource: Mapping[str, Any], schema: Schema) -> dict[Path, Any]:
    """Every place of `resource` that can have an owner, with its value."""
    return {path: value for path, value in _walk(resource, schema, ()) if _can_be_owned(path)}


def fields_of(resource: Mapping[str, Any], schema: Schema) -> Fields:
    """The places of `resource` that can have an owner."""
    return frozenset(leaves(resource, schema))


def differences(old: Mapping[str, Any], new: Mapping[str, Any], schema: Schema) -> tuple[Fields, Fields]:
    """Places whose value is new or another one, and places that are gone."""
    changed: set[Path] = set()
    removed: set[Path] = set()
    _compare(old, new, schema, (), changed, removed)
    return _owned(changed), _owned(removed)


def keyed_items(items: Any, schema: Schema) -> dict[str, Any] | None:
    """The items of a list by their path element; None when the list has one owner as a whole.

    Also None when items lack their key or share one: then nobody can tell them apart.
    """
    sort = schema.get(LIST_TYPE)
    if sort not in ("map", "set") or not isinstance(items, list):
        return None
    named: dict[str, Any] = {}
    for item in items:
        element = item_element(item, schema)
        if element is None or element in named:
            return None
        named[element] = item
    return named


def item_element(item: Any, schema: Schema) -> str | None:
    """The path element of one item of a keyed list or set; None when it has no key."""
    if schema.get(LIST_TYPE) == "set":
        return None if isinstance(item, dict | list) else f"v:{orjson.dumps(item).decode()}"
    keys = schema.get(LIST_KEYS) or ()
    properties = (schema.get("items") or {}).get("properties") or {}
    if not isinstance(item, dict):
        return None
    values = {key: item.get(key, (properties.get(key) or {}).get("default")) for key in sorted(keys)}
    if any(value is None or isinstance(value, dict | list) for value in values.values()):
        return None
    return f"k:{orjson.dumps(values).decode()}"


def child_schema(schema: Schema, name: str) -> Schema:
    """The schema of a field; empty when nothing is known of it."""
    found = (schema.get("properties") or {}).get(name)
    if found is None:
        found = schema.get("additionalProperties")
    return found if isinstance(found, dict) else {}


def to_fields_v1(fields: Iterable[Path]) -> dict[str, Any]:
    """`{"f:spec": {"f:image": {}}}`; a place that is owned itself and has owned places below has a `.`."""
    tree: dict[str, Any] = {}
    for path in sorted(fields):
        node = tree
        for element in path[:-1]:
            node = node.setdefault(element, {})
        node.setdefault(path[-1], {})["."] = {}
    return {element: _without_lonely_dots(below) for element, below in tree.items()}


def from_fields_v1(tree: Mapping[str, Any]) -> Fields:
    """The paths a FieldsV1 names. Raises TypeError when it is none."""
    return frozenset(_paths(tree, ()))


def shown(path: Path) -> str:
    """`.spec.env[name="A"].value`, as conflicts name it."""
    text = ""
    for element in path:
        sort, _, rest = element.partition(":")
        if sort == "f":
            text += f".{rest}"
        elif sort == "k":
            keys = ",".join(f"{key}={orjson.dumps(value).decode()}" for key, value in orjson.loads(rest).items())
            text += f"[{keys}]"
        else:
            text += f"[={rest}]"
    return text


def _walk(value: Any, schema: Schema, path: Path) -> Iterator[tuple[Path, Any]]:
    if _is_tree(value, schema, path):
        for name, each in value.items():
            yield from _walk(each, child_schema(schema, name), (*path, f"f:{name}"))
    elif (items := keyed_items(value, schema)) and path:
        for element, each in items.items():
            yield (*path, element), _ITEM
            if isinstance(each, dict):
                yield from _walk(each, schema.get("items") or {}, (*path, element))
    else:
        yield path, value


def _compare(old: Any, new: Any, schema: Schema, path: Path, changed: set[Path], removed: set[Path]) -> None:
    """Goes down only where something differs: most of a resource stays as it was in most writes."""
    if _is_tree(old, schema, path) and _is_tree(new, schema, path):
        for name in _that_differ(old, new, _UNOWNED.get(path, frozenset())):
            below, at = child_schema(schema, name), (*path, f"f:{name}")
            if name not in new:
                removed.update(place for place, _ in _walk(old[name], below, at))
            elif name not in old:
                changed.update(place for place, _ in _walk(new[name], below, at))
            else:
                _compare(old[name], new[name], below, at, changed, removed)
        return
    if not isinstance(old, dict | list) and not isinstance(new, dict | list):
        changed.add(path)
        return
    before, after = dict(_walk(old, schema, path)), dict(_walk(new, schema, path))
    changed.update(at for at, value in after.items() if at not in before or not same(before[at], value))
    removed.update(before.keys() - after.keys())


def _that_differ(old: dict[str, Any], new: dict[str, Any], but: frozenset[str]) -> list[str]:
    """The fields, without those in `but`, that have another value in `new` or are in one of both alone."""
    found = [n for n, value in old.items() if n not in but and (n not in new or not same(value, new[n]))]
    return [*found, *(new.keys() - old.keys() - but)]


def _is_tree(value: Any, schema: Schema, path: Path) -> bool:
    """Whether its fields have owners of their own."""
    filled = isinstance(value, dict) and (bool(value) or not path)
    return filled and schema.get("x-kubernetes-map-type") != "atomic"


def _owned(paths: Iterable[Path]) -> Fields:
    return frozenset(path for path in paths if _can_be_owned(path))


def _can_be_owned(path: Path) -> bool:
    return path[:2] not in _UNOWNED_PLACES and path[:1] not in _UNOWNED_PLACES


def _without_lonely_dots(node: dict[str, Any]) -> dict[str, Any]:
    if set(node) == {"."}:
        return {}
    return {name: ({} if name == "." else _without_lonely_dots(below)) for name, below in node.items()}


def _paths(tree: Mapping[str, Any], path: Path) -> Iterator[Path]:
    if not isinstance(tree, dict):
        raise TypeError("fieldsV1 must be nested JSON objects")
    if path and (not tree or "." in tree):
        yield path
    for element, below in tree.items():
        if element != ".":
            yield from _paths(below, (*path, element))
