"""PATCH in its four forms over the wire, and the scale subresource."""

from __future__ import annotations

from typing import Any

import anyio
import orjson
import pytest

from tests.unit.kube.conftest import SERVICES, WEB, Reply, Wire

pytestmark = pytest.mark.anyio
PATH = f"{SERVICES}/web"
APPLY = "application/apply-patch+yaml"


def config(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "aerekos.cloud/v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}


async def apply(wire: Wire, manager: str, body: Any, *, force: bool = False, sub: str = "") -> Reply:
    path = f"{PATH}{sub}?fieldManager={manager}" + ("&force=true" if force else "")
    return await wire.ask("PATCH", path, body, content_type=APPLY)


def owned(resource: dict[str, Any]) -> dict[str, Any]:
    return {each["manager"]: each["fieldsV1"] for each in resource["metadata"]["managedFields"]}


async def test_a_json_patch_whose_test_fails_changes_nothing(wire: Wire) -> None:
    made = await wire.ok("POST", SERVICES, WEB)
    stale = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "1"},
        {"op": "add", "path": "/metadata/labels/new", "value": "1"},
    ]
    refused = await wire.jsonpatch(PATH, stale)
    assert (refused.code, refused.json["reason"]) == (422, "Invalid")
    assert await wire.ok("GET", PATH) == made
    stale[0]["value"] = made["metadata"]["resourceVersion"]
    assert (await wire.jsonpatch(PATH, stale)).json["metadata"]["labels"] == {"app": "web", "new": "1"}


async def test_a_merge_patch_that_names_a_version_is_for_that_one(wire: Wire) -> None:
    made = await wire.ok("POST", SERVICES, WEB)
    after = await wire.merge(PATH, {"spec": {"replicas": 2}})
    for identity in ({"resourceVersion": made["metadata"]["resourceVersion"]}, {"uid": "another"}):
        patch = {"metadata": identity, "spec": {"replicas": 3}}
        refused = await wire.ask("PATCH", PATH, patch, content_type="application/merge-patch+json")
        assert (refused.code, refused.json["reason"]) == (409, "Conflict")
    newest = {"metadata": {"resourceVersion": after["metadata"]["resourceVersion"]}, "spec": {"replicas": 3}}
    assert (await wire.merge(PATH, newest))["spec"]["replicas"] == 3


async def test_a_json_patch_may_not_move_a_resource(wire: Wire) -> None:
    await wire.ok("POST", SERVICES, WEB)
    for path, value in (("/metadata/name", "other"), ("/kind", "Worker"), ("/metadata", 1)):
        assert (await wire.jsonpatch(PATH, [{"op": "replace", "path": path, "value": value}])).code == 400
    uid = await wire.jsonpatch(PATH, [{"op": "replace", "path": "/metadata/uid", "value": "x"}])
    assert uid.code == 409


@pytest.mark.parametrize("body", [b"[", b"{}", b'[{"op":"add"}]', b"null"])
async def test_a_malformed_json_patch_is_a_bad_request(wire: Wire, body: bytes) -> None:
    await wire.ok("POST", SERVICES, WEB)
    assert (await wire.jsonpatch(PATH, body)).code == 400


