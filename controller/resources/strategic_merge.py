"""Strategic merge patch: a merge patch that knows which lists are maps. Only for kinds Kubernetes itself has.

Source: kubernetes community `strategic-merge-patch.md`. Lists whose schema names keys are merged by the first of
them, sets by value, all others are replaced. Directives: `$patch`, `$retainKeys`, `$deleteFromPrimitiveList/<f>`,
`$setElementOrder/<f>`.
"""

from __future__ import annotations

from typing import Any

from crds.errors import BadRequest
from crds.schema import LIST_KEYS, LIST_TYPE, Schema

_DIRECTIVE, _RETAIN = "$patch", "$retainKeys"
_DELETE_FROM, _ORDER = "$deleteFromPrimitiveList/", "$setElementOrder/"


def strategic_merge(target: Any, patch: Any, schema: Schema) -> Any:
    """`target` with `patch` laid over it. Neither is changed. Raises BadRequest for a malformed patch."""
    if not isinstance(patch, dict):
        return patch
    directive = patch.get(_DIRECTIVE)
    if directive == "replace":
        return _plain(patch)
    if directive == "delete":
        return {}
    merged = dict(target) if isinstance(target, dict) else {}
    if _RETAIN in patch:
        merged = {name: value for name, value in merged.items() if name in patch[_RETAIN]}
    for name, value in patch.items():
        if name.startswith(_DELETE_FROM):
            field = name.removeprefix(_DELETE_FROM)
            merged[field] = [each for each in merged.get(field) or [] if each not in value]
        elif not name.startswith("$"):
            _merge_field(merged, name, value, _field(schema, name))
    for name, order in patch.items():
        if name.startswith(_ORDER) and isinstance(merged.get(name.removeprefix(_ORDER)), list):
            field = name.removeprefix(_ORDER)
            merged[field] = _ordered(merged[field], order, _key(_field(schema, field)))
    return merged


def _merge_field(merged: dict[str, Any], name: str, value: Any, schema: Schema) -> None:
    if value is None:
        merged.pop(name, None)
    elif isinstance(value, list):
        merged[name] = _merged_list(merged.get(name), value, schema)
    else:
        merged[name] = strategic_merge(merged.get(name), value, schema)


def _merged_list(target: Any, patch: list[Any], schema: Schema) -> list[Any]:
    current = target if isinstance(target, list) else []
    if schema.get(LIST_TYPE) == "set":
        return [*current, *(each for each in patch if each not in current)]
    key = _key(schema)
    if not key:
        return patch
    replaced = any(isinstance(each, dict) and each.get(_DIRECTIVE) == "replace" for each in patch)
    result = [] if replaced else list(current)
    for item in patch:
        _merge_item(result, item, key, schema.get("items", {}))
    return result


def _merge_item(result: list[Any], item: Any, key: str, schema: Schema) -> None:
    if not isinstance(item, dict):
        raise BadRequest("items of a list that is merged by key must be JSON objects")
    if item.get(_DIRECTIVE) == "replace" and key not in item:
        return
    if key not in item:
        raise BadRequest(f"map: {item} does not contain declared merge key: {key}")
    place = next((index for index, each in enumerate(result) if each.get(key) == item[key]), None)
    if item.get(_DIRECTIVE) == "delete":
        if place is not None:
            del result[place]
    elif place is None:
        result.append(strategic_merge({}, item, schema))
    else:
        result[place] = strategic_merge(result[place], item, schema)


def _ordered(items: list[Any], order: list[Any], key: str) -> list[Any]:
    """Items in the asked order; those it does not name stay behind their neighbours."""
    wanted = [each.get(key) if key and isinstance(each, dict) else each for each in order]
    rank = {repr(value): place for place, value in enumerate(wanted)}
    last = -1.0
    places: list[float] = []
    for item in items:
        name = repr(item.get(key) if key and isinstance(item, dict) else item)
        last = rank.get(name, last)
        places.append(last)
    return [item for _, item in sorted(zip(places, items, strict=True), key=lambda pair: pair[0])]


def _key(schema: Schema) -> str:
    keys = schema.get(LIST_KEYS) or [""]
    return str(keys[0])


def _field(schema: Schema, name: str) -> Schema:
    found = (schema.get("properties") or {}).get(name) or schema.get("additionalProperties")
    return found if isinstance(found, dict) else {}


def _plain(patch: Any) -> Any:
    """A patch as a value: without directives."""
    if isinstance(patch, dict):
        return {
            name: _plain(value) for name, value in patch.items() if not name.startswith("$") and value is not None
        }
    if isinstance(patch, list):
        return [_plain(each) for each in patch]
    return patch
