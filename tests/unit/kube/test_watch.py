"""Watches: every change once and in order, selectors' transitions, bookmarks, ends and too old places."""

from __future__ import annotations

import random
from contextlib import AsyncExitStack
from typing import Any

import anyio
import pytest

from tests.unit.kube.conftest import Wire

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("however_told")]
MAPS = "/api/v1/namespaces/default/configmaps"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
LIST_TOO = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"


def body(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}}


async def revision(wire: Wire) -> str:
    found: str = (await wire.ok("GET", MAPS))["metadata"]["resourceVersion"]
    return found


async def test_from_a_revision_exactly_what_came_after(wire: Wire) -> None:
    await wire.ok("POST", MAPS, body("before"))
    start = await revision(wire)
    await wire.ok("POST", MAPS, body("a"))
    async with wire.watch(f"{MAPS}?watch=1&resourceVersion={start}") as watched:
        await wire.merge(f"{MAPS}/a", {"data": {"x": "1"}})
        await wire.merge(f"{MAPS}/a", {"data": {"x": "1"}})  # changes nothing, so it is no event
        await wire.ok("DELETE", f"{MAPS}/a")
        assert await watched.told(3) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
        assert await watched.silent()


async def test_who_asks_is_told_when_each_version_was_written(wire: Wire) -> None:
    start = await revision(wire)
    await wire.ok("POST", MAPS, body("a"))
    await wire.merge(f"{MAPS}/a", {"data": {"x": "1"}})
    await wire.ok("DELETE", f"{MAPS}/a")
    async with wire.watch(f"{MAPS}?watch=1&writtenAt=true&resourceVersion={start}") as watched:
        events = [await watched.next() for _ in range(3)]
    async with wire.watch(f"{MAPS}?watch=1&resourceVersion={start}") as watched:
        assert "writtenAt" not in await watched.next()
    made = events[0]["object"]["metadata"]["creationTimestamp"]
    assert [each["type"] for each in events] == ["ADDED", "MODIFIED", "DELETED"]
    assert events[0]["writtenAt"] == made <= events[1]["writtenAt"] <= events[2]["writtenAt"]


async def test_a_deletion_is_told_when_the_last_finalizer_goes(wire: Wire) -> None:
    made = await wire.ok(
        "POST", MAPS, {"metadata": {"name": "held", "finalizers": ["a.example/b"]}, "data": {"x": "1"}}
    )
    query = f"watch=1&resourceVersion={made['metadata']['resourceVersion']}"
    async with wire.watch(f"{MAPS}?{query}") as watched:
        dying = await wire.ok("DELETE", f"{MAPS}/held")
        assert (await watched.next())["object"] == dying
        await wire.merge(f"{MAPS}/held", {"metadata": {"finalizers": None}})
        gone = await watched.next()
        assert (gone["type"], gone["object"]["data"]) == ("DELETED", {"x": "1"})
        newest = await revision(wire)
        assert gone["object"]["metadata"]["resourceVersion"] == newest != dying["metadata"]["resourceVersion"]


async def test_selectors_turn_changes_into_arrivals_and_departures(wire: Wire) -> None:
    await wire.ok("POST", MAPS, body("a", tier="back"))
    start = await revision(wire)
    async with wire.watch(f"{MAPS}?watch=1&labelSelector=tier=front&resourceVersion={start}") as watched:
        await wire.merge(f"{MAPS}/a", {"data": {"unseen": "1"}})
        await wire.merge(f"{MAPS}/a", {"metadata": {"labels": {"tier": "front"}}})
        await wire.merge(f"{MAPS}/a", {"data": {"seen": "1"}})
        left = await wire.merge(f"{MAPS}/a", {"metadata": {"labels": {"tier": "back"}}})
        await wire.ok("DELETE", f"{MAPS}/a")
        assert await watched.told(2) == [("ADDED", "a"), ("MODIFIED", "a")]
        gone = await watched.next()
        assert gone["type"] == "DELETED"
        assert gone["object"]["metadata"]["labels"] == {"tier": "front"}  # as it was when it was last seen
        assert gone["object"]["metadata"]["resourceVersion"] == left["metadata"]["resourceVersion"]
        assert await watched.silent()


async def test_without_a_revision_it_begins_with_what_is_there(wire: Wire) -> None:
    await wire.ok("POST", MAPS, body("a"))
    for query in ("watch=true", "watch=true&resourceVersion=0"):
        async with wire.watch(f"{MAPS}?{query}") as watched:
            assert await watched.told(1) == [("ADDED", "a")]


async def test_a_watch_list_says_where_the_list_ends(wire: Wire) -> None:
    await wire.ok("POST", MAPS, body("a"))
    async with wire.watch(f"{MAPS}?watch=1&{LIST_TOO}") as watched:
        assert await watched.told(1) == [("ADDED", "a")]
        mark = await watched.next()
        assert mark["type"] == "BOOKMARK"
        assert mark["object"]["metadata"] == {
            "resourceVersion": await revision(wire),
            "annotations": {"k8s.io/initial-events-end": "true"},
        }
    half = await wire.ask("GET", f"{MAPS}?watch=1&sendInitialEvents=true")
    assert half.code == 422


