"""Nodes, pods, deployments, replica sets and metrics: shown from our own resources, written back to them."""

from __future__ import annotations

import random
from typing import Any

import pytest

from api.auth.authorizer import Authorizer
from api.kube.resource_api import ResourceApi
from controller.kit.clock import LoopClock
from controller.kit.leases import Leases, Usage
from crds.meta import ObjectKey
from tests.unit.kube.conftest import SERVICES, Wire

pytestmark = pytest.mark.anyio
PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
WORKERS = "/apis/aerekos.cloud/v1/workers"
STRATEGIC = "application/strategic-merge-patch+json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
STARTED = "2026-01-01T00:00:05Z"


def instance(number: int, **more: Any) -> dict[str, Any]:
    seen = {"name": f"web-{number}", "worker": "w1", "ready": True, "phase": "Ready", "revision": "r1"}
    return {**seen, "startedAt": STARTED, "address": f"10.0.0.{number}:80{number}", **more}


async def running(wire: Wire, *instances: dict[str, Any], **spec: Any) -> None:
    """A service with these instances, as its reconciler would tell of them."""
    if (await wire.ask("GET", f"{SERVICES}/web")).code == 404:
        await wire.ok("POST", SERVICES, {"metadata": {"name": "web"}, "spec": {"image": "nginx:1", **spec}})
    ready = sum(each["ready"] for each in instances)
    generation = (await wire.ok("GET", f"{SERVICES}/web"))["metadata"]["generation"]
    status = {
        "instances": list(instances),
        "replicas": len(instances),
        "readyReplicas": ready,
        "revision": "r1",
        "observedGeneration": generation,
    }
    await wire.merge(f"{SERVICES}/web/status", {"status": status})


async def strategic(wire: Wire, path: str, patch: Any) -> Any:
    return await wire.ok("PATCH", path, patch, content_type=STRATEGIC)


async def test_instances_are_pods(wire: Wire) -> None:
    await running(wire, instance(0), instance(1, ready=False, phase="Starting", message="not yet", worker="w2"))
    table = await wire.ok("GET", PODS, accept=TABLE)
    assert [row["cells"][:4] for row in table["rows"]] == [
        ["web-0", "1/1", "Running", 0],
        ["web-1", "0/1", "Starting", 0],
    ]
    pod = await wire.ok("GET", f"{PODS}/web-0")
    assert (pod["kind"], pod["spec"]["nodeName"], pod["status"]["podIP"]) == ("Pod", "w1", "10.0.0.0")
    on_w2 = await wire.ok("GET", "/api/v1/pods?fieldSelector=spec.nodeName=w2")
    assert [each["metadata"]["name"] for each in on_w2["items"]] == ["web-1"]
    labelled = await wire.ok("GET", f"{PODS}?labelSelector=aerekos.cloud/service=other")
    assert labelled["items"] == []
    assert (await wire.ask("GET", f"{PODS}/web-7")).code == 404


async def test_watching_pods_tells_what_changed_of_each(wire: Wire) -> None:
    await running(wire, instance(0))
    start = (await wire.ok("GET", PODS))["metadata"]["resourceVersion"]
    async with wire.watch(f"{PODS}?watch=1&resourceVersion={start}") as watched:
        await running(wire, instance(0), instance(1, ready=False))
        await wire.merge(f"{SERVICES}/web", {"metadata": {"annotations": {"no": "pod shows it"}}})
        await running(wire, instance(0), instance(1))
        await running(wire, instance(0, startedAt="2026-01-01T00:01:00Z"))
        await wire.ok("DELETE", f"{SERVICES}/web")
        assert await watched.told(6) == [
            ("ADDED", "web-1"),
            ("MODIFIED", "web-1"),
            ("DELETED", "web-0"),
            ("ADDED", "web-0"),
            ("DELETED", "web-1"),
            ("DELETED", "web-0"),
        ]


