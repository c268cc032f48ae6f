"""Kinds people define: served at once, kept over a restart, checked by their schema, gone with their definition."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest

from api.auth.authorizer import Authorizer
from api.auth.principal import AUTHENTICATED, Principal
from api.kube.resource_api import ResourceApi
from controller.kit.clock import LoopClock
from controller.reconcilers.definition import DefinitionReconciler
from controller.resources.registry import Registry
from controller.store.records import Change
from crds.catalog import CORE_KINDS, Catalog
from crds.kinds.definition import DEFINITION as KIND
from tests.unit.kube.conftest import Wire

pytestmark = pytest.mark.anyio
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
LAMPS = "/apis/light.example/v1/namespaces/default/lamps"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["watts"],
            "properties": {
                "watts": {"type": "integer", "minimum": 1},
                "colour": {"type": "string", "default": "warm"},
                "count": {"type": "integer", "default": 1},
            },
        },
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}
DEFINITION: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "lamps.light.example"},
    "spec": {
        "group": "light.example",
        "names": {"plural": "lamps", "singular": "lamp", "kind": "Lamp", "shortNames": ["lm"]},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": SCHEMA},
                "subresources": {
                    "status": {},
                    "scale": {"specReplicasPath": ".spec.count", "statusReplicasPath": ".status.count"},
                },
                "additionalPrinterColumns": [
                    {"name": "Watts", "type": "integer", "jsonPath": ".spec.watts"},
                    {
                        "name": "Lit",
                        "type": "string",
                        "jsonPath": '.status.conditions[?(@.type=="Lit")].status',
                        "priority": 1,
                    },
                ],
                "selectableFields": [{"jsonPath": ".spec.colour"}],
            }
        ],
    },
}
LAMP = {"apiVersion": "light.example/v1", "kind": "Lamp", "metadata": {"name": "desk"}, "spec": {"watts": 5}}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The definition with something else at a dotted path."""
    body = copy.deepcopy(DEFINITION)
    target: Any = body
    *way, last = path.split(".")
    for part in way:
        target = target[int(part)] if part.isdigit() else target[part]
    target[last] = value
    return body


async def test_a_defined_kind_is_served_at_once(wire: Wire) -> None:
    assert (await wire.ask("GET", LAMPS)).code == 404
    await wire.ok("POST", CRDS, DEFINITION)
    made = await wire.ok("POST", LAMPS, LAMP)
    assert made["spec"] == {"watts": 5, "colour": "warm", "count": 1}
    found = {each["name"]: each for each in (await wire.ok("GET", "/apis/light.example/v1"))["resources"]}
    assert (set(found), found["lamps"]["shortNames"]) == ({"lamps", "lamps/status", "lamps/scale"}, ["lm"])
    document = await wire.ok("GET", "/openapi/v3/apis/light.example/v1")
    assert "watts" in str(document["components"]["schemas"]["example.light.v1.Lamp"])
    selected = await wire.ok("GET", f"{LAMPS}?fieldSelector=spec.colour=warm")
    assert len(selected["items"]) == 1


async def test_its_rules_are_kept(wire: Wire) -> None:
    await wire.ok("POST", CRDS, DEFINITION)
    faulty = await wire.ask("POST", LAMPS, {**LAMP, "spec": {"watts": 0}})
    assert (faulty.code, faulty.json["details"]["causes"][0]["field"]) == (422, "spec.watts")
    missing = await wire.ask("POST", LAMPS, {**LAMP, "spec": {}})
    assert missing.json["details"]["causes"][0]["reason"] == "FieldValueRequired"
    unknown = {**LAMP, "spec": {"watts": 5, "wats": 6}, "extra": 1}
    strict = await wire.ask("POST", f"{LAMPS}?fieldValidation=Strict", unknown)
    assert 'unknown field "spec.wats"' in strict.json["message"]
    warned = await wire.ask("POST", LAMPS, unknown)
    assert "wats" in warned.headers["warning"]
    assert "wats" not in warned.json["spec"]
    badly_named = await wire.ask("POST", LAMPS, {**LAMP, "metadata": {"name": "No_Name"}})
    assert badly_named.json["details"]["causes"][0]["field"] == "metadata.name"