async def test_bookmarks_move_idle_watchers_on(wire: Wire) -> None:
    async with wire.watch(f"{MAPS}?watch=1&allowWatchBookmarks=true&resourceVersion=1") as watched:
        await wire.ok("POST", "/api/v1/namespaces/default/secrets", {"metadata": {"name": "elsewhere"}})
        mark = await watched.next(seconds=61)
        assert mark["type"] == "BOOKMARK"
        assert mark["object"]["metadata"]["resourceVersion"] == await revision(wire)
    async with wire.watch(f"{MAPS}?watch=1&resourceVersion=1") as watched:
        assert await watched.silent(seconds=120)


async def test_the_last_bookmark_comes_shortly_before_the_end(wire: Wire) -> None:
    """Whoever comes back then has missed nothing, and need not list again."""
    query = "watch=1&allowWatchBookmarks=true&resourceVersion=1&timeoutSeconds"
    async with wire.watch(f"{MAPS}?{query}=10") as watched, wire.watch(f"{MAPS}?{query}=20") as other:
        began = anyio.current_time()
        await wire.ok("POST", MAPS, body("a"))
        assert await watched.told(1) == await other.told(1) == [("ADDED", "a")]
        mark = await watched.next(seconds=9)
        assert anyio.current_time() - began == pytest.approx(8, abs=0.1)
        assert (mark["type"], mark["object"]["metadata"]["resourceVersion"]) == ("BOOKMARK", await revision(wire))
        await wire.ok("DELETE", f"{MAPS}/a")
        assert await watched.told(1) == await other.told(1) == [("DELETED", "a")]
        await watched.ended.wait()
        assert anyio.current_time() - began == pytest.approx(10, abs=0.1)
        assert await watched.silent()
        assert (await other.next(seconds=9))["type"] == "BOOKMARK"
        assert anyio.current_time() - began == pytest.approx(18, abs=0.1)


async def test_a_watch_too_short_for_a_bookmark_has_none(wire: Wire) -> None:
    async with wire.watch(f"{MAPS}?watch=1&allowWatchBookmarks=true&resourceVersion=1&timeoutSeconds=2") as watched:
        await watched.ended.wait()
        assert await watched.silent()


async def test_who_selects_little_of_a_busy_kind_is_moved_on_too(wire: Wire) -> None:
    """Or it would come back to a compacted place, and look dead to clients that count silence (kopf: 70 s)."""
    query = "watch=1&allowWatchBookmarks=true&labelSelector=tier=front&resourceVersion=1"
    async with wire.watch(f"{MAPS}?{query}") as watched:
        for number in range(60):
            await wire.ok("POST", MAPS, body(f"hidden-{number}", tier="back"))
            await anyio.sleep(1)
        mark = await watched.next()
        assert mark["type"] == "BOOKMARK"
        assert int(mark["object"]["metadata"]["resourceVersion"]) > 20
        await wire.ok("POST", MAPS, body("a", tier="front"))
        while (event := await watched.next())["type"] == "BOOKMARK":
            pass
        assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "a")


@pytest.mark.parametrize(("watchers", "seconds"), [(1, 0.00005), (20, 0.001), (700, 0.03)])
async def test_a_burst_is_gathered_for_as_long_as_that_many_watchers_need(
    wire: Wire, watchers: int, seconds: float
) -> None:
    start = await revision(wire)
    async with AsyncExitStack() as stack:
        crowd = [wire.watch(f"{MAPS}?watch=1&resourceVersion={start}") for _ in range(watchers)]
        first, *_ = [await stack.enter_async_context(each) for each in crowd]
        await wire.ok("POST", MAPS, body("a"))
        assert await first.told(1) == [("ADDED", "a")]
        told_at = anyio.current_time()
        for name in ("b", "c"):
            await wire.ok("POST", MAPS, body(name))
        assert await first.told(2) == [("ADDED", "b"), ("ADDED", "c")]
        assert anyio.current_time() - told_at == pytest.approx(seconds)


async def test_the_asked_time_ends_it_quietly(wire: Wire) -> None:
    async with wire.watch(f"{MAPS}?watch=1&timeoutSeconds=7&resourceVersion=1") as watched:
        began = anyio.current_time()
        await watched.ended.wait()
        assert anyio.current_time() - began == pytest.approx(7, abs=0.1)
        assert await watched.silent()


