"""Which resources a selector means. Labels: `=,==,!=,<,>,in,notin,key,!key`; fields: `=,==,!=` on dotted paths.

Source: apimachinery `labels.Parse` and `fields.ParseSelector`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from crds.errors import BadRequest
from crds.names import label_key_fault

Test = Callable[[Mapping[str, Any]], bool]
_NUMBER = re.compile(r"-?[0-9]{1,18}")
_REQUIREMENT = re.compile(
    r"""\s*(?:
        !\s*(?P<absent>[^\s,()=!<>]+)
      | (?P<key>[^\s,()=!<>]+)\s*(?:
            (?P<op>==|=|!=)\s*(?P<value>[^\s,()=!<>]*)
          | (?P<bound><|>)\s*(?P<number>-?[0-9]{1,18})
          | (?P<set>in|notin)\s*\((?P<values>[^()]*)\)
        )?
    )\s*(?:,|$)""",
    re.VERBOSE,
)


def by_labels(text: str) -> Test | None:
    """A test on a resource for that label selector; None when it selects everything. Raises BadRequest."""
    requirements = [_label_requirement(found) for found in _split(text, "label selector")]
    if not requirements:
        return None

    def test(resource: Mapping[str, Any]) -> bool:
        labels = resource["metadata"].get("labels") or {}
        return all(each(labels) for each in requirements)

    return test


def by_fields(text: str, allowed: frozenset[str]) -> Test | None:
    """A test on a resource for that field selector; only `allowed` paths. Raises BadRequest."""
    requirements: list[Test] = []
    for part in filter(None, (text or "").split(",")):
        path, operator, value = _field_parts(part)
        if path not in allowed:
            raise BadRequest(f"field label not supported: {path}; use one of {', '.join(sorted(allowed))}")
        requirements.append(_field_requirement(path, operator, value))
    if not requirements:
        return None
    return lambda resource: all(each(resource) for each in requirements)


def field_at(resource: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path, with `[0]` for list items; None when it is not there."""
    value: Any = resource
    for part in path.replace("[", ".[").split("."):
        if part.startswith("["):
            index = int(part[1:-1])
            value = value[index] if isinstance(value, list) and len(value) > index else None
        else:
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is None:
            return None
    return value


def _split(text: str, what: str) -> list[re.Match[str]]:
    found: list[re.Match[str]] = []
    position = 0
    while position < len(text or ""):
        match = _REQUIREMENT.match(text, position)
        if not match or match.end() == position:
            raise BadRequest(f"unable to parse {what} {text!r} at character {position}")
        found.append(match)
        position = match.end()
    return found


def _label_requirement(found: re.Match[str]) -> Test:
    if fault := label_key_fault(found["absent"] or found["key"]):
        raise BadRequest(f"unable to parse label selector: key {found['absent'] or found['key']!r}: {fault}")
    if found["absent"]:
        absent = found["absent"]
        return lambda labels: absent not in labels
    key = found["key"]
    if found["bound"]:
        return _bound(key, found["bound"], int(found["number"]))
    if found["set"]:
        values = {value.strip() for value in found["values"].split(",")}
        if found["set"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if found["op"] is None:
        return lambda labels: key in labels
    value = found["value"]
    if found["op"] == "!=":
        return lambda labels: labels.get(key) != value
    return lambda labels: labels.get(key) == value


def _bound(key: str, operator: str, number: int) -> Test:
    def test(labels: Mapping[str, Any]) -> bool:
        text = labels.get(key, "")
        if not _NUMBER.fullmatch(text):
            return False
        return int(text) > number if operator == ">" else int(text) < number

    return test


def _field_parts(part: str) -> tuple[str, str, str]:
    for operator in ("!=", "==", "="):
        if operator in part:
            path, _, value = part.partition(operator)
            return path.strip(), operator, value.strip()
    raise BadRequest(f"invalid field selector {part!r}; write path=value or path!=value")


def _field_requirement(path: str, operator: str, value: str) -> Test:
    def test(resource: Mapping[str, Any]) -> bool:
        found = field_at(resource, path)
        text = "" if found is None else str(found).lower() if isinstance(found, bool) else str(found)
        return (text != value) if operator == "!=" else (text == value)

    return test
