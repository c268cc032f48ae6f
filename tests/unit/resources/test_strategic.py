"""Strategic merge patch: keyed lists merge, directives are obeyed, everything else is an ordinary merge."""

from __future__ import annotations

from typing import Any

import pytest

from controller.resources.strategic_merge import strategic_merge
from crds.errors import BadRequest
from crds.schema import Schema, list_map, list_set

SCHEMA: Schema = {
    "properties": {
        "containers": {"type": "array", "items": {"properties": {"ports": list_map("port")}}, **list_map("name")},
        "finalizers": {"type": "array", **list_set()},
        "args": {"type": "array"},
    }
}
TWO = {"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]}
CASES: list[tuple[str, Any, Any, Any]] = [
    ("null removes", {"x": 1, "y": 2}, {"x": None}, {"y": 2}),
    ("an item merges by its key", TWO, {"containers": [{"name": "b", "image": "2"}]},
     {"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "2"}]}),
    ("a new item is added", {"containers": [{"name": "a"}]}, {"containers": [{"name": "c"}]},
     {"containers": [{"name": "a"}, {"name": "c"}]}),
    ("an item is deleted", TWO, {"containers": [{"name": "a", "$patch": "delete"}]},
     {"containers": [{"name": "b", "image": "1"}]}),
    ("a list is replaced", TWO, {"containers": [{"$patch": "replace"}, {"name": "c"}]},
     {"containers": [{"name": "c"}]}),
    ("an object is replaced", {"m": {"a": 1, "b": 2}}, {"m": {"$patch": "replace", "c": 3}}, {"m": {"c": 3}}),
    ("an object is emptied", {"m": {"a": 1}}, {"m": {"$patch": "delete"}}, {"m": {}}),
    ("inner keyed lists merge", {"containers": [{"name": "a", "ports": [{"port": 1, "x": 1}]}]},
     {"containers": [{"name": "a", "ports": [{"port": 1, "x": 2}, {"port": 2}]}]},
     {"containers": [{"name": "a", "ports": [{"port": 1, "x": 2}, {"port": 2}]}]}),
    ("a set grows", {"finalizers": ["a"]}, {"finalizers": ["b", "a"]}, {"finalizers": ["a", "b"]}),
    ("a set shrinks", {"finalizers": ["a", "b"]}, {"$deleteFromPrimitiveList/finalizers": ["a"]},
     {"finalizers": ["b"]}),
    ("other lists are replaced", {"args": [1, 2]}, {"args": [3]}, {"args": [3]}),
    ("only some keys stay", {"type": "x", "x": 1, "y": 2}, {"$retainKeys": ["type", "y"], "type": "y"},
     {"type": "y", "y": 2}),
    ("an order is asked for", TWO, {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}],
                                    "containers": [{"name": "a", "image": "3"}]},
     {"containers": [{"name": "b", "image": "1"}, {"name": "a", "image": "3"}]}),
]  # fmt: skip


@pytest.mark.parametrize(("promise", "target", "patch", "expected"), CASES, ids=[case[0] for case in CASES])
def test_strategic_merge(promise: str, target: Any, patch: Any, expected: Any) -> None:
    before = repr(target)
    assert strategic_merge(target, patch, SCHEMA) == expected
    assert repr(target) == before, promise


def test_an_item_without_its_key_is_refused() -> None:
    with pytest.raises(BadRequest, match="merge key: name"):
        strategic_merge(TWO, {"containers": [{"image": "2"}]}, SCHEMA)
