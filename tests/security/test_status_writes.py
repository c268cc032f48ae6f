"""Status is what was seen. Whoever could write it would send other people's requests, plaintexts among them, to an
address of their choice; so nobody but the one who saw it writes it, and the gateway does not believe it anyway.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from unit.api.components import ADMIN, HOW, House, make_house

from api.auth.accounts import principal_of
from api.auth.principal import AUTHENTICATED, SERVICES, Principal
from api.gateway.load_balancer import LoadBalancer
from controller.runtime.driver import ObservedInstance
from crds.errors import Unavailable
from crds.kinds.service import SERVICE

pytestmark = pytest.mark.anyio
BASE = "/apis/aerekos.cloud/v1/namespaces/default/services"
EVIL = {"status": {"instances": [{"name": "key-manager-0", "address": "203.0.113.9:443", "ready": True}]}}
PEOPLE = ("eve", "root")
KMS_ITSELF = Principal("system:service:key-manager", frozenset({SERVICES, AUTHENTICATED}))
PATCHES: dict[str, Any] = {
    "application/merge-patch+json": EVIL,
    "application/strategic-merge-patch+json": EVIL,
    "application/json-patch+json": [{"op": "replace", "path": "/status", "value": EVIL["status"]}],
    "application/apply-patch+yaml": {
        "apiVersion": "aerekos.cloud/v1", "kind": "Service", "metadata": {"name": "key-manager"}, **EVIL,
    },
}  # fmt: skip


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(tmp_path)
    await made.add_user("eve", "editor")
    await made.add_user("ann", "admin")
    await made.add_service("key-manager", "127.0.0.1:1001")
    yield made
    await made.close()


def client_of(house: House, name: str) -> httpx.AsyncClient:
    user = house.accounts.user(name)
    return house.client(house.bearer(ADMIN if user is None else principal_of(user)))


def seen_addresses(house: House) -> list[str]:
    stored = house.registry.get(SERVICE, SERVICE.key("key-manager")).object.get("status", {})
    return [each["address"] for each in stored.get("instances", [])]


@pytest.mark.parametrize("who", ["eve", "ann", "root"])
@pytest.mark.parametrize("kind", PATCHES)
async def test_no_patch_of_the_status_is_taken(house: House, who: str, kind: str) -> None:
    async with client_of(house, who) as client:
        query = {"fieldManager": "x", "force": "true"} if "apply" in kind else {}
        answer = await client.patch(
            f"{BASE}/key-manager/status", json=PATCHES[kind], headers={"content-type": kind}, params=query
        )
        assert answer.status_code == 403, answer.text
        assert answer.json()["reason"] == "Forbidden"
    assert seen_addresses(house) == []


@pytest.mark.parametrize("who", ["eve", "ann", "root"])
async def test_no_replacement_of_the_status_is_taken(house: House, who: str) -> None:
    async with client_of(house, who) as client:
        whole = (await client.get(f"{BASE}/key-manager")).json()
        answer = await client.put(f"{BASE}/key-manager/status", json={**whole, **EVIL})
        assert answer.status_code == 403
        rehearsed = await client.put(f"{BASE}/key-manager/status?dryRun=All", json={**whole, **EVIL})
        assert rehearsed.status_code == 403
    assert seen_addresses(house) == []


@pytest.mark.parametrize("kind", PATCHES)
async def test_status_in_the_main_resource_changes_nothing(house: House, kind: str) -> None:
    async with client_of(house, "eve") as client:
        query = {"fieldManager": "x", "force": "true"} if "apply" in kind else {}
        await client.patch(f"{BASE}/key-manager", json=PATCHES[kind], headers={"content-type": kind}, params=query)
        whole = (await client.get(f"{BASE}/key-manager")).json()
        await client.put(f"{BASE}/key-manager", json={**whole, **EVIL})
    assert seen_addresses(house) == []


async def test_a_resource_made_with_a_status_has_none(house: House) -> None:
    body = {"metadata": {"name": "mine"}, "spec": {"image": "x:1"}, **EVIL}
    async with client_of(house, "eve") as client:
        assert (await client.post(BASE, json=body)).status_code == 201
    stored = house.registry.get(SERVICE, SERVICE.key("mine")).object
    assert not stored["status"].get("instances")


async def test_scale_stays_allowed(house: House) -> None:
    async with client_of(house, "eve") as client:
        answer = await client.patch(
            f"{BASE}/key-manager/scale",
            json={"spec": {"replicas": 2}},
            headers={"content-type": "application/merge-patch+json"},
        )
        assert answer.status_code == 200, answer.text


async def test_a_service_writes_no_status_of_kinds_that_are_not_its_own(house: House) -> None:
    async with house.client(house.bearer(KMS_ITSELF)) as client:
        answer = await client.patch(
            f"{BASE}/key-manager/status", json=EVIL, headers={"content-type": "application/merge-patch+json"}
        )
        assert answer.status_code == 403


async def test_who_impersonates_the_conductor_writes_none_either(house: House) -> None:
    async with house.client({**house.bearer(ADMIN), "impersonate-user": "system:conductor"}) as client:
        answer = await client.patch(
            f"{BASE}/key-manager/status", json=EVIL, headers={"content-type": "application/merge-patch+json"}
        )
        assert answer.status_code == 403


async def test_people_are_told_beforehand(house: House) -> None:
    wanted = {"verb": "patch", "group": "aerekos.cloud", "resource": "services", "subresource": "status",
              "namespace": "default"}  # fmt: skip
    body = {"spec": {"resourceAttributes": wanted}}
    async with client_of(house, "ann") as client:
        answer = await client.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", json=body)
        assert answer.json()["status"]["allowed"] is False


async def test_the_gateway_does_not_believe_a_stored_status(house: House) -> None:
    """Even one that got into the store: only what the driver reported, of the Service with that very uid."""
    key = SERVICE.key("key-manager")
    await house.registry.merge(SERVICE, key, EVIL, HOW, subresource="status")
    assert house.balancer.candidates("key-manager") == ["127.0.0.1:1001"]
    await house.registry.delete(SERVICE, key, HOW)
    body = {"metadata": {"name": "key-manager"}, "spec": {"managed": "key_manager"}}
    await house.registry.create(SERVICE, "default", body, HOW)
    with pytest.raises(Unavailable):
        house.balancer.candidates("key-manager")


async def test_a_container_that_took_a_managed_name_gets_no_requests(house: House) -> None:
    key = SERVICE.key("key-manager")
    record = house.registry.get(SERVICE, key)
    impostor = {**record.object, "spec": {**record.object["spec"], "managed": "other_manager"}}
    balancer = LoadBalancer(
        _Holding(impostor, record.uid), house.endpoints, house.clock, {"key-manager": "key_manager"}
    )
    house.endpoints.report(key, record.uid, [ObservedInstance("key-manager-0", "Ready", True, "r", "127.0.0.1:9")])
    with pytest.raises(Unavailable):
        balancer.candidates("key-manager")


class _Holding:
    """A registry whose store holds one record of any key."""

    def __init__(self, body: dict[str, Any], uid: str) -> None:
        self.store, self.object, self.uid = self, body, uid

    def get(self, _: object) -> _Holding:
        return self
