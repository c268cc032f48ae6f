"""Definitions that cannot be kept to are refused, each with 422 and the field that is wrong."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.unit.kube.conftest import Wire
from tests.unit.kube.test_definitions import CRDS, DEFINITION, LAMP, LAMPS, changed

pytestmark = pytest.mark.anyio
SCHEMA = "spec.versions[0].schema.openAPIV3Schema"
X, COLOUR = f"{SCHEMA}.properties[spec].properties[x]", f"{SCHEMA}.properties[spec].properties[colour]"
LIST_TYPE, LIST_KEYS = "x-kubernetes-list-type", "x-kubernetes-list-map-keys"
INT_OR_STRING, PRESERVE = "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"
EMBEDDED, MAP_TYPE, RULES = "x-kubernetes-embedded-resource", "x-kubernetes-map-type", "x-kubernetes-validations"
V, V0, COLUMNS, SCALE = "spec.versions.0", "spec.versions[0]", "additionalPrinterColumns", "subresources.scale"
TEXT, OBJECT = {"type": "string"}, {"type": "object"}


def keyed(item: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {"type": "array", LIST_TYPE: "map", LIST_KEYS: [*keys], "items": item}


def with_field(schema: Any) -> dict[str, Any]:
    """The definition with that schema for `spec.x`."""
    definition = copy.deepcopy(DEFINITION)
    whole = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    whole["properties"]["spec"]["properties"]["x"] = schema
    return definition


NAMED = {"type": "object", "properties": {"name": TEXT}, "required": ["name"]}
WRONG_FIELDS: list[tuple[Any, str]] = [
    ({}, ".type"),
    ({"description": "no type"}, ".type"),
    ({"type": "strin"}, ".type"),
    ({"type": ["string", "null"]}, ".type"),
    ({"type": "array", "items": TEXT, "uniqueItems": True}, ".uniqueItems"),
    ({"$ref": "#/definitions/a"}, ".$ref"),
    ({"type": "object", "patternProperties": {"a": TEXT}}, ".patternProperties"),
    ({"type": "object", "definitions": {}}, ".definitions"),
    ({"type": "object", "properties": {"a": TEXT}, "additionalProperties": TEXT}, ".additionalProperties"),
    ({"type": "object", "additionalProperties": False}, ".additionalProperties"),
    ({"type": "array"}, ".items"),
    ({"type": "array", "items": [TEXT]}, ".items"),
    ({"type": "array", "items": {}}, ".items.type"),
    ({"type": "array", LIST_TYPE: "map", "items": NAMED}, f".{LIST_KEYS}"),
    (keyed(NAMED, "nam"), f".{LIST_KEYS}[0]"),
    (keyed(NAMED, "name", "name"), f".{LIST_KEYS}[1]"),
    (keyed({"type": "object", "properties": {"name": TEXT}}, "name"), ".items.properties[name].default"),
    (keyed({**NAMED, "properties": {"name": OBJECT}}, "name"), ".items.properties[name].type"),
    (keyed(TEXT, "name"), ".items.type"),
    ({"type": "array", LIST_TYPE: "bag", "items": TEXT}, f".{LIST_TYPE}"),
    ({"type": "array", LIST_TYPE: "set", "items": OBJECT}, f".items.{MAP_TYPE}"),
    ({"type": "array", LIST_TYPE: "set", "items": {"type": "string", "nullable": True}}, ".items.nullable"),
    ({"type": "object", LIST_TYPE: "set"}, ".type"),
    ({"type": "object", MAP_TYPE: "set"}, f".{MAP_TYPE}"),
    ({"type": "integer", "default": "three"}, ".default"),
    ({"type": "object", "properties": {"a": TEXT}, "default": {"b": 1}}, ".default"),
    ({"type": "string", "enum": ["a"], "default": "b"}, ".default"),
    ({"type": "string", "anyOf": [{"type": "string"}, {"minLength": 1}]}, ".anyOf[0].type"),
    ({"type": "string", "not": {"default": "a"}}, ".not.default"),
    ({"type": "object", "anyOf": [{"properties": {"a": {"minLength": 1}}}]}, ".anyOf[0].properties[a]"),
    ({"type": "string", "pattern": "("}, ".pattern"),
    ({"type": "string", "allOf": [{"pattern": "(?=a)"}]}, ".allOf[0].pattern"),
    ({"type": "string", "minimumLength": 3}, ".minimumLength"),
    ({"type": "string", "minLength": "3"}, ".minLength"),
    ({"type": "string", "enum": "a"}, ".enum"),
    ({"type": "string", INT_OR_STRING: True}, ".type"),
    ({"type": "object", PRESERVE: False}, f".{PRESERVE}"),
    ({"type": "object", EMBEDDED: True}, ".properties"),
    ({"type": "object", RULES: [{"message": "no rule"}]}, f".{RULES}[0].rule"),
    ({"type": "object", "properties": {"deep": {"type": "array"}}}, ".properties[deep].items"),
]


async def test_a_schema_that_is_not_structural_is_refused(wire: Wire) -> None:
    for schema, field in WRONG_FIELDS:
        reply = await wire.ask("POST", CRDS, with_field(schema))
        assert (reply.code, reply.json["details"]["causes"][0]["field"]) == (422, f"{X}{field}"), schema
    assert (await wire.ask("GET", LAMPS)).code == 404


STRUCTURAL = [
    {PRESERVE: True},
    {INT_OR_STRING: True, "anyOf": [{"type": "integer"}, {"type": "string"}], "pattern": "^1$"},
    {INT_OR_STRING: True, "allOf": [{"anyOf": [{"type": "integer"}, {"type": "string"}]}, {"pattern": "1"}]},
    keyed(NAMED, "name"),
    keyed({"type": "object", "properties": {"name": {"type": "string", "default": "a"}}}, "name"),
    {"type": "object", "additionalProperties": True},
    {"type": "object", "additionalProperties": TEXT, "maxProperties": 3, MAP_TYPE: "atomic"},
    {"type": "object", EMBEDDED: True, PRESERVE: True},
    {"type": "string", "nullable": True, "default": None},
    {"type": "object", "properties": {"a": TEXT}, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
    {"type": "object", "properties": {"a": TEXT}, "anyOf": [{"properties": {"a": {"enum": ["b"]}}}]},
    {"type": "string", "format": "of-our-own", "externalDocs": {"url": "x"}, "example": 1, "title": "X"},
]


async def test_a_structural_schema_is_taken(wire: Wire) -> None:
    for schema in STRUCTURAL:
        assert (await wire.ask("POST", f"{CRDS}?dryRun=All", with_field(schema))).code == 201, schema


async def test_a_word_with_nothing_behind_it_is_none(wire: Wire) -> None:
    """As an empty line of YAML makes it. A default may be null, and a property without a schema is a fault."""
    empty: dict[str, Any] = {"type": "object", "properties": None, "required": None, "items": None}
    text = {**TEXT, "nullable": True, "default": None, "enum": None}
    schema = {
        **OBJECT,
        "description": None,
        "properties": {"a": text, "b": empty},
        "anyOf": [{"required": ["a"], "not": None}],
        "additionalProperties": None,
    }
    made = await wire.ok("POST", f"{CRDS}?dryRun=All", with_field(schema))
    kept = made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["x"]
    assert kept["properties"] == {"a": {**TEXT, "nullable": True, "default": None}, "b": {"type": "object"}}
    assert set(kept) == {"type", "properties", "anyOf"} and kept["anyOf"] == [{"required": ["a"]}]
    reply = await wire.ask("POST", CRDS, with_field({"type": "object", "properties": {"a": None}}))
    assert reply.code == 422


ROOT = {"type": "object", "properties": {"spec": OBJECT}}
WRONG_ROOTS: list[tuple[dict[str, Any], str]] = [
    ({"type": "string"}, ".type"),
    ({**ROOT, "nullable": True}, ".nullable"),
    ({"type": "object", "additionalProperties": TEXT}, ".additionalProperties"),
    (
        {**ROOT, "properties": {"apiVersion": {"type": "string", "nullable": True}}},
        ".properties[apiVersion].nullable",
    ),
    ({**ROOT, "properties": {"kind": {"type": "integer"}}}, ".properties[kind].type"),
    (
        {**ROOT, "properties": {"metadata": {"type": "object", RULES: [{"rule": "true"}]}}},
        f".properties[metadata].{RULES}",
    ),
    (
        {**ROOT, "properties": {"metadata": {"type": "object", "properties": {"labels": OBJECT}}}},
        ".properties[metadata].properties[labels]",
    ),
]


async def test_a_root_that_says_too_much_is_refused(wire: Wire) -> None:
    for schema, field in WRONG_ROOTS:
        reply = await wire.ask("POST", CRDS, changed("spec.versions.0.schema", {"openAPIV3Schema": schema}))
        assert (reply.code, reply.json["details"]["causes"][0]["field"]) == (422, f"{SCHEMA}{field}"), schema


WRONG_WORDS: list[tuple[str, Any, str]] = [
    ("spec.names.kind", "St-r", "spec.names.kind"),
    ("spec.names.kind", "9Lamp", "spec.names.kind"),
    ("spec.names.listKind", "Lamp", "spec.names.listKind"),
    ("spec.names.singular", "La mp", "spec.names.singular"),
    ("spec.names.shortNames", ["lm", "L/M"], "spec.names.shortNames[1]"),
    ("spec.names.categories", ["../x"], "spec.names.categories[0]"),
    ("spec.versions.0.name", "V1", "spec.versions[0].name"),
    ("spec.versions.0.name", "1v", "spec.versions[0].name"),
    ("spec.versions.0.name", "v1/x", "spec.versions[0].name"),
    ("spec.versions.0.deprecationWarning", "old", "spec.versions[0].deprecationWarning"),
    ("spec.versions.0.schema", {}, f"{SCHEMA}"),
    (f"{V}.{COLUMNS}.0.jsonPath", "spec.[", f"{V0}.{COLUMNS}[0].jsonPath"),
    (f"{V}.{COLUMNS}.1.jsonPath", ".spec.[", f"{V0}.{COLUMNS}[1].jsonPath"),
    (f"{V}.{SCALE}.specReplicasPath", ".metadata.x", f"{V0}.{SCALE}.specReplicasPath"),
    (f"{V}.{SCALE}.specReplicasPath", ".spec.x[0]", f"{V0}.{SCALE}.specReplicasPath"),
    (f"{V}.{SCALE}.statusReplicasPath", ".spec.x", f"{V0}.{SCALE}.statusReplicasPath"),
    (f"{V}.{SCALE}.labelSelectorPath", "status", f"{V0}.{SCALE}.labelSelectorPath"),
    (f"{V}.selectableFields", [{"jsonPath": ".metadata.name"}], f"{V0}.selectableFields[0].jsonPath"),
    (f"{V}.selectableFields", [{"jsonPath": ".spec"}], f"{V0}.selectableFields[0].jsonPath"),
    (f"{V}.selectableFields", [{"jsonPath": ".spec.colour"}] * 2, f"{V0}.selectableFields[1].jsonPath"),
]


async def test_names_and_paths_that_make_no_sense_are_refused(wire: Wire) -> None:
    for path, value, field in WRONG_WORDS:
        reply = await wire.ask("POST", CRDS, changed(path, value))
        assert (reply.code, reply.json["details"]["causes"][0]["field"]) == (422, field), (path, value)


@pytest.mark.parametrize("name", ["v2", "v1alpha1", "stable"])
async def test_a_version_has_any_name_that_is_a_label(wire: Wire, name: str) -> None:
    await wire.ok("POST", CRDS, changed("spec.versions.0.name", name))
    lamps = f"/apis/light.example/{name}/namespaces/default/lamps"
    made = await wire.ok("POST", lamps, {**LAMP, "apiVersion": f"light.example/{name}"})
    assert made["apiVersion"] == f"light.example/{name}"


async def test_two_versions_have_two_names(wire: Wire) -> None:
    (version,) = DEFINITION["spec"]["versions"]
    twins = changed("spec.versions", [version, {**version, "storage": False}])
    reply = await wire.ask("POST", CRDS, twins)
    assert (reply.code, reply.json["details"]["causes"][0]["field"]) == (422, "spec.versions[1].name")


async def test_what_resources_are_found_by_stays(wire: Wire) -> None:
    await wire.ok("POST", CRDS, DEFINITION)
    await wire.ok("POST", LAMPS, LAMP)
    for path, value in (
        ("scope", "Cluster"),
        ("names.kind", "Lantern"),
        ("names.plural", "lights"),
        ("group", "a.b"),
    ):
        patch, merge = {"spec": changed(f"spec.{path}", value)["spec"]}, "application/merge-patch+json"
        reply = await wire.ask("PATCH", f"{CRDS}/lamps.light.example", patch, content_type=merge)
        assert reply.code == 422
        assert f"spec.{path}" in {each["field"] for each in reply.json["details"]["causes"]}
    assert (await wire.ok("GET", f"{LAMPS}/desk"))["spec"]["watts"] == 5


async def test_a_version_that_nobody_converts_stays_while_resources_are_kept_in_it(wire: Wire) -> None:
    await wire.ok("POST", CRDS, changed("spec.conversion", {"strategy": "Webhook"}))
    crd = f"{CRDS}/lamps.light.example"
    await wire.merge(f"{crd}/status", {"status": {"storedVersions": ["v1"]}})
    (version,) = DEFINITION["spec"]["versions"]
    other = {"spec": {"versions": [{**version, "name": "v2"}]}}
    reply = await wire.ask("PATCH", crd, other, content_type="application/merge-patch+json")
    assert (reply.code, reply.json["details"]["causes"][0]["field"]) == (422, "status.storedVersions[0]")


def of_group(group: str, annotation: str | None = None) -> dict[str, Any]:
    definition = changed("spec.group", group)
    definition["metadata"]["name"] = f"lamps.{group}"
    if annotation is not None:
        definition["metadata"]["annotations"] = {"api-approved.kubernetes.io": annotation}
    return definition


@pytest.mark.parametrize("group", ["gateway.networking.k8s.io", "snapshot.storage.k8s.io", "thing.kubernetes.io"])
async def test_groups_of_the_kubernetes_community_need_their_approval(wire: Wire, group: str) -> None:
    for annotation in (None, "", "yes", "https://"):
        reply = await wire.ask("POST", CRDS, of_group(group, annotation))
        field = "metadata.annotations[api-approved.kubernetes.io]"
        assert (reply.code, reply.json["details"]["causes"][0]["field"]) == (422, field)
    await wire.ok("POST", CRDS, of_group(group, "https://example.com/pull/1"))
    lamps = f"/apis/{group}/v1/namespaces/default/lamps"
    made = await wire.ok("POST", lamps, {"metadata": {"name": "a"}, "spec": {"watts": 1}})
    assert made["apiVersion"] == f"{group}/v1"
    patch = "application/strategic-merge-patch+json"
    strategic = await wire.ask("PATCH", f"{lamps}/a", {"spec": {"watts": 2}}, content_type=patch)
    assert strategic.code == 415


async def test_an_experimental_community_group_says_so(wire: Wire) -> None:
    await wire.ok("POST", CRDS, of_group("gateway.networking.k8s.io", "unapproved, experimental-only"))


RESERVED = ("k8s.io", "kubernetes.io", "apiextensions.k8s.io", "rbac.authorization.k8s.io", "networking.k8s.io",
            "metrics.k8s.io", "aerekos.cloud", "deep.aerekos.cloud")  # fmt: skip


async def test_groups_that_clients_have_compiled_in_stay_reserved(wire: Wire) -> None:
    for group in RESERVED:
        reply = await wire.ask("POST", CRDS, of_group(group, "https://example.com/pull/1"))
        assert (reply.code, reply.json["details"]["causes"][0]["field"]) == (422, "spec.group"), group


async def test_every_fault_is_told_at_once(wire: Wire) -> None:
    definition = with_field({"type": "array"})
    definition["spec"]["names"]["listKind"] = "Lamp"
    reply = await wire.ask("POST", CRDS, definition)
    assert {each["field"] for each in reply.json["details"]["causes"]} == {"spec.names.listKind", f"{X}.items"}


async def test_a_rule_that_is_no_cel_is_refused_and_one_that_is_kept_is_warned_of(wire: Wire) -> None:
    def ruled(*rules: dict[str, str]) -> dict[str, Any]:
        return with_field({"type": "object", RULES: list(rules), PRESERVE: True})

    broken = [
        ({"rule": "self.a =="}, "[0].rule"),
        ({"rule": "foo.bar == 1"}, "[0].rule"),
        ({"rule": "1"}, "[0].rule"),
        ({"rule": "true", "messageExpression": "self.a +"}, "[0].messageExpression"),
    ]
    for rule, field in broken:
        reply = await wire.ask("POST", CRDS, ruled(rule))
        assert (reply.code, reply.json["details"]["causes"][0]["field"]) == (422, f"{X}.{RULES}{field}"), rule
    good = [
        "self.a == oldSelf.a",
        "self.b.all(x, x in self.c) && !has(self.d)",
        "isURL(self.u) && quantity(self.q).isGreaterThan(quantity('1')) && self.l.isSorted()",
        "oldSelf.orValue('') == self",
        "!format.dns1123Label().validate(self.n).hasValue()",
    ]
    made = await wire.ask("POST", CRDS, ruled(*({"rule": each} for each in good)))
    assert made.code == 201, made.json
    assert "5 x-kubernetes-validations of its schemas are kept, but not carried out here" in made.headers["warning"]
