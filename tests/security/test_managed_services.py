"""What a managed service runs comes from its manifest alone, and its name is for it alone, in every interface.

The fields are taken from the schema, so that a new one is refused until somebody decides that it is harmless.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from api.auth.authorizer import Authorizer
from api.auth.principal import AUTHENTICATED, Principal
from api.kube.resource_api import ResourceApi
from controller.kit.clock import LoopClock
from controller.kit.threads import Inline
from controller.kit.virtual import VirtualLoop
from controller.reconcile.outcome import Permanent
from controller.reconcilers.service import ServiceReconciler
from controller.reconcilers.service_workload import RuntimeInputs
from controller.resources.registry import Registry
from controller.resources.strategy import WriteOptions
from controller.store.records import Change
from controller.store.sql import open_store
from crds.catalog import CORE_KINDS, Catalog
from crds.kinds.namespace import NAMESPACE
from crds.kinds.service import SERVICE, ServiceSpec
from crds.kinds.service_rules import MANAGED_MAY_SET
from crds.kinds.worker import WORKER
from crds.managed import ManagedService
from crds.meta import Condition, condition
from tests.unit.kube.conftest import ADMIN, Reply, Wire
from tests.unit.reconcilers.houses import FakeDriver, world

pytestmark = pytest.mark.anyio
EDITOR = Principal("ed", frozenset({AUTHENTICATED, "aerekos:editor"}))
MAKER = Principal("system:serviceaccount:other:maker", frozenset({AUTHENTICATED}))
KEYS = ManagedService("key_manager", "Keys", "", "x:y", secrets=("root-key",))
ALL = "/apis/aerekos.cloud/v1/namespaces/{}/services"
SERVICES, ELSEWHERE = ALL.format("default"), ALL.format("other")
APPS = "/apis/apps/v1/namespaces/default/deployments"
RUN = ["sh", "-c", "cat /root/secrets/root-key > /tmp/stolen"]
# One attempt for each field people may not set; what the attackers did is among them.
ATTEMPTS: dict[str, Any] = {
    "image": "evil:1",
    "engine": {"name": "postgresql"},
    "command": RUN,
    "args": ["-c", "import os"],
    "env": [{"name": "PYTHONWARNINGS", "value": "all:0:antigravity.x:0:0"}, {"name": "BROWSER", "value": "sh -c id"}],
    "probes": {"liveness": {"exec": {"command": RUN}}},
    "ports": [{"port": 22}],
    "volumes": [{"name": "host", "path": "/etc"}],
    "files": [{"path": "/app/sitecustomize.py", "content": "import os"}],
    "networks": ["default"],
    "role": "jobs",
}
HARMLESS: dict[str, Any] = {
    "managed": "key_manager",
    "enabled": False,
    "replicas": 2,
    "needs": ["storage-manager"],
    "resources": {"limits": {"memory": "1Gi"}},
    "placement": {"workerSelector": {"disk": "fast"}},
    "stopGraceSeconds": 3,
    "mode": "replicated",
    "update": {"onFailure": "pause"},
    "timeouts": {"requestSeconds": 30.0},
    "activation": "onDemand",
    "idleSeconds": 30.0,
}
FIELDS = sorted(SERVICE.schema["properties"]["spec"]["properties"])


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return ("asyncio", {"loop_factory": VirtualLoop})


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    clock, catalog = LoopClock(), Catalog(CORE_KINDS, managed=["key_manager"])
    store = await open_store(f"sqlite:///{tmp_path}/records.db", threads=Inline(), clock=clock)
    registry = Registry(store, catalog, clock)
    for name in ("default", "other"):
        await registry.create(NAMESPACE, "", {"metadata": {"name": name}}, WriteOptions(by="test"))
    yield Wire(ResourceApi(registry, Authorizer(catalog, (), store), clock, random.Random(1)), registry)
    await store.close()


def keys(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "aerekos.cloud/v1",
        "kind": "Service",
        "metadata": {"name": "key-manager"},
        "spec": {"managed": "key_manager", **spec},
    }


def refused(reply: Reply, *words: str) -> bool:
    assert reply.code == 422, reply.body
    for word in words:
        assert word in reply.json["message"], reply.json["message"]
    return True


def test_every_field_of_the_schema_was_decided_about() -> None:
    assert set(FIELDS) == MANAGED_MAY_SET | set(ATTEMPTS), (
        "decide: may people set the new field of a managed service?"
    )
    assert set(HARMLESS) == MANAGED_MAY_SET


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("door", ["create", "replace", "merge", "json patch", "apply", "dry run"])
async def test_every_field_times_editor(wire: Wire, field: str, door: str) -> None:
    value = ATTEMPTS[field] if field in ATTEMPTS else HARMLESS[field]
    if door not in ("create", "apply", "dry run"):
        await wire.ok("POST", SERVICES, keys(), who=EDITOR)
    place = f"{SERVICES}/key-manager"
    if door == "create":
        reply = await wire.ask("POST", SERVICES, keys(**{field: value}), who=EDITOR)
    elif door == "dry run":
        reply = await wire.ask("POST", f"{SERVICES}?dryRun=All", keys(**{field: value}), who=EDITOR)
    elif door == "replace":
        now = await wire.ok("GET", place)
        reply = await wire.ask("PUT", place, {**now, "spec": {**now["spec"], field: value}}, who=EDITOR)
    elif door == "merge":
        patch = {"spec": {field: value}}
        reply = await wire.ask("PATCH", place, patch, content_type="application/merge-patch+json", who=EDITOR)
    elif door == "json patch":
        patch = [{"op": "add", "path": f"/spec/{field}", "value": value}]
        reply = await wire.ask("PATCH", place, patch, content_type="application/json-patch+json", who=EDITOR)
    else:
        reply = await wire.ask(
            "PATCH",
            f"{place}?fieldManager=ed&force=true",
            keys(**{field: value}),
            content_type="application/apply-patch+yaml",
            who=EDITOR,
        )
    if field == "role":
        assert reply.code == 403 and "may not pass the role jobs" in reply.json["message"], reply.json
    elif field in ATTEMPTS:
        assert refused(reply, "managed" if field in ("image", "args", "engine") else f"spec.{field}")
    else:
        assert reply.code < 300, reply.json


async def test_an_admin_may_not_either(wire: Wire) -> None:
    assert refused(await wire.ask("POST", SERVICES, keys(env=ATTEMPTS["env"]), who=ADMIN), "leave env out")
    assert refused(await wire.ask("POST", SERVICES, keys(role="jobs"), who=ADMIN), "leave role out")


async def test_the_deployment_door_meets_the_same_rules(wire: Wire) -> None:
    await wire.ok("POST", SERVICES, keys())
    container = {"name": "key-manager", "image": "managed/key-manager", "env": ATTEMPTS["env"]}
    patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
    reply = await wire.ask(
        "PATCH", f"{APPS}/key-manager", patch, content_type="application/merge-patch+json", who=EDITOR
    )
    assert reply.code in (400, 422), reply.json
    assert not (await wire.ok("GET", f"{SERVICES}/key-manager"))["spec"]["env"]
    made = await wire.ask("POST", APPS, {"metadata": {"name": "key-manager"}}, who=EDITOR)
    assert made.code == 405, "a view makes nothing"


async def test_its_name_cannot_be_taken_by_a_container_also_after_a_deletion(wire: Wire) -> None:
    evil = {**keys(), "spec": {"image": "evil:1"}}
    assert refused(await wire.ask("POST", SERVICES, evil, who=EDITOR), "metadata.name", "key_manager")
    await wire.ok("POST", SERVICES, keys())
    swap = {"spec": {"managed": None, "image": "evil:1"}}
    merge = "application/merge-patch+json"
    reply = await wire.ask("PATCH", f"{SERVICES}/key-manager", swap, content_type=merge, who=EDITOR)
    assert refused(reply, "spec.managed", "cannot change")
    await wire.ok("DELETE", f"{SERVICES}/key-manager", who=EDITOR)
    assert refused(await wire.ask("POST", SERVICES, evil, who=EDITOR), "metadata.name")
    await wire.ok("POST", SERVICES, keys(), who=EDITOR)


async def test_a_container_cannot_become_a_managed_service(wire: Wire) -> None:
    await wire.ok("POST", SERVICES, {"metadata": {"name": "web"}, "spec": {"image": "nginx:1"}})
    swap = {"spec": {"managed": "key_manager", "image": None}}
    merge = "application/merge-patch+json"
    reply = await wire.ask("PATCH", f"{SERVICES}/web", swap, content_type=merge, who=EDITOR)
    assert refused(reply, "spec.managed")


@pytest.mark.parametrize(("where", "name"), [(ELSEWHERE, "key-manager"), (SERVICES, "mine"), (ELSEWHERE, "mine")])
async def test_it_runs_once_under_its_own_name(wire: Wire, where: str, name: str) -> None:
    body = {**keys(), "metadata": {"name": name}}
    assert refused(await wire.ask("POST", where, body, who=EDITOR), "runs once")


async def test_the_same_name_in_another_namespace_is_anybodys(wire: Wire) -> None:
    await wire.ok("POST", ELSEWHERE, {"metadata": {"name": "key-manager"}, "spec": {"image": "nginx:1"}})


async def test_who_may_only_create_services_in_one_namespace_gets_no_managed_one(wire: Wire) -> None:
    rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/other"
    rule = {"apiGroups": ["aerekos.cloud"], "resources": ["services"], "verbs": ["create"]}
    await wire.ok("POST", f"{rbac}/roles", {"metadata": {"name": "maker"}, "rules": [rule]})
    binding = {
        "metadata": {"name": "maker"},
        "subjects": [{"kind": "ServiceAccount", "name": "maker", "namespace": "other"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "maker"},
    }
    await wire.ok("POST", f"{rbac}/rolebindings", binding)
    assert refused(await wire.ask("POST", ELSEWHERE, keys(probes=ATTEMPTS["probes"]), who=MAKER), "probes")
    assert (await wire.ask("POST", SERVICES, keys(), who=MAKER)).code == 403
    web = {"metadata": {"name": "web"}, "spec": {"image": "nginx:1"}}
    assert (await wire.ask("POST", ELSEWHERE, web, who=MAKER)).code == 201


async def test_a_record_from_before_still_opens_and_can_be_mended(wire: Wire) -> None:
    """As the version before this one kept it: with env and probes that count for nothing now."""
    old = keys(env=ATTEMPTS["env"], probes=ATTEMPTS["probes"])
    body = SERVICE.parse({**old, "metadata": {"name": "key-manager", "namespace": "default", "uid": "1"}}).wire()
    await wire.registry.store.write([Change(SERVICE.key("key-manager"), body, 0)], by="before")
    place = f"{SERVICES}/key-manager"
    assert (await wire.merge(place, {"spec": {"replicas": 2}}, who=EDITOR))["spec"]["replicas"] == 2
    more = [*ATTEMPTS["env"], {"name": "PYTHONSTARTUP", "value": "/tmp/x"}]
    merge = "application/merge-patch+json"
    assert refused(await wire.ask("PATCH", place, {"spec": {"env": more}}, content_type=merge, who=EDITOR), "env")
    assert (await wire.merge(place, {"spec": {"env": None, "probes": None}}, who=EDITOR))["spec"]["env"] == []


class Running:
    """The reconciler with a driver that notes what it is told."""

    def __init__(self) -> None:
        self.world, self.driver = world(), FakeDriver()
        self.reconciler = ServiceReconciler(self.driver, {KEYS.name: KEYS}, self._given)
        worker = WORKER.new("oak")
        worker.status.conditions = [Condition(type="Ready", status="True")]
        self.world.seen.put(WORKER, worker)

    async def _given(self, service: Any, manifest: Any) -> RuntimeInputs:
        return RuntimeInputs(env={"AEREKOS_API": "https://127.0.0.1:7443"})

    def stored(self, name: str, namespace: str = "default", **spec: Any) -> Any:
        made = SERVICE.new(name, namespace=namespace, spec=ServiceSpec.model_validate(spec))
        made.metadata.uid = name
        return self.world.seen.put(SERVICE, made)


async def test_what_an_old_record_asks_for_is_not_run_and_a_condition_says_so() -> None:
    house = Running()
    clean = house.stored("key-manager", managed="key_manager")
    await house.reconciler.reconcile(clean, house.world)
    stained = {name: value for name, value in ATTEMPTS.items() if name not in ("image", "args", "engine")}
    old = house.stored("key-manager", managed="key_manager", **stained)
    await house.reconciler.reconcile(old, house.world)
    first, second = house.driver.applied
    assert second == first, "the same runs, to the last variable"
    told = condition(old.status.conditions, "FieldsIgnored")
    assert told is not None and told.status == "True"
    assert all(field in told.message for field in stained)
    old.spec = ServiceSpec(managed="key_manager")
    await house.reconciler.reconcile(old, house.world)
    told = condition(old.status.conditions, "FieldsIgnored")
    assert told is not None and told.status == "False"


@pytest.mark.parametrize(
    ("name", "namespace", "spec"),
    [
        ("key-manager", "default", {"image": "evil:1"}),
        ("mine", "default", {"managed": "key_manager"}),
        ("key-manager", "other", {"managed": "key_manager"}),
    ],
)
async def test_an_old_record_in_the_wrong_place_is_stopped_and_named(
    name: str, namespace: str, spec: dict[str, Any]
) -> None:
    house = Running()
    old = house.stored(name, namespace, **spec)
    key = SERVICE.key(name, namespace)
    house.driver.running[key] = []
    with pytest.raises(Permanent, match=r"kept for|runs once"):
        await house.reconciler.reconcile(old, house.world)
    assert not house.driver.applied and key not in house.driver.running
    told = condition(old.status.conditions, "Ready")
    assert told is not None and (told.status, told.reason) == ("False", "NameReserved")
