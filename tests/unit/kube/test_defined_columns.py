"""Printer columns of kinds people define: the first result of any JSONPath, and no cell that breaks a list."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.unit.kube.conftest import Wire
from tests.unit.kube.test_definitions import CRDS, DEFINITION, LAMPS, TABLE

pytestmark = pytest.mark.anyio
SPEC: dict[str, Any] = {
    "items": [{"name": "one", "v": 1}, {"name": "two", "v": 2}],
    "since": "soon",
    "map": {"k": "v", "a": [1, 2]},
    "text": "12",
    "flag": True,
    "ratio": 1.5,
}


def defined(*columns: tuple[str, str]) -> dict[str, Any]:
    """The definition with those columns (type, path), and a spec that takes anything."""
    definition = copy.deepcopy(DEFINITION)
    version = definition["spec"]["versions"][0]
    open_spec = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version["schema"] = {"openAPIV3Schema": {"type": "object", "properties": {"spec": open_spec}}}
    version["subresources"] = {}
    del version["selectableFields"]
    version["additionalPrinterColumns"] = [
        {"name": f"C{n}", "type": sort, "jsonPath": path} for n, (sort, path) in enumerate(columns)
    ]
    return definition


async def cells(wire: Wire, *columns: tuple[str, str]) -> list[Any]:
    await wire.ok("POST", CRDS, defined(*columns))
    meta = {"name": "desk", "labels": {"a.b/c": "web", "a.b": "dotted"}}
    await wire.ok("POST", LAMPS, {"metadata": meta, "spec": SPEC})
    shown: list[Any] = (await wire.ok("GET", LAMPS, accept=TABLE))["rows"][0]["cells"]
    assert shown[0] == "desk"
    return shown[1:]


async def test_a_column_shows_the_first_result_of_its_path(wire: Wire) -> None:
    paths = (".spec.items[*].name", ".spec.items[-1:].name", ".spec.items[0:1].v", ".spec.items[?(@.v>1)].name",
             ".spec.items[?(@.name!=\"one\")].v", r".metadata.labels['a\.b/c']", r".metadata.labels.a\.b",
             ".spec.map", ".spec.items[0]", ".spec.map.a", ".spec.flag", ".spec.nothing")  # fmt: skip
    found = await cells(wire, *(("string", each) for each in paths))
    assert found == [
        "one", "two", "1", "two", "2", "web", "dotted",
        '{"a":[1,2],"k":"v"}', '{"name":"one","v":1}', "[1,2]", "true", None,
    ]  # fmt: skip


async def test_a_value_of_another_type_leaves_its_cell_empty_and_the_list_whole(wire: Wire) -> None:
    columns = [("date", ".spec.since"), ("date", ".spec.flag"), ("date", ".metadata.creationTimestamp"),
               ("integer", ".spec.text"), ("integer", ".spec.map"), ("integer", ".spec.ratio"),
               ("integer", ".spec.flag"),
               ("number", ".spec.ratio"), ("number", ".spec.text"), ("boolean", ".spec.flag"),
               ("boolean", ".spec.text")]  # fmt: skip
    assert await cells(wire, *columns) == ["<invalid>", None, "0s", None, None, 1, None, 1.5, None, True, None]


async def test_dates_far_away_are_shown_too(wire: Wire) -> None:
    await wire.ok("POST", CRDS, defined(("date", ".spec.since")))
    for n, since in enumerate(("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-01-01T00:00:00")):
        await wire.ok("POST", LAMPS, {"metadata": {"name": f"l{n}"}, "spec": {"since": since}})
    rows = (await wire.ok("GET", LAMPS, accept=TABLE))["rows"]
    assert [type(row["cells"][1]) for row in rows] == [str, str, str]


async def test_a_definition_without_columns_shows_name_and_age(wire: Wire) -> None:
    definition = defined()
    del definition["spec"]["versions"][0]["additionalPrinterColumns"]
    await wire.ok("POST", CRDS, definition)
    await wire.ok("POST", LAMPS, {"metadata": {"name": "desk"}})
    assert (await wire.ok("GET", LAMPS, accept=TABLE))["rows"][0]["cells"] == ["desk", "0s"]
