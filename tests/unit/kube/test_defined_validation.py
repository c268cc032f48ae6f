"""Resources of kinds people define: tighter schemas, nulls, patterns, formats, and a definition that is going."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from controller.client.local import LocalResources
from controller.reconcilers.definition import DefinitionReconciler
from crds.kinds.definition import DEFINITION as KIND
from crds.meta import condition
from tests.unit.kube.conftest import Wire
from tests.unit.kube.test_definitions import CRDS, DEFINITION, LAMP, LAMPS
from tests.unit.reconcilers.houses import world

pytestmark = pytest.mark.anyio
APPLY, DESK = "application/apply-patch+yaml", f"{LAMPS}/desk"
MERGE, CRD = "application/merge-patch+json", f"{CRDS}/lamps.light.example"
PARTS = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
    "items": {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string"}, "size": {"type": "integer"}},
    },
}
FIELDS: dict[str, Any] = {
    "watts": {"type": "integer"},
    "text": {"type": "string"},
    "note": {"type": "string", "nullable": True},
    "mode": {"type": "string", "nullable": True, "default": "safe"},
    "opts": {"type": "object", "additionalProperties": {"type": "string"}},
    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    "parts": PARTS,
    "old": {"type": "string"},
}


def defined(required: tuple[str, ...] = (), without: str = "", **fields: Any) -> dict[str, Any]:
    """The definition with `FIELDS`, some of them otherwise."""
    definition = copy.deepcopy(DEFINITION)
    version = definition["spec"]["versions"][0]
    spec = {"type": "object", "properties": {k: v for k, v in {**FIELDS, **fields}.items() if k != without}}
    if required:
        spec["required"] = list(required)
    status = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version["schema"] = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}}
    for word in ("additionalPrinterColumns", "selectableFields"):
        version.pop(word)
    version["subresources"] = {"status": {}}
    return definition


async def tightened(wire: Wire, spec: dict[str, Any], required: tuple[str, ...] = (), **fields: Any) -> None:
    """A lamp, and then a schema that would refuse it."""
    await wire.ok("POST", CRDS, defined())
    meta = {"name": "desk", "finalizers": ["x.io/held"]}
    await wire.ok("POST", LAMPS, {"metadata": meta, "spec": spec})
    await wire.merge(CRD, {"spec": defined(required, **fields)["spec"]})
    assert (await wire.ask("POST", LAMPS, {"metadata": {"name": "new"}, "spec": spec})).code == 422


async def test_what_a_tighter_schema_would_refuse_can_still_be_changed_elsewhere_and_go(wire: Wire) -> None:
    await tightened(wire, {"text": "UP", "watts": 1}, text={"type": "string", "pattern": "^[a-z]+$"})
    strict = f"{DESK}?fieldValidation=Strict"
    assert (await wire.merge(strict, {"metadata": {"labels": {"a": "b"}}}))["metadata"]["labels"] == {"a": "b"}
    assert (await wire.merge(DESK, {"spec": {"watts": 2}}))["spec"] == {"text": "UP", "watts": 2, "mode": "safe"}
    assert (await wire.merge(f"{DESK}/status", {"status": {"on": True}}))["status"] == {"on": True}
    applied = {"apiVersion": "light.example/v1", "kind": "Lamp", "spec": {"note": "hi"}}
    assert (await wire.ask("PATCH", f"{DESK}?fieldManager=m", applied, content_type=APPLY)).code == 200
    worse = await wire.ask("PATCH", DESK, {"spec": {"text": "DOWN"}}, content_type=MERGE)
    assert (worse.code, worse.json["details"]["causes"][0]["field"]) == (422, "spec.text")
    assert (await wire.merge(DESK, {"spec": {"text": "down"}}))["spec"]["text"] == "down"
    await wire.ok("DELETE", DESK)
    await wire.merge(DESK, {"metadata": {"finalizers": None}})
    assert (await wire.ask("GET", DESK)).code == 404


async def test_what_a_new_required_field_would_refuse_can_go(wire: Wire) -> None:
    await tightened(wire, {"watts": 1}, ("text",), mode={"type": "string", "default": "fast"})
    await wire.merge(DESK, {"metadata": {"annotations": {"a": "b"}}})
    missing = await wire.ask("PATCH", DESK, {"spec": {"watts": 2}}, content_type=MERGE)
    assert (missing.code, missing.json["details"]["causes"][0]["field"]) == (422, "spec.text")
    await wire.ok("DELETE", DESK)
    await wire.merge(DESK, {"metadata": {"finalizers": []}})
    assert (await wire.ask("GET", DESK)).code == 404


async def test_items_with_keys_are_told_apart(wire: Wire) -> None:
    few = copy.deepcopy(PARTS)
    few["items"]["properties"]["size"]["maximum"] = 5  # type: ignore[index]
    await tightened(wire, {"parts": [{"name": "a", "size": 9}, {"name": "b", "size": 1}]}, parts=few)
    moved = [{"name": "c", "size": 2}, {"name": "b", "size": 3}, {"name": "a", "size": 9}]
    assert (await wire.merge(DESK, {"spec": {"parts": moved}}))["spec"]["parts"] == moved
    worse = [{"name": "c", "size": 9}, {"name": "a", "size": 9}]
    refused = await wire.ask("PATCH", DESK, {"spec": {"parts": worse}}, content_type=MERGE)
    assert [each["field"] for each in refused.json["details"]["causes"]] == ["spec.parts[0].size"]


async def test_a_field_that_is_no_longer_known_hinders_no_strict_write(wire: Wire) -> None:
    await wire.ok("POST", CRDS, defined())
    await wire.ok("POST", LAMPS, {"metadata": {"name": "desk"}, "spec": {"old": "x"}})
    await wire.merge(CRD, {"spec": defined(without="old")["spec"]})
    kept = await wire.merge(f"{DESK}?fieldValidation=Strict", {"metadata": {"labels": {"a": "b"}}})
    assert kept["spec"] == {"mode": "safe"}
    fresh = await wire.ask("PATCH", f"{DESK}?fieldValidation=Strict", {"spec": {"old": "y"}}, content_type=MERGE)
    assert fresh.code == 400


async def test_nulls_are_values_where_they_may_be_and_nothing_elsewhere(wire: Wire) -> None:
    await wire.ok("POST", CRDS, defined())
    spec = {"opts": {"a": None, "b": "c"}, "note": None, "mode": None, "text": None, "free": {"x": None}}
    kept = {"opts": {"b": "c"}, "note": None, "mode": None, "free": {"x": None}}
    assert (await wire.ok("POST", LAMPS, {"metadata": {"name": "a"}, "spec": spec}))["spec"] == kept
    for _ in range(2):
        body = {**LAMP, "metadata": {"name": "desk", "creationTimestamp": None}, "spec": spec}
        applied = await wire.ask("PATCH", f"{DESK}?fieldManager=m", body, content_type=APPLY)
        assert applied.json["spec"] == kept
    (owner,) = applied.json["metadata"]["managedFields"]
    assert owner["fieldsV1"]["f:spec"] == {
        "f:opts": {"f:b": {}}, "f:note": {}, "f:mode": {}, "f:free": {"f:x": {}},
    }  # fmt: skip


async def test_patterns_mean_what_re2_means(wire: Wire) -> None:
    cases = [("^[a-z]+$", "abc\n", False), (r"^\d+$", "٣", False), ("^[[:alpha:]]+$", "abc", True),
             (r"\A[a-z]+\z", "123", False), (r"\A[a-z]+\z", "abc", True), (r"^\pL+$", "ä", True)]  # fmt: skip
    await wire.ok("POST", CRDS, defined())
    for n, (pattern, text, fits) in enumerate(cases):
        await wire.merge(CRD, {"spec": defined(text={"type": "string", "pattern": pattern})["spec"]})
        reply = await wire.ask("POST", LAMPS, {"metadata": {"name": f"l{n}"}, "spec": {"text": text}})
        assert (reply.code == 201) == fits, (pattern, text)


async def test_formats_are_checked(wire: Wire) -> None:
    cases = [("ipv4", "300.1.1.1"), ("uri", "not a uri"), ("date-time", "2026-01-01"), ("byte", "x")]
    await wire.ok("POST", CRDS, defined())
    for name, text in cases:
        await wire.merge(CRD, {"spec": defined(text={"type": "string", "format": name})["spec"]})
        reply = await wire.ask("POST", LAMPS, {"metadata": {"name": "desk"}, "spec": {"text": text}})
        assert (reply.code, reply.json["details"]["causes"][0]["field"]) == (422, "spec.text"), name


async def test_a_schema_says_what_names_look_like(wire: Wire) -> None:
    definition = defined()
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    name = {"type": "string", "maxLength": 4}
    schema["properties"]["metadata"] = {"type": "object", "properties": {"name": name}}
    await wire.ok("POST", CRDS, definition)
    await wire.ok("POST", LAMPS, {"metadata": {"name": "desk"}})
    reply = await wire.ask("POST", LAMPS, {"metadata": {"name": "table"}})
    assert (reply.code, reply.json["details"]["causes"][0]["field"]) == (422, "metadata.name")


async def test_a_resource_in_a_resource_says_what_it_is(wire: Wire) -> None:
    inner = {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}
    await wire.ok("POST", CRDS, defined(free=inner))
    reply = await wire.ask("POST", LAMPS, {"metadata": {"name": "desk"}, "spec": {"free": {"apiVersion": ""}}})
    assert {each["field"] for each in reply.json["details"]["causes"]} == {"spec.free.apiVersion", "spec.free.kind"}
    whole = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "a"}, "more": 1}
    assert (await wire.ok("POST", LAMPS, {"metadata": {"name": "desk"}, "spec": {"free": whole}}))["spec"][
        "free"
    ] == whole


async def test_nothing_is_made_while_its_definition_is_going(wire: Wire) -> None:
    reconciler = DefinitionReconciler(wire.registry.catalog)
    definition = defined()
    definition["metadata"]["finalizers"] = [reconciler.finalizer]
    await wire.ok("POST", CRDS, definition)
    await wire.ok("POST", LAMPS, {"metadata": {"name": "desk", "finalizers": ["x.io/held"]}})
    await wire.ok("DELETE", CRD)
    told = "create not allowed while custom resource definition is terminating"
    new = {**LAMP, "metadata": {"name": "new"}}
    for reply in (
        await wire.ask("POST", LAMPS, {"metadata": {"name": "new"}}),
        await wire.ask("PATCH", f"{LAMPS}/new?fieldManager=m", new, content_type=APPLY),
    ):
        assert (reply.code, reply.json["message"]) == (405, told)
    await wire.merge(DESK, {"spec": {"watts": 3}})

    around = world()
    around = type(around)(LocalResources(wire.registry, "system:conductor"), around.seen, around.clock, around.events)
    going = await around.resources.get(KIND, "lamps.light.example")
    assert not (await reconciler.finalize(going, around)).settled
    found = condition(going.status.conditions, "Terminating")
    assert found is not None and found.status == "True"
    assert (await wire.ok("GET", DESK))["metadata"]["deletionTimestamp"]
    await wire.merge(DESK, {"metadata": {"finalizers": None}})
    assert (await reconciler.finalize(going, around)).settled
    await wire.merge(CRD, {"metadata": {"finalizers": None}})
    assert (await wire.ask("POST", LAMPS, {"metadata": {"name": "new"}})).code == 404
    await wire.ok("POST", CRDS, defined())
    await wire.ok("POST", LAMPS, {"metadata": {"name": "new"}})
