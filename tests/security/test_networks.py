"""A namespace's Services reach its own network alone, and answer to no name of others or of the cloud itself.

What people write is tried through every interface of the resource API; what the driver makes of it, in a bottle.
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
from controller.resources.registry import Registry
from controller.resources.strategy import WriteOptions
from controller.runtime.driver import DriverError, Workload
from controller.runtime.swarm.dependencies import DependencyProvisioner
from controller.runtime.swarm.naming import Cloud
from controller.runtime.swarm.snapshot import SwarmSnapshot
from controller.store.sql import open_store
from crds.catalog import CORE_KINDS, Catalog
from crds.kinds.namespace import NAMESPACE
from crds.kinds.service import SERVICE
from crds.kinds.service_rules import PLATFORM_NAMES, PLATFORM_PORTS
from tests.unit.kube.conftest import Reply, Wire
from tests.unit.runtime.swarm_in_a_bottle import Bottle

pytestmark = pytest.mark.anyio
EDITOR = Principal("ed", frozenset({AUTHENTICATED, "aerekos:editor"}))
HERE = "/apis/aerekos.cloud/v1/namespaces/default/services"
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop"
SPY: dict[str, Any] = {"image": "spy:1", "networks": ["shop"]}


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return ("asyncio", {"loop_factory": VirtualLoop})


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    clock, catalog = LoopClock(), Catalog(CORE_KINDS)
    store = await open_store(f"sqlite:///{tmp_path}/records.db", threads=Inline(), clock=clock)
    registry = Registry(store, catalog, clock)
    for name in ("default", "shop"):
        await registry.create(NAMESPACE, "", {"metadata": {"name": name}}, WriteOptions(by="test"))
    authorizer = Authorizer(catalog, (), store)
    yield Wire(ResourceApi(registry, authorizer, clock, random.Random(1)), registry)
    await store.close()


def service(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "aerekos.cloud/v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


APPLY, MERGE, JSON = "application/apply-patch+yaml", "application/merge-patch+json", "application/json-patch+json"


def is_refused(reply: Reply) -> bool:
    return reply.code == 403 and 'cannot use resource \\"networks\\"' in reply.body.decode()


async def test_nobody_joins_the_network_of_another_namespace_uninvited(wire: Wire) -> None:
    """Through creating, replacing, and each way to patch."""
    assert is_refused(await wire.ask("POST", HERE, service("spy", SPY), who=EDITOR))
    whole = f"{HERE}/spy?fieldManager=x"
    assert is_refused(await wire.ask("PATCH", whole, service("spy", SPY), content_type=APPLY, who=EDITOR))
    assert (await wire.ask("POST", HERE, service("spy", {"image": "spy:1"}), who=EDITOR)).code == 201
    for content_type, body in (
        (MERGE, {"spec": {"networks": ["shop"]}}),
        (JSON, [{"op": "add", "path": "/spec/networks", "value": ["shop"]}]),
        (APPLY, service("spy", SPY)),
        (APPLY, service("spy", {"networks": ["shop"]})),
    ):
        forced = f"{whole}&force=true" if content_type == APPLY else whole
        reply = await wire.ask("PATCH", forced, body, content_type=content_type, who=EDITOR)
        assert is_refused(reply), content_type
    assert is_refused(await wire.ask("PUT", f"{HERE}/spy", service("spy", SPY), who=EDITOR))
    assert wire.registry.get(SERVICE, SERVICE.key("spy", "default")).object["spec"]["networks"] == []


async def test_nobody_changes_what_speaks_in_a_network_that_another_may_use(wire: Wire) -> None:
    """Also not by saying nothing of the network, nor through the same Service shown as a Deployment."""
    assert (await wire.ask("POST", HERE, service("web", {"image": "web:1", "networks": ["shop"]}))).code == 201
    for content_type, body in (
        (MERGE, {"spec": {"image": "spy:1"}}),
        (APPLY, service("web", {"image": "spy:1"})),
    ):
        path = f"{HERE}/web?fieldManager=x" + ("&force=true" if content_type == APPLY else "")
        assert is_refused(await wire.ask("PATCH", path, body, content_type=content_type, who=EDITOR)), content_type
    containers = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "spy:1"}]}}}}
    shown = "/apis/apps/v1/namespaces/default/deployments/web"
    assert is_refused(await wire.ask("PATCH", shown, containers, content_type=MERGE, who=EDITOR))
    assert wire.registry.get(SERVICE, SERVICE.key("web", "default")).object["spec"]["image"] == "web:1"


async def test_the_other_namespace_lets_them_in(wire: Wire) -> None:
    """By a role of its own, for its own network."""
    role = {
        "metadata": {"name": "visitors"},
        "rules": [{"apiGroups": ["aerekos.cloud"], "resources": ["networks"], "verbs": ["use"]}],
    }
    given = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "visitors"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ed"}
    binding = {"metadata": {"name": "visitors"}, "roleRef": given, "subjects": [subject]}
    assert (await wire.ask("POST", f"{RBAC}/roles", role)).code == 201
    assert (await wire.ask("POST", f"{RBAC}/rolebindings", binding)).code == 201
    assert (await wire.ask("POST", HERE, service("guest", SPY), who=EDITOR)).code == 201
    another = {**SPY, "networks": ["shop", "bank"]}
    assert is_refused(await wire.ask("POST", HERE, service("spy", another), who=EDITOR))


@pytest.mark.parametrize("name", sorted(PLATFORM_NAMES))
async def test_the_names_of_the_clouds_own_parts_are_no_services(wire: Wire, name: str) -> None:
    """The conductor is in the network of this namespace, and would find them there."""
    reply = await wire.ask("POST", HERE, service(name, {"image": "evil:1"}))
    assert reply.code == 422 and "kept for a part of the cloud itself" in reply.json["message"]
    elsewhere = HERE.replace("/default/", "/shop/")
    assert (await wire.ask("POST", elsewhere, service(name, {"image": "x:1"}))).code == 201


@pytest.mark.parametrize("port", sorted(PLATFORM_PORTS))
async def test_the_ports_of_the_cloud_itself_are_published_for_nobody(wire: Wire, port: int) -> None:
    """Who had 7444 on a machine would be told the passwords of `docker login` there."""
    for protocol in ("tcp", "udp"):
        ports = [{"port": 80, "published": port, "protocol": protocol}]
        reply = await wire.ask("POST", HERE, service("web", {"image": "evil:1", "ports": ports}))
        assert reply.code == 422 and "kept for the cloud itself" in reply.json["message"]
    assert (await wire.ask("POST", HERE, service("web", {"image": "x:1", "ports": [{"port": port}]}))).code == 201
    ports = {"spec": {"ports": [{"port": 80, "published": port}]}}
    assert (await wire.ask("PATCH", f"{HERE}/web", ports, content_type=MERGE)).code == 422


# --- what the driver makes of it ---


def workload(name: str, namespace: str, *networks: str, control: bool = False) -> Workload:
    key = SERVICE.key(name, namespace)
    return Workload(key, "uid", "one", 1, image="x:1", networks=networks, control=control)


class Overlays:
    """The control network is there, as the stack made it."""

    def __init__(self) -> None:
        self.bottle = Bottle(LoopClock())
        self.bottle.api.networks = self._listed  # type: ignore[method-assign]
        self.preparer = DependencyProvisioner(self.bottle, Cloud(stack="aerekos", control_network="aerekos_control"))  # type: ignore[arg-type]

    def _listed(self, names: Any = (), **_: Any) -> list[dict[str, Any]]:
        there = {"Name": "aerekos_control", "Id": "control", "Labels": {}}
        return [there] if "aerekos_control" in names else []

    async def joined(self, made: Workload) -> dict[str, list[str]]:
        around = await self.preparer.dependencies(made, SwarmSnapshot({}, {}, {}))
        return {id_: list(names) for id_, names in around.networks.items()}


async def test_a_visitor_answers_for_nobody_at_home() -> None:
    """A Service `db` that visits `shop` is not what `db` means there; and takes no name of the world outside."""
    overlays = Overlays()
    assert await overlays.joined(workload("db", "default", "shop")) == {
        "id of aerekos_default": ["db"],
        "id of aerekos_shop": ["db.default.svc"],
    }


async def test_parts_of_the_cloud_meet_where_nobody_else_is() -> None:
    """In no namespace's network: there, `conductor` could be anybody."""
    assert await Overlays().joined(workload("key-manager", "default", control=True)) == {"control": []}


@pytest.mark.parametrize("made", [workload("spy", "control"), workload("spy", "default", "control")])
async def test_no_namespace_has_the_clouds_own_network_for_its_own(made: Workload) -> None:
    """Also after it was found for a part of the cloud: what is remembered is not asked by name alone."""
    overlays = Overlays()
    await overlays.joined(workload("key-manager", "default", control=True))
    with pytest.raises(DriverError, match="is the cloud's own"):
        await overlays.joined(made)
