"""Quotas, limits and bounds over the wire: what a namespace may hold is not exceeded, by many at once neither."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from unit.kube.conftest import ADMIN, SERVICES, Wire
from unit.kube.conftest import wire as wire
from unit.reconcilers.houses import world

from api.auth.principal import AUTHENTICATED, Principal
from controller.admission import quotas
from controller.kit.clock import LoopClock
from controller.kit.threads import Threads
from controller.kit.virtual import VirtualLoop
from controller.reconcilers.quota import QuotaReconciler
from controller.resources.bounds import OBJECT_BYTES
from controller.resources.registry import Registry
from controller.resources.strategy import WriteOptions
from controller.store.sql import open_store
from crds.catalog import CORE_KINDS, Catalog
from crds.errors import Forbidden
from crds.kinds.config_map import CONFIG_MAP
from crds.kinds.namespace import NAMESPACE
from crds.kinds.quota import RESOURCE_QUOTA

pytestmark = pytest.mark.anyio
EDITOR = Principal("ed", frozenset({AUTHENTICATED, "aerekos:editor"}))
QUOTAS = "/api/v1/namespaces/default/resourcequotas"
RANGES = "/api/v1/namespaces/default/limitranges"
MAPS = "/api/v1/namespaces/default/configmaps"
MERGE = "application/merge-patch+json"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return ("asyncio", {"loop_factory": VirtualLoop})


def service(name: str = "web", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"image": "nginx:1", **spec}}


async def quota(wire: Wire, **hard: Any) -> None:
    named = {name.replace("__", "/").replace("_", "."): value for name, value in hard.items()}
    await wire.ok("POST", QUOTAS, {"metadata": {"name": "q"}, "spec": {"hard": named}})


async def new(wire: Wire, name: str, **spec: Any) -> int:
    return (await wire.ask("POST", SERVICES, service(name, **spec), who=EDITOR)).code


async def test_objects_are_counted_and_the_words_are_kubernetes_own(wire: Wire) -> None:
    await quota(wire, configmaps=2, count__services_aerekos_cloud="1")
    for name in ("a", "b"):
        assert (await wire.ask("POST", MAPS, {"metadata": {"name": name}}, who=EDITOR)).code == 201
    refused = await wire.ask("POST", MAPS, {"metadata": {"name": "c"}}, who=EDITOR)
    assert refused.code == 403
    assert refused.json["message"] == (
        'configmaps "c" is forbidden: exceeded quota: q, requested: configmaps=1, used: configmaps=2, '
        "limited: configmaps=2"
    )
    assert (await wire.ask("POST", MAPS, {"metadata": {"name": "c"}}, who=ADMIN)).code == 403  # admins too
    await wire.ok("DELETE", f"{MAPS}/a")
    assert (await wire.ask("POST", MAPS, {"metadata": {"name": "c"}}, who=EDITOR)).code == 201
    assert [await new(wire, "one"), await new(wire, "two")] == [201, 403]
    assert (await wire.ask("POST", MAPS.replace("default", "other"), {"metadata": {"name": "c"}})).code == 201


async def test_instances_are_counted_however_they_are_asked_for(wire: Wire) -> None:
    """By a scale, a patch, an apply, a view, by switching on what was off."""
    await quota(wire, pods=3)
    assert await new(wire, "web", replicas=2) == 201
    for path, patch in (
        (f"{SERVICES}/web", {"spec": {"replicas": 4}}),
        (f"{SERVICES}/web/scale", {"spec": {"replicas": 4}}),
        ("/apis/apps/v1/namespaces/default/deployments/web", {"spec": {"replicas": 4}}),
        ("/apis/apps/v1/namespaces/default/deployments/web/scale", {"spec": {"replicas": 4}}),
    ):
        reply = await wire.ask("PATCH", path, patch, content_type=MERGE, who=EDITOR)
        assert reply.code == 403 and "pods=4" in reply.json["message"], (path, reply.json)
    assert (
        await wire.ask("PATCH", f"{SERVICES}/web/scale", {"spec": {"replicas": 3}}, content_type=MERGE)
    ).code == 200
    assert await new(wire, "off", replicas=9, enabled=False) == 201
    on = await wire.ask("PATCH", f"{SERVICES}/off", {"spec": {"enabled": True}}, content_type=MERGE, who=EDITOR)
    assert on.code == 403
    applied = {"apiVersion": "aerekos.cloud/v1", "kind": "Service", **service("new", replicas=1)}
    path = f"{SERVICES}/new?fieldManager=m"
    assert (await wire.ask("PATCH", path, applied, content_type="application/apply-patch+yaml")).code == 403
    down = await wire.ask("PATCH", f"{SERVICES}/web", {"spec": {"replicas": 1}}, content_type=MERGE, who=EDITOR)
    assert down.code == 200  # less is always possible


async def test_cpu_and_memory_are_counted_times_instances_and_must_be_said(wire: Wire) -> None:
    await quota(wire, requests_cpu="2", limits_memory="1Gi", services_nodeports=1)
    missing = await wire.ask("POST", SERVICES, service("a"), who=EDITOR)
    assert missing.code == 403
    assert "failed quota: q: must specify requests.cpu,limits.memory for: a" in missing.json["message"]
    sized = {"resources": {"requests": {"cpu": "500m"}, "limits": {"memory": "256Mi"}}}
    assert await new(wire, "a", replicas=3, **sized) == 201
    assert await new(wire, "b", replicas=2, **sized) == 403
    assert await new(wire, "b", replicas=1, ports=[{"port": 1, "published": 18080}], **sized) == 201
    assert await new(wire, "c", replicas=0, ports=[{"port": 1, "published": 18081}], **sized) == 403


async def test_what_runs_already_may_still_be_changed_for_less(wire: Wire) -> None:
    assert await new(wire, "web", replicas=5) == 201
    await quota(wire, pods=2)
    same = {"metadata": {"labels": {"a": "b"}}}
    assert (await wire.ask("PATCH", f"{SERVICES}/web", same, content_type=MERGE, who=EDITOR)).code == 200
    less = {"spec": {"replicas": 4}}
    assert (await wire.ask("PATCH", f"{SERVICES}/web", less, content_type=MERGE, who=EDITOR)).code == 200


async def test_many_at_once_do_not_go_over(wire: Wire) -> None:
    await quota(wire, configmaps=10, pods=10)
    codes: list[int] = []

    async def one(n: int) -> None:
        codes.append((await wire.ask("POST", MAPS, {"metadata": {"name": f"m{n}"}}, who=EDITOR)).code)
        codes.append(await new(wire, f"s{n}", replicas=3))

    async with anyio.create_task_group() as tasks:
        for n in range(40):
            tasks.start_soon(one, n)
    assert codes.count(201) == 10 + 3
    assert len((await wire.ok("GET", MAPS))["items"]) == 10


def test_those_that_wait_for_the_disk_are_counted(tmp_path: Path) -> None:
    anyio.run(_many_on_a_real_disk, tmp_path)


async def _many_on_a_real_disk(tmp_path: Path) -> None:
    """On a store that really waits: one grants nothing twice while the first is on its way, and frees what failed."""
    clock, catalog = LoopClock(), Catalog(CORE_KINDS)
    store = await open_store(f"sqlite:///{tmp_path}/r.db", threads=Threads(2), clock=clock)
    registry = Registry(store, catalog, clock)
    await registry.create(NAMESPACE, "", {"metadata": {"name": "default"}}, WriteOptions("test"))
    hard = {"metadata": {"name": "q"}, "spec": {"hard": {"configmaps": "5"}}}
    await registry.create(RESOURCE_QUOTA, "default", hard, WriteOptions("test"))
    how = WriteOptions("ed", user=somebody())
    refused = made = 0

    async def one(n: int) -> None:
        nonlocal refused, made
        try:
            await registry.create(CONFIG_MAP, "default", {"metadata": {"name": f"m{n % 30}"}}, how)
            made += 1
        except Forbidden:
            refused += 1
        except Exception:
            return

    async with anyio.create_task_group() as tasks:
        for n in range(60):
            tasks.start_soon(one, n)
    assert made == 5 and len(store.list("", "configmaps").records) == 5
    assert refused > 0 and not registry.admission.quotas._held
    assert registry.admission.quotas.used("default", "configmaps") == Decimal(5)
    await store.close()


def somebody(may: bool = False) -> Any:
    from controller.admission.request import Requester

    return Requester("ed", frozenset({AUTHENTICATED}), lambda *_: may)


async def test_used_is_shown(wire: Wire) -> None:
    await quota(wire, pods=10, requests_cpu="4", configmaps=5, count__secrets=1)
    await new(wire, "web", replicas=2, resources={"requests": {"cpu": "250m"}})
    await wire.ok("POST", MAPS, {"metadata": {"name": "a"}})
    kept = RESOURCE_QUOTA.parse(await wire.ok("GET", f"{QUOTAS}/q"))
    await QuotaReconciler(wire.registry.admission.quotas.used).reconcile(kept, world())
    assert kept.status.used == {"pods": "2", "requests.cpu": "500m", "configmaps": "1", "count/secrets": "0"}
    assert kept.status.hard == kept.spec.hard


@pytest.mark.parametrize("hard", [{"podz": "1"}, {"count/": "1"}, {"pods": "many"}, {"pods": "-1"}, {"count/A.b": 1}])
async def test_what_cannot_be_counted_is_refused(wire: Wire, hard: dict[str, Any]) -> None:
    body = {"metadata": {"name": "q"}, "spec": {"hard": hard}}
    assert (await wire.ask("POST", QUOTAS, body)).code == 422


async def test_scopes_are_refused_rather_than_ignored(wire: Wire) -> None:
    body = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": 1}, "scopes": ["BestEffort"]}}
    reply = await wire.ask("POST", f"{QUOTAS}?fieldValidation=Strict", body)
    assert reply.code == 400 and "spec.scopes" in reply.json["message"]


@pytest.mark.parametrize("path", [QUOTAS, RANGES])
async def test_who_is_limited_does_not_write_limits(wire: Wire, path: str) -> None:
    assert (await wire.ask("POST", path, {"metadata": {"name": "q"}}, who=EDITOR)).code == 403
    assert (await wire.ask("DELETE", path, who=EDITOR)).code == 403
    assert (await wire.ask("GET", path, who=EDITOR)).code == 200


async def test_without_a_quota_there_is_a_default(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas, "DEFAULT_MOST", 3)
    monkeypatch.setattr(quotas, "DEFAULT_MOST_OF", {"namespaces": 4})
    codes = [(await wire.ask("POST", MAPS, {"metadata": {"name": f"m{n}"}}, who=EDITOR)).code for n in range(5)]
    assert codes == [201, 201, 201, 403, 403]
    assert (await wire.ask("POST", MAPS, {"metadata": {"name": "mine"}}, who=ADMIN)).code == 201
    rooms = [
        (await wire.ask("POST", "/api/v1/namespaces", {"metadata": {"name": f"n{n}"}}, who=EDITOR)).code
        for n in range(4)
    ]
    assert rooms == [201, 201, 403, 403]
    await quota(wire, configmaps=6)
    assert (await wire.ask("POST", MAPS, {"metadata": {"name": "more"}}, who=EDITOR)).code == 201


# Limits of one instance


async def limits(wire: Wire, **item: Any) -> None:
    body = {"metadata": {"name": "l"}, "spec": {"limits": [{"type": "Container", **item}]}}
    await wire.ok("POST", RANGES, body)


async def test_a_limit_range_fills_in(wire: Wire) -> None:
    await limits(wire, default={"cpu": "500m", "memory": "256Mi"}, defaultRequest={"cpu": "100m"})
    made = await wire.ok("POST", SERVICES, service(), who=EDITOR)
    assert made["spec"]["resources"]["limits"] == {"cpu": "500m", "memory": "256Mi", "disk": "0"}
    assert made["spec"]["resources"]["requests"]["cpu"] == "100m"
    own = service("own", resources={"limits": {"cpu": "1"}})
    made = await wire.ok("POST", SERVICES, own, who=EDITOR)
    assert made["spec"]["resources"]["limits"]["cpu"] == "1"
    assert made["spec"]["resources"]["requests"]["cpu"] == "0"  # which counts as its limit
    await quota(wire, requests_cpu="1100m")
    assert (await wire.ask("POST", SERVICES, service("third"), who=EDITOR)).code == 403
    applied = {"apiVersion": "aerekos.cloud/v1", "kind": "Service", **service("applied", enabled=False)}
    path = f"{SERVICES}/applied?fieldManager=m"
    made = await wire.ok("PATCH", path, applied, content_type="application/apply-patch+yaml", who=EDITOR)
    assert made["spec"]["resources"]["limits"]["cpu"] == "500m"


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ({"limits": {"cpu": "3"}, "requests": {"cpu": "1"}}, "maximum cpu usage per Container is 2, but limit is 3"),
        ({}, "No limit is specified"),
        ({"limits": {"cpu": "2"}, "requests": {"cpu": "100m"}}, "minimum cpu usage per Container is 200m"),
        ({"limits": {"cpu": "2"}, "requests": {"cpu": "250m"}}, "provided ratio is 8"),
        ({"limits": {"cpu": "2"}, "requests": {"cpu": "1"}}, ""),
    ],
)
async def test_a_limit_range_refuses(wire: Wire, resources: dict[str, Any], words: str) -> None:
    await limits(wire, max={"cpu": "2"}, min={"cpu": "200m"}, maxLimitRequestRatio={"cpu": "4"})
    reply = await wire.ask("POST", SERVICES, service(resources=resources), who=EDITOR)
    assert reply.code == (403 if words else 201), reply.json
    assert words in reply.json.get("message", words)


async def test_a_limit_range_that_makes_no_sense_is_refused(wire: Wire) -> None:
    for item in (
        {"min": {"cpu": "2"}, "max": {"cpu": "1"}},
        {"max": {"gpu": "1"}},
        {"type": "PersistentVolumeClaim"},
    ):
        body = {"metadata": {"name": "l"}, "spec": {"limits": [{"type": "Container", **item}]}}
        assert (await wire.ask("POST", RANGES, body)).code == 422


# What a resource may say of itself

LONG = {f"k{n}": "x" * 1000 for n in range(300)}


@pytest.mark.parametrize(
    ("meta", "field"),
    [
        ({"annotations": LONG}, "metadata.annotations"),
        ({"labels": {f"k{n}": "x" for n in range(300)}}, "metadata.labels"),
        ({"finalizers": [f"a.b/f{n}" for n in range(100)]}, "metadata.finalizers"),
        ({"finalizers": ["not/a/finalizer"]}, "metadata.finalizers"),
        (
            {"ownerReferences": [{"apiVersion": "v1", "kind": "X", "name": "x", "uid": f"u{n}"} for n in range(100)]},
            "metadata.ownerReferences",
        ),
        ({"ownerReferences": [{"apiVersion": "v1", "kind": "", "name": "x", "uid": "u"}]}, "ownerReferences[0].kind"),
        ({"generateName": "x" * 300, "name": "a"}, "metadata.generateName"),
    ],
)
async def test_metadata_is_bounded_at_every_door(wire: Wire, meta: dict[str, Any], field: str) -> None:
    made = await wire.ask("POST", MAPS, {"metadata": {"name": "a", **meta}})
    assert made.code == 422 and field in made.json["message"], made.json
    if "generateName" in meta:
        return
    await wire.ok("POST", MAPS, {"metadata": {"name": "b"}})
    patched = await wire.ask("PATCH", f"{MAPS}/b", {"metadata": meta}, content_type=MERGE)
    assert patched.code == 422 and field in patched.json["message"], patched.json
    assert len(patched.body) < 2000  # the refusal is no echo


async def test_an_object_is_no_larger_than_it_may_be(wire: Wire) -> None:
    big = {"metadata": {"name": "big"}, "data": {"a": "x" * OBJECT_BYTES}}
    assert (await wire.ask("POST", MAPS, big)).code == 413
    await wire.ok("POST", MAPS, {"metadata": {"name": "grows"}, "data": {"a": "x" * (OBJECT_BYTES // 2)}})
    patch = {"data": {"b": "x" * (OBJECT_BYTES // 2)}}
    assert (await wire.ask("PATCH", f"{MAPS}/grows", patch, content_type=MERGE)).code == 413


async def test_managers_of_fields_are_bounded(wire: Wire) -> None:
    await wire.ok("POST", MAPS, {"metadata": {"name": "a"}})
    codes = set()
    for n in range(200):
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {f"k{n}": "v"}}
        path = f"{MAPS}/a?fieldManager=m{n}"
        codes.add((await wire.ask("PATCH", path, body, content_type="application/apply-patch+yaml")).code)
    assert codes == {200, 422}
    assert len((await wire.ok("GET", f"{MAPS}/a"))["metadata"]["managedFields"]) <= 128
