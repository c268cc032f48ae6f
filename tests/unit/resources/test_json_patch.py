"""JSON patch keeps RFC 6902's own examples (appendix A), and never changes what it was given."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.resources.json_patch import MOST_OPERATIONS, json_patch
from crds.errors import ApiError, BadRequest, Invalid, TooLarge

APPENDIX_A: list[tuple[Any, list[dict[str, Any]], Any]] = [
    ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"baz": "qux", "foo": "bar"}),
    (
        {"foo": ["bar", "baz"]},
        [{"op": "add", "path": "/foo/1", "value": "qux"}],
        {"foo": ["bar", "qux", "baz"]},
    ),
    ({"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}], {"foo": "bar"}),
    ({"foo": ["bar", "qux", "baz"]}, [{"op": "remove", "path": "/foo/1"}], {"foo": ["bar", "baz"]}),
    (
        {"baz": "qux", "foo": "bar"},
        [{"op": "replace", "path": "/baz", "value": "boo"}],
        {"baz": "boo", "foo": "bar"},
    ),
    (
        {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
        [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
        {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
    ),
    (
        {"foo": ["all", "grass", "cows", "eat"]},
        [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
        {"foo": ["all", "cows", "eat", "grass"]},
    ),
    (
        {"baz": "qux", "foo": ["a", 2, "c"]},
        [{"op": "test", "path": "/baz", "value": "qux"}, {"op": "test", "path": "/foo/1", "value": 2}],
        {"baz": "qux", "foo": ["a", 2, "c"]},
    ),
    (
        {"foo": "bar"},
        [{"op": "add", "path": "/child", "value": {"grandchild": {}}}],
        {"foo": "bar", "child": {"grandchild": {}}},
    ),
    ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}], {"foo": "bar", "baz": "qux"}),
    ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
    (
        {"foo": ["bar"]},
        [{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}],
        {"foo": ["bar", ["abc", "def"]]},
    ),
    ({"a": [1]}, [{"op": "copy", "from": "/a", "path": "/b"}], {"a": [1], "b": [1]}),
    ({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 2}}], {"b": 2}),
    ({"a": 1}, [{"op": "test", "path": "/a", "value": 1.0}], {"a": 1}),
]
REFUSED: list[tuple[Any, Any, type[ApiError]]] = [
    ({"baz": "qux"}, [{"op": "test", "path": "/baz", "value": "bar"}], Invalid),
    ({"foo": "bar"}, [{"op": "add", "path": "/baz/bat", "value": "qux"}], Invalid),
    ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": "10"}], Invalid),
    ({"a": 1}, [{"op": "test", "path": "/a", "value": True}], Invalid),
    ({"a": [1]}, [{"op": "add", "path": "/a/5", "value": 1}], Invalid),
    ({"a": [1]}, [{"op": "remove", "path": "/a/-"}], Invalid),
    ({"a": [1]}, [{"op": "replace", "path": "/a/01", "value": 1}], Invalid),
    ({"a": {}}, [{"op": "remove", "path": "/a/b"}], Invalid),
    ({"a": {}}, [{"op": "replace", "path": "/b", "value": 1}], Invalid),
    ({"a": {"b": 1}}, [{"op": "move", "from": "/a", "path": "/a/b"}], Invalid),
    ({}, [{"op": "frob", "path": "/a"}], BadRequest),
    ({}, [{"op": "add", "path": "/a"}], BadRequest),
    ({}, [{"op": "add", "path": "a", "value": 1}], BadRequest),
    ({}, ["add"], BadRequest),
    ({}, {"op": "add"}, BadRequest),
    ({}, [{"op": "copy", "path": "/a"}], BadRequest),
    ({}, [{"op": "add", "path": "/a", "value": 1}] * (MOST_OPERATIONS + 1), TooLarge),
    ({"a": ["x"]}, [{"op": "copy", "from": "/a", "path": "/a/-"}] * 40, TooLarge),
    (
        {"a": {}},
        [{"op": "copy", "from": "/a", "path": "/a" * n} for n in (2, 3, 5, 9, 17, 33, 65, 129, 257, 513)],
        BadRequest,
    ),
]


@pytest.mark.parametrize(("document", "operations", "expected"), APPENDIX_A)
def test_the_examples_of_the_rfc(document: Any, operations: Any, expected: Any) -> None:
    before = copy.deepcopy(document)
    assert json_patch(document, operations) == expected
    assert document == before


@pytest.mark.parametrize(("document", "operations", "error"), REFUSED)
def test_what_cannot_be_done_is_refused(document: Any, operations: Any, error: type[ApiError]) -> None:
    with pytest.raises(error):
        json_patch(document, operations)


def test_a_copied_value_is_not_shared_with_its_source() -> None:
    patched = json_patch(
        {"a": {"x": 1}},
        [{"op": "copy", "from": "/a", "path": "/b"}, {"op": "replace", "path": "/b/x", "value": 2}],
    )
    assert patched == {"a": {"x": 1}, "b": {"x": 2}}


names = st.sampled_from(["a", "b", "0", "1", "-", "x/y", "m~n"])
values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
pointers = st.lists(names, max_size=3).map(
    lambda parts: "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)
)
operations_ = st.lists(
    st.fixed_dictionaries(
        {
            "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]),
            "path": pointers,
            "from": pointers,
            "value": values,
        }
    ),
    max_size=4,
)


@given(st.dictionaries(names, values, max_size=3), operations_)
def test_a_patch_works_or_is_refused_and_leaves_its_input_alone(document: Any, operations: Any) -> None:
    before = copy.deepcopy(document)
    try:
        json_patch(document, operations)
    except ApiError as error:
        assert error.code in (400, 422)
    assert document == before


@given(st.dictionaries(names, values, max_size=3), pointers, values)
def test_what_was_added_can_be_tested_and_removed(document: Any, path: str, value: Any) -> None:
    add, test = {"op": "add", "path": path, "value": value}, {"op": "test", "path": path, "value": value}
    try:
        patched = json_patch(document, [add])
    except Invalid:
        return
    if not path.endswith("/-") or isinstance(_parent(document, path), dict):
        assert json_patch(patched, [test]) == patched


def _parent(document: Any, path: str) -> Any:
    for part in path.split("/")[1:-1]:
        name = part.replace("~1", "/").replace("~0", "~")
        document = document[int(name)] if isinstance(document, list) else document[name]
    return document
