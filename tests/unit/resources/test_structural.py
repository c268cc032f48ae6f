"""Structural schemas: what is pruned, defaulted and refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.resources.structural_schema import faults, pruned, with_defaults
from crds.schema import ANYTHING, list_map, list_set

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "integer", "minimum": 1, "maximum": 9},
        "mode": {"type": "string", "enum": ["fast", "safe"], "default": "safe"},
        "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 4},
        "at": {"type": "string", "format": "date-time"},
        "port": {"x-kubernetes-int-or-string": True},
        "ratio": {"type": "number", "minimum": 0, "exclusiveMinimum": True, "multipleOf": 0.5},
        "maybe": {"type": "string", "nullable": True},
        "open": {"type": "object", **ANYTHING, "properties": {"known": {"type": "integer"}}},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": 2},
        "parts": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "v": {"type": "integer", "default": 7}},
            },
            **list_map("name"),
        },
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2, **list_set()},
        "either": {"type": "object", **ANYTHING, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
        "odd": {"type": "integer", "not": {"enum": [2, 4]}},
        "inner": {"type": "object", "default": {}, "properties": {"deep": {"type": "integer", "default": 3}}},
    },
}
FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({}, "size", "FieldValueRequired"),
    ({"size": "1"}, "size", "FieldValueTypeInvalid"),
    ({"size": True}, "size", "FieldValueTypeInvalid"),
    ({"size": 0}, "size", "FieldValueInvalid"),
    ({"size": 10}, "size", "FieldValueInvalid"),
    ({"size": 1, "mode": "slow"}, "mode", "FieldValueNotSupported"),
    ({"size": 1, "name": "Ab"}, "name", "FieldValueInvalid"),
    ({"size": 1, "name": "abcde"}, "name", "FieldValueInvalid"),
    ({"size": 1, "at": "yesterday"}, "at", "FieldValueInvalid"),
    ({"size": 1, "port": 1.5}, "port", "FieldValueTypeInvalid"),
    ({"size": 1, "ratio": 0}, "ratio", "FieldValueInvalid"),
    ({"size": 1, "ratio": 0.7}, "ratio", "FieldValueInvalid"),
    ({"size": 1, "labels": {"a": 1}}, "labels.a", "FieldValueTypeInvalid"),
    ({"size": 1, "labels": {"a": "", "b": "", "c": ""}}, "labels", "FieldValueInvalid"),
    ({"size": 1, "parts": [{"name": "x"}, {"name": "x"}]}, "parts[1]", "FieldValueDuplicate"),
    ({"size": 1, "parts": [{"name": 1}]}, "parts[0].name", "FieldValueTypeInvalid"),
    ({"size": 1, "tags": ["a", "a"]}, "tags[1]", "FieldValueDuplicate"),
    ({"size": 1, "tags": ["a", "b", "c"]}, "tags", "FieldValueInvalid"),
    ({"size": 1, "either": {}}, "either", "FieldValueInvalid"),
    ({"size": 1, "either": {"a": 1, "b": 1}}, "either", "FieldValueInvalid"),
    ({"size": 1, "odd": 4}, "odd", "FieldValueInvalid"),
    ({"size": 1, "open": []}, "open", "FieldValueTypeInvalid"),
    ({"size": None}, "size", "FieldValueTypeInvalid"),
]
GOOD: list[dict[str, Any]] = [
    {"size": 1},
    {"size": 9.0, "ratio": 1.5, "port": "http"},
    {"size": 1, "port": 80, "maybe": None, "at": "2026-01-02T03:04:05Z"},
    {"size": 1, "open": {"any": [1], "known": 2}, "either": {"b": 0}, "odd": 3, "tags": ["a", "b"]},
]


@pytest.mark.parametrize(("value", "field", "reason"), FAULTS)
def test_a_fault_names_its_field(value: dict[str, Any], field: str, reason: str) -> None:
    assert [(cause.field, cause.reason) for cause in faults(value, SCHEMA)] == [(field, reason)]


@pytest.mark.parametrize("value", GOOD)
def test_what_keeps_the_rules_is_accepted(value: dict[str, Any]) -> None:
    assert list(faults(value, SCHEMA)) == []


def test_unknown_fields_go_and_are_named() -> None:
    value = {"size": 1, "x": 1, "parts": [{"name": "a", "y": 2}], "open": {"any": 1}, "labels": {"free": "z"}}
    clean, unknown = pruned(value, SCHEMA)
    assert unknown == ["x", "parts[0].y"]
    assert clean == {"size": 1, "parts": [{"name": "a"}], "open": {"any": 1}, "labels": {"free": "z"}}


def test_defaults_come_also_below_defaults_and_in_lists() -> None:
    filled = with_defaults({"size": 1, "parts": [{"name": "a"}], "maybe": None, "name": None}, SCHEMA)
    assert filled == {
        "size": 1,
        "mode": "safe",
        "parts": [{"name": "a", "v": 7}],
        "inner": {"deep": 3},
        "maybe": None,
    }


def test_an_embedded_resource_keeps_what_every_resource_has() -> None:
    schema = {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"spec": {"type": "object"}}}
    value = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {}, "other": 1}
    clean, unknown = pruned(value, schema)
    assert (set(clean), unknown) == ({"apiVersion", "kind", "metadata", "spec"}, ["other"])


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 12) | st.text("ab", max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*SCHEMA["properties"], "x"]), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*SCHEMA["properties"], "x"]), anything, max_size=6))
def test_whatever_comes_is_settled_after_one_pass(value: dict[str, Any]) -> None:
    before = copy.deepcopy(value)
    clean, _ = pruned(value, SCHEMA)
    filled = with_defaults(clean, SCHEMA)
    assert value == before
    assert pruned(filled, SCHEMA) == (filled, [])
    assert with_defaults(filled, SCHEMA) == filled
    list(faults(filled, SCHEMA))
