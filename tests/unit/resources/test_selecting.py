"""Selectors mean what they mean in Kubernetes."""

import pytest

from controller.resources.selectors import by_fields, by_labels, field_at
from crds.errors import BadRequest

RESOURCE = {
    "metadata": {
        "name": "db",
        "namespace": "acme",
        "labels": {"app": "shop", "tier": "db", "a.b/c": "x", "rank": "10"},
    },
    "spec": {"on": True, "items": [{"name": "first"}]},
}


@pytest.mark.parametrize(
    ("selector", "means"),
    [
        ("app=shop", True),
        ("app==shop", True),
        ("app!=shop", False),
        ("missing!=x", True),
        ("app in (shop, other)", True),
        ("app notin (shop)", False),
        ("missing notin (x)", True),
        ("app", True),
        ("!app", False),
        ("!missing,app=shop", True),
        ("app=shop,tier=web", False),
        ("a.b/c=x", True),
        ("app in (shop),tier", True),
        ("rank>9", True),
        ("rank > 9,rank<11", True),
        ("rank>10", False),
        ("missing<5", False),
        ("tier>1", False),
    ],
)
def test_label_selectors(selector: str, means: bool) -> None:
    test = by_labels(selector)
    assert test is not None
    assert test(RESOURCE) is means


@pytest.mark.parametrize(
    "selector", ["=x", "app in shop", "app in (a", "a b", ",", "app=(x)", "rank>many", "rank>", "a/b/c=x", "!-x"]
)
def test_a_selector_that_makes_no_sense_is_refused(selector: str) -> None:
    with pytest.raises(BadRequest, match="unable to parse"):
        by_labels(selector)


def test_an_empty_selector_selects_everything() -> None:
    assert by_labels("") is None
    assert by_fields("", frozenset()) is None


def test_field_selectors_know_only_what_they_are_allowed() -> None:
    allowed = frozenset({"metadata.name", "spec.on"})
    assert by_fields("metadata.name=db", allowed)(RESOURCE)  # type: ignore[misc]
    assert by_fields("metadata.name!=web,spec.on=true", allowed)(RESOURCE)  # type: ignore[misc]
    with pytest.raises(BadRequest, match=r"field label not supported: spec\.items"):
        by_fields("spec.items=1", allowed)


def test_paths_reach_into_lists_and_past_the_end() -> None:
    assert field_at(RESOURCE, "spec.items[0].name") == "first"
    assert field_at(RESOURCE, "spec.items[1].name") is None
    assert field_at(RESOURCE, "spec.nothing.here") is None
