"""The store in a backup: row for row what it was, in blocks that stay the same, and put back to any moment."""

from __future__ import annotations

import random
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from contracts.store.things import body, key, put, remove
from quick_store import commits_wait_for_no_disk

from controller.kit.threads import Inline
from controller.store import dump
from controller.store.records import Change, Compacted, Store, StoreBroken
from controller.store.rewinding import rewind
from controller.store.sealing import Sealing
from controller.store.sql import open_store
from controller.store.tables import from_microseconds

__all__ = ["commits_wait_for_no_disk"]
pytestmark = pytest.mark.anyio
BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
SEALED = {("test.dev", "secrets")}
TABLES = ("records", "heads", "clock", "schema_version")


class Ticking:
    """A second a write, so that each revision has a time of its own."""

    def __init__(self) -> None:
        self.time = BEGAN

    def now(self) -> datetime:
        self.time += timedelta(seconds=1)
        return self.time

    def monotonic(self) -> float:
        return 0.0


async def opened(folder: Path, clock: Any = None) -> Store:
    sealing = Sealing(folder / "store-key", SEALED)
    return await open_store(
        f"sqlite:///{folder / 'records.db'}", threads=Inline(), clock=clock or Ticking(), sealing=sealing
    )


async def lived(store: Store, writes: int, seed: int) -> list[dict[Any, Any]]:
    """What stood at each revision, after that many random writes; the first entry is the empty store."""
    dice, states = random.Random(seed), [dict[Any, Any]()]
    keys = [key(f"n{number}", plural=plural) for number in range(12) for plural in ("things", "secrets")]
    for turn in range(writes):
        where, state = dice.choice(keys), dict(states[-1])
        if where in state and dice.random() < 0.3:
            await remove(store, where)
            del state[where]
        elif where in state and dice.random() < 0.2:
            head = store.get(where)
            assert head is not None
            other = {
                **body(where.name, turn=turn),
                "metadata": {"name": where.name, "uid": f"u{turn}", "generation": 1},
            }
            await store.write([Change(where, None, head.revision), Change(where, other, 0)], by="ada")
            states.append({each: value for each, value in state.items() if each != where})
            state[where] = (f"u{turn}", turn)
        else:
            await put(store, where, turn=turn)
            state[where] = (f"uid-{where.name}", turn)
        states.append(state)
    return states


async def stands(store: Store, revision: int | None = None) -> dict[Any, Any]:
    found = await store.list_at("", "*", None, store.revision if revision is None else revision)
    return {each.key: (each.uid, each.object["spec"]["turn"]) for each in found.records}


def copied(source: Path, target: Path) -> dump.Dumped:
    target.mkdir()
    (target / "store-key").write_bytes((source / "store-key").read_bytes())
    with dump.reading(f"sqlite:///{source / 'records.db'}") as store:
        pieces = [piece for block in store.blocks() for piece in block.pieces]
    dump.load(target / "records.db", store.dumped, pieces)
    return store.dumped


def rows(file: Path) -> dict[str, list[Any]]:
    with sqlite3.connect(file) as db:
        return {each: db.execute(f"SELECT * FROM {each} ORDER BY 1, 2, 3").fetchall() for each in TABLES}


def written(file: Path) -> dict[int, int]:
    """Revision → when, in microseconds."""
    with sqlite3.connect(file) as db:
        return dict(db.execute("SELECT revision, written_at FROM records"))


async def test_every_row_comes_back_sealed_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    store = await opened(tmp_path / "a")
    states = await lived(store, 700, seed=1)
    await store.compact(keep_after=200)
    dumped = copied(tmp_path / "a", tmp_path / "b")
    assert rows(tmp_path / "b" / "records.db") == rows(tmp_path / "a" / "records.db")
    assert dumped.living == len(states[-1]) and dumped.revision == store.revision
    again = await opened(tmp_path / "b")
    assert await stands(again) == states[-1]
    await put(again, key("next"), turn=0)
    assert again.revision == store.revision + 1
    await store.close()
    await again.close()


async def test_a_dump_is_of_one_moment_whatever_is_written_meanwhile(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    await lived(store, 600, seed=2)
    with dump.reading(f"sqlite:///{tmp_path / 'records.db'}") as reader:
        blocks = reader.blocks()
        first = next(blocks)
        await lived(store, 50, seed=3)
        numbers = [first.number, *(each.number for each in blocks)]
    assert reader.dumped.revision < store.revision
    assert numbers == list(range(reader.dumped.revision // dump.BLOCK_REVISIONS + 1))
    await store.close()


async def test_blocks_of_the_past_stay_the_same(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    await lived(store, 600, seed=4)

    def blocks() -> dict[int, Any]:
        with dump.reading(f"sqlite:///{tmp_path / 'records.db'}") as reader:
            return {each.number: list(each.pieces) for each in reader.blocks()}

    before = blocks()
    await lived(store, 300, seed=5)
    after = blocks()
    assert len(before) < len(after) and all(after[each] == before[each] for each in sorted(before)[:-1])
    await store.close()


async def test_it_is_put_back_to_a_hundred_random_revisions_and_times(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    store = await opened(tmp_path / "a")
    states, dice = await lived(store, 500, seed=6), random.Random(7)
    oldest, times = 60, written(tmp_path / "a" / "records.db")
    await store.compact(keep_after=oldest)
    dumped = copied(tmp_path / "a", tmp_path / "b")
    again = await opened(tmp_path / "b", after(store))
    for turn in range(100):
        wanted = revision = dice.randrange(oldest, len(states))
        before = again.revision
        if turn % 2:  # by a moment between its time and the next; revisions of one write share theirs
            wanted = max(each for each, at in times.items() if at == times[revision])
            revision = await again.revision_at(from_microseconds(times[revision] + 500_000))
        changed = await rewind(again, revision, by="system:restore")
        assert await stands(again) == states[wanted], revision
        assert again.revision == before + changed, "no revision is used twice, and none is left out"
    assert await stands(again, dumped.revision) == states[-1], "and what was before is still known"
    await again.close()
    await store.close()


def after(store: Store) -> Ticking:
    clock = Ticking()
    clock.time += timedelta(seconds=store.revision + 10)
    return clock


async def test_a_moment_that_is_no_longer_kept_is_refused(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    await lived(store, 50, seed=8)
    await store.compact(keep_after=30)
    before = store.revision
    with pytest.raises(Compacted):
        await rewind(store, 10, by="system:restore")
    assert store.revision == before
    await store.close()


async def test_a_dump_that_is_short_or_cut_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    store = await opened(tmp_path / "a")
    await lived(store, 40, seed=9)
    await store.close()
    with dump.reading(f"sqlite:///{tmp_path / 'a' / 'records.db'}") as reader:
        pieces = [piece for block in reader.blocks() for piece in block.pieces]
    for number, wrong in enumerate(([], [pieces[0][:-5]])):
        with pytest.raises(StoreBroken):
            dump.load(tmp_path / f"{number}.db", reader.dumped, wrong)


def test_no_store_is_no_dump(tmp_path: Path) -> None:
    with pytest.raises(StoreBroken, match="no store"), dump.reading(f"sqlite:///{tmp_path / 'records.db'}"):
        raise AssertionError
