"""Kinds as the CLI knows them: each once, in the version its group prefers; a manifest may name any other."""

from __future__ import annotations

from typing import Any, cast

from cli.api_client import ApiClient
from cli.resources.kinds import Kinds, discover
from tests.unit.cli.conftest import described


class Answers:
    """An API of one group with two versions, the preferred one first."""

    def get(self, path: str, headers: dict[str, str]) -> dict[str, Any]:
        assert "as=APIGroupDiscoveryList" in headers["accept"]
        core = {"metadata": {"name": None}, "versions": [version("v1", "configmaps")]}
        light = [version("v2", "lamps"), version("v1", "lamps", "cables")]
        groups = {"/api": core, "/apis": {"metadata": {"name": "light.example"}, "versions": light}}
        return {"items": [groups[path]]}


def version(name: str, *plurals: str) -> dict[str, Any]:
    return {"version": name, "resources": [described(each, each.title(), categories=["all"]) for each in plurals]}


def found() -> Kinds:
    return discover(cast(ApiClient, Answers()))


def test_a_kind_is_meant_once_in_the_version_its_group_prefers() -> None:
    assert found().called("lamps").api_version == "light.example/v2"
    assert [each.api_version for each in found().meant("all")] == ["v1", "light.example/v1", "light.example/v2"]


def test_a_kind_that_the_preferred_version_lacks_is_known_too() -> None:
    assert found().called("cables").api_version == "light.example/v1"


def test_a_manifest_may_name_any_version() -> None:
    for version in ("v1", "v2"):
        kind = found().of(f"light.example/{version}", "Lamps")
        assert kind is not None and kind.api_version == f"light.example/{version}"
    assert found().of("light.example/v3", "Lamps") is None
