"""Events by both their names: events.k8s.io/v1 writes and reads the same resources as core/v1."""

from __future__ import annotations

from typing import Any

import pytest
from unit.kube.conftest import Wire

pytestmark = pytest.mark.anyio
CORE = "/api/v1/namespaces/default/events"
NEW = "/apis/events.k8s.io/v1/namespaces/default/events"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
TIME = "2026-01-01T00:00:00.000001Z"
REGARDING = {"kind": "ConfigMap", "namespace": "default", "name": "c"}
EVENT = {
    "apiVersion": "events.k8s.io/v1",
    "kind": "Event",
    "metadata": {"name": "e"},
    "eventTime": TIME,
    "reportingController": "acme.io/op",
    "reportingInstance": "op-1",
    "action": "Binding",
    "reason": "Bound",
    "regarding": REGARDING,
    "note": "it is bound",
    "type": "Normal",
}


def without(body: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in names}


async def test_what_a_new_recorder_writes_is_a_core_event(wire: Wire) -> None:
    made = await wire.ok("POST", f"{NEW}?fieldManager=op", EVENT)
    assert without(made, "metadata") == without(EVENT, "metadata")
    core = await wire.ok("GET", f"{CORE}/e")
    assert (core["apiVersion"], core["involvedObject"], core["message"]) == ("v1", REGARDING, "it is bound")
    assert (core["reportingComponent"], core["eventTime"]) == ("acme.io/op", TIME)
    assert core["metadata"]["uid"] == made["metadata"]["uid"]
    for path in (CORE, NEW):
        cells = (await wire.ok("GET", path, accept=TABLE))["rows"][0]["cells"]
        assert cells[1:] == ["Normal", "Bound", "configmap/c", "it is bound", 1, "acme.io/op"]
        assert cells[0].endswith(("s", "m", "h", "d"))


async def test_what_was_written_as_core_is_read_by_the_new_name(wire: Wire) -> None:
    old = {
        "metadata": {"name": "o"},
        "involvedObject": REGARDING,
        "message": "m",
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "count": 3,
        "source": {"component": "x"},
    }
    await wire.ok("POST", CORE, old)
    shown = await wire.ok("GET", f"{NEW}/o")
    assert (shown["note"], shown["regarding"], shown["deprecatedCount"]) == ("m", REGARDING, 3)
    assert (shown["deprecatedSource"], shown["eventTime"]) == ({"component": "x"}, "2026-01-01T00:00:00.000000Z")
    listed = await wire.ok("GET", f"{NEW}?fieldSelector=regarding.name=c")
    assert [each["metadata"]["name"] for each in listed["items"]] == ["o"]
    assert (await wire.ok("GET", f"{NEW}?fieldSelector=regarding.name=d"))["items"] == []


async def test_a_series_is_patched_and_nothing_else(wire: Wire) -> None:
    await wire.ok("POST", NEW, EVENT)
    series = {"series": {"count": 2, "lastObservedTime": "2026-01-01T00:05:00.000000Z"}}
    strategic = "application/strategic-merge-patch+json"
    patched = await wire.ok("PATCH", f"{NEW}/e", series, content_type=strategic)
    assert patched["series"] == series["series"] == (await wire.ok("GET", f"{CORE}/e"))["series"]
    for field, value in (("note", "other"), ("reason", "Other"), ("regarding", {"name": "d"}), ("eventTime", None)):
        refused = await wire.ask("PATCH", f"{NEW}/e", {field: value}, content_type="application/merge-patch+json")
        assert (refused.code, refused.json["details"]["causes"][0]["field"]) == (422, field)
    labelled = await wire.ok(
        "PUT", f"{NEW}/e", {**patched, "metadata": {**patched["metadata"], "labels": {"a": "b"}}}
    )
    assert labelled["metadata"]["labels"] == {"a": "b"}


@pytest.mark.parametrize(
    "missing", ["eventTime", "reportingController", "reportingInstance", "action", "reason", "type"]
)
async def test_a_new_event_says_what_recorders_know(wire: Wire, missing: str) -> None:
    refused = await wire.ask("POST", NEW, without(EVENT, missing))
    assert (refused.code, refused.json["details"]["causes"][0]["field"]) == (422, missing)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"type": "Odd"}, 422),
        ({"deprecatedCount": 1}, 422),
        ({"eventTime": "soon"}, 400),
        ({"apiVersion": "v1"}, 400),
        ({"metadata": {"name": "e", "namespace": "other"}}, 400),
    ],
)
async def test_a_new_event_that_makes_no_sense_is_refused(wire: Wire, more: dict[str, Any], code: int) -> None:
    assert (await wire.ask("POST", NEW, {**EVENT, **more})).code == code
    assert (await wire.ok("GET", CORE))["items"] == []


async def test_they_are_watched_and_deleted_by_either_name(wire: Wire) -> None:
    async with wire.watch(f"{NEW}?watch=1&resourceVersion=1") as watched:
        await wire.ok("POST", NEW, EVENT)
        seen = await watched.next()
        assert (seen["type"], seen["object"]["apiVersion"]) == ("ADDED", "events.k8s.io/v1")
        await wire.ok("DELETE", f"{NEW}/e")
        assert await watched.told(1) == [("DELETED", "e")]
    for name, about in (("a", "c"), ("b", "d")):
        body = {**EVENT, "metadata": {"name": name}, "regarding": {**REGARDING, "name": about}}
        await wire.ok("POST", NEW, body)
    gone = await wire.ok("DELETE", f"{NEW}?fieldSelector=regarding.name=c,type!=Warning")
    assert [(each["apiVersion"], each["metadata"]["name"]) for each in gone["items"]] == [("events.k8s.io/v1", "a")]
    assert [each["metadata"]["name"] for each in (await wire.ok("GET", CORE))["items"]] == ["b"]


async def test_an_apply_hears_by_which_name_it_works(wire: Wire) -> None:
    asked = f"{NEW}/e?fieldManager=x"
    refused = await wire.ask("PATCH", asked, EVENT, content_type="application/apply-patch+yaml")
    assert refused.code == 400 and "apply the same as v1" in refused.json["message"]
