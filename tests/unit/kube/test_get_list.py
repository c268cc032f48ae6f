"""Lists: selectors, pages of one revision, exact revisions, and the form the client asked for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.kube.conftest import SERVICES, Wire

pytestmark = pytest.mark.anyio
MAPS = "/api/v1/namespaces/default/configmaps"
TABLE = (
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
)


async def make(wire: Wire, *names: str, **labels: str) -> None:
    for name in names:
        await wire.ok("POST", MAPS, {"metadata": {"name": name, "labels": {"name": name, **labels}}})


async def names(wire: Wire, query: str = "") -> list[str]:
    return [item["metadata"]["name"] for item in (await wire.ok("GET", f"{MAPS}?{query}"))["items"]]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("tier=front", ["a", "b"]),
        ("tier==front,name=a", ["a"]),
        ("tier!=front", ["c"]),
        ("name in (a, c)", ["a", "c"]),
        ("name notin (a, c)", ["b"]),
        ("tier", ["a", "b"]),
        ("!tier", ["c"]),
        ("", ["a", "b", "c"]),
    ],
)
async def test_label_selectors(wire: Wire, selector: str, expected: list[str]) -> None:
    await make(wire, "a", "b", tier="front")
    await make(wire, "c")
    assert await names(wire, f"labelSelector={selector.replace(' ', '%20')}") == expected


async def test_field_selectors_of_a_kind_and_of_all_kinds(wire: Wire) -> None:
    await make(wire, "a", "b")
    assert await names(wire, "fieldSelector=metadata.name=b") == ["b"]
    assert await names(wire, "fieldSelector=metadata.name!=b,metadata.namespace=default") == ["a"]
    refused = await wire.ask("GET", f"{MAPS}?fieldSelector=data.x=1")
    assert (refused.code, refused.json["reason"]) == (400, "BadRequest")


async def test_pages_show_one_revision_whatever_happens_meanwhile(wire: Wire) -> None:
    await make(wire, "a", "b", "c", "d", "e")
    first = await wire.ok("GET", f"{MAPS}?limit=2")
    assert first["metadata"]["remainingItemCount"] == 3
    await wire.ok("DELETE", f"{MAPS}/c")
    await make(wire, "bb")
    await wire.merge(f"{MAPS}/e", {"data": {"new": "1"}})
    second = await wire.ok("GET", f"{MAPS}?limit=2&continue={first['metadata']['continue']}")
    third = await wire.ok("GET", f"{MAPS}?limit=2&continue={second['metadata']['continue']}")
    pages = [[item["metadata"]["name"] for item in page["items"]] for page in (first, second, third)]
    assert pages == [["a", "b"], ["c", "d"], ["e"]]
    assert "data" not in third["items"][0]
    assert len({page["metadata"]["resourceVersion"] for page in (first, second, third)}) == 1
    assert "continue" not in third["metadata"]


async def test_a_page_of_a_compacted_revision_is_expired(wire: Wire) -> None:
    await make(wire, "a", "b", "c")
    first = await wire.ok("GET", f"{MAPS}?limit=1")
    await make(wire, "d")
    await wire.registry.store.compact(keep_after=wire.registry.store.revision)
    reply = await wire.ask("GET", f"{MAPS}?limit=1&continue={first['metadata']['continue']}")
    assert (reply.code, reply.json["reason"]) == (410, "Expired")
    again = await wire.ok("GET", f"{MAPS}?continue={reply.json['metadata']['continue']}")
    assert [item["metadata"]["name"] for item in again["items"]] == ["b", "c", "d"]
    exactly = await wire.ask("GET", f"{MAPS}?resourceVersionMatch=Exact&resourceVersion=1")
    assert (exactly.code, exactly.json["metadata"]) == (410, {})


@pytest.mark.parametrize("token", ["nonsense", "e30", "WzEsMl0=", "Wzk5OTk5OTksIiIsIiJd"])
async def test_a_forged_token_is_refused(wire: Wire, token: str) -> None:
    assert (await wire.ask("GET", f"{MAPS}?continue={token}")).code == 400


async def test_an_exact_revision_is_that_one(wire: Wire) -> None:
    await make(wire, "a")
    then = (await wire.ok("GET", MAPS))["metadata"]["resourceVersion"]
    await make(wire, "b")
    assert await names(wire, f"resourceVersion={then}&resourceVersionMatch=Exact") == ["a"]
    assert await names(wire, f"resourceVersion={then}&limit=5") == ["a"]
    assert await names(wire, f"resourceVersion={then}&resourceVersionMatch=NotOlderThan") == ["a", "b"]
    assert await names(wire, "resourceVersion=0") == ["a", "b"]


async def test_a_revision_yet_to_come_is_too_large(wire: Wire) -> None:
    reply = await wire.ask("GET", f"{MAPS}?resourceVersion=99999&resourceVersionMatch=NotOlderThan")
    assert (reply.code, reply.json["reason"]) == (504, "Timeout")
    assert reply.json["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


@pytest.mark.parametrize(
    "query",
    [
        "resourceVersionMatch=Exact",
        "resourceVersionMatch=Exact&resourceVersion=0",
        "resourceVersionMatch=Newest&resourceVersion=1",
        "sendInitialEvents=true",
    ],
)
async def test_parameters_that_do_not_go_together_are_invalid(wire: Wire, query: str) -> None:
    assert (await wire.ask("GET", f"{MAPS}?{query}")).code == 422


async def test_a_table_has_wide_columns_and_lets_clients_choose_what_goes_along(wire: Wire) -> None:
    await wire.ok("POST", SERVICES, {"metadata": {"name": "web"}, "spec": {"image": "nginx:1"}})
    table = await wire.ok("GET", SERVICES, accept=TABLE)
    columns = {each["name"]: each for each in table["columnDefinitions"]}
    assert (columns["Name"]["priority"], columns["Image"]["priority"]) == (0, 1)
    row: dict[str, Any] = table["rows"][0]
    assert row["cells"][list(columns).index("Image")] == "nginx:1"
    assert row["object"]["kind"] == "PartialObjectMetadata"
    whole = await wire.ok("GET", f"{SERVICES}?includeObject=Object", accept=TABLE)
    assert whole["rows"][0]["object"]["spec"]["image"] == "nginx:1"
    none = await wire.ok("GET", f"{SERVICES}/web?includeObject=None", accept=TABLE)
    assert "object" not in none["rows"][0]


async def test_sizes_are_told_as_people_read_them(wire: Wire) -> None:
    path = "/apis/aerekos.cloud/v1/workers"
    for name in ("oak", "ash"):
        await wire.ok("POST", path, {"metadata": {"name": name}})
    await wire.merge(
        f"{path}/oak/status", {"status": {"capacity": {"cpu": "2", "memory": "25276514304", "disk": "1Ti"}}}
    )
    table = await wire.ok("GET", path, accept=TABLE)
    columns = [each["name"] for each in table["columnDefinitions"]]
    assert table["columnDefinitions"][columns.index("Memory")]["type"] == "string"
    ash, oak = (dict(zip(columns, each["cells"], strict=True)) for each in table["rows"])
    assert (oak["CPU"], oak["Memory"], oak["Disk"]) == ("2", "23.5Gi", "1Ti")
    assert oak["Memory Used"] == ash["Memory Used"] == "0"


async def test_only_metadata_for_those_who_need_no_more(wire: Wire) -> None:
    await make(wire, "a")
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    found = await wire.ok("GET", MAPS, accept=accept)
    assert found["kind"] == "PartialObjectMetadataList"
    assert set(found["items"][0]) == {"kind", "apiVersion", "metadata"}


async def test_protobuf_lovers_get_json_and_others_a_refusal(wire: Wire) -> None:
    both = await wire.ask("GET", MAPS, accept="application/vnd.kubernetes.protobuf,application/json")
    assert (both.code, both.headers["content-type"]) == (200, "application/json")
    assert (await wire.ask("GET", MAPS, accept="text/plain")).json["reason"] == "NotAcceptable"
