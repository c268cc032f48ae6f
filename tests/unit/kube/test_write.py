"""Writes: rehearsals, strictness, preconditions, deletion in its three ways, and what the server keeps to itself."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.kube.conftest import SERVICES, WEB, Wire

pytestmark = pytest.mark.anyio
PATH = f"{SERVICES}/web"
MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.mark.parametrize("sort", ["create", "replace", "merge", "json", "delete", "collection", "body"])
async def test_a_rehearsal_changes_nothing(wire: Wire, sort: str) -> None:
    made = await wire.ok("POST", SERVICES, WEB)
    before = wire.registry.store.revision
    changed = {**made, "spec": {**made["spec"], "replicas": 3}}
    match sort:
        case "create":
            would = await wire.ok("POST", f"{SERVICES}?dryRun=All", {**WEB, "metadata": {"name": "x"}})
            assert would["metadata"]["uid"]
        case "replace":
            would = await wire.ok("PUT", f"{PATH}?dryRun=All", changed)
            assert (would["spec"]["replicas"], would["metadata"]["generation"]) == (3, 2)
            assert would["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
        case "merge":
            await wire.merge(f"{PATH}?dryRun=All", {"spec": {"replicas": 3}})
        case "json":
            ops = [{"op": "replace", "path": "/spec/replicas", "value": 3}]
            assert (await wire.jsonpatch(f"{PATH}?dryRun=All", ops)).code == 200
        case "delete":
            await wire.ok("DELETE", f"{PATH}?dryRun=All")
        case "collection":
            await wire.ok("DELETE", f"{SERVICES}?dryRun=All")
        case "body":
            await wire.ok("DELETE", PATH, {"kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"]})
    assert wire.registry.store.revision == before
    assert await wire.ok("GET", PATH) == made


async def test_a_rehearsal_finds_what_the_real_thing_would(wire: Wire) -> None:
    await wire.ok("POST", SERVICES, WEB)
    assert (await wire.ask("POST", f"{SERVICES}?dryRun=All", WEB)).json["reason"] == "AlreadyExists"
    assert (await wire.ask("POST", f"{SERVICES}?dryRun=Some", WEB)).code == 400


@pytest.mark.parametrize(
    ("mode", "code", "warned"), [("Strict", 400, False), ("Warn", 201, True), ("", 201, True), ("Ignore", 201, False)]
)
async def test_unknown_fields_are_refused_told_or_dropped(wire: Wire, mode: str, code: int, warned: bool) -> None:
    body = {**WEB, "spec": {"image": "x", "replikas": 2, "env": [{"name": "A", "valu": "1"}]}}
    reply = await wire.ask("POST", f"{SERVICES}?fieldValidation={mode}", body)
    assert reply.code == code
    assert ("warning" in reply.headers) == warned
    if code == 400:
        assert 'strict decoding error: unknown field "spec.' in reply.json["message"]
    else:
        assert "replikas" not in reply.json["spec"]
        assert reply.json["spec"]["env"] == [{"name": "A", "value": ""}]


async def test_what_was_dropped_is_told_in_headers_every_client_takes(wire: Wire) -> None:
    unknown = {**dict.fromkeys((f"field-{n}" for n in range(500)), 1), 'a\r\nX-Evil: "1"': 1, "z" * 5000: 1}
    reply = await wire.ask("POST", MAPS, {"metadata": {"name": "m"}, **unknown})
    assert reply.code == 201
    assert reply.headers["warning"].count("299 - ") == 21 and reply.headers["warning"].endswith('more warnings"')
    few = {name: 1 for name in unknown if "field" not in name}
    told = (await wire.ask("POST", MAPS, {"metadata": {"name": "n"}, **few})).headers["warning"]
    assert len(told) < 1000 and told.isprintable() and 'X-Evil: \\"1\\"' in told


async def test_faults_name_their_fields(wire: Wire) -> None:
    body = {"metadata": {"name": "Web", "labels": {"-": "x"}}, "spec": {"image": "x", "replicas": "two"}}
    reply = await wire.ask("POST", SERVICES, body)
    assert (reply.code, reply.json["reason"]) == (422, "Invalid")
    assert {each["field"] for each in reply.json["details"]["causes"]} == {"metadata.name", "metadata.labels"}
    typed = await wire.ask("POST", SERVICES, {**WEB, "spec": body["spec"]})
    assert typed.json["details"]["causes"][0]["field"] == "spec.replicas"


async def test_status_and_the_rest_are_written_apart(wire: Wire) -> None:
    made = await wire.ok("POST", SERVICES, {**WEB, "status": {"phase": "Lies"}})
    assert made["status"]["phase"] == "Pending"
    same = await wire.merge(PATH, {"status": {"phase": "Lies"}})
    assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    told = await wire.merge(f"{PATH}/status", {"status": {"phase": "Ready"}, "spec": {"replicas": 9}})
    assert (told["status"]["phase"], told["spec"]["replicas"]) == ("Ready", 1)
    assert told["metadata"]["generation"] == 1


async def test_the_generation_counts_changes_of_what_is_wanted(wire: Wire) -> None:
    await wire.ok("POST", SERVICES, WEB)
    assert (await wire.merge(PATH, {"metadata": {"labels": {"x": "y"}}}))["metadata"]["generation"] == 1
    assert (await wire.merge(PATH, {"spec": {"replicas": 2}}))["metadata"]["generation"] == 2


async def test_what_the_server_owns_survives_every_write(wire: Wire) -> None:
    made = await wire.ok("POST", SERVICES, {**WEB, "metadata": {**WEB["metadata"], "uid": "mine", "generation": 7}})
    assert made["metadata"]["uid"] != "mine"
    forged = {"creationTimestamp": "2000-01-01T00:00:00Z", "generation": 9, "deletionTimestamp": None}
    after = await wire.merge(PATH, {"metadata": {**forged, "labels": {"n": "1"}}})
    for name in ("uid", "creationTimestamp", "generation"):
        assert after["metadata"][name] == made["metadata"][name]


async def test_a_stale_replace_is_a_conflict_and_a_versionless_one_invalid(wire: Wire) -> None:
    made = await wire.ok("POST", SERVICES, WEB)
    await wire.merge(PATH, {"spec": {"replicas": 2}})
    stale = await wire.ask("PUT", PATH, made)
    assert (stale.code, stale.json["reason"]) == (409, "Conflict")
    assert "the object has been modified" in stale.json["message"]
    del made["metadata"]["resourceVersion"]
    assert (await wire.ask("PUT", PATH, made)).code == 422


async def test_some_of_kubernetes_own_kinds_may_be_replaced_whatever_they_are(wire: Wire) -> None:
    maps = "/api/v1/namespaces/default/configmaps"
    made = await wire.ok("POST", maps, {"metadata": {"name": "conf"}, "data": {"a": "1"}})
    await wire.merge(f"{maps}/conf", {"data": {"a": "2"}})
    body = {"metadata": {"name": "conf"}, "data": {"a": "3"}}
    assert (await wire.ok("PUT", f"{maps}/conf", body))["data"] == {"a": "3"}
    assert (await wire.ask("PUT", f"{maps}/conf", made)).code == 409
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    await wire.ok("POST", accounts, {"metadata": {"name": "robot"}})
    assert (await wire.ask("PUT", f"{accounts}/robot", {"metadata": {"name": "robot"}})).code == 422


async def test_a_deletion_keeps_its_preconditions(wire: Wire) -> None:
    made = await wire.ok("POST", SERVICES, WEB)
    for precondition in ({"uid": "other"}, {"resourceVersion": "1"}):
        reply = await wire.ask("DELETE", PATH, {"preconditions": precondition})
        assert reply.json["reason"] == "Conflict"
    meta = made["metadata"]
    right = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
    gone = await wire.ok("DELETE", PATH, {"preconditions": right})
    assert (gone["status"], gone["details"]["uid"]) == ("Success", meta["uid"])


@pytest.mark.parametrize("where", ["query", "body"])
@pytest.mark.parametrize(("policy", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")])
async def test_patient_deletions_leave_a_mark_for_the_collector(
    wire: Wire, where: str, policy: str, finalizer: str
) -> None:
    await wire.ok("POST", SERVICES, WEB)
    if where == "query":
        dying = await wire.ok("DELETE", f"{PATH}?propagationPolicy={policy}")
    else:
        dying = await wire.ok("DELETE", PATH, {"propagationPolicy": policy})
    assert dying["metadata"]["finalizers"] == [finalizer]
    assert dying["metadata"]["deletionTimestamp"]
    again = await wire.ok("DELETE", PATH)
    assert again["metadata"]["resourceVersion"] == dying["metadata"]["resourceVersion"]
    await wire.merge(PATH, {"metadata": {"finalizers": None}})
    assert (await wire.ask("GET", PATH)).code == 404


async def test_a_dying_resource_takes_no_new_finalizers(wire: Wire) -> None:
    await wire.ok("POST", MAPS, {"metadata": {"name": "m", "finalizers": ["a/b"]}})
    await wire.ok("DELETE", f"{MAPS}/m")
    patch = {"metadata": {"finalizers": ["a/b", "c/d"]}}
    reply = await wire.ask("PATCH", f"{MAPS}/m", patch, content_type="application/merge-patch+json")
    assert reply.json["details"]["causes"][0]["reason"] == "FieldValueForbidden"


async def test_a_collection_is_deleted_by_selector(wire: Wire) -> None:
    for name, tier in (("a", "x"), ("b", "y"), ("c", "x")):
        await wire.ok("POST", MAPS, {"metadata": {"name": name, "labels": {"tier": tier}}})
    gone = await wire.ok("DELETE", f"{MAPS}?labelSelector=tier=x")
    assert [item["metadata"]["name"] for item in gone["items"]] == ["a", "c"]
    left = await wire.ok("GET", MAPS)
    assert [item["metadata"]["name"] for item in left["items"]] == ["b"]


async def test_names_are_made_from_a_prefix(wire: Wire) -> None:
    made = {(await wire.ok("POST", MAPS, {"metadata": {"generateName": "job-"}}))["metadata"]["name"] for _ in "123"}
    assert len(made) == 3
    assert all(name.startswith("job-") and len(name) == 9 for name in made)


async def test_a_name_that_is_taken_is_not_made_twice(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(["aaaaaa", "aaaaaa", "bbbbbb"])
    monkeypatch.setattr("controller.resources.registry.secrets.token_hex", lambda _: next(drawn))
    made = [(await wire.ok("POST", MAPS, {"metadata": {"generateName": "job-"}}))["metadata"]["name"] for _ in "12"]
    assert made == ["job-aaaaa", "job-bbbbb"]


async def test_nothing_but_events_is_made_in_a_namespace_that_goes(wire: Wire) -> None:
    await wire.ok("POST", "/api/v1/namespaces", {"metadata": {"name": "going", "finalizers": ["a.example/b"]}})
    await wire.ok("DELETE", "/api/v1/namespaces/going")
    refused = await wire.ask("POST", MAPS.replace("default", "going"), {"metadata": {"name": "m"}})
    assert (refused.code, refused.json["details"]["causes"][0]["reason"]) == (403, "NamespaceTerminating")
    event = {"metadata": {"name": "e"}, "involvedObject": {"kind": "Namespace", "name": "going"}}
    await wire.ok("POST", "/api/v1/namespaces/going/events", event)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"metadata": {"name": "m", "resourceVersion": "1"}}, 400),
        ({"metadata": {"name": "m", "namespace": "other"}}, 400),
        ({"metadata": {"name": "m"}, "kind": "Secret"}, 400),
        ({"metadata": {}}, 422),
        ([], 400),
        (b"{", 400),
    ],
)
async def test_bodies_that_do_not_fit_their_place(wire: Wire, body: Any, code: int) -> None:
    assert (await wire.ask("POST", MAPS, body)).code == code


async def test_a_body_without_a_type_is_json_and_of_the_kind_of_its_place(wire: Wire) -> None:
    made = await wire.ok("POST", MAPS, {"metadata": {"name": "m"}})
    assert (made["apiVersion"], made["kind"]) == ("v1", "ConfigMap")


async def test_nothing_is_made_where_there_is_no_namespace(wire: Wire) -> None:
    reply = await wire.ask("POST", MAPS.replace("default", "nowhere"), {"metadata": {"name": "m"}})
    assert (reply.code, reply.json["message"]) == (404, 'namespaces "nowhere" not found')
