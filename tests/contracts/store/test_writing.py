"""Writes: versions, sets of changes, who wins, and batches that somebody leaves."""

from __future__ import annotations

from datetime import UTC, datetime

import anyio
import pytest
from contracts.store.things import Reopen, body, history_of, key, put, remove

from controller.store.records import Change, Stale, Store

pytestmark = pytest.mark.anyio


async def test_an_empty_store_stands_at_zero(store: Store) -> None:
    assert (store.revision, store.oldest) == (0, 0)
    assert store.get(key("a")) is None
    assert store.list("test.dev", "things").records == ()


async def test_a_record_says_who_what_and_which_version(store: Store) -> None:
    before = datetime.now(UTC)
    made = await put(store, key("a"), size=1)
    changed = await put(store, key("a"), size=2)
    gone = await remove(store, key("a"))
    assert [(r.revision, r.verb, r.previous) for r in (made, changed, gone)] == [
        (1, "created", 0),
        (2, "updated", 1),
        (3, "deleted", 2),
    ]
    assert (made.uid, made.generation, made.written_by) == ("uid-a", 1, "ada")
    assert before <= made.written_at <= datetime.now(UTC)
    assert changed.object["metadata"]["resourceVersion"] == "2"
    assert gone.object["spec"] == {"size": 2}
    assert gone.object["metadata"]["resourceVersion"] == "3"


async def test_the_given_body_is_left_alone(store: Store) -> None:
    given = body("a")
    await store.write([Change(key("a"), given, 0)], by="ada")
    assert given == body("a")


async def test_a_stale_change_writes_nothing(store: Store) -> None:
    await put(store, key("a"))
    with pytest.raises(Stale) as caught:
        await store.write([Change(key("b"), body("b"), 0), Change(key("a"), body("a"), 7)], by="ada")
    assert (caught.value.key, caught.value.expected, caught.value.found) == (key("a"), 7, 1)
    assert store.revision == 1
    assert store.get(key("b")) is None


async def test_a_deletion_must_know_what_it_deletes(store: Store) -> None:
    with pytest.raises(ValueError, match="must expect"):
        await store.write([Change(key("a"), None, 0)], by="ada")
    with pytest.raises(Stale):
        await store.write([Change(key("a"), None, 3)], by="ada")


async def test_a_name_can_live_again(store: Store, opened: Reopen) -> None:
    for _ in range(3):
        assert (await put(store, key("a"))).previous == 0
        await remove(store, key("a"))
    again = await opened()
    assert again.get(key("a")) is None
    assert (await put(again, key("a"))).revision == 7
    assert [r.verb for r in await again.history(key("a"))] == ["created", "deleted"] * 3 + ["created"]


async def test_lists_are_ordered_and_keep_still(store: Store) -> None:
    for name, namespace in [("b", "x"), ("a", "y"), ("a", "x"), ("c", "x-1")]:
        await put(store, key(name, namespace))
    seen = store.list("test.dev", "things")
    await remove(store, key("b", "x"))
    assert [(r.key.namespace, r.key.name) for r in seen.records] == [
        ("x", "a"),
        ("x", "b"),
        ("x-1", "c"),
        ("y", "a"),
    ]
    assert seen.revision == 4
    assert [r.key.name for r in store.list("test.dev", "things", "x").records] == ["a"]
    assert store.list("test.dev", "others").records == ()


async def test_many_writers_one_wins_per_version(store: Store) -> None:
    await put(store, key("a"))
    won: list[int] = []

    async def try_once(number: int) -> None:
        try:
            await store.write([Change(key("a"), body("a", by=number), 1)], by=str(number))
            won.append(number)
        except Stale as stale:
            assert stale.found == 2

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(try_once, number)
    assert len(won) == 1
    assert store.revision == 2


async def test_a_set_of_changes_is_consecutive(store: Store) -> None:
    async def write_three(who: int) -> None:
        changes = [Change(key(f"{who}-{n}"), body("x"), 0) for n in range(3)]
        first, second, third = await store.write(changes, by=str(who))
        assert (second.revision, third.revision) == (first.revision + 1, first.revision + 2)

    async with anyio.create_task_group() as tasks:
        for who in range(30):
            tasks.start_soon(write_three, who)
    assert store.revision == 90


async def test_a_body_that_is_no_json_fails_alone(store: Store) -> None:
    async def bad() -> None:
        with pytest.raises(TypeError):
            await store.write([Change(key("bad"), {"metadata": {}, "spec": object()}, 0)], by="ada")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(put, store, key("a"))
        tasks.start_soon(bad)
        tasks.start_soon(put, store, key("b"))
    assert store.revision == 2


@pytest.mark.parametrize("largest", [1000, 3])
async def test_cancelled_writers_break_no_batch(store: Store, largest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor may anybody wait for ever: not who lost the leader before it, nor who found no place in a batch."""
    monkeypatch.setattr("controller.store.group_commit.LARGEST_BATCH", largest)

    async def write(name: str, scope: anyio.CancelScope) -> None:
        with scope:
            await put(store, key(name))

    for turn in range(20):
        scopes = [anyio.CancelScope() for _ in range(10)]
        async with anyio.create_task_group() as tasks:
            for number, scope in enumerate(scopes):
                tasks.start_soon(write, f"{turn}-{number}", scope)
            for _ in range(turn % 5):
                await anyio.lowlevel.checkpoint()
            for scope in scopes[turn % 3 :: 2]:
                scope.cancel()
        assert not store._writing._leader_active  # type: ignore[attr-defined]
        kept = [n for n, scope in enumerate(scopes) if not scope.cancelled_caught]
        assert all(store.get(key(f"{turn}-{number}")) for number in kept)
    everything = await history_of(store)
    assert [each.record.revision for each in everything] == list(range(1, store.revision + 1))