class Runtime:
    """A driver that can replace one instance, and remembers which."""

    def __init__(self) -> None:
        self.restarted: list[tuple[ObjectKey, str]] = []

    async def restart(self, key: ObjectKey, instance: str) -> bool:
        self.restarted.append((key, instance))
        return True


def with_runtime(wire: Wire, **more: Any) -> Wire:
    registry = wire.registry
    authorizer = Authorizer(registry.catalog, (), registry.store)
    return Wire(ResourceApi(registry, authorizer, LoopClock(), random.Random(1), **more), registry)


async def test_deleting_a_pod_restarts_that_instance_alone(wire: Wire) -> None:
    runtime = Runtime()
    wire = with_runtime(wire, driver=runtime)
    await running(wire, instance(0), instance(1))
    pod = await wire.ok("GET", f"{PODS}/web-1")
    assert (await wire.ask("DELETE", f"{PODS}/web-1", {"preconditions": {"uid": "other"}})).code == 409
    await wire.ok("DELETE", f"{PODS}/web-1?dryRun=All")
    await wire.ok("DELETE", f"{PODS}/web-1", {"dryRun": ["All"]})
    assert runtime.restarted == []
    assert (await wire.ok("DELETE", f"{PODS}/web-1"))["metadata"]["uid"] == pod["metadata"]["uid"]
    assert [name for _, name in runtime.restarted] == ["web-1"]


async def test_where_one_cannot_be_replaced_alone_all_are(wire: Wire) -> None:
    await running(wire, instance(0))
    await wire.ok("DELETE", f"{PODS}/web-0")
    assert "aerekos.cloud/restartedAt" in (await wire.ok("GET", f"{SERVICES}/web"))["metadata"]["annotations"]


async def test_an_eviction_needs_somewhere_to_go(wire: Wire) -> None:
    runtime = Runtime()
    wire = with_runtime(wire, driver=runtime)
    await running(wire, instance(0))
    for name in ("w1", "w2"):
        await wire.ok("POST", WORKERS, {"metadata": {"name": name}})
    eviction = {"kind": "Eviction", "apiVersion": "policy/v1", "metadata": {"name": "web-0"}}
    refused = await wire.ask("POST", f"{PODS}/web-0/eviction", eviction)
    assert (refused.code, refused.json["reason"]) == (429, "TooManyRequests")
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    await wire.merge(f"{WORKERS}/w2/status", ready)
    await wire.ok("POST", f"{PODS}/web-0/eviction", {**eviction, "deleteOptions": {"dryRun": ["All"]}})
    assert runtime.restarted == []
    await wire.ok("POST", f"{PODS}/web-0/eviction", eviction)
    assert [name for _, name in runtime.restarted] == ["web-0"]


async def test_cordoning_a_node_closes_its_worker(wire: Wire) -> None:
    await wire.ok("POST", WORKERS, {"metadata": {"name": "w1", "labels": {"disk": "fast"}}})
    node = await strategic(wire, "/api/v1/nodes/w1", {"spec": {"unschedulable": True}})
    assert (node["kind"], node["spec"]) == ("Node", {"unschedulable": True})
    taint = {"key": "gpu", "value": "only", "effect": "NoSchedule"}
    await strategic(wire, "/api/v1/nodes/w1", {"spec": {"taints": [taint]}})
    await wire.merge("/api/v1/nodes/w1", {"metadata": {"labels": {"zone": "a"}}})
    worker = await wire.ok("GET", f"{WORKERS}/w1")
    assert worker["spec"] == {"unschedulable": True, "taints": [taint]}
    assert worker["metadata"]["labels"] == {"disk": "fast", "zone": "a"}
    await wire.ok("POST", "/apis/aerekos.cloud/v1/workers", {"metadata": {"name": "w2"}})
    for selector, found in (("=true", ["w1"]), ("=false", ["w2"]), ("!=true", ["w2"])):
        listed = await wire.ok("GET", f"/api/v1/nodes?fieldSelector=spec.unschedulable{selector}")
        assert [each["metadata"]["name"] for each in listed["items"]] == found, selector
    stale = {"metadata": {"resourceVersion": "1"}, "spec": {"unschedulable": False}}
    reply = await wire.ask("PATCH", "/api/v1/nodes/w1", stale, content_type=STRATEGIC)
    assert reply.json["reason"] == "Conflict"


