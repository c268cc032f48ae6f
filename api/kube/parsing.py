"""Parsing of what clients send into JSON values: from JSON, or from the YAML that says the same."""

from __future__ import annotations

from typing import Any

import orjson
import yaml

from api.kube.duplicate_keys import doubled_in_json, doubled_in_yaml
from controller.resources.depth_limit import MOST_SENT_LEVELS, deeper_than, may_be_deeper_than
from crds.errors import BadRequest, TooLarge

# YAML is read a hundred times slower than JSON, and everybody else waits meanwhile.
YAML_LIMIT = 256 * 1024
_MOST_VALUES = 100_000  # a few lines of aliases can mean billions
_LONGEST_NUMBER = 400
_TOO_DEEP = f"the request body is nested more than {MOST_SENT_LEVELS} levels deep"


def parse_json(body: bytes, doubled: list[str] | None = None) -> Any:
    """Raises BadRequest. `doubled` is told the paths of keys that stand twice, of which the last counts."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the request body cannot be read as JSON: {error}") from error
    if may_be_deeper_than(body, MOST_SENT_LEVELS) and deeper_than(value, MOST_SENT_LEVELS):
        raise BadRequest(_TOO_DEEP)
    if doubled is not None:
        doubled += doubled_in_json(body, value)
    return value


def parse_yaml(body: bytes, doubled: list[str] | None = None) -> Any:
    """Keys become text, as in JSON; `doubled` as there. Raises BadRequest for what JSON cannot say, TooLarge."""
    if len(body) > YAML_LIMIT:
        raise TooLarge(f"as YAML this API takes {YAML_LIMIT // 1024} KiB; send JSON")
    try:
        _check_levels(body)
        return _Plain().value(_load(body, doubled), MOST_SENT_LEVELS)
    except (yaml.YAMLError, ValueError) as error:
        raise BadRequest(f"the request body cannot be read as YAML: {error}") from error


class _InBaseTen:
    """One of YAML's own expressions, but for numbers in base 60 (`1:30`): those take quadratic time, and no client
    means them. A number is short as well, for Python counts long ones in quadratic time too."""

    def __init__(self, expression: Any) -> None:
        self._expression = expression

    def match(self, text: str) -> Any:
        """As the expression's own."""
        return None if ":" in text or len(text) > _LONGEST_NUMBER else self._expression.match(text)


class _Loader(yaml.CSafeLoader):
    """Without times, which JSON does not have, and without `<<`, which copies before anybody can count."""

    yaml_implicit_resolvers = {
        first: [
            (tag, _InBaseTen(word) if tag.endswith((":int", ":float")) else word)
            for tag, word in words
            if not tag.endswith(":timestamp")
        ]
        for first, words in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Leaves `<<` where it is: there is no way to read it, and the client hears so."""


def _load(body: bytes, doubled: list[str] | None) -> Any:
    loader = _Loader(body)
    try:
        root = loader.get_single_node()
        if doubled is not None:
            doubled += doubled_in_yaml(root)
        return loader.construct_document(root) if root is not None else None
    finally:
        loader.dispose()


def _check_levels(body: bytes) -> None:
    """Before anything is built: the builder would not survive it."""
    levels = 0
    for event in yaml.parse(body, yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            levels += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            levels -= 1
        if levels > MOST_SENT_LEVELS:
            raise BadRequest(_TOO_DEEP)


class _Plain:
    """Turns what was built into JSON values, and gives up when it becomes too much."""

    def __init__(self) -> None:
        self._left = _MOST_VALUES

    def value(self, value: Any, levels: int) -> Any:
        self._left -= 1
        if self._left < 0 or levels < 0:
            raise ValueError("its aliases stand for too much")
        if isinstance(value, dict):
            return {_key(name): self.value(each, levels - 1) for name, each in value.items()}
        if isinstance(value, list):
            return [self.value(each, levels - 1) for each in value]
        if value is None or isinstance(value, str | int | float):
            return value
        raise ValueError(f"{type(value).__name__} is nothing JSON can say")


def _key(name: Any) -> str:
    if isinstance(name, str):
        return name
    if isinstance(name, int | float) or name is None:
        return orjson.dumps(name).decode()
    raise ValueError(f"{name!r} cannot be a key in JSON")
