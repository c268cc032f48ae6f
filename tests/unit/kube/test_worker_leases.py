"""Leases of workers beside those that were made: where Kubernetes has them, read only, never stored."""

from __future__ import annotations

import random
from typing import Any

import anyio
import pytest

from api.auth.authorizer import Authorizer
from api.kube.resource_api import ResourceApi
from controller.kit.clock import LoopClock
from controller.kit.leases import LEASE_SECONDS, Leases
from tests.unit.kube.conftest import Wire

pytestmark = pytest.mark.anyio
ALL = "/apis/coordination.k8s.io/v1/leases"
OF_WORKERS = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
MADE = "/apis/coordination.k8s.io/v1/namespaces/default/leases"


def beating(wire: Wire, *workers: str) -> tuple[Wire, Leases]:
    """The same house, with workers that were heard just now."""
    clock = LoopClock()
    leases = Leases(clock)
    for worker in workers:
        leases.beat(worker)
    registry = wire.registry
    authorizer = Authorizer(registry.catalog, (), registry.store)
    return Wire(ResourceApi(registry, authorizer, clock, random.Random(1), leases=leases), registry), leases


def names(listed: Any) -> list[tuple[str, str]]:
    return [(each["metadata"]["namespace"], each["metadata"]["name"]) for each in listed["items"]]


async def test_each_worker_has_one_beside_those_that_were_made(wire: Wire) -> None:
    wire, _ = beating(wire, "oak", "ash")
    before = wire.registry.store.revision
    await wire.ok("POST", MADE, {"metadata": {"name": "leader"}, "spec": {"holderIdentity": "me"}})
    assert names(await wire.ok("GET", ALL)) == [
        ("default", "leader"),
        ("kube-node-lease", "ash"),
        ("kube-node-lease", "oak"),
    ]
    assert names(await wire.ok("GET", MADE)) == [("default", "leader")]
    assert names(await wire.ok("GET", OF_WORKERS)) == [("kube-node-lease", "ash"), ("kube-node-lease", "oak")]
    assert wire.registry.store.revision == before + 1


async def test_pages_leave_none_out(wire: Wire) -> None:
    wire, _ = beating(wire, "oak", "ash")
    for name in ("leader", "spare"):
        await wire.ok("POST", MADE, {"metadata": {"name": name}})
    found, token = [], ""
    while True:
        page = await wire.ok("GET", f"{ALL}?limit=1&continue={token}")
        found += [name for _, name in names(page)]
        if not (token := page["metadata"].get("continue", "")):
            break
    assert found == ["leader", "spare", "ash", "oak"]


async def test_it_says_when_the_worker_was_heard_last(wire: Wire) -> None:
    wire, leases = beating(wire, "oak")
    first = await wire.ok("GET", f"{OF_WORKERS}/oak")
    assert first["spec"]["holderIdentity"] == "oak"
    assert first["spec"]["leaseDurationSeconds"] >= LEASE_SECONDS
    await anyio.sleep(60)
    assert (await wire.ok("GET", f"{OF_WORKERS}/oak"))["spec"]["renewTime"] == first["spec"]["renewTime"]
    leases.beat("oak")
    assert (await wire.ok("GET", f"{OF_WORKERS}/oak"))["spec"]["renewTime"] > first["spec"]["renewTime"]


async def test_a_worker_that_is_not_known_has_none(wire: Wire) -> None:
    wire, leases = beating(wire, "oak")
    assert (await wire.ask("GET", f"{OF_WORKERS}/elm")).code == 404
    assert (await wire.ask("GET", f"{MADE}/oak")).code == 404
    leases.forget("oak")
    assert (await wire.ask("GET", f"{OF_WORKERS}/oak")).code == 404


async def test_they_can_only_be_read(wire: Wire) -> None:
    wire, _ = beating(wire, "oak")
    patch = {"spec": {"holderIdentity": "me"}}
    refused = [
        await wire.ask("POST", OF_WORKERS, {"metadata": {"name": "elm"}}),
        await wire.ask("PATCH", f"{OF_WORKERS}/oak", patch, content_type="application/merge-patch+json"),
        await wire.ask("DELETE", f"{OF_WORKERS}/oak"),
        await wire.ask("DELETE", OF_WORKERS),
    ]
    assert [each.code for each in refused] == [405] * 4
    assert all("can only be read" in each.json["message"] for each in refused)