async def test_a_deployment_is_written_back_to_its_service(wire: Wire) -> None:
    await running(wire, instance(0), env=[{"name": "A", "value": "1"}])
    image = {"containers": [{"name": "web", "image": "nginx:2"}]}
    await strategic(wire, f"{DEPLOYMENTS}/web", {"spec": {"template": {"spec": image}}})
    scaled = await wire.merge(f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": 3}})
    assert (scaled["kind"], scaled["spec"]["replicas"]) == ("Scale", 3)
    service = await wire.ok("GET", f"{SERVICES}/web")
    assert (service["spec"]["image"], service["spec"]["replicas"]) == ("nginx:2", 3)
    assert service["spec"]["env"] == [{"name": "A", "value": "1"}]
    selector = {"spec": {"selector": {"matchLabels": {"x": "y"}}}}
    refused = await wire.ask("PATCH", f"{DEPLOYMENTS}/web", selector, content_type=STRATEGIC)
    assert refused.code == 422


PORTS = [{"name": "web", "ports": [{"containerPort": 80}]}]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"paused": True}, "spec.paused"),
        ({"template": {"spec": {"serviceAccountName": "robot"}}}, "spec.template.spec.serviceAccountName"),
        ({"template": {"spec": {"containers": PORTS}}}, "spec.template.spec.containers[0].ports"),
        ({"strategy": {"rollingUpdate": {"maxSurge": 3}}}, "spec.strategy.rollingUpdate.maxSurge"),
        ({"template": {"metadata": {"labels": {"a": "b"}}}}, "spec.template.metadata.labels.a"),
    ],
)
async def test_what_a_service_has_no_place_for_is_refused_not_dropped(
    wire: Wire, spec: dict[str, Any], field: str
) -> None:
    await running(wire, instance(0))
    before = await wire.ok("GET", f"{SERVICES}/web")
    refused = await wire.ask("PATCH", f"{DEPLOYMENTS}/web", {"spec": spec}, content_type=STRATEGIC)
    assert (refused.code, [each["field"] for each in refused.json["details"]["causes"]]) == (422, [field])
    assert await wire.ok("GET", f"{SERVICES}/web") == before


async def test_a_label_that_tells_what_a_machine_is_cannot_be_written(wire: Wire) -> None:
    await wire.ok("POST", WORKERS, {"metadata": {"name": "w1"}})
    arch = {"metadata": {"labels": {"kubernetes.io/arch": "z80"}}}
    assert (await wire.ask("PATCH", "/api/v1/nodes/w1", arch, content_type=STRATEGIC)).code == 422


