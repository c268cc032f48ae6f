"""RBAC objects decide: what a binding gives is allowed, and nothing else, and it ends with the binding."""

from __future__ import annotations

from typing import Any

import pytest

from api.auth.access_reviews import review
from api.auth.authorizer import Action, Authorizer
from api.auth.principal import AUTHENTICATED, Principal
from tests.unit.kube.conftest import ADMIN, Wire

pytestmark = pytest.mark.anyio
RBAC = "/apis/rbac.authorization.k8s.io/v1"
JANE = Principal("jane", frozenset({AUTHENTICATED, "devs"}))
VIEWER = Principal("vera", frozenset({AUTHENTICATED, "aerekos:viewer"}))
EDITOR = Principal("ed", frozenset({AUTHENTICATED, "aerekos:editor"}))
MAPS = "/api/v1/namespaces/default/configmaps"


def role(name: str, **rule: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "rules": [{"apiGroups": [""], "resources": ["configmaps"], **rule}]}


def binding(name: str, role_kind: str, role_name: str, subject: str, kind: str = "User") -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "subjects": [{"kind": kind, "name": subject}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role_name},
    }


async def code(wire: Wire, who: Principal, method: str, path: str, body: Any = None) -> int:
    return (await wire.ask(method, path, body, who=who)).code


async def test_a_binding_gives_its_role_in_its_namespace_until_it_is_deleted(wire: Wire) -> None:
    assert await code(wire, JANE, "GET", MAPS) == 403
    await wire.ok("POST", f"{RBAC}/namespaces/default/roles", role("reader", verbs=["get", "list"]))
    await wire.ok("POST", f"{RBAC}/namespaces/default/rolebindings", binding("b", "Role", "reader", "jane"))
    assert await code(wire, JANE, "GET", MAPS) == 200
    assert await code(wire, JANE, "GET", MAPS.replace("default", "other")) == 403
    assert await code(wire, JANE, "GET", "/api/v1/configmaps") == 403
    assert await code(wire, JANE, "POST", MAPS, {"metadata": {"name": "x"}}) == 403
    await wire.ok("DELETE", f"{RBAC}/namespaces/default/rolebindings/b")
    assert await code(wire, JANE, "GET", MAPS) == 403


async def test_a_cluster_binding_gives_a_role_everywhere_to_a_group(wire: Wire) -> None:
    await wire.ok("POST", f"{RBAC}/clusterroles", role("all-readers", verbs=["list"]))
    await wire.ok("POST", f"{RBAC}/clusterrolebindings", binding("b", "ClusterRole", "all-readers", "devs", "Group"))
    assert await code(wire, JANE, "GET", "/api/v1/configmaps") == 200
    assert await code(wire, JANE, "GET", MAPS.replace("default", "other")) == 200


async def test_a_changed_role_counts_at_once(wire: Wire) -> None:
    await wire.ok("POST", f"{RBAC}/clusterroles", role("c", verbs=["list"]))
    await wire.ok("POST", f"{RBAC}/clusterrolebindings", binding("b", "ClusterRole", "c", "jane"))
    assert await code(wire, JANE, "POST", MAPS, {"metadata": {"name": "x"}}) == 403
    await wire.merge(f"{RBAC}/clusterroles/c", {"rules": role("c", verbs=["create"])["rules"]})
    assert await code(wire, JANE, "POST", MAPS, {"metadata": {"name": "x"}}) == 201
    assert await code(wire, JANE, "GET", MAPS) == 403


async def test_resource_names_narrow_a_rule(wire: Wire) -> None:
    for name in ("mine", "theirs"):
        await wire.ok("POST", MAPS, {"metadata": {"name": name}})
    await wire.ok("POST", f"{RBAC}/clusterroles", role("c", verbs=["get", "list"], resourceNames=["mine"]))
    await wire.ok("POST", f"{RBAC}/clusterrolebindings", binding("b", "ClusterRole", "c", "jane"))
    assert await code(wire, JANE, "GET", f"{MAPS}/mine") == 200
    assert await code(wire, JANE, "GET", f"{MAPS}/theirs") == 403
    assert await code(wire, JANE, "GET", MAPS) == 403


async def test_the_usual_cluster_roles_exist_and_aggregation_collects_by_label(wire: Wire) -> None:
    await wire.ok("POST", f"{RBAC}/namespaces/default/rolebindings", binding("v", "ClusterRole", "view", "jane"))
    assert await code(wire, JANE, "GET", MAPS) == 200
    assert await code(wire, JANE, "GET", "/api/v1/namespaces/default/secrets") == 403
    part = role("part", verbs=["create"])
    part["metadata"]["labels"] = {"into": "whole"}
    whole = {
        "metadata": {"name": "whole"},
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"into": "whole"}}]},
    }
    await wire.ok("POST", f"{RBAC}/clusterroles", part)
    await wire.ok("POST", f"{RBAC}/clusterroles", whole)
    await wire.ok("POST", f"{RBAC}/clusterrolebindings", binding("w", "ClusterRole", "whole", "jane"))
    assert await code(wire, JANE, "POST", MAPS.replace("default", "other"), {"metadata": {"name": "x"}}) == 201


async def test_roles_and_bindings_are_named_as_in_kubernetes(wire: Wire) -> None:
    name = "system:Metrics-reader:v1"
    await wire.ok("POST", f"{RBAC}/clusterroles", role(name, verbs=["list"]))
    await wire.ok("POST", f"{RBAC}/clusterrolebindings", binding(name, "ClusterRole", name, "jane"))
    assert (await wire.ok("GET", f"{RBAC}/clusterroles/{name}"))["metadata"]["name"] == name
    assert await code(wire, JANE, "GET", MAPS) == 200
    for bad in ("..", "a/b", "a%2fb", "a\nb"):
        assert await code(wire, ADMIN, "POST", f"{RBAC}/clusterroles", role(bad, verbs=["list"])) == 422


