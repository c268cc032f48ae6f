"""Followers under load: every revision exactly once, in order, whoever comes and goes meanwhile."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest
from contracts.store.things import Reopen

from controller.kit.clock import SystemClock
from controller.kit.threads import Threads
from controller.store.postgresql import is_postgresql
from controller.store.records import Change, Store, StoreEvent
from controller.store.sql import open_store
from crds.meta import ObjectKey

pytestmark = pytest.mark.anyio

WRITERS, EACH, KINDS = 8, 60, ("things", "others", "rest")
TOTAL = WRITERS * EACH


async def write_some(store: Store, who: int) -> None:
    rng = random.Random(who)
    for _ in range(EACH):
        key = ObjectKey("test.dev", rng.choice(KINDS), rng.choice("xy"), f"{who}-{rng.randrange(5)}")
        head = store.get(key)
        dies = head is not None and rng.random() < 0.3
        body = None if dies else {"metadata": {"name": key.name}, "by": who}
        await store.write([Change(key, body, head.revision if head else 0)], by=str(who))


async def collect(store: Store, group: str, plural: str, after: int, seed: int) -> list[StoreEvent]:
    """Follow to the end, in several lives: each is cancelled in mid-wait or left, and the next goes on."""
    rng, found, reached = random.Random(seed), [], after
    while reached < TOTAL:
        async with store.follow(group, plural, after=reached) as follower:
            for _ in range(rng.randrange(1, 6)):
                with anyio.move_on_after(rng.choice([0, 0.001, 0.01])):
                    found.extend(await anext(aiter(follower)))
            reached = follower.position
    return found


def check(found: Sequence[StoreEvent], everything: Sequence[StoreEvent], plural: str, after: int) -> None:
    expected = [h for h in everything if h.record.revision > after and plural in ("*", h.record.key.plural)]
    assert [h.record.revision for h in found] == [h.record.revision for h in expected]
    assert found == expected


@pytest.mark.parametrize("recent", [8, 4096])
async def test_every_follower_sees_every_revision_once_in_order(opened: Reopen, url: str, recent: int) -> None:
    """Of a database that several processes share, each of them does."""
    stores = [await opened(recent=recent) for _ in range(3 if is_postgresql(url) else 1)]
    seen: dict[int, tuple[list[StoreEvent], str, int]] = {}

    async def follow(seed: int) -> None:
        plural = random.Random(seed).choice([*KINDS, "*"])
        after = random.Random(-seed).randrange(TOTAL // 2)
        group = "" if plural == "*" else "test.dev"
        seen[seed] = (await collect(stores[seed % len(stores)], group, plural, after, seed), plural, after)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for who in range(WRITERS):
                tasks.start_soon(write_some, stores[who % len(stores)], who)
            for seed in range(1, 13):
                tasks.start_soon(follow, seed)
    everything = await collect(stores[0], "", "*", 0, 0)
    assert [h.record.revision for h in everything] == list(range(1, TOTAL + 1))
    for found, plural, after in seen.values():
        check(found, everything, plural, after)


async def test_followers_that_never_read_hold_up_nobody(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:///{tmp_path}/records.db", threads=Threads(8), clock=SystemClock())
    with anyio.fail_after(60):
        for _ in range(100):
            await store.follow("", "*", after=0).__aenter__()
        async with anyio.create_task_group() as tasks:
            for who in range(WRITERS):
                tasks.start_soon(write_some, store, who)
    assert store.revision == TOTAL
    await store.close()
