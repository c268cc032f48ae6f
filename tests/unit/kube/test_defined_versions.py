"""A kind of several versions: each is served, one is kept, and another version is another apiVersion alone."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from controller.admission.matching import matches
from controller.admission.request import AdmissionRequest, Requester
from crds.kinds.definition import DEFINITION as KIND
from tests.unit.kube.conftest import Wire
from tests.unit.kube.test_definitions import CRDS, DEFINITION, TABLE

pytestmark = pytest.mark.anyio
APPLY = "application/apply-patch+yaml"
CRD = f"{CRDS}/lamps.light.example"
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


def lamps(version: str) -> str:
    return f"/apis/light.example/{version}/namespaces/default/lamps"


def lamp(version: str, name: str = "desk", **spec: Any) -> dict[str, Any]:
    spec = {"watts": 5} | spec
    return {"apiVersion": f"light.example/{version}", "kind": "Lamp", "metadata": {"name": name}, "spec": spec}


def version(name: str, *, storage: bool = False, served: bool = True, **fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = copy.deepcopy(DEFINITION["spec"]["versions"][0])
    found["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"] |= fields
    return {**found, "name": name, "storage": storage, "served": served}


def defined(*versions: dict[str, Any], strategy: str = "None") -> dict[str, Any]:
    definition = copy.deepcopy(DEFINITION)
    definition["spec"] |= {"versions": list(versions), "conversion": {"strategy": strategy}}
    return definition


V1, BETA = version("v1", storage=True), version("v1beta1", dim={"type": "boolean"})


async def test_what_was_written_in_one_version_is_read_in_every_other(wire: Wire) -> None:
    await wire.ok("POST", CRDS, defined(V1, BETA))
    assert (await wire.ok("POST", lamps("v1"), lamp("v1")))["apiVersion"] == "light.example/v1"
    assert (await wire.ok("POST", lamps("v1beta1"), lamp("v1beta1", "hall")))["apiVersion"] == "light.example/v1beta1"
    for name in ("v1", "v1beta1"):
        listed = await wire.ok("GET", lamps(name))
        assert listed["apiVersion"] == f"light.example/{name}"
        assert {(each["apiVersion"], each["metadata"]["name"]) for each in listed["items"]} == {
            (f"light.example/{name}", "desk"), (f"light.example/{name}", "hall"),
        }  # fmt: skip
        assert (await wire.ok("GET", f"{lamps(name)}/hall"))["apiVersion"] == f"light.example/{name}"
        table = await wire.ok("GET", f"{lamps(name)}?includeObject=Object", accept=TABLE)
        assert {row["object"]["apiVersion"] for row in table["rows"]} == {f"light.example/{name}"}
    kept = wire.registry.store.list("light.example", "lamps").records
    assert {each.object["apiVersion"] for each in kept} == {"light.example/v1"}


async def test_every_write_is_taken_in_every_version(wire: Wire) -> None:
    await wire.ok("POST", CRDS, defined(V1, BETA))
    made = await wire.ok("POST", lamps("v1"), lamp("v1"))
    beta = f"{lamps('v1beta1')}/desk"
    assert (await wire.merge(beta, {"spec": {"watts": 6}}))["apiVersion"] == "light.example/v1beta1"
    put = await wire.ok("GET", beta)
    put["spec"]["watts"] = 7
    assert (await wire.ok("PUT", beta, put))["spec"]["watts"] == 7
    asserted = {"op": "test", "path": "/apiVersion", "value": "light.example/v1beta1"}
    assert (await wire.jsonpatch(beta, [asserted])).code == 200
    again = await wire.ok("PUT", beta, await wire.ok("GET", beta))
    assert again["metadata"]["resourceVersion"] == (await wire.ok("GET", beta))["metadata"]["resourceVersion"]
    assert (await wire.merge(f"{beta}/status", {"status": {"count": 1}}))["apiVersion"] == "light.example/v1beta1"
    assert (await wire.merge(f"{beta}/scale", {"spec": {"replicas": 3}}))["spec"]["replicas"] == 3
    seen = await wire.ok("GET", f"{lamps('v1')}/desk")
    assert seen["spec"] == {"watts": 7, "colour": "warm", "count": 3}
    assert seen["metadata"]["uid"] == made["metadata"]["uid"]
    wrong = await wire.ask("PUT", beta, {**put, "apiVersion": "light.example/v1"})
    assert wrong.code == 400
    await wire.ok("DELETE", beta)
    assert (await wire.ask("GET", f"{lamps('v1')}/desk")).code == 404


async def test_each_version_has_its_own_schema_and_what_is_kept_knows_its_own(wire: Wire) -> None:
    await wire.ok("POST", CRDS, defined(V1, BETA))
    strict = await wire.ask("POST", f"{lamps('v1')}?fieldValidation=Strict", lamp("v1", dim=True))
    assert strict.code == 400
    await wire.ok("POST", f"{lamps('v1beta1')}?fieldValidation=Strict", lamp("v1beta1", dim=True))
    assert "dim" not in (await wire.ok("GET", f"{lamps('v1beta1')}/desk"))["spec"]


async def test_one_applier_stays_one_in_whichever_version(wire: Wire) -> None:
    await wire.ok("POST", CRDS, defined(V1, BETA))
    for name, spec in (("v1", {"colour": "red"}), ("v1beta1", {"watts": 6})):
        body = lamp(name, **spec)
        url = f"{lamps(name)}/desk?fieldManager=me"
        made = await wire.ask("PATCH", url, body, content_type=APPLY)
        assert made.code < 300, made.json
    assert made.json["spec"] == {"watts": 6, "colour": "warm", "count": 1}  # no longer red: it was left out
    (mine,) = [each for each in made.json["metadata"]["managedFields"] if each["operation"] == "Apply"]
    assert mine["apiVersion"] == "light.example/v1beta1"
    other = await wire.ask("PATCH", f"{lamps('v1')}/desk?fieldManager=other", lamp("v1", watts=9), content_type=APPLY)
    assert other.json["details"]["causes"][0]["message"] == 'conflict with "me" using light.example/v1beta1'


async def test_watches_tell_in_the_version_asked_for(wire: Wire, however_told: None) -> None:
    await wire.ok("POST", CRDS, defined(V1, BETA))
    since = f"?watch=1&resourceVersion={wire.registry.store.revision}"
    async with wire.watch(lamps("v1") + since) as old, wire.watch(lamps("v1beta1") + since) as new:
        await wire.ok("POST", lamps("v1"), lamp("v1"))
        await wire.merge(f"{lamps('v1beta1')}/desk", {"spec": {"watts": 8}})
        await wire.ok("DELETE", f"{lamps('v1')}/desk")
        for watched, name in ((old, "v1"), (new, "v1beta1")):
            events = [await watched.next() for _ in range(3)]
            assert [each["type"] for each in events] == ["ADDED", "MODIFIED", "DELETED"]
            assert {each["object"]["apiVersion"] for each in events} == {f"light.example/{name}"}


async def test_discovery_and_openapi_tell_of_every_served_version(wire: Wire) -> None:
    names = ["v1alpha1", "v2", "other", "v10", "v1beta2", "v1beta1", "v11alpha2"]
    versions = [version(each, storage=each == "v2") for each in names]
    await wire.ok("POST", CRDS, defined(*versions, version("v3", served=False)))
    order = ["v10", "v2", "v1beta2", "v1beta1", "v11alpha2", "v1alpha1", "other"]
    group = await wire.ok("GET", "/apis/light.example")
    assert [each["version"] for each in group["versions"]] == order
    assert group["preferredVersion"]["version"] == "v10"
    whole = await wire.ok("GET", "/apis", accept=DISCOVERY)
    (found,) = [each for each in whole["items"] if each["metadata"]["name"] == "light.example"]
    assert [each["version"] for each in found["versions"]] == order
    for name in names:
        assert (await wire.ok("GET", f"/apis/light.example/{name}"))["resources"][0]["name"] == "lamps"
        document = await wire.ok("GET", f"/openapi/v3/apis/light.example/{name}")
        assert f"example.light.{name}.Lamp" in document["components"]["schemas"]
    assert "example.light.v10.Lamp" in (await wire.ok("GET", "/openapi/v2"))["definitions"]
    for path in ("/apis/light.example/v3", lamps("v3")):
        assert (await wire.ask("GET", path)).code == 404


async def test_a_kept_version_need_not_be_served(wire: Wire) -> None:
    await wire.ok("POST", CRDS, defined(version("v1", storage=True, served=False), BETA))
    await wire.ok("POST", lamps("v1beta1"), lamp("v1beta1"))
    assert (await wire.ask("GET", lamps("v1"))).code == 404
    assert (await wire.ok("GET", lamps("v1beta1")))["items"][0]["apiVersion"] == "light.example/v1beta1"


async def test_another_version_may_become_the_kept_one(wire: Wire) -> None:
    await wire.ok("POST", CRDS, defined(version("v1beta1", storage=True)))
    await wire.ok("POST", lamps("v1beta1"), lamp("v1beta1"))
    await wire.merge(f"{CRD}/status", {"status": {"storedVersions": ["v1beta1"]}})
    await wire.merge(CRD, {"spec": defined(V1, version("v1beta1"))["spec"]})
    for name in ("v1", "v1beta1"):
        assert (await wire.ok("GET", f"{lamps(name)}/desk"))["apiVersion"] == f"light.example/{name}"
    await wire.merge(f"{lamps('v1beta1')}/desk", {"spec": {"watts": 9}})
    assert wire.registry.store.list("light.example", "lamps").records[0].object["apiVersion"] == "light.example/v1"


async def test_what_is_kept_in_a_version_that_is_gone_is_shown_in_the_others(wire: Wire) -> None:
    await wire.ok("POST", CRDS, defined(version("v1beta1", storage=True)))
    await wire.ok("POST", lamps("v1beta1"), lamp("v1beta1"))
    await wire.merge(f"{CRD}/status", {"status": {"storedVersions": ["v1beta1"]}})
    await wire.merge(CRD, {"spec": defined(V1)["spec"]})
    (seen,) = (await wire.ok("GET", lamps("v1")))["items"]
    assert (seen["apiVersion"], seen["metadata"]["name"]) == ("light.example/v1", "desk")
    assert (await wire.ask("GET", lamps("v1beta1"))).code == 404
    assert (await wire.merge(f"{lamps('v1')}/desk", {"spec": {"watts": 9}}))["spec"]["watts"] == 9
    await wire.ok("DELETE", f"{lamps('v1')}/desk")


async def test_who_uses_a_deprecated_version_is_warned(wire: Wire) -> None:
    old, older = version("v1beta1"), version("v1alpha1")
    old["deprecated"] = older["deprecated"] = True
    older["deprecationWarning"] = 'use "v1"'
    await wire.ok("POST", CRDS, defined(V1, old, older))
    assert "warning" not in (await wire.ask("POST", lamps("v1"), lamp("v1"))).headers
    for name, text in (("v1beta1", "light.example/v1beta1 Lamp is deprecated"), ("v1alpha1", 'use \\"v1\\"')):
        for path in (lamps(name), f"{lamps(name)}/desk"):
            assert text in (await wire.ask("GET", path)).headers["warning"]


async def test_programs_that_convert_are_not_asked(wire: Wire) -> None:
    told = await wire.ask("POST", CRDS, defined(V1, BETA, strategy="Webhook"))
    assert "only the storage version is served" in told.headers["warning"]
    await wire.ok("POST", lamps("v1"), lamp("v1"))
    assert (await wire.ask("GET", lamps("v1beta1"))).code == 404


async def test_a_policy_for_one_version_means_every_other_too(wire: Wire) -> None:
    await wire.ok("POST", CRDS, defined(V1, BETA))
    kind = wire.registry.catalog.find("light.example", "lamps")
    assert kind is not None
    author = Requester("ann", frozenset(), lambda *asked: True)
    for each in kind.served_versions:
        write = AdmissionRequest("CREATE", each, each.key("desk"), author, None, lamp(each.version))
        for name, meant in (("v1", True), ("v1beta1", True), ("*", True), ("v2", False)):
            rule = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": [name], "resources": ["lamps"]}
            assert matches({"resourceRules": [rule]}, write, None) is meant, (each.version, name)


async def test_owners_are_found_in_whichever_version_they_are_named(wire: Wire) -> None:
    await wire.ok("POST", CRDS, defined(V1, BETA))
    catalog = wire.registry.catalog
    assert catalog.of("light.example/v1beta1", "Lamp") is catalog.of("light.example/v1", "Lamp") is not None
    assert catalog.of("light.example/v9", "Lamp") is None
    assert KIND.at("v1") is KIND and KIND.at("v2") is None