async def test_a_place_too_old_is_told_in_the_stream(wire: Wire) -> None:
    for name in ("a", "b"):
        await wire.ok("POST", MAPS, body(name))
    await wire.registry.store.compact(keep_after=wire.registry.store.revision)
    async with wire.watch(f"{MAPS}?watch=1&resourceVersion=1") as watched:
        event = await watched.next()
        assert watched.code == 200
        assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
        with anyio.fail_after(1):
            await watched.ended.wait()
    assert wire.api.watches.expired == 1


async def test_watchers_are_counted_while_they_watch(wire: Wire) -> None:
    counted = wire.api.watches
    async with wire.watch(f"{MAPS}?watch=1&resourceVersion=1") as first, wire.watch(f"{MAPS}?watch=1") as second:
        await wire.ok("POST", MAPS, body("a"))
        assert await first.told(1) == await second.told(1) == [("ADDED", "a")]
        assert (counted.now, counted.by_kind) == (2, {"configmaps": 2})
    assert (counted.now, counted.by_kind, counted.slow) == (0, {}, 0)


async def test_who_cannot_be_told_with_the_others_is_counted_once_for_each_time(wire: Wire) -> None:
    wire.at_once = True
    async with wire.watch(f"{MAPS}?watch=1&resourceVersion=1") as watched:
        await wire.ok("POST", MAPS, body("a"))
        assert await watched.told(1) == [("ADDED", "a")]
        for name in ("b", "c"):
            await anyio.sleep(1)
            watched.is_slow = lambda: True
            await wire.ok("POST", MAPS, body(name))
            assert await watched.told(1) == [("ADDED", name)]
            watched.is_slow = lambda: False
        assert wire.api.watches.slow == 2


async def test_a_place_in_the_future_is_refused(wire: Wire) -> None:
    assert (await wire.ask("GET", f"{MAPS}?watch=1&resourceVersion=99999")).code == 504


async def test_rows_for_those_who_watch_tables(wire: Wire) -> None:
    async with wire.watch(f"{MAPS}?watch=1&resourceVersion=1", accept=TABLE) as watched:
        await wire.ok("POST", MAPS, {**body("a"), "data": {"x": "1"}})
        event = await watched.next()
        assert event["object"]["kind"] == "Table"
        assert event["object"]["rows"][0]["cells"][:2] == ["a", 1]


async def test_by_name_only_that_one(wire: Wire) -> None:
    async with wire.watch(f"{MAPS}?watch=1&fieldSelector=metadata.name=a&resourceVersion=1") as watched:
        for name in ("b", "a"):
            await wire.ok("POST", MAPS, body(name))
        assert await watched.told(1) == [("ADDED", "a")]


async def test_one_namespace_does_not_hear_of_another(wire: Wire) -> None:
    async with wire.watch(f"{MAPS}?watch=1&resourceVersion=1") as watched:
        await wire.ok("POST", MAPS.replace("default", "other"), body("x"))
        await wire.ok("POST", MAPS, body("a"))
        assert await watched.told(1) == [("ADDED", "a")]


@pytest.mark.parametrize("seed", range(12))
async def test_a_list_and_what_came_after_make_the_next_list(wire: Wire, seed: int) -> None:
    """Whatever happened between, a client that lists once and then follows sees what a second list shows."""
    rng = random.Random(seed)
    selector = rng.choice(["", "tier=front", "tier!=front", "tier in (front,back)", "!tier"]).replace(" ", "%20")

    async def happen() -> None:
        name = rng.choice("abc")
        labels = {"labels": {"tier": rng.choice(["front", "back", None])}}
        match rng.choice(["create", "change", "delete"]):
            case "create":
                tier = {key: value for key, value in labels["labels"].items() if value}
                await wire.ask("POST", MAPS, {"metadata": {"name": name, "labels": tier}})
            case "change":
                patch = {"metadata": labels, "data": {"n": str(rng.random())}}
                await wire.ask("PATCH", f"{MAPS}/{name}", patch, content_type="application/merge-patch+json")
            case _:
                await wire.ask("DELETE", f"{MAPS}/{name}")

    for _ in range(5):
        await happen()
    listed = await wire.ok("GET", f"{MAPS}?labelSelector={selector}")
    seen = {item["metadata"]["name"]: item for item in listed["items"]}
    start = listed["metadata"]["resourceVersion"]
    for _ in range(10):
        await happen()
    async with wire.watch(f"{MAPS}?watch=1&labelSelector={selector}&resourceVersion={start}") as watched:
        for _ in range(10):
            await happen()
        last = int(start)
        while not await watched.is_quiet():
            event = await watched.next()
            name, version = event["object"]["metadata"]["name"], int(event["object"]["metadata"]["resourceVersion"])
            assert version > last
            assert (event["type"] == "ADDED") == (name not in seen)
            last = version
            seen[name] = event["object"]
            if event["type"] == "DELETED":
                del seen[name]
    now = await wire.ok("GET", f"{MAPS}?labelSelector={selector}")
    assert seen == {item["metadata"]["name"]: item for item in now["items"]}
