"""The words a schema of a defined kind may be made of, and what each takes: without the rest nothing can be enforced.

Source: JSONSchemaProps of Kubernetes apiextensions.k8s.io/v1, and of those the ones structural schemas allow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from controller.kit.patterns import PatternError, Work, compile_pattern
from crds.errors import Cause
from crds.schema import INT_OR_STRING, LIST_KEYS, LIST_TYPE, PRESERVE, Schema

EMBEDDED, MAP_TYPE, RULES = "x-kubernetes-embedded-resource", "x-kubernetes-map-type", "x-kubernetes-validations"
TYPES = ("array", "boolean", "integer", "number", "object", "string")
STEPS_PER_PATTERN = 4096  # of `Work`: what compiling one costs


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_number(value) and float(value).is_integer()


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _is_schemas(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


_Takes = tuple[Callable[[Any], bool], str]
_TEXT: _Takes = (lambda value: isinstance(value, str), "a string")
_FLAG: _Takes = (lambda value: isinstance(value, bool), "true or false")
_NUMBER: _Takes = (_is_number, "a number")
_COUNT: _Takes = (_is_count, "a whole number")
_TEXTS: _Takes = (_is_texts, "a list of strings")
_SCHEMA: _Takes = (lambda value: isinstance(value, dict), "a schema")
_SCHEMAS: _Takes = (_is_schemas, "a list of schemas")
_ANYTHING: _Takes = (lambda value: True, "")
_BY_NAME: _Takes = (
    lambda value: isinstance(value, dict) and all(isinstance(each, dict) for each in value.values()),
    "an object of schemas",
)
_WORDS: Mapping[str, _Takes] = {
    **dict.fromkeys(("type", "format", "pattern", "title", "description", LIST_TYPE, MAP_TYPE), _TEXT),
    **dict.fromkeys(("nullable", "exclusiveMinimum", "exclusiveMaximum", "uniqueItems"), _FLAG),
    **dict.fromkeys((PRESERVE, EMBEDDED, INT_OR_STRING), _FLAG),
    **dict.fromkeys(("minimum", "maximum", "multipleOf"), _NUMBER),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), _COUNT),
    **dict.fromkeys(("required", LIST_KEYS), _TEXTS),
    **dict.fromkeys(("items", "not"), _SCHEMA),
    **dict.fromkeys(("allOf", "anyOf", "oneOf", RULES), _SCHEMAS),
    **dict.fromkeys(("default", "example", "externalDocs"), _ANYTHING),
    "enum": (lambda value: isinstance(value, list), "a list"),
    "properties": _BY_NAME,
    "additionalProperties": (lambda value: isinstance(value, bool | dict), "true or a schema"),
}
_UNSUPPORTED = frozenset(
    ("$ref", "$schema", "id", "definitions", "dependencies", "patternProperties", "additionalItems")
)


def word_faults(schema: Schema, path: str, work: Work) -> Iterator[Cause]:
    """Words nobody knows, words with the wrong thing, patterns RE2 cannot run. Raises WorkSpent."""
    work.spend(64)
    for word, value in schema.items():
        if word in _UNSUPPORTED:
            yield Cause(f"{path}.{word}", "Forbidden: is not supported in a structural schema", "FieldValueForbidden")
        elif word not in _WORDS:
            yield Cause(f"{path}.{word}", "Invalid value: is no word of a schema; take it out")
        elif not _WORDS[word][0](value):
            yield Cause(f"{path}.{word}", f"Invalid value: must be {_WORDS[word][1]}", "FieldValueTypeInvalid")
    if isinstance(pattern := schema.get("pattern"), str):
        yield from _pattern_faults(pattern, f"{path}.pattern", work)
    for below, place in inner_schemas(schema, path):
        yield from word_faults(below, place, work)


def _pattern_faults(pattern: str, path: str, work: Work) -> Iterator[Cause]:
    work.spend(STEPS_PER_PATTERN + len(pattern))
    try:
        compile_pattern(pattern)
    except PatternError as wrong:
        yield Cause(path, f"Invalid value: {pattern[:200]!r}: {wrong}")


def rules_in(schema: Schema, path: str) -> Iterator[tuple[str, str, str]]:
    """Place, text and type of every expression in CEL."""
    for n, each in enumerate(schema.get(RULES) or ()):
        for word, wanted in (("rule", "BOOL"), ("messageExpression", "STRING")):
            if isinstance(text := each.get(word), str) and text:
                yield f"{path}.{RULES}[{n}].{word}", text, wanted
    for below, place in inner_schemas(schema, path):
        yield from rules_in(below, place)


def inner_schemas(schema: Schema, path: str) -> Iterator[tuple[Schema, str]]:
    """The schemas directly in one, with their places; what is none is left out."""
    for word in ("items", "additionalProperties", "not"):
        if isinstance(below := schema.get(word), dict):
            yield below, f"{path}.{word}"
    for word in ("allOf", "anyOf", "oneOf"):
        if isinstance(choices := schema.get(word), list):
            yield from ((each, f"{path}.{word}[{n}]") for n, each in enumerate(choices) if isinstance(each, dict))
    if isinstance(named := schema.get("properties"), dict):
        yield from ((each, f"{path}.properties[{name}]") for name, each in named.items() if isinstance(each, dict))
