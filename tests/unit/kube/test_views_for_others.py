"""What clients ask for because every Kubernetes has it: endpoints, and kinds of which there is never one here."""

from __future__ import annotations

from typing import Any

import pytest
from unit.kube.conftest import Wire
from unit.kube.test_views import TABLE, instance, running

from api.kube.views.absent import ABSENT
from crds.kind import Kind

pytestmark = pytest.mark.anyio
ENDPOINTS = "/api/v1/namespaces/default/endpoints"


def path_of(kind: Kind[Any]) -> str:
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    return f"{root}/namespaces/default/{kind.plural}" if kind.namespaced else f"{root}/{kind.plural}"


async def test_endpoints_are_where_instances_listen(wire: Wire) -> None:
    await running(
        wire, instance(0), instance(1, ready=False), instance(2, address="10.0.0.9:800"), instance(3, address="")
    )
    (shown,) = (await wire.ok("GET", ENDPOINTS))["items"]
    (first, second) = shown["subsets"]
    assert first["ports"] == [{"name": "p800", "port": 800, "protocol": "TCP"}]
    assert [each["ip"] for each in first["addresses"]] == ["10.0.0.0", "10.0.0.9"]
    assert first["addresses"][0]["targetRef"] == {"kind": "Pod", "name": "web-0", "namespace": "default"}
    assert ([each["ip"] for each in second["notReadyAddresses"]], "addresses" in second) == (["10.0.0.1"], False)
    assert (await wire.ok("GET", f"{ENDPOINTS}/web")) == shown
    table = await wire.ok("GET", ENDPOINTS, accept=TABLE)
    assert table["rows"][0]["cells"][:2] == ["web", "10.0.0.0:800,10.0.0.9:800"]


async def test_endpoints_are_watched(wire: Wire) -> None:
    await running(wire, instance(0))
    start = wire.registry.store.revision
    async with wire.watch(f"{ENDPOINTS}?watch=1&resourceVersion={start}") as watched:
        await running(wire, instance(0, address="10.0.0.7:800"))
        event = await watched.next()
    assert (event["type"], event["object"]["subsets"][0]["addresses"][0]["ip"]) == ("MODIFIED", "10.0.0.7")


@pytest.mark.parametrize("kind", ABSENT, ids=lambda kind: kind.plural)
async def test_what_never_is_can_be_listed_and_watched_and_who_makes_one_hears_what_to_make(
    wire: Wire, kind: Kind[Any]
) -> None:
    path = path_of(kind)
    listed = await wire.ok("GET", f"{path}?labelSelector=a=b")
    assert (listed["items"], listed["kind"]) == ([], f"{kind.name}List")
    assert (await wire.ok("GET", path, accept=TABLE))["rows"] == []
    assert (await wire.ask("GET", f"{path}/x")).code == 404
    async with wire.watch(f"{path}?watch=1&allowWatchBookmarks=true&timeoutSeconds=60") as watched:
        assert (await watched.next(seconds=61))["type"] == "BOOKMARK"
    for method in ("POST", "PUT"):
        refused = await wire.ask(method, path if method == "POST" else f"{path}/x", {"metadata": {"name": "x"}})
        assert refused.code == 405
        assert "aerekos.cloud/v1" in refused.json["message"] or "gateway" in refused.json["message"]