async def test_status_scale_and_columns_as_defined(wire: Wire) -> None:
    await wire.ok("POST", CRDS, DEFINITION)
    made = await wire.ok("POST", LAMPS, {**LAMP, "status": {"count": 9}})
    assert "status" not in made
    lit = {
        "status": {"count": 2, "conditions": [{"type": "Hot", "status": "False"}, {"type": "Lit", "status": "True"}]}
    }
    told = await wire.merge(f"{LAMPS}/desk/status", lit)
    assert told["metadata"]["generation"] == 1
    scale = await wire.merge(f"{LAMPS}/desk/scale", {"spec": {"replicas": 4}})
    assert (scale["spec"]["replicas"], scale["status"]) == (4, {"replicas": 2})
    assert (await wire.ok("GET", f"{LAMPS}/desk"))["spec"]["count"] == 4
    table = await wire.ok("GET", LAMPS, accept=TABLE)
    assert [each["name"] for each in table["columnDefinitions"]] == ["Name", "Watts", "Lit"]
    assert table["rows"][0]["cells"] == ["desk", 5, "True"]
    read = await wire.ok("GET", f"{LAMPS}/desk")
    bare = await wire.ok("PUT", f"{LAMPS}/desk/status", {n: each for n, each in read.items() if n != "status"})
    assert "status" not in bare


async def test_a_scale_names_its_pods_for_who_scales_by_itself(wire: Wire) -> None:
    path = "spec.versions.0.subresources.scale.labelSelectorPath"
    await wire.ok("POST", CRDS, changed(path, ".status.selector"))
    await wire.ok("POST", LAMPS, LAMP)
    assert "selector" not in (await wire.ok("GET", f"{LAMPS}/desk/scale"))["status"]
    await wire.merge(f"{LAMPS}/desk/status", {"status": {"selector": "lamp=desk"}})
    assert (await wire.ok("GET", f"{LAMPS}/desk/scale"))["status"] == {"replicas": 0, "selector": "lamp=desk"}


async def test_without_a_status_of_its_own_all_of_it_is_one(wire: Wire) -> None:
    await wire.ok("POST", CRDS, changed("spec.versions.0.subresources", {}))
    made = await wire.ok("POST", LAMPS, {**LAMP, "status": {"lit": True}})
    assert made["status"] == {"lit": True}
    told = await wire.merge(f"{LAMPS}/desk", {"status": {"lit": False}})
    assert (told["status"], told["metadata"]["generation"]) == ({"lit": False}, 2)
    for below in ("status", "scale"):
        assert (await wire.ask("GET", f"{LAMPS}/desk/{below}")).code == 404


async def test_it_can_be_applied_and_patched(wire: Wire) -> None:
    await wire.ok("POST", CRDS, DEFINITION)
    apply = "application/apply-patch+yaml"
    made = await wire.ask("PATCH", f"{LAMPS}/desk?fieldManager=one", LAMP, content_type=apply)
    assert made.code == 201
    other = {**LAMP, "spec": {"watts": 6}}
    refused = await wire.ask("PATCH", f"{LAMPS}/desk?fieldManager=two", other, content_type=apply)
    assert refused.json["details"]["causes"][0]["field"] == ".spec.watts"
    patched = await wire.jsonpatch(f"{LAMPS}/desk", [{"op": "replace", "path": "/spec/watts", "value": 7}])
    assert patched.json["spec"]["watts"] == 7


async def test_appliers_share_finalizers_and_owners(wire: Wire) -> None:
    await wire.ok("POST", CRDS, DEFINITION)
    owners = [{"apiVersion": "v1", "kind": "ConfigMap", "name": each, "uid": f"uid-{each}"} for each in "pq"]
    for manager, owner in zip("pq", owners, strict=True):
        meta = {"finalizers": [f"x.io/{manager}"], "ownerReferences": [owner], "name": "desk"}
        body = {**LAMP, "metadata": meta}
        url = f"{LAMPS}/desk?fieldManager={manager}"
        made = await wire.ask("PATCH", url, body, content_type="application/apply-patch+yaml")
        assert made.code < 300, made.json
    assert made.json["metadata"]["finalizers"] == ["x.io/p", "x.io/q"]
    assert made.json["metadata"]["ownerReferences"] == owners


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("metadata.name", "lamps.other.example", "metadata.name"),
        ("spec.group", "light", "spec"),
        ("spec.versions.0.storage", False, "spec"),
        ("spec.scope", "Everywhere", "spec.scope"),
        ("spec.names", {"plural": "lamps"}, "spec.names.kind"),
    ],
)
async def test_a_definition_that_makes_no_sense_is_refused(wire: Wire, path: str, value: Any, field: str) -> None:
    reply = await wire.ask("POST", CRDS, changed(path, value))
    assert (reply.code, reply.json["details"]["causes"][0]["field"]) == (422, field)


async def test_places_that_are_taken_or_ours_stay_so(wire: Wire) -> None:
    ours = changed("spec.group", "aerekos.cloud")
    ours["metadata"]["name"] = "lamps.aerekos.cloud"
    assert (await wire.ask("POST", CRDS, ours)).code == 422
    await wire.ok("POST", CRDS, DEFINITION)
    twin = changed("spec.names.plural", "lanterns")
    twin["metadata"]["name"] = "lanterns.light.example"
    reply = await wire.ask("POST", CRDS, twin)
    assert reply.json["details"]["causes"][0]["field"] == "spec.names.kind"


