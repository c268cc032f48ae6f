"""A crowd of watchers that come, die and resume at random while writers write: nobody misses or doubles a change.

Told together, they are also slow at random, so that they leave the crowd and come back. What it proves: for every
watcher, the changes it saw over all its lives are exactly the changes the store made after its first revision, in
order; and writers end, whatever dead watchers hold. Time is virtual, so every interleaving comes from the seed alone.
"""

from __future__ import annotations

import random
from typing import Any

import anyio
import pytest

from tests.unit.kube.conftest import Wire

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("however_told")]
MAPS = "/api/v1/namespaces/default/configmaps"
WRITERS, UPDATES, WATCHERS = 8, 500, 6
MERGE = "application/merge-patch+json"


async def write(wire: Wire, who: int, rng: random.Random, made: list[int]) -> None:
    path = f"{MAPS}/row-{who}"
    for turn in range(UPDATES):
        body = {"data": {"turn": str(turn)}}
        answer = await wire.ok("PATCH", path, body, content_type=MERGE)
        made.append(int(answer["metadata"]["resourceVersion"]))
        await anyio.sleep(rng.choice((0, 0, 0.01, 0.2)))


async def follow(wire: Wire, start: int, rng: random.Random, until: anyio.Event, seen: list[int]) -> None:
    """Lives of random length; each goes on after the last change the one before has seen."""
    while True:
        last = seen[-1] if seen else start
        async with wire.watch(f"{MAPS}?watch=1&resourceVersion={last}") as watched:
            watched.is_slow = lambda: rng.random() < 0.1
            with anyio.move_on_after(rng.uniform(0.01, 3)):
                while True:
                    event = await watched.next(seconds=1e6)
                    assert event["type"] == "MODIFIED"
                    seen.append(int(event["object"]["metadata"]["resourceVersion"]))
        if until.is_set() and await _is_at_the_end(wire, seen):
            return
        await anyio.sleep(rng.uniform(0, 1))


async def _is_at_the_end(wire: Wire, seen: list[int]) -> bool:
    listed: dict[str, Any] = await wire.ok("GET", MAPS)
    return bool(seen) and seen[-1] == max(int(each["metadata"]["resourceVersion"]) for each in listed["items"])


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_watcher_sees_every_change_once_and_in_order(wire: Wire, seed: int) -> None:
    rng, done, made = random.Random(seed), anyio.Event(), list[int]()
    for who in range(WRITERS):
        await wire.ok("POST", MAPS, {"metadata": {"name": f"row-{who}"}})
    start = int((await wire.ok("GET", MAPS))["metadata"]["resourceVersion"])
    seen: list[list[int]] = [[] for _ in range(WATCHERS)]
    async with anyio.create_task_group() as crowd:
        for each in seen:
            crowd.start_soon(follow, wire, start, random.Random(rng.random()), done, each)
        async with anyio.create_task_group() as writers:
            for who in range(WRITERS):
                writers.start_soon(write, wire, who, random.Random(rng.random()), made)
        done.set()
    assert len(made) == WRITERS * UPDATES
    for each in seen:
        assert each == sorted(made)


async def test_a_watcher_that_never_reads_holds_up_nobody(wire: Wire) -> None:
    await wire.ok("POST", MAPS, {"metadata": {"name": "row-0"}})
    start = (await wire.ok("GET", MAPS))["metadata"]["resourceVersion"]
    stuck = anyio.Event()

    async def never_reads(message: Any) -> None:
        if message["type"] == "http.response.body":
            stuck.set()
            await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wire.serve_watch, f"{MAPS}?watch=1&resourceVersion={start}", never_reads)
        made: list[int] = []
        with anyio.fail_after(1000):
            await write(wire, 0, random.Random(1), made)
        assert stuck.is_set() and len(made) == UPDATES
        tasks.cancel_scope.cancel()
