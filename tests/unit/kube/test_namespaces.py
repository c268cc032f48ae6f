"""Namespaces as Kubernetes clients know them: the label of their name, `/finalize`, and those that stay."""

from __future__ import annotations

from typing import Any

import pytest
from unit.kube.conftest import ADMIN, Wire

from controller.resources.strategy import WriteOptions
from controller.store.records import Change
from crds.kinds.namespace import NAMESPACE
from crds.meta import Condition

pytestmark = pytest.mark.anyio
SPACES = "/api/v1/namespaces"
NAME = "kubernetes.io/metadata.name"


async def test_each_has_the_label_of_its_name_whatever_is_asked(wire: Wire) -> None:
    made = await wire.ok("POST", SPACES, {"metadata": {"name": "a", "labels": {NAME: "b", "x": "y"}}})
    assert made["metadata"]["labels"] == {NAME: "a", "x": "y"}
    for labels in ({NAME: "other"}, {NAME: None}, None):
        kept = await wire.merge(f"{SPACES}/a", {"metadata": {"labels": labels}})
        assert kept["metadata"]["labels"][NAME] == "a"
    bare = {**made, "metadata": {"name": "a"}}
    assert (await wire.ok("PUT", f"{SPACES}/a", bare))["metadata"]["labels"] == {NAME: "a"}
    found = await wire.ok("GET", f"{SPACES}?labelSelector={NAME}=a")
    assert [each["metadata"]["name"] for each in found["items"]] == ["a"]


async def test_one_of_before_gets_its_label_with_the_next_write(wire: Wire) -> None:
    record = wire.registry.get(NAMESPACE, NAMESPACE.key("other"))
    meta = {name: value for name, value in record.object["metadata"].items() if name != "labels"}
    await wire.registry.store.write([_change(record, {**record.object, "metadata": meta})], by="before")
    written = await wire.registry.merge(NAMESPACE, record.key, {}, WriteOptions(by="test"))
    assert written.body["metadata"]["labels"] == {NAME: "other"}


def _change(record: Any, body: Any) -> Any:
    return Change(record.key, body, record.revision)


@pytest.mark.parametrize("name", ["default", "aerekos-system", "kube-system"])
@pytest.mark.parametrize("query", ["", "?dryRun=All", "?propagationPolicy=Orphan"])
async def test_what_the_cloud_lives_in_stays(wire: Wire, name: str, query: str) -> None:
    if name != "default":
        await wire.ok("POST", SPACES, {"metadata": {"name": name}})
    refused = await wire.ask("DELETE", f"{SPACES}/{name}{query}")
    assert refused.code == 403 and "this namespace may not be deleted" in refused.json["message"]
    assert "deletionTimestamp" not in (await wire.ok("GET", f"{SPACES}/{name}"))["metadata"]


async def test_finalizers_of_the_spec_are_written_by_finalize(wire: Wire) -> None:
    made = await wire.ok("POST", SPACES, {"metadata": {"name": "a"}})
    put = await wire.ok("PUT", f"{SPACES}/a/finalize", {**made, "spec": {"finalizers": ["x.io/y"]}})
    assert put["spec"] == {"finalizers": ["x.io/y"]}
    stale = await wire.ask("PUT", f"{SPACES}/a/finalize", made)
    assert (stale.code, stale.json["reason"]) == (409, "Conflict")
    named = {"metadata": {"name": "b"}}
    assert (await wire.ask("PUT", f"{SPACES}/a/finalize", named)).code == 400
    assert (await wire.ok("PUT", f"{SPACES}/a/finalize", {"metadata": {"name": "a"}}))["spec"] == {}


async def test_nobody_is_torn_from_a_namespace_and_who_tries_hears_what_is_left(wire: Wire) -> None:
    await wire.ok("POST", SPACES, {"metadata": {"name": "a"}})
    await wire.ok("DELETE", f"{SPACES}/a")
    left = Condition(type="NamespaceContentRemaining", status="True", message="configmaps has 1 resource instances")
    status = {"status": {"phase": "Terminating", "conditions": [left.wire()]}}
    await wire.merge(f"{SPACES}/a/status", status)
    refused = await wire.ask("PUT", f"{SPACES}/a/finalize", {"metadata": {"name": "a"}, "spec": {"finalizers": []}})
    assert refused.code == 409
    assert "once it is empty; configmaps has 1 resource instances" in refused.json["message"]
    assert (await wire.ask("GET", f"{SPACES}/a", who=ADMIN)).code == 200