async def test_a_changed_definition_counts_from_then_on(wire: Wire) -> None:
    await wire.ok("POST", CRDS, DEFINITION)
    await wire.ok("POST", LAMPS, LAMP)
    versions = copy.deepcopy(DEFINITION["spec"]["versions"])
    versions[0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["dim"] = {"type": "boolean"}
    await wire.merge(f"{CRDS}/lamps.light.example", {"spec": {"versions": versions}})
    assert (await wire.merge(f"{LAMPS}/desk", {"spec": {"dim": True}}))["spec"]["dim"] is True


async def test_definitions_outlive_the_conductor(wire: Wire) -> None:
    await wire.ok("POST", CRDS, DEFINITION)
    await wire.ok("POST", LAMPS, LAMP)
    catalog, clock = Catalog(CORE_KINDS), LoopClock()
    registry = Registry(wire.registry.store, catalog, clock)
    authorizer = Authorizer(catalog, (), registry.store)
    again = Wire(ResourceApi(registry, authorizer, clock, random.Random(1)), registry)
    assert (await again.ok("GET", f"{LAMPS}/desk"))["spec"]["watts"] == 5


async def test_a_deleted_definition_takes_its_kind_along(wire: Wire) -> None:
    await wire.ok("POST", CRDS, DEFINITION)
    await wire.ok("DELETE", f"{CRDS}/lamps.light.example")
    assert (await wire.ask("GET", LAMPS)).code == 404
    assert DefinitionReconciler.finalizer  # what holds the definition back until its resources are gone


async def test_ours_are_listed_and_cannot_be_written(wire: Wire) -> None:
    names = {item["metadata"]["name"] for item in (await wire.ok("GET", CRDS))["items"]}
    assert {"services.aerekos.cloud", "workers.aerekos.cloud"} <= names
    assert "credentials.aerekos.cloud" not in names
    ours = f"{CRDS}/services.aerekos.cloud"
    assert (await wire.ok("GET", ours))["spec"]["names"]["kind"] == "Service"
    assert (await wire.ask("DELETE", ours)).json["reason"] == "MethodNotAllowed"


async def test_editors_use_new_kinds_and_only_admins_make_them(wire: Wire) -> None:
    editor = Principal("ed", frozenset({AUTHENTICATED, "aerekos:editor"}))
    assert (await wire.ask("POST", CRDS, DEFINITION, who=editor)).code == 403
    await wire.ok("POST", CRDS, DEFINITION)
    assert (await wire.ask("POST", LAMPS, LAMP, who=editor)).code == 201


def with_pattern(pattern: str) -> dict[str, Any]:
    definition = copy.deepcopy(DEFINITION)
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["properties"]["colour"] = {"type": "string", "pattern": pattern}
    return definition


async def test_a_pattern_takes_no_more_time_than_its_text(wire: Wire) -> None:
    await wire.ok("POST", CRDS, with_pattern("^(a+)+$"))
    evil = {**LAMP, "spec": {"watts": 5, "colour": "a" * 100_000 + "!"}}
    refused = await wire.ask("POST", LAMPS, evil)  # Python's engine would still be at it
    assert refused.code == 422 and "should match" in refused.json["message"]
    await wire.ok("POST", LAMPS, {**LAMP, "spec": {"watts": 5, "colour": "aaa"}})


async def test_a_pattern_no_linear_engine_runs_is_refused(wire: Wire) -> None:
    for pattern in ("(?=warm)", "(a", "(a{1000}){1000}"):
        refused = await wire.ask("POST", CRDS, with_pattern(pattern))
        assert refused.code == 422 and "RE2" in refused.json["message"], pattern


async def test_a_definition_from_before_that_rule_can_be_changed_and_mended(wire: Wire) -> None:
    await wire.ok("POST", CRDS, DEFINITION)
    kept = wire.registry.store.get(KIND.key("lamps.light.example"))
    assert kept is not None
    before = {**kept.object, "spec": with_pattern("(?=warm)")["spec"]}
    before["metadata"] = {**before["metadata"], "generation": 2}
    (record,) = await wire.registry.store.write([Change(kept.key, before, kept.revision)], by="an earlier version")
    wire.registry.definitions.learn(record)
    await wire.ok("POST", LAMPS, LAMP)
    dimmed = copy.deepcopy(before["spec"])
    dimmed["names"]["shortNames"] = ["lp"]
    await wire.merge(f"{CRDS}/lamps.light.example", {"spec": dimmed})
    await wire.merge(f"{CRDS}/lamps.light.example", {"metadata": {"labels": {"a": "b"}}})
    worse = await wire.ask("PATCH", f"{CRDS}/lamps.light.example", {"spec": with_pattern("(?=cold)")["spec"]},
                           content_type="application/merge-patch+json")  # fmt: skip
    assert worse.code == 422
