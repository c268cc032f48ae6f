"""Keys that stand twice in one object: JSON and YAML parsers keep the last silently, and one of both was a mistake.

Kubernetes calls them duplicate fields and answers as `fieldValidation` says: an error (Strict), or a warning (Warn).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import orjson
import yaml

_MOST_TOLD, _LONGEST_PATH = 20, 200


def doubled_in_json(text: bytes, value: Any) -> list[str]:
    """The paths (`spec.a`) of keys that stand twice in `text`, whose parsed form is `value`."""
    # What can be written back to the same bytes says nothing twice: most clients send JSON without spaces.
    if orjson.dumps(value) == text.strip():
        return []
    try:
        _load(text, _unique)
    except _DuplicateKey:
        return _first(_in_pairs(_load(text, _Pairs), ""))
    return []


def doubled_in_yaml(root: yaml.Node | None) -> list[str]:
    """The same for a YAML document."""
    return _first(_in_node(root, "", set())) if root is not None else []


class _DuplicateKey(Exception):
    pass


class _Pairs(list[tuple[str, Any]]):
    """An object with all that stands in it."""


def _load(text: bytes, hook: Any) -> Any:
    # Numbers are of no interest, and long ones take long.
    return json.loads(text, object_pairs_hook=hook, parse_int=len, parse_float=len)


def _unique(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) < len(pairs):
        raise _DuplicateKey


def _first(paths: Iterator[str]) -> list[str]:
    """Each once, and not more than somebody would read."""
    found: dict[str, None] = {}
    for path in paths:
        found[path] = None
        if len(found) == _MOST_TOLD:
            break
    return list(found)


def _in_pairs(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, _Pairs):
        yield from _repeated((name for name, _ in value), path)
        for name, each in value:
            yield from _in_pairs(each, _below(path, name))
    elif isinstance(value, list):
        for n, each in enumerate(value):
            yield from _in_pairs(each, _joined(path, f"[{n}]"))


def _in_node(node: yaml.Node, path: str, seen: set[int]) -> Iterator[str]:
    """Each node once: aliases may stand for billions."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        yield from _repeated((key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)), path)
        for key, each in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else "?"
            yield from _in_node(each, _below(path, name), seen)
    elif isinstance(node, yaml.SequenceNode):
        for n, each in enumerate(node.value):
            yield from _in_node(each, _joined(path, f"[{n}]"), seen)


def _repeated(names: Iterable[str], path: str) -> Iterator[str]:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            yield _below(path, name)
        seen.add(name)


def _below(path: str, name: str) -> str:
    return _joined(path, f".{name[:_LONGEST_PATH]}" if path else name)


def _joined(path: str, part: str) -> str:
    """Never long: it is made for every value there is."""
    return (path + part[:_LONGEST_PATH])[:_LONGEST_PATH]
