"""Upgrades of stored bodies, kind by kind: whichever a kind declares keeps the promises, and has its golden files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crds.catalog import CORE_KINDS
from crds.kind import Kind, KubeObject
from formats.upgrades import golden, upgrade_faults
from services.sdk.discovery import managed_services

Body = dict[str, Any]
BODY: Body = {"metadata": {"name": "a"}, "size": 3}


class Box(KubeObject):
    size: int
    width: int


def box(*upgrades: Callable[[Body], Body]) -> Kind[Box]:
    return Kind("Box", "boxes", Box, group="test.dev", namespaced=False, upgrades=upgrades)


def with_width(body: Body) -> Body:
    return {**body, "width": body["size"]}


def doubles(body: Body) -> Body:
    return {**body, "width": body.get("width", body["size"]) * 2}


def in_place(body: Body) -> Body:
    body["width"] = body["size"]
    return body


def renames(body: Body) -> Body:
    return {name: value for name, value in body.items() if name != "size"} | {"width": 3}


def says_text(body: Body) -> Body:
    return {**body, "width": str(body["size"])}


def test_every_upgrade_of_every_kind_keeps_its_promises() -> None:
    kinds = [*CORE_KINDS, *(kind for service in managed_services() for kind in service.kinds)]
    assert len(kinds) > 20
    faults = {kind.resource: list(upgrade_faults(kind, golden(kind))) for kind in kinds}
    assert {name: found for name, found in faults.items() if found} == {}


def test_an_upgrade_that_keeps_them_is_without_fault() -> None:
    assert list(upgrade_faults(box(with_width), {1: BODY})) == []


@pytest.mark.parametrize(
    ("upgrade", "fault"),
    [
        (doubles, "1: done twice it is not done once"),
        (in_place, "1: the body it was given was changed"),
        (renames, "1: size was taken away or changed"),
        (says_text, "1: this version cannot read the result"),
    ],
)
def test_each_broken_promise_is_found(upgrade: Callable[[Body], Body], fault: str) -> None:
    faults = list(upgrade_faults(box(upgrade), {1: dict(BODY)}))
    assert any(each.startswith(fault) for each in faults), faults


def test_an_upgrade_without_its_golden_file_is_missed(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"boxes\.test\.dev/1\.json"):
        golden(box(with_width), tmp_path)
    (tmp_path / "boxes.test.dev").mkdir()
    (tmp_path / "boxes.test.dev" / "1.json").write_text(json.dumps(BODY))
    assert golden(box(with_width), tmp_path) == {1: BODY}
