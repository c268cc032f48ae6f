"""What is told of roles is what the authorizer does: every principal, every kind, every verb."""

from __future__ import annotations

from typing import Any

import pytest

from api.auth.authorizer import Action, Authorizer
from api.auth.principal import AUTHENTICATED, CONDUCTOR, MASTERS, SERVICES, WORKERS, Principal
from api.auth.role_decisions import decide_by_roles
from services.sdk.discovery import managed_services
from tests.unit.kube.conftest import Wire
from tests.unit.kube.test_access import RBAC, binding, role

pytestmark = pytest.mark.anyio
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "use")
PEOPLE = (
    Principal("nils", frozenset({AUTHENTICATED})),
    Principal("jane", frozenset({AUTHENTICATED, "devs"})),
    Principal("vera", frozenset({AUTHENTICATED, "aerekos:viewer"})),
    Principal("ed", frozenset({AUTHENTICATED, "aerekos:editor"})),
    Principal("ada", frozenset({AUTHENTICATED, "aerekos:admin"})),
    Principal("root", frozenset({AUTHENTICATED, MASTERS})),
    Principal(CONDUCTOR, frozenset({AUTHENTICATED, MASTERS})),
    Principal("system:worker:oak", frozenset({AUTHENTICATED, WORKERS})),
    Principal("system:service:key-manager", frozenset({AUTHENTICATED, SERVICES})),
    Principal("ada", frozenset({AUTHENTICATED, "aerekos:admin"}), actors=("system:service:key-manager",)),
    Principal("system:service:key-manager", frozenset({AUTHENTICATED, SERVICES}), acting="ada"),
    Principal("system:serviceaccount:default:robot", frozenset({AUTHENTICATED})),
)


async def bound(wire: Wire) -> Authorizer:
    await wire.ok("POST", f"{RBAC}/namespaces/default/roles", role("reader", verbs=["get"], resourceNames=["one"]))
    await wire.ok("POST", f"{RBAC}/namespaces/default/rolebindings", binding("b", "Role", "reader", "jane"))
    await wire.ok("POST", f"{RBAC}/clusterrolebindings", binding("devs", "ClusterRole", "view", "devs", "Group"))
    account = {"kind": "ServiceAccount", "name": "robot", "namespace": "default"}
    own = {**binding("robot", "ClusterRole", "edit", "x"), "subjects": [account]}
    await wire.ok("POST", f"{RBAC}/namespaces/default/rolebindings", own)
    return Authorizer(wire.registry.catalog, managed_services(), wire.registry.store)


async def test_what_is_told_is_what_is_done(wire: Wire) -> None:
    authorizer = await bound(wire)
    kinds = [(kind.group, kind.plural) for kind in wire.registry.catalog]
    resources = [(g, each) for g, plural in kinds for each in (plural, f"{plural}/status", f"{plural}/scale")]
    seen = set[bool]()
    for who in PEOPLE:
        for group, resource in resources:
            for verb in VERBS:
                for namespace, name in (("", ""), ("default", "one"), ("other", "one")):
                    action = Action(verb, group, resource, namespace, name)
                    found = decide_by_roles(authorizer, who, action)
                    assert found.allowed == authorizer.allows(who, action), (who, action)
                    assert found.allowed == (found.source is not None) and found.reason
                    assert found.source is None or found.source.rule.allows(action)
                    seen.add(found.allowed)
    assert seen == {True, False}


@pytest.mark.parametrize(
    ("who", "action", "told"),
    [
        (1, ("get", "", "configmaps", "default", "one"), "Role reader allows it, given by RoleBinding default/b"),
        (1, ("list", "", "configmaps", "other", ""), "ClusterRole view allows it, given by ClusterRoleBinding devs"),
        (2, ("get", "", "configmaps", "x", "y"), "the group aerekos:viewer allows it"),
        (0, ("get", "", "pods", "x", "y"), 'no role of "nils" allows get on pods in the namespace "x"'),
        (4, ("get", "aerekos.cloud", "credentials", "", "x"), "credentials is internal: no role opens it"),
    ],
)
async def test_the_rule_that_decided_is_named(wire: Wire, who: int, action: Any, told: str) -> None:
    found = decide_by_roles(await bound(wire), PEOPLE[who], Action(*action))
    assert found.reason == told
    assert found.described()["reason"] == told