async def test_the_whole_of_a_deployment_may_come_back_as_it_was_read(wire: Wire) -> None:
    await running(wire, instance(0), env=[{"name": "A", "value": "1"}], command=["x"])
    whole = await wire.ok("GET", f"{DEPLOYMENTS}/web")
    whole["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "B", "value": "2"})
    whole["spec"].pop("strategy")  # as clients do that know less
    await wire.ok("PUT", f"{DEPLOYMENTS}/web", whole)
    env = (await wire.ok("GET", f"{SERVICES}/web"))["spec"]["env"]
    assert env == [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]


async def test_a_service_that_is_off_is_scaled_for_later(wire: Wire) -> None:
    await running(wire, instance(0), enabled=False)
    await wire.merge(f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": 3}})
    assert (await wire.ok("GET", f"{SERVICES}/web"))["spec"]["replicas"] == 3


LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


async def test_what_was_applied_is_told_of_the_service_alone(wire: Wire) -> None:
    """Otherwise `apply --prune` would take a view for something that somebody applied."""
    await running(wire, instance(0))
    await wire.merge(f"{SERVICES}/web", {"metadata": {"annotations": {LAST_APPLIED: "mine", "note": "hi"}}})
    for path in (f"{DEPLOYMENTS}/web", "/api/v1/namespaces/default/services/web"):
        assert (await wire.ok("GET", path))["metadata"]["annotations"] == {"note": "hi"}
    theirs = {"metadata": {"annotations": {LAST_APPLIED: "a deployment", "note": "ho"}}}
    await strategic(wire, f"{DEPLOYMENTS}/web", theirs)
    kept = (await wire.ok("GET", f"{SERVICES}/web"))["metadata"]["annotations"]
    assert kept == {LAST_APPLIED: "mine", "note": "ho"}


async def test_the_cause_of_a_change_is_told_afterwards(wire: Wire) -> None:
    await running(wire, instance(0))
    await wire.merge(f"{SERVICES}/web", {"spec": {"image": "nginx:2"}})
    await wire.merge(f"{DEPLOYMENTS}/web", {"metadata": {"annotations": {"kubernetes.io/change-cause": "newer"}}})
    found = (await wire.ok("GET", "/apis/apps/v1/namespaces/default/replicasets"))["items"]
    causes = {
        each["spec"]["template"]["spec"]["containers"][0]["image"]: each["metadata"]["annotations"].get(
            "kubernetes.io/change-cause"
        )
        for each in found
    }
    assert causes == {"nginx:1": None, "nginx:2": "newer"}


@pytest.mark.parametrize(
    ("below", "word"), [("attach", "logs -f"), ("portforward", "gateway"), ("ephemeralcontainers", "exec")]
)
async def test_what_pods_do_not_have_here_is_said_in_words(wire: Wire, below: str, word: str) -> None:
    await running(wire, instance(0))
    refused = await wire.ask("POST", f"{PODS}/web-0/{below}", {})
    assert refused.code == 405 and word in refused.json["message"]


@pytest.mark.parametrize(("path", "stored"), [(DEPLOYMENTS, "services"), ("/api/v1/nodes", "workers")])
async def test_who_makes_what_is_only_shown_hears_what_to_make(wire: Wire, path: str, stored: str) -> None:
    refused = await wire.ask("POST", path, {"metadata": {"name": "web"}})
    assert refused.code == 405
    assert f"does not support create; it is a view of {stored}.aerekos.cloud, which does" in refused.json["message"]


async def test_who_asks_for_exec_in_an_old_way_hears_what_is_wrong_first(wire: Wire) -> None:
    await running(wire, instance(0))
    assert (await wire.ask("POST", f"{PODS}/web-7/exec?command=ls", {})).code == 404
    wrong = await wire.ask("POST", f"{PODS}/web-0/exec?command=ls&container=nope", {})
    assert "container nope" in wrong.json["message"]
    assert "WebSockets" in (await wire.ask("POST", f"{PODS}/web-0/exec?command=ls", {})).json["message"]


async def test_a_managed_service_has_no_image_to_set(wire: Wire) -> None:
    body = {"metadata": {"name": "keys"}, "spec": {"managed": "key_manager"}}
    await wire.ok("POST", SERVICES, body)
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "keys", "image": "x"}]}}}}
    refused = await wire.ask("PATCH", f"{DEPLOYMENTS}/keys", patch, content_type=STRATEGIC)
    assert refused.json["details"]["causes"][0]["field"].endswith("image")


