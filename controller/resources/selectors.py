"""Selectors of resources. Labels: `=,==,!=,<,>,in,notin,key,!key`; fields: `=,==,!=` on dotted paths.

Source: apimachinery `labels.Parse` and `fields.ParseSelector`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from controller.resources.selector_parsing import MOST_REQUIREMENTS, Requirement, is_number, parse_requirements
from crds.errors import BadRequest
from crds.names import label_key_fault

Test = Callable[[Mapping[str, Any]], bool]
_DIGITS = frozenset("0123456789")
_LONGEST_INDEX = 6
NOTHING: Mapping[str, str] = MappingProxyType({})


def by_labels(text: str) -> Test | None:
    """A test on a resource for that label selector; None when it selects everything. Raises BadRequest."""
    requirements = [_label_requirement(each) for each in parse_requirements(text or "")]
    if not requirements:
        return None

    def test(resource: Mapping[str, Any]) -> bool:
        labels = resource["metadata"].get("labels") or {}
        return all(each(labels) for each in requirements)

    return test


def by_fields(text: str, allowed: frozenset[str], absent: Mapping[str, str] = NOTHING) -> Test | None:
    """A test on a resource for that field selector; only `allowed` paths. Raises BadRequest.

    `absent`: what the absence of a field at those paths means, where that is not the empty text.
    """
    requirements: list[Test] = []
    for part in filter(None, (text or "").split(",", MOST_REQUIREMENTS)):
        path, operator, value = _field_parts(part)
        if path not in allowed:
            raise BadRequest(f"field label not supported: {path}; use one of {', '.join(sorted(allowed))}")
        requirements.append(_field_requirement(path, operator, value, absent.get(path, "")))
    if not requirements:
        return None
    return lambda resource: all(each(resource) for each in requirements)


def field_at(resource: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path, with `[0]` for list items; None when it is not there."""
    value: Any = resource
    for part in path.replace("[", ".[").split("."):
        if part.startswith("["):
            value = _item_at(value, part[1:].removesuffix("]"))
        else:
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is None:
            return None
    return value


def _item_at(value: Any, index: str) -> Any:
    if not isinstance(value, list) or not index or len(index) > _LONGEST_INDEX or not _DIGITS.issuperset(index):
        return None
    return value[int(index)] if int(index) < len(value) else None


def _label_requirement(wanted: Requirement) -> Test:
    key, values = wanted.key, wanted.values
    if fault := label_key_fault(key):
        raise BadRequest(f"unable to parse label selector: key {key!r}: {fault}")
    match wanted.operator:
        case "!":
            return lambda labels: key not in labels
        case "":
            return lambda labels: key in labels
        case "in" | "=" | "==":
            return lambda labels: labels.get(key) in values
        case "notin" | "!=":
            return lambda labels: labels.get(key) not in values
    return _bound(key, wanted.operator, int(next(iter(values))))


def _bound(key: str, operator: str, number: int) -> Test:
    def test(labels: Mapping[str, Any]) -> bool:
        text = labels.get(key, "")
        if not is_number(text):
            return False
        return int(text) > number if operator == ">" else int(text) < number

    return test


def _field_parts(part: str) -> tuple[str, str, str]:
    for operator in ("!=", "==", "="):
        if operator in part:
            path, _, value = part.partition(operator)
            return path.strip(), operator, value.strip()
    raise BadRequest(f"invalid field selector {part!r}; write path=value or path!=value")


def _field_requirement(path: str, operator: str, value: str, absent: str) -> Test:
    def test(resource: Mapping[str, Any]) -> bool:
        found = field_at(resource, path)
        text = absent if found is None else str(found).lower() if isinstance(found, bool) else str(found)
        return (text != value) if operator == "!=" else (text == value)

    return test
