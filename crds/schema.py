"""The structural schema of a kind: what its fields are, in OpenAPI v3 words, with every reference resolved.

One source for everything that needs to know a resource's shape without its model: published documents, field
ownership, and the kinds people define at runtime. Keywords are those of Kubernetes structural schemas.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]
ANYTHING: Schema = {"x-kubernetes-preserve-unknown-fields": True}
LIST_TYPE, LIST_KEYS = "x-kubernetes-list-type", "x-kubernetes-list-map-keys"
PRESERVE = "x-kubernetes-preserve-unknown-fields"
INT_OR_STRING = "x-kubernetes-int-or-string"
_KEPT = (
    "type",
    "format",
    "description",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "required",
    LIST_TYPE,
    LIST_KEYS,
    PRESERVE,
    INT_OR_STRING,
)


def list_map(*keys: str) -> Schema:
    """Given to a pydantic Field as `json_schema_extra`: items of this list are told apart by those keys."""
    return {LIST_TYPE: "map", LIST_KEYS: list(keys)}


def list_set() -> Schema:
    """Given to a pydantic Field as `json_schema_extra`: no item of this list comes twice, and each has its owner."""
    return {LIST_TYPE: "set"}


def schema_of(model: type[BaseModel]) -> Schema:
    """The schema of a pydantic model. Types that contain themselves are cut off where they begin again."""
    whole = model.model_json_schema(by_alias=True)
    return _resolved(whole, whole.get("$defs", {}), ())


def _resolved(node: Mapping[str, Any], definitions: Mapping[str, Any], inside: tuple[str, ...]) -> Schema:
    if reference := node.get("$ref"):
        name = str(reference).rpartition("/")[2]
        if name in inside:
            return dict(ANYTHING)
        target = {**definitions[name], **{word: node[word] for word in ("description", "default") if word in node}}
        return _resolved(target, definitions, (*inside, name))
    if choices := node.get("anyOf") or node.get("oneOf") or node.get("allOf"):
        return _chosen(node, choices, definitions, inside)
    schema: Schema = {word: node[word] for word in _KEPT if word in node}
    _with_exclusive_bounds(schema)
    if "const" in node:
        schema["enum"] = [node["const"]]
    if node.get("default") not in (None, "", [], {}):
        schema["default"] = node["default"]
    if properties := node.get("properties"):
        schema["properties"] = {name: _resolved(each, definitions, inside) for name, each in properties.items()}
    if "items" in node:
        schema["items"] = _resolved(node["items"], definitions, inside)
    more = node.get("additionalProperties")
    if isinstance(more, Mapping):
        schema["additionalProperties"] = _resolved(more, definitions, inside)
    elif more is True or (schema.get("type") == "object" and not properties and more is None):
        schema[PRESERVE] = True
    return schema or dict(ANYTHING)


def _chosen(
    node: Mapping[str, Any], choices: list[Any], definitions: Mapping[str, Any], inside: tuple[str, ...]
) -> Schema:
    """A choice with null is the other choice; int or string has its own word; anything else is left open."""
    real = [each for each in choices if each.get("type") != "null"]
    around = {word: node[word] for word in ("description", LIST_TYPE, LIST_KEYS) if word in node}
    if len(real) == 1:
        return _resolved({**real[0], **around}, definitions, inside)
    if {each.get("type") for each in real} == {"integer", "string"}:
        return {INT_OR_STRING: True, **around}
    return {**ANYTHING, **around}


def _with_exclusive_bounds(schema: Schema) -> None:
    """JSON Schema writes exclusive bounds as numbers, OpenAPI v3.0 as a flag beside the bound."""
    for flag, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        value = schema.get(flag)
        if value is not None and not isinstance(value, bool):
            schema[bound], schema[flag] = value, True
