"""Kinds as the CLI knows them: each once, in the version its group prefers; a manifest may name any other."""

from __future__ import annotations

from typing import Any, cast

from cli.api_client import ApiClient
from cli.resources.kinds import Kinds, discover


class Answers:
    """An API of one group with two versions."""

    def get(self, path: str) -> dict[str, Any]:
        return {
            "/api/v1": resources("v1", "configmaps"),
            "/apis": {"groups": [group("light.example", "v2", "v1", "v2")]},
            "/apis/light.example/v1": resources("light.example/v1", "lamps", "cables"),
            "/apis/light.example/v2": resources("light.example/v2", "lamps"),
        }[path]


def group(name: str, preferred: str, *versions: str) -> dict[str, Any]:
    named = [{"groupVersion": f"{name}/{each}", "version": each} for each in versions]
    return {"name": name, "versions": named, "preferredVersion": {"groupVersion": f"{name}/{preferred}"}}


def resources(version: str, *plurals: str) -> dict[str, Any]:
    found = [{"name": each, "kind": each.title(), "namespaced": True, "categories": ["all"]} for each in plurals]
    return {"groupVersion": version, "resources": found}


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
