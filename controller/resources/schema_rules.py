"""Whether a schema is structural: says of each place what may be there, so that it can be pruned, defaulted, owned.

Source: Kubernetes "CustomResourceDefinition", specifying a structural schema; apiextensions `structural-schema`
validation.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from controller.kit.patterns import Work, WorkSpent
from controller.resources.schema_words import EMBEDDED, MAP_TYPE, RULES, TYPES, word_faults
from controller.resources.structural_schema import faults, pruned, with_defaults
from crds.errors import Cause
from crds.schema import INT_OR_STRING, LIST_KEYS, LIST_TYPE, PRESERVE, Schema

MOST_CAUSES = 50
_STRUCTURE = ("type", "title", "description", "default", "nullable", "additionalProperties", INT_OR_STRING, PRESERVE,
              EMBEDDED, LIST_TYPE, LIST_KEYS, MAP_TYPE, RULES)  # fmt: skip
_CHOICES = ("allOf", "anyOf", "oneOf")
_NUMBER_OR_TEXT = [{"type": "integer"}, {"type": "string"}]
_METADATA = ("name", "generateName")


def schema_faults(schema: Schema, path: str, work: Work) -> list[Cause]:
    """Why it is no structural schema for the root of a resource: the first reasons of many."""
    try:
        found = list(islice(word_faults(schema, path, work), MOST_CAUSES))
        return found or list(islice(_all_faults(schema, path, work), MOST_CAUSES))
    except WorkSpent:
        return [Cause(path, "Too long: it would take too long to check", "FieldValueTooLong")]


def _all_faults(schema: Schema, path: str, work: Work) -> Iterator[Cause]:
    if schema.get("type") != "object":
        yield _wrong(f"{path}.type", schema.get("type"), "must be object at the root")
    if schema.get("nullable"):
        yield _forbidden(f"{path}.nullable", "cannot be true at the root")
    if "additionalProperties" in schema:
        yield _forbidden(f"{path}.additionalProperties", "must not be used at the root")
    yield from _place_faults(schema, path, work, root=True)


def _place_faults(schema: Schema, path: str, work: Work, *, root: bool = False) -> Iterator[Cause]:
    """Of a schema that says what is at a place, and of all below it."""
    yield from _type_faults(schema, path)
    yield from _object_faults(schema, path)
    yield from _array_faults(schema, path)
    if root or schema.get(EMBEDDED):
        yield from _implicit_faults(schema.get("properties") or {}, f"{path}.properties")
    yield from _choice_faults(schema, path, schema)
    yield from _rule_faults(schema, path)
    if "default" in schema:
        yield from _default_faults(schema, path, work, root=root)
    for name, below in (schema.get("properties") or {}).items():
        if not ((root or schema.get(EMBEDDED)) and name in ("apiVersion", "kind", "metadata")):
            yield from _place_faults(below, f"{path}.properties[{name}]", work)
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            yield from _place_faults(schema[word], f"{path}.{word}", work)


def _type_faults(schema: Schema, path: str) -> Iterator[Cause]:
    sort = schema.get("type")
    if not sort and not schema.get(INT_OR_STRING) and not schema.get(PRESERVE):
        yield Cause(f"{path}.type", "Required value: must not be empty for specified fields", "FieldValueRequired")
    elif sort and schema.get(INT_OR_STRING):
        yield _wrong(f"{path}.type", sort, f"must be empty if {INT_OR_STRING} is true")
    elif sort and sort not in TYPES:
        yield Cause(f"{path}.type", f'Unsupported value: "{sort}": supported values: {", ".join(TYPES)}',
                    "FieldValueNotSupported")  # fmt: skip
    if schema.get(PRESERVE) is False:
        yield _wrong(f"{path}.{PRESERVE}", False, "must be true or undefined")


def _object_faults(schema: Schema, path: str) -> Iterator[Cause]:
    sort, more = schema.get("type"), schema.get("additionalProperties")
    if "properties" in schema and more is not None:
        yield _forbidden(f"{path}.additionalProperties", "additionalProperties and properties are mutual exclusive")
    if more is False:
        yield _forbidden(f"{path}.additionalProperties", "cannot be set to false")
    if schema.get(EMBEDDED):
        if sort != "object":
            yield _wrong(f"{path}.type", sort, f"must be object if {EMBEDDED} is true")
        if not schema.get(PRESERVE) and not schema.get("properties"):
            yield Cause(f"{path}.properties", f"Required value: if {EMBEDDED} is true without {PRESERVE}",
                        "FieldValueRequired")  # fmt: skip
    if (shape := schema.get(MAP_TYPE)) is not None:
        if shape not in ("granular", "atomic"):
            yield _wrong(f"{path}.{MAP_TYPE}", shape, "must be granular or atomic")
        if sort != "object":
            yield _wrong(f"{path}.type", sort, f"must be object if {MAP_TYPE} is specified")


def _array_faults(schema: Schema, path: str) -> Iterator[Cause]:
    items, order = schema.get("items"), schema.get(LIST_TYPE)
    if schema.get("type") == "array" and items is None:
        yield Cause(f"{path}.items", "Required value: must be specified", "FieldValueRequired")
    if schema.get("uniqueItems"):
        yield _forbidden(f"{path}.uniqueItems", f"cannot be set to true; use {LIST_TYPE}: set")
    if order is not None and order not in ("atomic", "set", "map"):
        yield _wrong(f"{path}.{LIST_TYPE}", order, "must be atomic, set or map")
    if order is not None and schema.get("type") != "array":
        yield _wrong(f"{path}.type", schema.get("type"), f"must be array if {LIST_TYPE} is specified")
    if LIST_KEYS in schema and order != "map":
        yield _wrong(f"{path}.{LIST_TYPE}", order, f"must be map if {LIST_KEYS} is specified")
    if order in ("set", "map") and items is not None and items.get("nullable"):
        yield _forbidden(f"{path}.items.nullable", f"cannot be nullable when {LIST_TYPE} is {order}")
    if order == "set" and items is not None:
        yield from _set_faults(items, f"{path}.items")
    if order == "map":
        yield from _key_faults(schema, items or {}, path)


def _set_faults(items: Schema, path: str) -> Iterator[Cause]:
    if items.get("type") == "object" and items.get(MAP_TYPE) != "atomic":
        yield _wrong(f"{path}.{MAP_TYPE}", items.get(MAP_TYPE), "must be atomic as item of a list of type set")
    if items.get("type") == "array" and items.get(LIST_TYPE) not in (None, "atomic"):
        yield _wrong(f"{path}.{LIST_TYPE}", items[LIST_TYPE], "must be atomic as item of a list of type set")


def _key_faults(schema: Schema, items: Schema, path: str) -> Iterator[Cause]:
    keys = schema.get(LIST_KEYS) or []
    if not keys:
        yield Cause(f"{path}.{LIST_KEYS}", f"Required value: must not be empty if {LIST_TYPE} is map",
                    "FieldValueRequired")  # fmt: skip
    if items.get("type") != "object":
        yield _wrong(f"{path}.items.type", items.get("type"), f"must be object if {LIST_TYPE} is map")
    named = items.get("properties") or {}
    for n, key in enumerate(keys):
        at = f"{path}.{LIST_KEYS}[{n}]"
        if key in keys[:n]:
            yield Cause(at, f"Duplicate value: {key}", "FieldValueDuplicate")
        if key not in named:
            yield _wrong(at, key, "entries must all be names of item properties")
        elif named[key].get("type") in ("array", "object"):
            yield _wrong(f"{path}.items.properties[{key}].type", named[key]["type"], "must be a scalar, as a key")
        elif key not in (items.get("required") or ()) and "default" not in named[key]:
            yield Cause(f"{path}.items.properties[{key}].default",
                        f"Required value: this property is in {LIST_KEYS}, so it must have a default or be required",
                        "FieldValueRequired")  # fmt: skip


def _implicit_faults(named: Schema, path: str) -> Iterator[Cause]:
    """Of the fields every resource has: a schema may say no more of them than what a name looks like."""
    for name, sort in (("apiVersion", "string"), ("kind", "string"), ("metadata", "object")):
        given = named.get(name) or {}
        if name in named and given.get("type") not in (sort, None if name == "metadata" else sort):
            yield _wrong(f"{path}[{name}].type", given.get("type"), f"must be {sort}")
        if given.get("nullable"):
            yield _forbidden(f"{path}[{name}].nullable", "cannot be true")
        if "default" in given:
            yield _forbidden(f"{path}[{name}].default", "must not be set")
    metadata = named.get("metadata") or {}
    more = {*metadata} - {"type", "description", "properties", "nullable", "default"}
    more |= {f"properties[{name}]" for name in (metadata.get("properties") or {}) if name not in _METADATA}
    for word in sorted(more):
        why = "must not specify anything other than name and generateName: metadata is the same for all"
        yield _forbidden(f"{path}[metadata].{word}", why)


def _choice_faults(schema: Schema, path: str, core: Schema) -> Iterator[Cause]:
    """Of allOf, anyOf, oneOf and not: they test values, and `core` says what these are."""
    for word in _CHOICES:
        for n, each in enumerate(schema.get(word) or ()):
            if not _says_number_or_text(core, word, schema[word], each):
                yield from _tested_faults(each, f"{path}.{word}[{n}]", core)
    if isinstance(schema.get("not"), dict):
        yield from _tested_faults(schema["not"], f"{path}.not", core)


def _says_number_or_text(core: Schema, word: str, choices: list[Schema], each: Schema) -> bool:
    """The one place where a choice has types: what x-kubernetes-int-or-string means, written out."""
    if not core.get(INT_OR_STRING):
        return False
    return choices == _NUMBER_OR_TEXT if word == "anyOf" else word == "allOf" and each == {"anyOf": _NUMBER_OR_TEXT}


def _tested_faults(schema: Schema, path: str, core: Schema) -> Iterator[Cause]:
    for word in _STRUCTURE:
        if word in schema and not (word == "additionalProperties" and isinstance(schema[word], dict)):
            yield _forbidden(f"{path}.{word}", "must be empty to be structural")
    if schema.get("uniqueItems"):
        yield _forbidden(f"{path}.uniqueItems", "cannot be set to true")
    known = core.get("properties") or {}
    for name, below in (schema.get("properties") or {}).items():
        at, more = f"{path}.properties[{name}]", core.get("additionalProperties")
        if name == "metadata" and below.keys() - {"properties", "required"}:
            yield _forbidden(at, "must not specify anything of metadata")
        if name not in known and not isinstance(more, dict) and not core.get(PRESERVE):
            yield Cause(at, "Required value: must be among the properties outside of allOf, anyOf, oneOf and not",
                        "FieldValueRequired")  # fmt: skip
        yield from _tested_faults(below, at, known.get(name) or _inside(core, "additionalProperties"))
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            yield from _tested_faults(schema[word], f"{path}.{word}", _inside(core, word))
    yield from _choice_faults(schema, path, core)


def _inside(core: Schema, word: str) -> Schema:
    found = core.get(word)
    return found if isinstance(found, dict) else {PRESERVE: True}


def _rule_faults(schema: Schema, path: str) -> Iterator[Cause]:
    for n, each in enumerate(schema.get(RULES) or ()):
        rule = each.get("rule")
        if not isinstance(rule, str) or not rule.strip():
            yield Cause(f"{path}.{RULES}[{n}].rule", "Required value", "FieldValueRequired")


def _default_faults(schema: Schema, path: str, work: Work, *, root: bool) -> Iterator[Cause]:
    if root:
        yield _forbidden(f"{path}.default", "must not be set at the root")
        return
    work.spend(64)
    filled = with_defaults(schema["default"], schema)
    _, unknown = pruned(filled, schema)
    if unknown:
        yield _wrong(f"{path}.default", unknown[0], "must not have unknown fields")
    for each in islice(faults(filled, schema, "", work), 1):
        yield _wrong(f"{path}.default", each.field or "the value", each.message)


def _wrong(field: str, value: Any, why: str) -> Cause:
    return Cause(field, f"Invalid value: {value!r}: {why}")


def _forbidden(field: str, why: str) -> Cause:
    return Cause(field, f"Forbidden: {why}", "FieldValueForbidden")
