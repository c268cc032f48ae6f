"""Tables look as kubectl's do, whatever the values hold."""

from __future__ import annotations

from typing import Any

from cli.tables import TableView, grid

DEFINITIONS: list[dict[str, Any]] = [
    {"name": "Name", "priority": 0, "format": "name"},
    {"name": "Ready", "priority": 0},
    {"name": "Why", "priority": 1},
]
ROW = {"cells": ["a", "1/1", "all well"], "object": {"metadata": {"name": "a", "namespace": "default"}}}


def test_columns_line_up_and_no_line_ends_in_spaces() -> None:
    assert grid(["NAME", "X"], [["long-name", 1], ["b", None]]) == "NAME        X\nlong-name   1\nb           <none>"


def test_a_line_break_in_a_value_stays_in_its_row() -> None:
    assert grid(["A"], [["one\ntwo"]]).splitlines() == ["A", "one two"]


def test_lower_priority_shows_only_in_wide() -> None:
    assert "WHY" not in TableView(DEFINITIONS, wide=False, namespaces=False).draw([ROW])
    assert "all well" in TableView(DEFINITIONS, wide=True, namespaces=False).draw([ROW])


def test_namespaces_come_first() -> None:
    drawn = TableView(DEFINITIONS, wide=False, namespaces=True).draw([ROW])
    assert drawn.splitlines()[1].split() == ["default", "a", "1/1"]


def test_a_table_without_a_name_column_gets_one() -> None:
    view = TableView(DEFINITIONS[1:], wide=False, namespaces=False)
    assert view.draw([{**ROW, "cells": ["1/1", ""]}]).splitlines() == ["NAME   READY", "a      1/1"]
