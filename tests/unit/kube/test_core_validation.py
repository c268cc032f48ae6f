"""What Kubernetes refuses of its own kinds is refused here, with the same code and a cause that names the field."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from unit.kube.conftest import Wire

pytestmark = pytest.mark.anyio
MAPS = "/api/v1/namespaces/default/configmaps"
SECRETS = "/api/v1/namespaces/default/secrets"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "1"}
MEBIBYTE = 2**20


def meta(**more: Any) -> dict[str, Any]:
    return {"metadata": {"name": "a", **more}}


def named(**more: Any) -> dict[str, Any]:
    return {**meta(), **more}


REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    (MAPS, named(data={"a b": "1"}), 422, "data[a b]"),
    (MAPS, named(data={"..": "1"}), 422, "data[..]"),
    (MAPS, named(data={"a": "1"}, binaryData={"a": "MQ=="}), 422, "data[a]"),
    (MAPS, named(data={"a": "x" * MEBIBYTE, "b": "x"}), 422, "data"),
    (MAPS, named(data={"a": 1}), 400, ""),
    (MAPS, named(binaryData={"a": "&"}), 400, ""),
    (MAPS, meta(annotations={"a": "x" * 2**18}), 422, "metadata.annotations"),
    (MAPS, meta(finalizers=["mine"]), 422, "metadata.finalizers"),
    (MAPS, meta(finalizers=["orphan", "foregroundDeletion"]), 422, "metadata.finalizers"),
    (MAPS, meta(ownerReferences=[{**OWNER, "uid": ""}]), 422, "metadata.ownerReferences[0].uid"),
    (MAPS, meta(ownerReferences=[{**OWNER, "controller": True}, {**OWNER, "uid": "2", "controller": True}]), 422,
     "metadata.ownerReferences"),
    (SECRETS, named(data={"a": "&&"}), 400, ""),
    (SECRETS, named(data={"a/b": "MQ=="}), 422, "data[a/b]"),
    (SECRETS, named(stringData={"a": "x" * (MEBIBYTE + 1)}), 422, "data"),
    (LEASES, named(spec={"leaseDurationSeconds": -1}), 422, "spec.leaseDurationSeconds"),
    (LEASES, named(spec={"leaseDurationSeconds": 0}), 422, "spec.leaseDurationSeconds"),
    (LEASES, named(spec={"leaseTransitions": -1}), 422, "spec.leaseTransitions"),
    (LEASES, named(spec={"leaseDurationSeconds": "15"}), 400, ""),
    (LEASES, named(spec={"renewTime": "soon"}), 400, ""),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "code", "field"), REFUSED)
async def test_it_is_refused(wire: Wire, path: str, body: dict[str, Any], code: int, field: str) -> None:
    refused = await wire.ask("POST", path, body)
    assert refused.code == code, refused.json
    causes = refused.json.get("details", {}).get("causes") or [{"field": ""}]
    assert causes[0]["field"] == field
    if code == 400:
        assert re.search("is not base64|cannot be handled as a", refused.json["message"])


async def test_what_fits_is_kept(wire: Wire) -> None:
    full = base64.b64encode(b"x" * MEBIBYTE).decode()
    assert (await wire.ok("POST", SECRETS, named(data={"a": full})))["data"] == {"a": full}
    kept = await wire.ok("POST", MAPS, {**meta(finalizers=["x.io/p", "orphan"]), "data": {"a.b_C-1": "1"}})
    assert kept["data"] == {"a.b_C-1": "1"}
    assert (await wire.ask("POST", LEASES, named(spec={"leaseDurationSeconds": 1}))).code == 201


async def test_the_refusal_names_kind_and_name(wire: Wire) -> None:
    refused = await wire.ask("POST", MAPS, named(data={"a b": "1"}))
    assert refused.json["message"].startswith('ConfigMap "a" is invalid: data[a b]: Invalid value')


async def test_the_type_of_a_secret_stays(wire: Wire) -> None:
    await wire.ok("POST", SECRETS, named())
    patch = {"content_type": "application/merge-patch+json"}
    refused = await wire.ask("PATCH", f"{SECRETS}/a", {"type": "mine"}, **patch)
    assert (refused.code, refused.json["details"]["causes"][0]["field"]) == (422, "type")


async def test_options_that_make_no_sense_are_invalid(wire: Wire) -> None:
    await wire.ok("POST", MAPS, named())
    patch = {"content_type": "application/merge-patch+json"}
    forced = await wire.ask("PATCH", f"{MAPS}/a?force=true", {"data": {"a": "1"}}, **patch)
    assert (forced.code, forced.json["details"]["causes"][0]["field"]) == (422, "force")
    kept = await wire.ask("DELETE", f"{MAPS}/a?propagationPolicy=Maybe")
    assert (kept.code, kept.json["details"]["causes"][0]["field"]) == (422, "propagationPolicy")


async def test_an_empty_map_is_no_change(wire: Wire) -> None:
    made = await wire.ok("POST", MAPS, {**meta(labels={}, finalizers=[]), "data": {}})
    assert not {"labels", "finalizers"} & made["metadata"].keys() and "data" not in made
    empty = {"metadata": {"annotations": {}, "labels": {}, "ownerReferences": []}, "data": {}, "binaryData": {}}
    assert await wire.merge(f"{MAPS}/a", empty) == made


async def test_an_owner_that_stands_twice_is_kept_once_with_a_warning(wire: Wire) -> None:
    made = await wire.ask("POST", MAPS, meta(ownerReferences=[OWNER, OWNER]))
    assert made.json["metadata"]["ownerReferences"] == [OWNER]
    assert "duplicate entries" in made.headers["warning"]
    other = {**OWNER, "uid": "2", "name": "p"}
    patch = {"content_type": "application/merge-patch+json"}
    changed = await wire.ask("PATCH", f"{MAPS}/a", meta(ownerReferences=[other, OWNER, other]), **patch)
    assert changed.json["metadata"]["ownerReferences"] == [other, OWNER]
    assert "duplicate entries" in changed.headers["warning"]


@pytest.mark.parametrize("length", [10, 58, 59, 200])
async def test_a_generated_name_fits_into_a_label(wire: Wire, length: int) -> None:
    prefix = "n" * length
    made = await wire.ok("POST", MAPS, {"metadata": {"generateName": prefix}})
    name = made["metadata"]["name"]
    assert len(name) == min(length, 58) + 5 and name.startswith(prefix[:58])
