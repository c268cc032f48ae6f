"""Any schema is structural or told why not, and with one that is, any value is judged."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

from controller.kit.patterns import Work
from controller.resources.schema_rules import MOST_CAUSES, schema_faults
from controller.resources.schema_words import TYPES, inner_schemas
from controller.resources.structural_schema import faults, pruned, with_defaults

SCALARS = some.none() | some.booleans() | some.integers(-5, 5) | some.floats(allow_nan=False) | some.text(max_size=4)
VALUES = some.recursive(
    SCALARS, lambda each: some.lists(each, max_size=3) | some.dictionaries(some.sampled_from("abc"), each, max_size=3)
)
WORDS: dict[str, some.SearchStrategy[Any]] = {
    "type": some.sampled_from([*TYPES, "strin"]),
    "default": VALUES,
    "enum": some.lists(SCALARS, max_size=3),
    "required": some.lists(some.sampled_from("abc"), max_size=2),
    "nullable": some.booleans(),
    "pattern": some.sampled_from(["^a+$", "("]),
    "format": some.sampled_from(["ipv4", "date-time", "ours"]),
    "minLength": some.integers(0, 3),
    "maxItems": some.integers(0, 3),
    "minimum": some.floats(allow_nan=False, allow_infinity=False),
    "multipleOf": some.integers(0, 3),
    "x-kubernetes-preserve-unknown-fields": some.booleans(),
    "x-kubernetes-int-or-string": some.booleans(),
    "x-kubernetes-embedded-resource": some.booleans(),
    "x-kubernetes-list-type": some.sampled_from(["atomic", "set", "map"]),
    "x-kubernetes-list-map-keys": some.lists(some.sampled_from("abc"), max_size=2),
    "x-kubernetes-map-type": some.sampled_from(["granular", "atomic"]),
}


def schemas(below: some.SearchStrategy[Any]) -> some.SearchStrategy[Any]:
    named = some.dictionaries(some.sampled_from(["a", "b", "c", "metadata", "kind"]), below, max_size=3)
    deeper = {"items": below, "properties": named, "additionalProperties": below | some.booleans(), "not": below,
              **dict.fromkeys(("allOf", "anyOf", "oneOf"), some.lists(below, max_size=2))}  # fmt: skip
    return some.fixed_dictionaries({}, optional={**WORDS, **deeper})


LIKE_SCHEMAS = some.recursive(some.fixed_dictionaries({}, optional=WORDS), schemas, max_leaves=8)
GOOD = some.sampled_from([{"type": each} for each in TYPES if each != "array"])
STRUCTURAL = some.recursive(
    GOOD,
    lambda below: (
        some.builds(lambda items: {"type": "array", "items": items}, below)
        | some.builds(
            lambda named: {"type": "object", "properties": named},
            some.dictionaries(some.sampled_from("abc"), below, max_size=3),
        )
    ),
)


@settings(max_examples=60)
@given(LIKE_SCHEMAS | some.dictionaries(some.sampled_from([*WORDS, "items", "properties", "anyOf"]), VALUES))
def test_any_schema_is_structural_or_told_why_not(schema: dict[str, Any]) -> None:
    found = schema_faults(schema, "s", Work())
    assert len(found) <= MOST_CAUSES
    assert all(each.field.startswith("s") and each.message for each in found)


@settings(max_examples=60)
@given(LIKE_SCHEMAS, VALUES, VALUES)
def test_with_a_structural_schema_any_value_is_judged(schema: dict[str, Any], value: Any, old: Any) -> None:
    root = {**schema, "type": "object"}
    if schema_faults(root, "s", Work()):
        root = {"type": "object", "properties": {}}
    filled = with_defaults(pruned(value, root)[0], root)
    assert len(list(faults(filled, root, old=old))) <= len(list(faults(filled, root)))
    assert list(faults(filled, root, old=filled)) == []


@settings(max_examples=30)
@given(STRUCTURAL)
def test_plain_schemas_are_structural(schema: dict[str, Any]) -> None:
    assert schema_faults({"type": "object", "properties": {"spec": schema}}, "s", Work()) == []
    assert all(place.startswith("s.") for _, place in inner_schemas(schema, "s"))
