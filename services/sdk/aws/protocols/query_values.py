"""Forms to values: `Tags.member.1.Key=...` by shapes, as the query protocol writes lists, maps and structures.

Parameters that the model does not have are ignored, as AWS does.
Source: Smithy "AWS query protocol"; botocore `serialize.py` QuerySerializer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

from services.sdk.aws.protocols.shapes import ShapeCompiler, ShapeRef
from services.sdk.aws.protocols.text_values import text_reader
from services.sdk.aws.protocols.timestamps import ISO
from services.sdk.aws.protocols.validation import Path, Unreadable, Validation, check_of, deeper

MOST_PARAMETERS, MOST_PARTS = 50_000, 256
_DIGITS = frozenset("0123456789")


class Node:
    """What stands under one prefix: a value, what is below, or both."""

    __slots__ = ("below", "text")

    def __init__(self) -> None:
        self.text: str | None = None
        self.below: dict[str, Node] = {}


Reader = Callable[[Node, Path, Validation], Any]


def form_pairs(text: str) -> list[tuple[str, str]]:
    """Names and values of a form or query, decoded. Raises ValueError."""
    parts = text.split("&", MOST_PARAMETERS)
    if len(parts) > MOST_PARAMETERS:
        raise ValueError(f"more than {MOST_PARAMETERS} parameters")
    pairs = (part.partition("=") for part in parts if part)
    return [(decoded(name), decoded(value)) for name, _, value in pairs]


def decoded(text: str) -> str:
    """Percent-decoded, `+` as a space. Raises ValueError for what is not UTF-8."""
    return unquote_to_bytes(text.replace("+", " ")).decode()


def tree_of(pairs: Iterable[tuple[str, str]]) -> Node:
    """All parameters below one root. Raises Unreadable."""
    root = Node()
    for name, value in pairs:
        node = root
        parts = name.split(".", MOST_PARTS)
        if len(parts) > MOST_PARTS:
            raise Unreadable(f"the name of a parameter has more than {MOST_PARTS} parts")
        for part in parts:
            below = node.below.get(part)
            if below is None:
                below = node.below[part] = Node()
            node = below
        if node.text is not None:
            raise Unreadable(f"{name[:200]} is there more than once")
        node.text = value
    return root


class QueryReaders(ShapeCompiler[Reader]):
    """Compiles readers."""

    def _make(self, ref: ShapeRef) -> Reader:
        if ref.type == "structure":
            return self.structure(ref.members, ref.required)
        if ref.type == "list":
            return self._list(ref)
        if ref.type == "map":
            return self._map(ref)
        scalar = text_reader(ref, ISO)

        def read(node: Node, path: Path, validation: Validation) -> Any:
            if node.text is None:
                raise Unreadable("Unexpected list or structure", path)
            return scalar(node.text, path, validation)

        return read

    def _recursive(self, made: dict[Any, Reader], key: Any) -> Reader:
        return deeper(made, key)

    def structure(self, members: dict[str, ShapeRef], required: tuple[str, ...]) -> Reader:
        """A reader of those members."""
        table = {_parameter(member, name): (name, self.compile(member)) for name, member in members.items()}

        def read(node: Node, path: Path, validation: Validation) -> Any:
            found: dict[str, Any] = {}
            for part, below in node.below.items():
                if (row := table.get(part)) is not None:
                    found[row[0]] = row[1](below, (path, row[0]), validation)
            validation.require(found, required, path)
            return found

        return read

    def _list(self, ref: ShapeRef) -> Reader:
        inner, check = self.compile(ref.element), check_of(ref)
        name = None if ref.flattened else ref.element.location_name or "member"

        def read(node: Node, path: Path, validation: Validation) -> Any:
            found = [inner(each, (path, index), validation) for index, each in enumerate(_numbered(node, name, path))]
            if check is not None:
                check(found, path, validation)
            return found

        return read

    def _map(self, ref: ShapeRef) -> Reader:
        keys, values, check = self.compile(ref.key), self.compile(ref.value), check_of(ref)
        name = None if ref.flattened else "entry"
        key_name, value_name = ref.key.location_name or "key", ref.value.location_name or "value"

        def read(node: Node, path: Path, validation: Validation) -> Any:
            found = {}
            for each in _numbered(node, name, path):
                if key_name not in each.below or value_name not in each.below:
                    raise Unreadable(f"an entry has a {key_name} and a {value_name}", path)
                key = keys(each.below[key_name], (path, "key"), validation)
                found[key] = values(each.below[value_name], (path, str(key)), validation)
            if check is not None:
                check(found, path, validation)
            return found

        return read


def _parameter(member: ShapeRef, name: str) -> str:
    if member.type == "list" and member.flattened and member.element.location_name:
        return member.element.location_name
    return member.location_name or name


def _numbered(node: Node, name: str | None, path: Path) -> list[Node]:
    """What is called 1, 2, 3, ... below, in this order. An empty list is sent as an empty value."""
    if not node.below:
        return _require_empty(node, path)
    if name is not None:
        inner = node.below.get(name)
        if inner is None or len(node.below) > 1:
            raise Unreadable(f"its elements are called {name}.1, {name}.2, ...", path)
        node = inner
    if not all(0 < len(each) <= 9 and _DIGITS.issuperset(each) for each in node.below):
        raise Unreadable("Key must be an integer", path)
    return [node.below[each] for each in sorted(node.below, key=int)]


def _require_empty(node: Node, path: Path) -> list[Node]:
    if node.text:
        raise Unreadable("a list was expected", path)
    return []