async def test_apply_creates_then_merges_then_does_nothing(wire: Wire) -> None:
    made = await apply(wire, "one", config(image="nginx:1", env=[{"name": "A", "value": "1"}]))
    assert made.code == 201
    assert owned(made.json)["one"]["f:spec"]["f:env"] == {'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}}}
    both = await apply(wire, "two", config(env=[{"name": "B", "value": "2"}]))
    assert [each["name"] for each in both.json["spec"]["env"]] == ["A", "B"]
    again = await apply(wire, "two", config(env=[{"name": "B", "value": "2"}]))
    assert again.json["metadata"]["resourceVersion"] == both.json["metadata"]["resourceVersion"]
    gone = await apply(wire, "two", config())
    assert [each["name"] for each in gone.json["spec"]["env"]] == ["A"]


async def test_apply_of_another_mans_field_is_a_conflict_that_names_it(wire: Wire) -> None:
    await apply(wire, "one", config(image="nginx:1", replicas=2))
    refused = await apply(wire, "two", config(replicas=3))
    assert (refused.code, refused.json["reason"]) == (409, "Conflict")
    cause = refused.json["details"]["causes"][0]
    assert (cause["reason"], cause["field"]) == ("FieldManagerConflict", ".spec.replicas")
    assert cause["message"] == 'conflict with "one" using aerekos.cloud/v1'
    forced = await apply(wire, "two", config(replicas=3), force=True)
    assert forced.json["spec"]["replicas"] == 3
    assert "f:replicas" not in owned(forced.json)["one"]["f:spec"]
    back = await apply(wire, "one", config(image="nginx:1"))
    assert back.json["spec"]["replicas"] == 3


async def test_what_was_written_without_a_name_belonged_to_somebody(wire: Wire) -> None:
    made = await wire.ok("POST", SERVICES, WEB)
    assert "managedFields" not in made["metadata"]
    refused = await apply(wire, "one", config(image="nginx:2"))
    assert 'conflict with "before-first-apply"' in refused.json["message"]
    assert (await apply(wire, "one", config(image="nginx:2"), force=True)).json["spec"]["image"] == "nginx:2"


LAST = "kubectl.kubernetes.io/last-applied-configuration"


async def applied_by_the_client(wire: Wire, **spec: Any) -> None:
    """As `kubectl apply` creates."""
    body = config(**spec)
    noted = {**body, "metadata": {"name": "web", "annotations": {LAST: orjson.dumps(body).decode()}}}
    await wire.ok("POST", f"{SERVICES}?fieldManager=kubectl-client-side-apply", noted)


async def test_kubectl_goes_over_to_the_server_without_force(wire: Wire) -> None:
    await applied_by_the_client(wire, image="nginx:1", replicas=1)
    over = await apply(wire, "kubectl", config(image="nginx:2", replicas=1))
    assert (over.code, over.json["spec"]["image"]) == (200, "nginx:2")
    assert owned(over.json)["kubectl"]["f:spec"] == {"f:image": {}, "f:replicas": {}}
    noted = orjson.loads(over.json["metadata"]["annotations"][LAST])
    assert noted["spec"]["image"] == "nginx:2", "the next client-side apply must not bring the old one back"


async def test_what_somebody_else_changed_since_is_no_longer_kubectl_s(wire: Wire) -> None:
    await applied_by_the_client(wire, image="nginx:1", replicas=1)
    await wire.merge(f"{PATH}?fieldManager=scaler", {"spec": {"replicas": 5}})
    refused = await apply(wire, "kubectl", config(image="nginx:2", replicas=1))
    assert [each["field"] for each in refused.json["details"]["causes"] if "scaler" in each["message"]]
    assert (await apply(wire, "other", config(image="nginx:2"))).code == 409


async def test_updates_are_recorded_by_manager_and_subresource(wire: Wire) -> None:
    await apply(wire, "one", config(image="nginx:1"))
    await wire.merge(f"{PATH}?fieldManager=editor", {"spec": {"image": "nginx:2"}})
    after = await wire.merge(f"{PATH}/status?fieldManager=ctl", {"status": {"phase": "Ready"}})
    entries = {(each["manager"], each.get("subresource", "")): each for each in after["metadata"]["managedFields"]}
    assert entries[("editor", "")]["fieldsV1"] == {"f:spec": {"f:image": {}}}
    assert entries[("ctl", "status")]["fieldsV1"] == {"f:status": {"f:phase": {}}}
    assert ("one", "") not in entries


async def test_an_empty_entry_clears_the_record_and_an_empty_list_does_not(wire: Wire) -> None:
    await apply(wire, "one", config(image="nginx:1"))
    kept = await wire.merge(PATH, {"metadata": {"managedFields": []}})
    assert owned(kept)
    cleared = await wire.merge(PATH, {"metadata": {"managedFields": [{}]}})
    assert "managedFields" not in cleared["metadata"]


async def test_applied_status_is_ignored_on_the_main_path_and_alone_counts_below_it(wire: Wire) -> None:
    whole = {**config(image="nginx:1"), "status": {"phase": "Lies"}}
    made = await apply(wire, "one", whole)
    assert made.json["status"]["phase"] == "Pending"
    below = await apply(wire, "ctl", {**config(image="other"), "status": {"phase": "Ready"}}, sub="/status")
    assert (below.json["status"]["phase"], below.json["spec"]["image"]) == ("Ready", "nginx:1")


async def test_apply_takes_yaml_and_refuses_what_makes_no_sense(wire: Wire) -> None:
    text = b"apiVersion: aerekos.cloud/v1\nkind: Service\nmetadata: {name: web}\nspec: {image: 'nginx:1'}\n"
    assert (await apply(wire, "one", text)).code == 201
    nobody = await wire.ask("PATCH", PATH, config(image="x"), content_type=APPLY)
    assert nobody.code == 422
    own = {**config(image="x"), "metadata": {"name": "web", "managedFields": [{"manager": "x"}]}}
    assert (await apply(wire, "one", own)).code == 400
    assert (await apply(wire, "one", {**config(image="x"), "kind": "Worker"})).code == 400


async def test_an_apply_makes_nothing_but_what_its_path_names(wire: Wire) -> None:
    for meta in ({"name": "other"}, {"name": "web", "namespace": "other"}):
        refused = await apply(wire, "one", {**config(image="x"), "metadata": meta})
        assert (refused.code, refused.json["reason"]) == (400, "BadRequest")
    assert (await wire.ok("GET", SERVICES))["items"] == []


async def test_a_dry_run_of_an_apply_decides_and_leaves_nothing(wire: Wire) -> None:
    path = f"{PATH}?fieldManager=one&dryRun=All"
    would = await wire.ask("PATCH", path, config(image="nginx:1"), content_type=APPLY)
    assert would.json["spec"]["image"] == "nginx:1"
    assert (await wire.ask("GET", PATH)).code == 404


async def test_many_appliers_at_once_lose_nothing(wire: Wire) -> None:
    await apply(wire, "one", config(image="nginx:1"))

    async def one(number: int) -> None:
        env = [{"name": f"E{number}", "value": "1"}]
        assert (await apply(wire, f"m{number}", config(env=env))).code == 200

    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(one, number)
    assert len((await wire.ok("GET", PATH))["spec"]["env"]) == 5


async def test_scale_reads_and_writes_the_number_of_copies(wire: Wire) -> None:
    await wire.ok("POST", SERVICES, WEB)
    scale = await wire.ok("GET", f"{PATH}/scale")
    assert (scale["kind"], scale["spec"]) == ("Scale", {"replicas": 1})
    scaled = await wire.merge(f"{PATH}/scale", {"spec": {"replicas": 4}})
    assert scaled["spec"]["replicas"] == 4
    assert isinstance(scaled["metadata"]["resourceVersion"], str)
    assert (await wire.ok("GET", PATH))["spec"]["replicas"] == 4
    stale = await wire.ask("PUT", f"{PATH}/scale", scale)
    assert stale.json["reason"] == "Conflict"
    minus = await wire.ask("PUT", f"{PATH}/scale", {**scaled, "spec": {"replicas": -1}})
    assert minus.json["details"]["causes"][0]["field"] == "spec.replicas"


async def test_a_scale_is_applied_and_owned_as_a_scale(wire: Wire) -> None:
    await wire.ok("POST", f"{SERVICES}?fieldManager=maker", {**WEB, "spec": {"image": "nginx:1", "replicas": 2}})
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web"}, "spec": {"replicas": 3}}
    refused = await apply(wire, "scaler", scale, sub="/scale")
    assert (refused.code, refused.json["details"]["causes"][0]["field"]) == (409, ".spec.replicas")
    assert (await apply(wire, "scaler", {**scale, "kind": "Service"}, sub="/scale")).code == 400
    stale = {**scale, "metadata": {"name": "web", "resourceVersion": "1"}}
    assert (await apply(wire, "scaler", stale, sub="/scale", force=True)).code == 409
    applied = await apply(wire, "scaler", scale, sub="/scale", force=True)
    assert applied.json["spec"] == {"replicas": 3}
    assert applied.json["status"] == {"replicas": 0, "selector": "aerekos.cloud/service=web"}
    entries = (await wire.ok("GET", PATH))["metadata"]["managedFields"]
    (mine,) = [each for each in entries if each["manager"] == "scaler"]
    assert (mine["operation"], mine["subresource"]) == ("Apply", "scale")
    assert mine["fieldsV1"] == {"f:spec": {"f:replicas": {}}}
    (makers,) = [each for each in entries if each["manager"] == "maker"]
    assert "f:replicas" not in makers["fieldsV1"]["f:spec"]


async def test_whoever_writes_a_scale_owns_it_by_that_path(wire: Wire) -> None:
    await wire.ok("POST", f"{SERVICES}?fieldManager=maker", WEB)
    await wire.merge(f"{PATH}/scale?fieldManager=hpa", {"spec": {"replicas": 4}})
    entries = (await wire.ok("GET", PATH))["metadata"]["managedFields"]
    (mine,) = [each for each in entries if each["manager"] == "hpa"]
    assert (mine["operation"], mine["subresource"]) == ("Update", "scale")


async def test_a_quota_counts_what_is_scaled_too(wire: Wire) -> None:
    """Scaling is another path to the same number of copies, and none around what is judged."""
    quota = {"metadata": {"name": "few"}, "spec": {"hard": {"pods": "3"}}}
    await wire.ok("POST", "/api/v1/namespaces/default/resourcequotas", quota)
    await wire.ok("POST", SERVICES, WEB)
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": 9}}
    merged = await wire.ask("PATCH", f"{PATH}/scale", scale, content_type="application/merge-patch+json")
    applied = await apply(wire, "scaler", {**scale, "metadata": {"name": "web"}}, sub="/scale", force=True)
    assert {merged.code, applied.code} == {403} and "exceeded quota" in applied.json["message"]


async def test_keyed_lists_stand_in_the_order_they_were_applied_in(wire: Wire) -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    await apply(wire, "one", config(image="nginx:1", env=env))
    turned = await apply(wire, "one", config(image="nginx:1", env=env[::-1]))
    assert [each["name"] for each in turned.json["spec"]["env"]] == ["B", "A"]
    again = await apply(wire, "one", config(image="nginx:1", env=env[::-1]))
    assert again.json["metadata"]["resourceVersion"] == turned.json["metadata"]["resourceVersion"]


async def test_unknown_subresources_are_not_found(wire: Wire) -> None:
    await wire.ok("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "c"}})
    for path in (f"{PATH}/nothing", "/api/v1/namespaces/default/configmaps/c/scale"):
        assert (await wire.ask("GET", path)).code == 404


async def test_a_subresource_has_verbs_of_its_own(wire: Wire) -> None:
    await wire.ok("POST", SERVICES, WEB)
    for method in ("DELETE", "POST"):
        for below in ("status", "scale"):
            refused = await wire.ask(method, f"{SERVICES}/web/{below}", {})
            assert (refused.code, refused.json["reason"]) == (405, "MethodNotAllowed"), (method, below)
    assert (await wire.ok("GET", f"{SERVICES}/web"))["metadata"].get("deletionTimestamp") is None