@pytest.mark.parametrize("plural", ["roles", "rolebindings"])
async def test_editors_cannot_give_themselves_more(wire: Wire, plural: str) -> None:
    body = role("r", verbs=["*"]) if plural == "roles" else binding("b", "ClusterRole", "cluster-admin", "ed")
    assert await code(wire, EDITOR, "POST", f"{RBAC}/namespaces/default/{plural}", body) == 403


async def test_who_may_write_roles_cannot_give_more_than_they_have(wire: Wire) -> None:
    """Jane may read config maps and manage the roles and bindings of her namespace."""
    powers = role("manager", verbs=["get", "list"])
    resources = {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"]}
    powers["rules"].append({**resources, "verbs": ["create", "update", "patch"]})
    rbac = f"{RBAC}/namespaces/default"
    await wire.ok("POST", f"{rbac}/roles", powers)
    await wire.ok("POST", f"{rbac}/rolebindings", binding("b", "Role", "manager", "jane"))
    assert await code(wire, JANE, "POST", f"{rbac}/roles", role("same", verbs=["get"])) == 201
    assert await code(wire, JANE, "POST", f"{rbac}/roles", role("more", verbs=["delete"])) == 403
    assert await code(wire, JANE, "POST", f"{rbac}/roles", role("all", verbs=["*"])) == 403
    patch = {"rules": role("", verbs=["delete"])["rules"]}
    merge = "application/merge-patch+json"
    refused = await wire.ask("PATCH", f"{rbac}/roles/same", patch, content_type=merge, who=JANE)
    assert "attempting to grant permissions not currently held" in refused.json["message"]
    up = binding("up", "ClusterRole", "cluster-admin", "jane")
    assert await code(wire, JANE, "POST", f"{rbac}/rolebindings", up) == 403
    later = binding("later", "Role", "not-yet", "jane")
    assert await code(wire, JANE, "POST", f"{rbac}/rolebindings", later) == 403
    assert await code(wire, JANE, "POST", f"{rbac}/rolebindings", binding("ok", "Role", "same", "joe")) == 201


async def test_viewers_see_no_secrets_and_editors_do(wire: Wire) -> None:
    assert await code(wire, VIEWER, "GET", "/api/v1/namespaces/default/secrets") == 403
    assert await code(wire, EDITOR, "GET", "/api/v1/namespaces/default/secrets") == 200


async def test_no_role_opens_an_internal_kind(wire: Wire) -> None:
    await wire.ok("POST", f"{RBAC}/clusterrolebindings", binding("all", "ClusterRole", "cluster-admin", "jane"))
    assert await code(wire, JANE, "GET", "/api/v1/secrets") == 200
    assert await code(wire, JANE, "GET", "/apis/aerekos.cloud/v1/credentials") == 403


async def test_reviews_answer_what_the_door_would(wire: Wire) -> None:
    authorizer = Authorizer(wire.registry.catalog, (), wire.registry.store)
    await wire.ok("POST", f"{RBAC}/namespaces/default/roles", role("reader", verbs=["get"]))
    await wire.ok("POST", f"{RBAC}/namespaces/default/rolebindings", binding("b", "Role", "reader", "jane"))
    where = "/apis/authorization.k8s.io/v1/"

    def answered(path: str, body: dict[str, Any], who: Principal) -> dict[str, Any]:
        return dict(review(path, body, who, authorizer, lambda token: JANE)["status"])

    def may(verb: str, namespace: str) -> bool:
        spec = {"resourceAttributes": {"verb": verb, "resource": "configmaps", "namespace": namespace}}
        return bool(answered(f"{where}selfsubjectaccessreviews", {"spec": spec}, JANE)["allowed"])

    assert may("get", "default")
    assert not may("get", "other")
    assert not may("delete", "default")
    asked = {"spec": {"namespace": "default"}}
    told = answered(f"{where}selfsubjectrulesreviews", asked, JANE)["resourceRules"]
    assert {"verbs": ["get"], "apiGroups": [""], "resources": ["configmaps"]} in told
    who = answered("/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, ADMIN)
    assert who["userInfo"]["username"] == "admin"
    assert authorizer.allows(JANE, Action("get", "", "configmaps", "default", "x"))


async def test_given_roles_can_be_read_and_not_written(wire: Wire) -> None:
    path = f"{RBAC}/clusterroles"
    names = [each["metadata"]["name"] for each in (await wire.ok("GET", path))["items"]]
    assert names == ["admin", "cluster-admin", "edit", "view"]
    view = await wire.ok("GET", f"{path}/view")
    assert all(rule["verbs"] == ["get", "list", "watch"] for rule in view["rules"])
    assert await code(wire, ADMIN, "POST", path, {"metadata": {"name": "view"}, "rules": []}) == 409
    assert await code(wire, ADMIN, "PUT", f"{path}/view", {**view, "rules": []}) == 405
    assert await code(wire, ADMIN, "DELETE", f"{path}/view") == 405
    await wire.ok("POST", path, {"metadata": {"name": "mine"}, "rules": []})
    await wire.ok("DELETE", f"{path}/mine")
    await wire.ok("DELETE", path)
    assert await code(wire, ADMIN, "GET", f"{path}/view") == 200
