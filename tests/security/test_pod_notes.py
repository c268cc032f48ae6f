"""What instances say of themselves on their pods: how members of a database cluster tell each other who leads."""

from __future__ import annotations

import random
from typing import Any

import pytest
from unit.kube.conftest import ADMIN, SERVICES, Reply, Wire
from unit.kube.conftest import wire as wire
from unit.kube.test_views import PODS, STRATEGIC, instance, running

from api.auth.authorizer import Authorizer
from api.auth.principal import AUTHENTICATED, Principal
from api.auth.principal import SERVICES as OF_SERVICES
from api.kube.resource_api import ResourceApi
from api.kube.views.pod_annotations import MOST_BYTES, MOST_BYTES_OF_ALL, MOST_LABELS
from controller.kit.clock import LoopClock
from controller.kit.virtual import VirtualLoop
from crds.managed import ManagedService

pytestmark = pytest.mark.anyio
WEB = Principal("system:service:web", frozenset({OF_SERVICES, AUTHENTICATED}))
MERGE = "application/merge-patch+json"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return ("asyncio", {"loop_factory": VirtualLoop})


@pytest.fixture
async def served(wire: Wire) -> Wire:
    """`web` is a managed service here, and has an identity of its own."""
    managed = [ManagedService(name=each, title="", summary="", create="") for each in ("web", "other")]
    registry = wire.registry
    authorizer = Authorizer(registry.catalog, managed, registry.store)
    return Wire(ResourceApi(registry, authorizer, LoopClock(), random.Random(1)), registry)


async def noted(wire: Wire, pod: str, who: Principal = WEB, content_type: str = STRATEGIC, **meta: Any) -> Reply:
    path = f"{PODS}/{pod}?fieldManager=patroni"
    return await wire.ask("PATCH", path, {"metadata": meta}, content_type=content_type, who=who)


async def test_a_member_says_who_leads_and_others_see_it(served: Wire) -> None:
    await running(served, instance(0), instance(1))
    start = served.registry.store.revision
    query = f"watch=1&labelSelector=role=master&resourceVersion={start}"
    async with served.watch(f"{PODS}?{query}") as watched:
        answer = await noted(served, "web-1", labels={"role": "master"}, annotations={"status": "{}"})
        assert (answer.code, answer.json["metadata"]["annotations"]) == (200, {"status": "{}"})
        assert await watched.told(1) == [("ADDED", "web-1")]
        assert (await noted(served, "web-1", labels={"role": "replica"})).code == 200
        assert await watched.told(1) == [("DELETED", "web-1")]
    listed = await served.ok("GET", f"{PODS}?labelSelector=role=replica")
    assert [each["metadata"]["name"] for each in listed["items"]] == ["web-1"]
    assert (await served.ok("GET", f"{PODS}/web-0"))["metadata"].get("annotations") is None
    assert (await noted(served, "web-1", annotations={"status": None}, content_type=MERGE)).code == 200
    assert "annotations" not in (await served.ok("GET", f"{PODS}/web-1"))["metadata"]


async def test_a_version_that_is_named_must_be_the_newest(served: Wire) -> None:
    await running(served, instance(0))
    version = (await served.ok("GET", f"{PODS}/web-0"))["metadata"]["resourceVersion"]
    assert (await noted(served, "web-0", resourceVersion=version, labels={"a": "b"})).code == 200
    assert (await noted(served, "web-0", resourceVersion=version, labels={"a": "c"})).code == 409


async def test_it_is_no_change_of_the_service_and_gone_with_the_next_start(served: Wire) -> None:
    await running(served, instance(0), instance(1))
    before = await served.ok("GET", f"{SERVICES}/web")
    assert (await noted(served, "web-0", labels={"role": "master"})).code == 200
    after = await served.ok("GET", f"{SERVICES}/web")
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert after["spec"] == before["spec"] and after["metadata"].get("labels") == before["metadata"].get("labels")
    await running(served, instance(0, restarts=1), instance(1))
    assert "role" not in (await served.ok("GET", f"{PODS}/web-0"))["metadata"]["labels"]