async def test_a_restart_is_not_over_before_the_copies_are_new(wire: Wire) -> None:
    await running(wire, instance(0))
    assert (await wire.ok("GET", f"{DEPLOYMENTS}/web"))["status"]["updatedReplicas"] == 1
    restarted = {"kubectl.kubernetes.io/restartedAt": "2026-01-01T01:00:09+01:00"}
    patch = {"spec": {"template": {"metadata": {"annotations": restarted}}}}
    after = await strategic(wire, f"{DEPLOYMENTS}/web", patch)
    assert after["status"]["updatedReplicas"] == 0
    await running(wire, instance(0, startedAt="2026-01-01T00:00:09Z"))
    assert (await wire.ok("GET", f"{DEPLOYMENTS}/web"))["status"]["updatedReplicas"] == 1


async def test_history_is_shown_as_replica_sets(wire: Wire) -> None:
    await running(wire, instance(0))
    for image in ("nginx:2", "nginx:3", "nginx:2"):
        await wire.merge(f"{SERVICES}/web", {"spec": {"image": image}})
    await wire.merge(f"{SERVICES}/web", {"spec": {"replicas": 2}})
    found = (await wire.ok("GET", "/apis/apps/v1/namespaces/default/replicasets"))["items"]
    told = {
        each["metadata"]["annotations"]["deployment.kubernetes.io/revision"]: (
            each["spec"]["template"]["spec"]["containers"][0]["image"],
            each["spec"]["replicas"],
        )
        for each in found
    }
    assert told == {"1": ("nginx:1", 0), "3": ("nginx:3", 0), "4": ("nginx:2", 2)}
    owner = found[0]["metadata"]["ownerReferences"][0]
    assert owner["uid"] == (await wire.ok("GET", f"{DEPLOYMENTS}/web"))["metadata"]["uid"]


async def test_usage_comes_from_heartbeats_that_are_alive(wire: Wire) -> None:
    leases = Leases(LoopClock())
    wire = with_runtime(wire, leases=leases)
    await running(wire, instance(0), instance(1))
    leases.beat("w1", Usage(cpu=0.25, memory=2**30), services={"web-0": {"cpu": 0.1, "memory": 2**20}})
    nodes = await wire.ok("GET", "/apis/metrics.k8s.io/v1beta1/nodes")
    assert [(each["metadata"]["name"], each["usage"]) for each in nodes["items"]] == [
        ("w1", {"cpu": "250m", "memory": "1048576Ki"})
    ]
    pods = (await wire.ok("GET", "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods"))["items"]
    assert [(each["metadata"]["name"], each["containers"][0]["usage"]["cpu"]) for each in pods] == [("web-0", "100m")]


async def test_core_services_are_shown_and_cannot_be_written(wire: Wire) -> None:
    await running(wire, instance(0))
    path = "/api/v1/namespaces/default/services"
    service = await wire.ok("GET", f"{path}/web")
    assert (service["spec"]["clusterIP"], service["spec"]["ports"][0]["port"]) == ("None", 800)
    assert (await wire.ask("POST", path, {"metadata": {"name": "x"}})).json["reason"] == "MethodNotAllowed"
    assert (await wire.ask("DELETE", f"{path}/web")).code == 405


async def test_core_services_have_the_columns_of_ours(wire: Wire) -> None:
    await running(wire, instance(0, restarts=2))
    told = {"ready": "1/1", "phase": "Ready"}
    why = {"type": "Ready", "status": "True", "message": "all is well", "lastTransitionTime": STARTED}
    await wire.merge(f"{SERVICES}/web/status", {"status": {**told, "conditions": [why]}})
    ours = await wire.ok("GET", SERVICES, accept=TABLE)
    core = await wire.ok("GET", "/api/v1/namespaces/default/services", accept=TABLE)
    named = [each["name"] for each in ours["columnDefinitions"]]
    assert [each["name"] for each in core["columnDefinitions"]] == [*named, "Port(s)"]
    assert core["rows"][0]["cells"] == [*ours["rows"][0]["cells"], "800/TCP"]
    assert core["rows"][0]["cells"][:3] == ["web", "1/1", "Ready"]
