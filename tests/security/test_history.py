"""What a namespace held before it was deleted is not shown to who has its name next."""

from __future__ import annotations

from typing import Any

import pytest

from api.auth.principal import AUTHENTICATED, Principal
from controller.resources.strategy import WriteOptions
from crds.kinds.namespace import NAMESPACE
from tests.unit.kube.conftest import Wire, anyio_backend, wire

__all__ = ["anyio_backend", "wire"]
pytestmark = pytest.mark.anyio
TENANT = Principal("new-tenant", frozenset({AUTHENTICATED}))
SECRETS, MAPS = "/api/v1/namespaces/acme/secrets", "/api/v1/namespaces/acme/configmaps"
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/acme"


def secret(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "stringData": {"password": f"of-{name}"}}


async def rooms(wire: Wire) -> tuple[int, int]:
    """A namespace with a secret, deleted, and made again for somebody else. A revision of each time."""
    await wire.registry.create(NAMESPACE, "", {"metadata": {"name": "acme"}}, WriteOptions(by="test"))
    made = await wire.ok("POST", SECRETS, secret("old"))
    before = int(made["metadata"]["resourceVersion"])
    await wire.ok("DELETE", f"{SECRETS}/old")
    await wire.ok("DELETE", "/api/v1/namespaces/acme")
    key = NAMESPACE.key("acme")
    if wire.registry.store.get(key) is not None:
        await wire.registry.update(
            NAMESPACE,
            key,
            lambda old: {**old, "metadata": {**old["metadata"], "finalizers": []}},
            WriteOptions(by="system:conductor"),
        )
    assert wire.registry.store.get(key) is None
    await wire.registry.create(NAMESPACE, "", {"metadata": {"name": "acme"}}, WriteOptions(by="test"))
    rule = {"apiGroups": [""], "resources": ["secrets", "configmaps"], "verbs": ["get", "list", "watch"]}
    await wire.ok("POST", f"{RBAC}/roles", {"metadata": {"name": "r"}, "rules": [rule]})
    binding = {
        "metadata": {"name": "b"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": TENANT.name}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
    }
    await wire.ok("POST", f"{RBAC}/rolebindings", binding)
    made = await wire.ok("POST", SECRETS, secret("new"))
    return before, int(made["metadata"]["resourceVersion"])


async def test_a_list_of_the_time_before_is_refused(wire: Wire) -> None:
    before, now = await rooms(wire)
    for path in (SECRETS, MAPS):
        old = await wire.ask("GET", f"{path}?resourceVersion={before}&resourceVersionMatch=Exact", who=TENANT)
        assert old.code == 410, old.json
    seen = await wire.ok("GET", f"{SECRETS}?resourceVersion={now}&resourceVersionMatch=Exact", who=TENANT)
    assert [each["metadata"]["name"] for each in seen["items"]] == ["new"]


async def test_a_forged_continue_token_leads_nowhere_either(wire: Wire) -> None:
    import base64

    before, _ = await rooms(wire)
    token = base64.urlsafe_b64encode(b'[%d,"",""]' % before).decode()
    assert (await wire.ask("GET", f"{SECRETS}?continue={token}", who=TENANT)).code in (400, 410)


async def test_a_watch_from_the_time_before_is_refused(wire: Wire) -> None:
    before, now = await rooms(wire)
    async with wire.watch(f"{SECRETS}?watch=1&resourceVersion={before - 1}") as seen:
        event = await seen.next()
        assert event["type"] == "ERROR" and event["object"]["code"] == 410
    async with wire.watch(f"{SECRETS}?watch=1&resourceVersion={now - 1}") as seen:
        assert await seen.told(1) == [("ADDED", "new")]


async def test_who_reads_all_namespaces_still_has_the_past(wire: Wire) -> None:
    """They could have read it then."""
    before, _ = await rooms(wire)
    seen = await wire.ok("GET", f"/api/v1/secrets?resourceVersion={before}&resourceVersionMatch=Exact")
    assert [each["metadata"]["name"] for each in seen["items"]] == ["old"]