async def test_an_instance_speaks_for_its_own_service_alone(served: Wire) -> None:
    await running(served, instance(0))
    other = Principal("system:service:other", WEB.groups)
    for who, pod in ((other, "web-0"), (other, "nowhere-0"), (WEB, "nowhere-0")):
        refused = await noted(served, pod, who=who, labels={"a": "b"})
        assert refused.code == 403 and "may only change its own pods" in refused.json["message"]
    elsewhere = "/api/v1/namespaces/other/pods/web-0"
    await served.ok(
        "POST", SERVICES.replace("default", "other"), {"metadata": {"name": "web"}, "spec": {"image": "i"}}
    )
    status = {"status": {"instances": [instance(0)]}}
    await served.merge(f"{SERVICES.replace('default', 'other')}/web/status", status)
    assert (await served.ask("GET", elsewhere, who=ADMIN)).code == 200
    foreign = await served.ask("PATCH", elsewhere, {"metadata": {}}, content_type=MERGE, who=WEB)
    assert foreign.code == 403
    for method, path in (("DELETE", f"{PODS}/web-0"), ("POST", f"{PODS}/web-0/eviction"), ("GET", f"{PODS}/web-0")):
        assert (await served.ask(method, path, {}, who=WEB)).code == 403


@pytest.mark.parametrize(
    ("meta", "field"),
    [
        ({"labels": {"aerekos.cloud/service": "other"}}, "metadata.labels[aerekos.cloud/service]"),
        ({"labels": {"aerekos.cloud/service": None}}, "metadata.labels[aerekos.cloud/service]"),
        ({"labels": {"x.kubernetes.io/y": "z"}}, "metadata.labels[x.kubernetes.io/y]"),
        ({"labels": {"pod-template-hash": "z"}}, "metadata.labels[pod-template-hash]"),
        ({"labels": {"app": "other"}}, "metadata.labels[app]"),
        ({"labels": {"app": None}}, "metadata.labels[app]"),
        ({"labels": {"a b": "c"}}, "metadata.labels[a b]"),
        ({"labels": {"a": "no value!"}}, "metadata.labels[a]"),
        ({"labels": {"a": 1}}, "metadata.labels"),
        ({"labels": {f"l{n}": "x" for n in range(MOST_LABELS + 1)}}, "metadata.labels"),
        ({"annotations": {"aerekos.cloud/restartedAt": "now"}}, "metadata.annotations[aerekos.cloud/restartedAt]"),
        ({"annotations": {"a": "x" * MOST_BYTES}}, "metadata.annotations"),
        ({"finalizers": ["x/y"]}, "metadata.finalizers"),
        ({"ownerReferences": None}, "metadata.ownerReferences"),
    ],
)
async def test_what_is_not_its_own_to_say_is_refused(served: Wire, meta: dict[str, Any], field: str) -> None:
    await running(served, instance(0))
    await served.merge(f"{SERVICES}/web", {"metadata": {"labels": {"app": "web"}}})
    before = served.registry.store.revision
    refused = await noted(served, "web-0", content_type=MERGE, **meta)
    assert (refused.code, refused.json["details"]["causes"][0]["field"]) == (422, field), refused.json
    assert served.registry.store.revision == before


async def test_nothing_but_metadata_is_changed_by_it(served: Wire) -> None:
    await running(served, instance(0))
    for body in ({"spec": {"nodeName": "w2"}}, {"status": {"phase": "Failed"}}, {"status": None}):
        refused = await served.ask("PATCH", f"{PODS}/web-0", body, content_type=MERGE, who=WEB)
        assert refused.code == 422
    assert (await served.ask("PUT", f"{PODS}/web-0", {}, who=ADMIN)).code == 405


async def test_all_pods_of_a_service_share_one_bound(served: Wire) -> None:
    many = [instance(n) for n in range(MOST_BYTES_OF_ALL // MOST_BYTES + 2)]
    await running(served, *many)
    codes = [(await noted(served, each["name"], annotations={"a": "x" * (MOST_BYTES - 1)})).code for each in many]
    assert codes.count(422) == 2 and set(codes[:-2]) == {200}
