"""The Kubernetes kinds people expect: secrets, config maps, service accounts, leases."""

from __future__ import annotations

import pytest

from crds.catalog import CORE_KINDS
from crds.kinds.event import EVENT
from services.sdk.discovery import managed_services
from tests.unit.kube.conftest import Wire

pytestmark = pytest.mark.anyio
CORE = "/api/v1/namespaces/default"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


async def test_the_first_column_of_every_kind_is_its_name() -> None:
    """kubectl shows the columns it is given and adds none: without it, rows could not be told apart."""
    ours = [kind for service in managed_services() for kind in service.kinds]
    shown = [kind for kind in (*CORE_KINDS, *ours) if not kind.internal and kind is not EVENT]
    assert [kind.resource for kind in shown if kind.columns[0].path != "metadata.name"] == []


async def test_plain_text_of_a_secret_is_kept_as_data(wire: Wire) -> None:
    body = {"metadata": {"name": "s"}, "data": {"a": "YQ=="}, "stringData": {"b": "bee"}}
    made = await wire.ok("POST", f"{CORE}/secrets", body)
    assert made["data"] == {"a": "YQ==", "b": "YmVl"}
    assert "stringData" not in made
    assert made["type"] == "Opaque"
    changed = await wire.merge(f"{CORE}/secrets/s", {"stringData": {"a": "new"}})
    assert changed["data"] == {"a": "bmV3", "b": "YmVl"}


async def test_a_secret_must_be_base64(wire: Wire) -> None:
    reply = await wire.ask("POST", f"{CORE}/secrets", {"metadata": {"name": "s"}, "data": {"a": "no!"}})
    assert reply.code == 400 and "data: Invalid value: a is not base64" in reply.json["message"]


async def test_a_table_counts_entries_and_shows_no_value(wire: Wire) -> None:
    await wire.ok("POST", f"{CORE}/secrets", {"metadata": {"name": "s"}, "stringData": {"a": "hidden", "b": "x"}})
    reply = await wire.ask("GET", f"{CORE}/secrets", accept=TABLE)
    assert reply.json["rows"][0]["cells"][:3] == ["s", "Opaque", 2]
    assert b"aGlkZGVu" not in reply.body


async def test_a_config_map_takes_strategic_patches_and_our_own_kinds_do_not(wire: Wire) -> None:
    strategic = "application/strategic-merge-patch+json"
    await wire.ok("POST", f"{CORE}/configmaps", {"metadata": {"name": "c"}, "data": {"a": "1", "b": "2"}})
    patch = {"data": {"a": None, "c": "3"}, "metadata": {"finalizers": ["x/y"]}}
    patched = await wire.ok("PATCH", f"{CORE}/configmaps/c", patch, content_type=strategic)
    assert patched["data"] == {"b": "2", "c": "3"}
    await wire.ok("POST", "/apis/aerekos.cloud/v1/workers", {"metadata": {"name": "w"}})
    refused = await wire.ask("PATCH", "/apis/aerekos.cloud/v1/workers/w", {}, content_type=strategic)
    assert refused.json["reason"] == "UnsupportedMediaType"


@pytest.mark.parametrize("plural", ["configmaps", "secrets"])
async def test_what_was_closed_for_good_stays_as_it_is(wire: Wire, plural: str) -> None:
    path = f"/api/v1/namespaces/default/{plural}"
    await wire.ok("POST", path, {"metadata": {"name": "m"}, "data": {"a": "MQ=="}, "immutable": True})
    for patch in ({"data": {"a": "Mg=="}}, {"data": {"b": "Mg=="}}, {"data": None}, {"immutable": False}):
        refused = await wire.ask("PATCH", f"{path}/m", patch, content_type="application/merge-patch+json")
        assert (refused.code, refused.json["details"]["causes"][0]["reason"]) == (422, "FieldValueForbidden")
    labelled = await wire.merge(f"{path}/m", {"metadata": {"labels": {"x": "y"}}})
    assert labelled["data"] == {"a": "MQ=="}
    await wire.ok("DELETE", f"{path}/m")


async def test_a_lease_is_taken_over_only_by_who_read_the_newest(wire: Wire) -> None:
    lease = {"metadata": {"name": "leader"}, "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15}}
    made = await wire.ok("POST", LEASES, lease)
    renewed = {**made, "spec": {**made["spec"], "renewTime": "2026-01-02T03:04:05.678901Z"}}
    after = await wire.ok("PUT", f"{LEASES}/leader", renewed)
    assert after["spec"]["renewTime"] == "2026-01-02T03:04:05.678901Z"
    stolen = await wire.ask("PUT", f"{LEASES}/leader", {**made, "spec": {"holderIdentity": "b"}})
    assert stolen.json["reason"] == "Conflict"
