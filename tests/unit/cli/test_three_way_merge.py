"""Three-way apply: what must hold for any documents."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cli.resources.three_way_merge import apply_patch, three_way, with_last_applied
from controller.resources.merge_patch import merge_patch

SCALARS = st.one_of(st.booleans(), st.integers(-3, 3), st.text("ab", max_size=2))
KEYS = st.sampled_from(["a", "b", "c", "d"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)
SPECS = st.dictionaries(KEYS, VALUES, max_size=4)


def document(spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "aerekos.cloud/v1", "kind": "Key", "metadata": {"name": "k"}, "spec": spec}


@given(SPECS)
def test_applying_twice_changes_nothing(spec: dict[str, Any]) -> None:
    wanted = document(spec)
    assert apply_patch(wanted, with_last_applied(wanted)) == {}


@given(SPECS, SPECS)
def test_after_an_apply_the_next_finds_nothing_to_do(before: dict[str, Any], after: dict[str, Any]) -> None:
    live = with_last_applied(document(before))
    patch = apply_patch(document(after), live)
    assert apply_patch(document(after), merge_patch(live, patch)) == {}


@given(SPECS, SPECS)
def test_what_others_added_stays(mine: dict[str, Any], later: dict[str, Any]) -> None:
    live = with_last_applied(document(mine))
    live["spec"] = {**live["spec"], "theirs": 1}
    live["status"] = {"phase": "Ready"}
    result = merge_patch(live, apply_patch(document(later), live))
    assert result["spec"]["theirs"] == 1
    assert result["status"] == {"phase": "Ready"}


@given(SPECS, SPECS)
def test_what_only_the_last_apply_had_leaves(before: dict[str, Any], after: dict[str, Any]) -> None:
    live = with_last_applied(document(before))
    result = merge_patch(live, apply_patch(document(after), live))
    assert set(result["spec"]) == set(after)


def test_defaults_filled_in_by_the_server_are_no_change() -> None:
    wanted = {"list": [{"name": "a"}], "deep": {"x": 1}}
    live = {"list": [{"name": "a", "value": ""}], "deep": {"x": 1.0, "y": 2}, "more": True}
    assert three_way(wanted, wanted, live) == {}


def test_true_is_not_one() -> None:
    assert three_way({}, {"a": True}, {"a": 1}) == {"a": True}


def test_null_takes_away() -> None:
    assert three_way({}, {"a": None}, {"a": 1}) == {"a": None}
    assert three_way({}, {"a": None}, {}) == {}


def test_an_annotation_nobody_can_read_counts_as_none() -> None:
    live = document({"a": 1})
    live["metadata"]["annotations"] = {"aerekos.cloud/last-applied": "{not json"}
    assert "spec" not in apply_patch(document({"a": 1}), live)
