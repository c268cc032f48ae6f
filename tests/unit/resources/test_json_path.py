"""Paths of printer columns: every form Kubernetes understands, a reason for what is none, and bounded work."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from controller.resources.json_path import LONGEST_PATH, JsonPathError, compile_path, parse

THING: dict[str, Any] = {
    "metadata": {"labels": {"a.b/c": "web", "a.b": "dotted", "it's": "quoted"}},
    "spec": {
        "items": [{"name": "one", "v": 1}, {"name": "two", "v": 2, "on": True}, {"name": "three", "v": 3.5}],
        "want": "two",
        "by": {"x": {"name": "deep"}},
    },
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.want", ["two"]),
        ("spec.want", ["two"]),
        ("$.spec.want", ["two"]),
        (".spec.items[*].name", ["one", "two", "three"]),
        (".spec.items[0].name", ["one"]),
        (".spec.items.[0].name", ["one"]),
        (".spec.items[-1].name", ["three"]),
        (".spec.items[-1:].name", ["three"]),
        (".spec.items[0:1].name", ["one"]),
        (".spec.items[:2].name", ["one", "two"]),
        (".spec.items[::2].name", ["one", "three"]),
        (".spec.items[0,2].name", ["one", "three"]),
        (".spec.items[9].name", []),
        (".spec.by.*.name", ["deep"]),
        (".spec..name", ["one", "two", "three", "deep"]),
        (r".metadata.labels['a\.b/c']", ["web"]),
        (".metadata.labels['a.b/c']", ["web"]),
        ('.metadata.labels["a.b/c"]', ["web"]),
        (r".metadata.labels['it\'s']", ["quoted"]),
        (r".metadata.labels.a\.b", ["dotted"]),
        (r".metadata.labels.a\.b/c", ["web"]),
        ("['spec']['want']", ["two"]),
        ('.spec.items[?(@.name=="two")].v', [2]),
        (".spec.items[?(@.name=='two')].v", [2]),
        (".spec.items[?(@.name != 'two')].v", [1, 3.5]),
        (".spec.items[?(@.v>1)].name", ["two", "three"]),
        (".spec.items[?(@.v>=2)].name", ["two", "three"]),
        (".spec.items[?(@.v<2)].name", ["one"]),
        (".spec.items[?(@.v<=2.0)].name", ["one", "two"]),
        (".spec.items[?(2==@.v)].name", ["two"]),
        (".spec.items[?(@.on)].name", ["two"]),
        (".spec.items[?(@.on==true)].name", ["two"]),
        (".spec.items[?(@.v=='1')].name", []),
        (".spec.by[?(@.name=='deep')]", []),
        (".spec.want.deeper", []),
        (".nothing[*].here", []),
    ],
)
def test_what_a_path_finds(path: str, found: list[Any]) -> None:
    assert list(compile_path(path).results(THING)) == found
    assert compile_path(path).first(THING) == (found[0] if found else None)


@pytest.mark.parametrize(
    "path",
    [
        ".spec.[",
        ".spec.items[",
        ".spec.items[]",
        ".spec.items[a]",
        ".spec.items[1:2:0]",
        ".spec.items[1:2:3:4]",
        ".spec.items[?(@.v",
        ".spec.items[?(@.v)",
        ".spec.items[?(@.v=1)]",
        ".spec.items[?(@.v=='1)]",
        ".spec.items[?(@.v=~1)]",
        ".spec.items[?(v>1)]",
        ".spec{.a}",
        ".spec a",
        ".spec.'a'",
        ".a" * 65,
        "." + "a" * LONGEST_PATH,
    ],
)
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(JsonPathError):
        compile_path(path)


def test_a_search_that_would_take_too_long_finds_nothing() -> None:
    thing = {"l": [{"v": n} for n in range(100_000)]}
    assert compile_path(".l[*].v").first(thing) == 0
    assert compile_path(".l[?(@.v==99999)].v").first(thing) is None
    deep: Any = {"end": 1}
    for _ in range(90):
        deep = {"x": deep}
    assert compile_path(".." + "..".join(["x"] * 20) + "..nothing").first(deep) is None


@given(some.text(alphabet=".[]()?@*:'\"\\-=<>!,$ a1/", max_size=60))
def test_any_text_is_a_path_or_told_why_not(text: str) -> None:
    try:
        path = compile_path(text)
    except JsonPathError as error:
        assert str(error)
    else:
        path.first(THING)


@given(some.text(min_size=1, max_size=30))
def test_any_name_can_be_written_in_quotes_or_escaped(name: str) -> None:
    quoted = name.replace("\\", "\\\\").replace("'", "\\'")
    assert compile_path(f".m['{quoted}']").first({"m": {name: 1}}) == 1
    escaped = "".join(f"\\{letter}" for letter in name)
    if len(escaped) + 3 < LONGEST_PATH:
        assert list(parse(f".m.{escaped}")) and compile_path(f".m.{escaped}").first({"m": {name: 1}}) == 1
