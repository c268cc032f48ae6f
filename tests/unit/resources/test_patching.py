"""JSON merge patch keeps RFC 7386's own examples, and a diff always leads where it should."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.resources.merge_patch import merge_diff, merge_patch

RFC_7386 = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]

scalars = st.booleans() | st.integers() | st.text(max_size=5)
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
)
objects = st.dictionaries(st.sampled_from("abc"), documents, max_size=3)


@pytest.mark.parametrize(("target", "patch", "expected"), RFC_7386)
def test_the_examples_of_the_rfc(target: Any, patch: Any, expected: Any) -> None:
    assert merge_patch(target, patch) == expected


@given(objects, objects)
def test_a_diff_leads_from_one_to_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert merge_patch(before, merge_diff(before, after)) == after


@given(objects)
def test_no_difference_is_an_empty_patch(document: dict[str, Any]) -> None:
    assert merge_diff(document, document) == {}


Flat = dict[tuple[str, ...], Any]
OBJECT = object()
patches = st.recursive(
    st.none() | scalars | st.lists(scalars, max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
)


def flat(document: Any, path: tuple[str, ...] = ()) -> Flat:
    """Every node by its place; objects are only a mark."""
    if not isinstance(document, dict):
        return {path: document}
    found: Flat = {path: OBJECT}
    for name, each in document.items():
        found |= flat(each, (*path, name))
    return found


@given(objects, st.dictionaries(st.sampled_from("abc"), patches, max_size=3))
def test_merging_agrees_with_a_flat_model(target: dict[str, Any], patch: dict[str, Any]) -> None:
    model = flat(target)
    for path, value in sorted(flat(patch).items(), key=lambda node: len(node[0])):
        if value is OBJECT and model.get(path) is OBJECT:
            continue
        model = {place: each for place, each in model.items() if place[: len(path)] != path}
        if value is not None:
            model[path] = value
    assert flat(merge_patch(target, patch)) == model
