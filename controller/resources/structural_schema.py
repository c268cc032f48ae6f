"""Structural schemas at work: unknown fields go, defaults come, and what breaks the schema is named.

For kinds defined at runtime. Source: Kubernetes "CustomResourceDefinition", structural schemas, pruning, defaulting
and nullable. Rules in the CEL language (`x-kubernetes-validations`) are not carried out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from controller.kit.patterns import PatternError, Work, WorkSpent, found_in
from controller.resources.formats import format_fault
from controller.resources.json_patch import same
from crds.errors import Cause
from crds.schema import INT_OR_STRING, LIST_KEYS, LIST_TYPE, PRESERVE, Schema

_EMBEDDED = "x-kubernetes-embedded-resource"
_IMPLICIT = frozenset({"apiVersion", "kind", "metadata"})
NEW: Any = object()
"""What stood before where nothing stood."""
_STEPS_PER_VALUE = 32  # of `Work`: looking at one value costs about as much as so many steps of a search


def pruned(value: Any, schema: Schema, path: str = "", *, root: bool = False) -> tuple[Any, list[str]]:
    """A copy without fields the schema does not know, and the paths of those."""
    if isinstance(value, dict):
        return _pruned_object(value, schema, path, root=root)
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        kept, unknown = [], []
        for index, item in enumerate(value):
            clean, gone = pruned(item, schema["items"], f"{path}[{index}]")
            kept.append(clean)
            unknown += gone
        return kept, unknown
    return value, []


def _pruned_object(value: dict[str, Any], schema: Schema, path: str, *, root: bool) -> tuple[Any, list[str]]:
    properties, more = schema.get("properties") or {}, schema.get("additionalProperties")
    keeps_all = bool(schema.get(PRESERVE)) or more is True
    implicit = _IMPLICIT if root or schema.get(_EMBEDDED) else frozenset()
    kept: dict[str, Any] = {}
    unknown: list[str] = []
    for name, each in value.items():
        where = f"{path}.{name}" if path else name
        below = properties.get(name, more if isinstance(more, dict) else None)
        if name in implicit or (below is None and keeps_all):
            kept[name] = each
        elif below is None:
            unknown.append(where)
        else:
            kept[name], gone = pruned(each, below, where)
            unknown += gone
    return kept, unknown


def with_defaults(value: Any, schema: Schema) -> Any:
    """A copy in which absent fields have their defaults. A null where none may be counts as absent."""
    if isinstance(value, dict):
        properties, more = schema.get("properties") or {}, schema.get("additionalProperties")
        filled: dict[str, Any] = {}
        for name, each in value.items():
            known = properties.get(name, more if isinstance(more, dict) else None)
            below = known or {}
            if each is not None or known is None or below.get("nullable"):
                filled[name] = with_defaults(each, below)
        for name, below in properties.items():
            if name not in filled and "default" in below:
                filled[name] = with_defaults(below["default"], below)
        return filled
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [with_defaults(each, schema["items"]) for each in value]
    return value


def faults(
    value: Any, schema: Schema, path: str = "", work: Work | None = None, *, old: Any = NEW
) -> Iterator[Cause]:
    """Everything in which `value` breaks the schema; also that it would take too long to find out.

    With `old`, what stood there before, what is the same as before breaks nothing: a schema may have become tighter
    since. Source: Kubernetes "Validation ratcheting".
    """
    try:
        yield from _faults(value, schema, path, work or Work(), old)
    except WorkSpent as spent:
        yield Cause(path, f"Too long: {spent}", "FieldValueTooLong")


def _faults(value: Any, schema: Schema, path: str, work: Work, old: Any = NEW) -> Iterator[Cause]:
    work.spend(_STEPS_PER_VALUE * (1 + len(schema.get("enum") or ())))
    if old is not NEW and same(value, old):
        return
    if value is None:
        if not schema.get("nullable") and schema.get("type"):
            yield Cause(path, f"Invalid value: null: must be of type {schema['type']}", "FieldValueTypeInvalid")
        return
    if wrong := _type_fault(value, schema):
        yield Cause(path, f"Invalid value: {_shown(value)}: {wrong}", "FieldValueTypeInvalid")
        return
    if "enum" in schema and not any(same(value, each) for each in schema["enum"]):
        supported = ", ".join(_shown(each) for each in schema["enum"])
        yield Cause(
            path, f"Unsupported value: {_shown(value)}: supported values: {supported}", "FieldValueNotSupported"
        )
    for wrong in _value_faults(value, schema, work):
        yield Cause(path, f"Invalid value: {_shown(value)}: {wrong}")
    yield from _choice_faults(value, schema, path, work, old)
    if isinstance(value, dict):
        yield from _object_faults(value, schema, path, work, old if isinstance(old, dict) else {})
    elif isinstance(value, list):
        yield from _list_faults(value, schema, path, work, _by_key(old, schema))


def _type_fault(value: Any, schema: Schema) -> str:
    wanted = schema.get("type")
    if schema.get(INT_OR_STRING):
        ok = isinstance(value, str) or _is_integer(value)
        return "" if ok else "must be an integer or a string"
    fits = {
        "object": isinstance(value, dict),
        "array": isinstance(value, list),
        "string": isinstance(value, str),
        "boolean": isinstance(value, bool),
        "integer": _is_integer(value),
        "number": isinstance(value, int | float) and not isinstance(value, bool),
    }
    return "" if wanted is None or fits.get(wanted, True) else f"must be of type {wanted}"


def _is_integer(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, float) and value.is_integer()
    )


def _value_faults(value: Any, schema: Schema, work: Work) -> Iterator[str]:
    if isinstance(value, str):
        yield from _size_faults(len(value), schema, "minLength", "maxLength", "characters")
        if (pattern := schema.get("pattern")) and not _matches(pattern, value, work):
            yield f"should match '{pattern}'"
        if wrong := format_fault(schema.get("format"), value):
            yield wrong
    elif isinstance(value, dict):
        yield from _size_faults(len(value), schema, "minProperties", "maxProperties", "properties")
    elif isinstance(value, list):
        yield from _size_faults(len(value), schema, "minItems", "maxItems", "items")
    elif not isinstance(value, bool):
        yield from _number_faults(value, schema)


def _size_faults(size: int, schema: Schema, least: str, most: str, what: str) -> Iterator[str]:
    if least in schema and size < schema[least]:
        yield f"should have at least {schema[least]} {what}"
    if most in schema and size > schema[most]:
        yield f"should have at most {schema[most]} {what}"


def _number_faults(value: float, schema: Schema) -> Iterator[str]:
    low, high, step = schema.get("minimum"), schema.get("maximum"), schema.get("multipleOf")
    if low is not None and (value < low or (schema.get("exclusiveMinimum") and value == low)):
        yield f"should be greater than {'' if schema.get('exclusiveMinimum') else 'or equal to '}{low}"
    if high is not None and (value > high or (schema.get("exclusiveMaximum") and value == high)):
        yield f"should be less than {'' if schema.get('exclusiveMaximum') else 'or equal to '}{high}"
    if step and value % step:
        yield f"should be a multiple of {step}"


def _choice_faults(value: Any, schema: Schema, path: str, work: Work, old: Any) -> Iterator[Cause]:
    for each in schema.get("allOf") or ():
        yield from _faults(value, each, path, work, old)
    if (choices := schema.get("anyOf")) and all(any(_faults(value, each, path, work)) for each in choices):
        yield Cause(path, f"Invalid value: {_shown(value)}: must match at least one of the schemas (anyOf)")
    if (choices := schema.get("oneOf")) and sum(not any(_faults(value, each, path, work)) for each in choices) != 1:
        yield Cause(path, f"Invalid value: {_shown(value)}: must match exactly one of the schemas (oneOf)")
    if isinstance(schema.get("not"), dict) and not any(_faults(value, schema["not"], path, work)):
        yield Cause(path, f"Invalid value: {_shown(value)}: must not match the schema (not)")


def _object_faults(
    value: dict[str, Any], schema: Schema, path: str, work: Work, old: dict[str, Any]
) -> Iterator[Cause]:
    properties, more = schema.get("properties") or {}, schema.get("additionalProperties")
    if schema.get(_EMBEDDED):
        yield from _embedded_faults(value, path)
    for name in schema.get("required") or ():
        if name not in value:
            yield Cause(_below(path, name), "Required value", "FieldValueRequired")
    for name, each in value.items():
        below = properties.get(name, more)
        if isinstance(below, dict):
            yield from _faults(each, below, _below(path, name), work, old.get(name, NEW))


def _embedded_faults(value: dict[str, Any], path: str) -> Iterator[Cause]:
    """A resource in a resource is one: it says of what kind it is."""
    for name in ("apiVersion", "kind"):
        if name not in value:
            yield Cause(_below(path, name), "Required value: must not be empty", "FieldValueRequired")
        elif not isinstance(value[name], str) or not value[name]:
            yield Cause(
                _below(path, name), f"Invalid value: {_shown(value[name])}: must be a string and not be empty"
            )


def _list_faults(
    value: list[Any], schema: Schema, path: str, work: Work, before: dict[bytes, Any]
) -> Iterator[Cause]:
    seen: set[bytes] = set()
    for index, item in enumerate(value):
        identity = _identity(item, schema)
        if isinstance(schema.get("items"), dict):
            old = before.get(_spelled(identity), NEW) if before else NEW
            yield from _faults(item, schema["items"], f"{path}[{index}]", work, old)
        if identity is None:
            continue
        if (spelled := _spelled(identity)) in seen:
            yield Cause(f"{path}[{index}]", f"Duplicate value: {_shown(identity)}", "FieldValueDuplicate")
        seen.add(spelled)


def _by_key(old: Any, schema: Schema) -> dict[bytes, Any]:
    """The items that stood there, where keys tell which is which."""
    if schema.get(LIST_TYPE) != "map" or not isinstance(old, list):
        return {}
    return {_spelled(_identity(each, schema)): each for each in old if isinstance(each, dict)}


def _identity(item: Any, schema: Schema) -> Any:
    """What tells items of this list apart; None when two may be the same."""
    if schema.get(LIST_TYPE) == "map" and isinstance(item, dict):
        return {key: item.get(key) for key in schema.get(LIST_KEYS) or ()}
    return item if schema.get(LIST_TYPE) == "set" or schema.get("uniqueItems") else None


def _spelled(value: Any) -> bytes:
    """The same bytes for values that are the same (`json_patch.same`): a set of them is looked up, not walked."""
    return orjson.dumps(_plain(value), option=orjson.OPT_SORT_KEYS)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**63 else value


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _matches(pattern: Any, value: str, work: Work) -> bool:
    try:
        return found_in(pattern, value, work) if isinstance(pattern, str) else True
    except PatternError:
        return True  # kept since before such definitions were refused: a rule that cannot be read refuses nobody


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "object" if isinstance(value, dict) else "array"
    return f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
