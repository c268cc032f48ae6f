"""Narrow roles: people without a cluster role, editors of one namespace, and nobody who widens their own."""

from __future__ import annotations

from typing import Any

import pytest
from unit.kube.conftest import ADMIN, Wire
from unit.kube.conftest import wire as wire

from api.auth.accounts import principal_of
from api.auth.authorizer import Action
from api.auth.principal import AUTHENTICATED, Principal
from cli.login.session import create_user
from controller.kit.virtual import VirtualLoop
from controller.main.errors import Misuse
from crds.kinds.user import USER

pytestmark = pytest.mark.anyio
RBAC = "/apis/rbac.authorization.k8s.io/v1"
ANN = Principal("ann", frozenset({AUTHENTICATED}))
GOOD = "a-good-password-of-ann"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return ("asyncio", {"loop_factory": VirtualLoop})


class FakeApi:
    """Carries out what the CLI asks, one after the other, on the resource API."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []

    def ask(self, method: str, path: str, json: Any = None, **_: Any) -> Any:
        self.asked.append((method, path, json))
        return {"metadata": {"name": "ann", "uid": "u-1"}}

    send = ask


async def bound(wire: Wire, role: str = "edit", namespace: str = "default") -> None:
    body = {
        "metadata": {"name": f"ann-{role}"},
        "subjects": [{"kind": "User", "name": "ann"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
    }
    await wire.ok("POST", f"{RBAC}/namespaces/{namespace}/rolebindings", body)


async def code(wire: Wire, method: str, path: str, body: Any = None) -> int:
    return (await wire.ask(method, path, body, who=ANN)).code


async def test_a_person_may_have_no_role_at_all(wire: Wire) -> None:
    made = await wire.ok("POST", "/apis/aerekos.cloud/v1/users", {"metadata": {"name": "ann"}, "spec": {}})
    assert made["spec"]["roles"] == []
    assert principal_of(USER.parse(made)).groups == {AUTHENTICATED}
    for path in (
        "/api/v1/namespaces",
        "/api/v1/pods",
        "/apis/aerekos.cloud/v1/services",
        "/api/v1/namespaces/default",
    ):
        assert await code(wire, "GET", path) == 403


async def test_an_editor_of_one_namespace_stays_in_it(wire: Wire) -> None:
    await bound(wire)
    there = "/api/v1/namespaces/default"
    assert await code(wire, "POST", f"{there}/configmaps", {"metadata": {"name": "a"}}) == 201
    assert await code(wire, "GET", there) == 200
    for method, path in (
        ("DELETE", there),
        ("DELETE", "/api/v1/configmaps"),
        ("GET", "/api/v1/configmaps?watch=1"),
        ("GET", "/api/v1/configmaps?fieldSelector=metadata.namespace=default"),
        ("DELETE", "/api/v1/namespaces/other/configmaps"),
        ("GET", "/api/v1/namespaces/other/pods"),
        ("GET", "/apis/apps/v1/namespaces/other/deployments"),
        ("GET", "/api/v1/nodes"),
        ("GET", "/apis/aerekos.cloud/v1/workers"),
        ("GET", "/apis/aerekos.cloud/v1/users"),
        ("GET", f"{RBAC}/clusterroles"),
        ("POST", f"{there}/serviceaccounts/default/token"),
        ("POST", f"{there}/pods/web-0/exec?command=sh"),
    ):
        assert await code(wire, method, path, {} if method == "POST" else None) == 403, path


async def test_an_admin_of_one_namespace_gives_no_more_than_that(wire: Wire) -> None:
    await bound(wire, "admin")
    rbac = f"{RBAC}/namespaces/default"
    subjects = [{"kind": "User", "name": "joe"}]

    def binding(name: str, role: str) -> dict[str, Any]:
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
        return {"metadata": {"name": name}, "subjects": subjects, "roleRef": reference}

    assert await code(wire, "POST", f"{rbac}/rolebindings", binding("ok", "edit")) == 201
    assert await code(wire, "POST", f"{rbac}/rolebindings", binding("up", "cluster-admin")) == 403
    exec_ = [{"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]}]
    assert await code(wire, "POST", f"{rbac}/roles", {"metadata": {"name": "r"}, "rules": exec_}) == 403
    assert await code(wire, "POST", f"{RBAC}/clusterrolebindings", binding("wide", "edit")) == 403
    other = f"{RBAC}/namespaces/other/rolebindings"
    assert await code(wire, "POST", other, binding("x", "view")) == 403


async def test_a_rule_has_one_spelling(wire: Wire) -> None:
    """What is compared with one's own rights is what is kept."""
    await bound(wire, "admin")
    roles = f"{RBAC}/namespaces/default/roles"
    rules = [{"api_groups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    await code(wire, "POST", roles, {"metadata": {"name": "r"}, "rules": rules})
    kept = (await wire.ask("GET", f"{roles}/r")).json
    assert "apiGroups" not in kept["rules"][0]
    strict = f"{roles}?fieldValidation=Strict"
    assert await code(wire, "POST", strict, {"metadata": {"name": "s"}, "rules": rules}) == 400


async def test_a_kind_of_others_opens_none_of_ours(wire: Wire) -> None:
    """Longhorn's `nodes` and its like: whoever may write those does not write what only has the same name here."""
    editor = Principal("ed", frozenset({"aerekos:editor", AUTHENTICATED}))
    for plural in ("nodes", "pods", "networks", "auditlog"):
        names = {"plural": plural, "kind": plural.capitalize()}
        schema = {"openAPIV3Schema": {"type": "object"}}
        version = {"name": "v1", "served": True, "storage": True, "schema": schema}
        spec = {"group": "longhorn.io", "names": names, "scope": "Namespaced", "versions": [version]}
        crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        await wire.ok("POST", crds, {"metadata": {"name": f"{plural}.longhorn.io"}, "spec": spec})
    for group, resource, verb in (
        ("", "nodes", "delete"),
        ("", "pods/exec", "create"),
        ("aerekos.cloud", "networks", "use"),
        ("aerekos.cloud", "auditlog", "list"),
    ):
        assert not wire.api._authorizer.allows(editor, Action(verb, group, resource, "default"))
    assert wire.api._authorizer.allows(editor, Action("delete", "longhorn.io", "nodes", "default", "a"))


async def test_a_binding_does_not_change_its_role(wire: Wire) -> None:
    await bound(wire, "view")
    path = f"{RBAC}/namespaces/default/rolebindings/ann-view"
    patch = {"roleRef": {"name": "edit"}}
    reply = await wire.ask("PATCH", path, patch, content_type="application/merge-patch+json", who=ADMIN)
    assert reply.code == 422 and "cannot change roleRef" in reply.json["message"]


def test_the_cli_binds_in_the_namespace_and_gives_no_cluster_role() -> None:
    api: Any = FakeApi()
    create_user(api, "ann", ["editor"], "team-a", GOOD)
    (_, users, user), (_, bindings, binding), *_ = api.asked
    assert (users, user["spec"]) == ("/apis/aerekos.cloud/v1/users", {"roles": [], "namespace": "team-a"})
    assert bindings == f"{RBAC}/namespaces/team-a/rolebindings"
    assert binding["roleRef"]["name"] == "edit"
    assert binding["metadata"]["ownerReferences"][0]["uid"] == "u-1"  # the next of that name does not inherit it


def test_the_cli_takes_back_a_user_it_could_not_bind() -> None:
    api: Any = FakeApi()
    with pytest.raises(Misuse):
        create_user(api, "ann", ["owner"], "team-a", GOOD)
    assert api.asked[-1][:2] == ("DELETE", "/apis/aerekos.cloud/v1/users/ann")
