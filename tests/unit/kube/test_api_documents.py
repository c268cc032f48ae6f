"""Discovery and OpenAPI: what clients ask first, and what breaks them when it is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from api.kube import openapi, openapi_protobuf
from api.kube.views.deployments import DEPLOYMENT
from api.kube.views.nodes import NODE
from api.kube.views.pods import POD
from controller.resources.structural_schema import pruned
from crds.catalog import CORE_KINDS
from crds.kinds.service import SERVICE
from tests.unit.kube.conftest import SERVICES, Wire

pytestmark = pytest.mark.anyio
ASKS_V2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
ASKS_BETA = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"


async def test_every_resource_says_whether_it_lives_in_a_namespace(wire: Wire) -> None:
    found = (await wire.ok("GET", "/apis/aerekos.cloud/v1"))["resources"]
    assert {each["name"]: each["namespaced"] for each in found}["services"] is True
    assert {each["name"]: each["namespaced"] for each in found}["workers"] is False
    assert all(each["verbs"] and "kind" in each for each in found)


async def test_internal_kinds_are_not_told_of(wire: Wire) -> None:
    found = (await wire.ok("GET", "/apis/aerekos.cloud/v1"))["resources"]
    assert "credentials" not in {each["name"] for each in found}


async def test_status_and_scale_are_discovered_as_subresources(wire: Wire) -> None:
    found = {each["name"]: each for each in (await wire.ok("GET", "/apis/aerekos.cloud/v1"))["resources"]}
    assert found["services/status"]["kind"] == "Service"
    assert (found["services/scale"]["kind"], found["services/scale"]["group"]) == ("Scale", "autoscaling")


@pytest.mark.parametrize(("accept", "version"), [(ASKS_V2, "v2"), (ASKS_BETA, "v2beta1")])
async def test_the_aggregated_form_names_itself_in_its_content_type(wire: Wire, accept: str, version: str) -> None:
    reply = await wire.ask("GET", "/apis", accept=f"{accept},application/json")
    assert reply.headers["content-type"] == (
        f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
    )
    names = {
        resource["resource"]: resource["scope"]
        for item in reply.json["items"]
        for each in item["versions"]
        for resource in each["resources"]
    }
    assert names["services"] == "Namespaced"


async def test_a_client_that_prefers_the_legacy_form_gets_it(wire: Wire) -> None:
    reply = await wire.ask("GET", "/apis", accept=f"application/json,{ASKS_V2}")
    assert reply.json["kind"] == "APIGroupList"


@pytest.mark.parametrize("path", ["/apis/nobody.example", "/apis/aerekos.cloud/v9", "/api/v2", "/openapi/v4"])
async def test_what_is_not_served_is_not_found(wire: Wire, path: str) -> None:
    assert (await wire.ask("GET", path)).json["reason"] == "NotFound"


async def test_trailing_slashes_are_forgiven(wire: Wire) -> None:
    assert (await wire.ok("GET", "/apis/"))["kind"] == "APIGroupList"
    assert (await wire.ok("GET", "/apis/aerekos.cloud/v1/"))["kind"] == "APIResourceList"


async def test_v3_documents_are_named_with_a_hash_and_hold_real_schemas(wire: Wire) -> None:
    place = (await wire.ok("GET", "/openapi/v3"))["paths"]["apis/aerekos.cloud/v1"]["serverRelativeURL"]
    document = await wire.ok("GET", place)
    spec = document["components"]["schemas"]["cloud.aerekos.v1.Service"]["properties"]["spec"]
    assert spec["properties"]["replicas"] == {"type": "integer", "minimum": 0, "maximum": 1000, "default": 1}
    patch = document["paths"]["/apis/aerekos.cloud/v1/namespaces/{namespace}/services/{name}"]["patch"]
    assert {"dryRun", "fieldValidation"} <= {each["name"] for each in patch["parameters"]}


async def test_v2_is_protobuf_only_for_those_who_ask(wire: Wire) -> None:
    asks = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    binary = await wire.ask("GET", "/openapi/v2", accept=asks)
    assert "@" not in binary.headers["content-type"]
    assert (await wire.ok("GET", "/openapi/v2"))["swagger"] == "2.0"


def test_the_protobuf_document_says_the_same_as_the_json_one() -> None:
    document = openapi.document_v2(CORE_KINDS)
    fields = _message(openapi_protobuf.encoded(document))
    assert fields[1] == [b"2.0"]
    named = [_message(each) for each in _message(fields[9][0])[1]]
    schemas = {each[1][0].decode(): _message(each[2][0]) for each in named}
    assert set(schemas) == set(document["definitions"])
    service = {_message(each)[1][0] for each in _message(schemas[openapi.definition_name(SERVICE)][25][0])[1]}
    assert service == {b"apiVersion", b"kind", b"metadata", b"spec", b"status"}
    assert len(_message(fields[8][0])[2]) == len(document["paths"])


def _message(content: bytes) -> dict[int, list[Any]]:
    """A protocol buffers message with only length-delimited fields: field number -> contents."""
    fields: dict[int, list[Any]] = {}
    while content:
        tag, content = _varint(content)
        assert tag & 7 == 2, "only length-delimited fields are written"
        length, content = _varint(content)
        assert len(content) >= length
        fields.setdefault(tag >> 3, []).append(content[:length])
        content = content[length:]
    return fields


def _varint(content: bytes) -> tuple[int, bytes]:
    value = shift = 0
    while content[0] & 0x80:
        value |= (content[0] & 0x7F) << shift
        shift, content = shift + 7, content[1:]
    return value | content[0] << shift, content[1:]


async def test_what_a_view_shows_is_in_its_schema(wire: Wire) -> None:
    """Clients up to 1.28 check what they send back, and refuse fields that the schema does not have."""
    seen = {"name": "web-0", "worker": "w1", "ready": True, "phase": "Ready", "startedAt": "2026-01-01T00:00:05Z"}
    status = {"instances": [{**seen, "revision": "r", "address": "10.0.0.1:80"}]}
    spec = {"image": "x:1", "command": ["x"], "args": ["y"], "env": [{"name": "A", "value": "b"}]}
    await wire.ok("POST", SERVICES, {"metadata": {"name": "web"}, "spec": spec})
    await wire.merge(f"{SERVICES}/web/status", {"status": status})
    await wire.ok("POST", "/apis/aerekos.cloud/v1/workers", {"metadata": {"name": "w1"}})
    told = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:05Z"}
    await wire.merge("/apis/aerekos.cloud/v1/workers/w1/status", {"status": {"conditions": [told]}})
    taint = {"key": "k", "value": "v", "effect": "NoSchedule"}
    await wire.merge("/api/v1/nodes/w1", {"spec": {"taints": [taint], "unschedulable": True}})
    for kind, path in (
        (POD, "/api/v1/namespaces/default/pods/web-0"),
        (DEPLOYMENT, "/apis/apps/v1/namespaces/default/deployments/web"),
        (NODE, "/api/v1/nodes/w1"),
    ):
        shown = await wire.ok("GET", path)
        assert pruned(shown, kind.schema, root=True)[1] == [], kind.name


async def test_every_kind_says_what_it_is_in_openapi(wire: Wire) -> None:
    """Or Helm refuses a chart by `unknown field "apiVersion"`, and nobody hears what to make instead."""
    schemas = (await wire.ok("GET", "/openapi/v2"))["definitions"]
    kinds = {name: each for name, each in schemas.items() if "x-kubernetes-group-version-kind" in each}
    assert {"io.k8s.api.core.v1.Service", "apps.v1.Deployment", "io.k8s.api.core.v1.Pod"} <= kinds.keys()
    for name, schema in kinds.items():
        assert {"apiVersion", "kind", "metadata"} <= schema["properties"].keys(), name
