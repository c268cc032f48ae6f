"""Lines are there once, in order, through merges and kills; blocks give back what was put in."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import cramjam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.logs_manager import upkeep
from services.logs_manager.store import tables
from services.logs_manager.store.blocks import (
    LINE_BYTES,
    Block,
    Entry,
    Unreadable,
    columns_of,
    in_order,
    joined,
    packed,
)
from services.logs_manager.store.log_store import LogStore, NewLine, Progress, StreamIsGone, Written
from services.logs_manager.store.reader import Span
from services.logs_manager.store.streams import Stream, StreamIndex
from services.logs_manager.store.tables import FULL_BLOCK
from services.sdk.group_commit import GroupCommitter
from services.sdk.sqlite_file import SqliteFile
from services.sdk.testing.virtual import AtOnce, LoopClock, virtual_time

ENTRIES = st.lists(
    st.builds(Entry, st.integers(0, 1 << 62), st.integers(1, 1 << 40), st.binary(max_size=40), st.binary(max_size=9)),
    min_size=1,
    max_size=30,
).map(in_order)
ALWAYS = Span(0, 1 << 62)


class Opened(NamedTuple):
    file: SqliteFile
    store: LogStore


def opened(folder: Path, thread: Executor | None = None) -> Opened:
    file = tables.open_logs(folder)
    return Opened(file, LogStore(file, GroupCommitter(file, thread or AtOnce()), folder))


@given(ENTRIES, st.sampled_from((0, 1, 5)))
def test_a_block_gives_back_what_was_put_in(entries: list[Entry], level: int) -> None:
    block = Block(packed(entries, level))
    assert block.entries() == entries
    assert block.text == b"".join(each.line for each in entries)


@given(ENTRIES, st.binary(min_size=1, max_size=2))
def test_what_holds_a_text_is_what_a_look_at_each_line_finds(entries: list[Entry], needle: bytes) -> None:
    block = Block(packed(entries, 0))
    assert list(block.holding(needle)) == [i for i, each in enumerate(entries) if needle in each.line]


@given(st.lists(ENTRIES, min_size=1, max_size=5))
def test_joined_blocks_are_what_their_lines_in_order_are(parts: list[list[Entry]]) -> None:
    whole = joined([columns_of(packed(each, 0)) for each in parts])
    lines = [entry for part in parts for entry in part]
    if whole is not None:
        assert Block(whole.packed(0)).entries() == lines
    else:
        times, numbers = [each.time for each in lines], [each.number for each in lines]
        assert times != sorted(times) or numbers != sorted(numbers)


def test_a_block_of_a_version_to_come_is_refused() -> None:
    plain = packed([Entry(1, 1, b"x")], 0)
    with pytest.raises(Unreadable, match="version 03"):
        Block(b"\x03" + plain[1:])
    with pytest.raises(Unreadable, match="packed as 07"):
        Block(b"\x02\x07" + plain[2:])


def test_blocks_of_versions_before_are_read() -> None:
    entry = Entry(1, 1, b"x")
    raw = packed([entry], 0)[2:]
    first = b"\x01" + bytes(cramjam.zstd.compress(raw))
    for data in (first, b"\x01\x00" + raw, b"\x01\x01" + first[1:]):
        assert Block(data).entries() == [entry]


@given(st.binary(max_size=60) | st.binary(max_size=40).map(lambda raw: b"\x02\x00" + raw))
def test_any_bytes_are_a_block_or_refused(data: bytes) -> None:
    with suppress(Unreadable):
        assert Block(data).entries()


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("gh"), st.integers(0, 3), st.booleans())))
def test_streams_of_a_group_are_those_a_look_at_all_finds(steps: list[tuple[str, str, int, bool]]) -> None:
    index = StreamIndex()
    for namespace, group, number, is_removed in steps:
        stream = index.make(namespace, group, f"s{number}", {}, 0)
        if is_removed:
            index.remove([stream.id, stream.id])
            if number:
                index.put_back([stream])
        found = {each: [s for s in index.all() if (s.namespace, s.group) == each] for each in product("ab", "gh")}
        assert {each: index.of_group(*each) for each in found} == found
        assert index.by_group() == {each: streams for each, streams in found.items() if streams}


@virtual_time
async def test_a_block_that_cannot_be_read_holds_up_nothing(tmp_path: Path) -> None:
    file, store = opened(tmp_path)
    stream = store.streams.make("a", "g", "s", {"s": "1"}, 0)
    other = store.streams.make("a", "g", "t", {"s": "2"}, 0)
    for number in range(1, 80):
        lines = [NewLine(number, b"line %d" % number)]
        await store.append([Written(stream, lines), Written(other, lines)], 0)
    file.connection.execute("UPDATE blocks SET data = x'020107' WHERE stream = 1 AND first = 40")
    assert lines_of(store, stream) == [b"line %d" % number for number in range(1, 80) if number != 40]
    assert len(store.unreadable) == 1
    store.unreadable.clear()
    await store.merge()
    assert len(store.unreadable) == 1
    assert sorted(lines_of(store, stream)) == sorted(b"line %d" % n for n in range(1, 80) if n != 40)
    levels = dict(file.connection.execute("SELECT stream, count(*) FROM blocks GROUP BY stream"))
    assert levels[1] < 20 and levels[2] < 20
    await store.forget_before([stream], 1 << 40)
    assert set(await store.sizes()) == {other.id}
    file.close()


@virtual_time
async def test_empty_lines_fill_blocks_too(tmp_path: Path) -> None:
    file, store = opened(tmp_path)
    stream = store.streams.make("a", "g", "s", {"s": "1"}, 0)
    for _ in range(70):
        await store.append([Written(stream, [NewLine(1, b"")] * 1_000)], 0)
        await store.merge()
    ((most, count),) = file.connection.execute("SELECT max(lines), sum(lines) FROM blocks")
    assert most <= FULL_BLOCK // LINE_BYTES + 1_000 and count == 70_000
    assert (await store.sizes())[stream.id].stored > 1_000
    file.close()


class Sizes:
    """As a Directory: how much groups may have."""

    def most_bytes(self, stream: Stream) -> int:
        return 3_000 if stream.group == "small" else 1 << 40


@virtual_time
async def test_all_groups_together_keep_to_their_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while one has more than it may itself; who has little of it pays nothing."""
    monkeypatch.setattr(upkeep, "MOST_BYTES", 60_000)
    file, store = opened(tmp_path)
    streams = {
        (space, group): store.streams.make(space, group, "s", {"g": group, "n": space}, 0)
        for space, group in [("a", "small"), ("b", "audit"), *(("c", f"g{n}") for n in range(5))]
    }
    for number in range(20):
        for stream in streams.values():
            await store.append([Written(stream, [NewLine(number, os.urandom(600))])], 0)
    keeping = upkeep.Upkeep(store, Sizes(), LoopClock())  # type: ignore[arg-type]
    before = await store.sizes()
    await keeping.measure()
    assert keeping.stored <= 60_000
    assert keeping.over == {("a", "small"), *(("c", f"g{n}") for n in range(5))}
    audit = streams["b", "audit"].id
    assert keeping.sizes[audit] == before[audit]
    assert all(keeping.sizes[streams["c", f"g{n}"].id].lines > 5 for n in range(5))
    file.close()


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 2)), max_size=60), max_size=60), st.booleans())
def test_a_store_finds_what_a_list_would(batches: list[list[tuple[int, int]]], newest: bool) -> None:
    @virtual_time
    async def check() -> None:
        with tempfile.TemporaryDirectory() as folder:
            file, store = opened(Path(folder))
            streams = [store.streams.make("a", "g", f"s{n}", {"s": str(n)}, 0) for n in range(3)]
            model: list[tuple[int, int, int, bytes]] = []
            for number, batch in enumerate(batches):
                written = []
                for n, stream in enumerate(streams):
                    lines = [NewLine(at, b"line %d %d" % (number, at)) for at, which in batch if which == n]
                    model += [(each.time, len(model) + i, stream.id, each.line) for i, each in enumerate(lines)]
                    written.append(Written(stream, lines))
                await store.append(written, 0)
                await store.merge()
            reader = store.reader()
            wanted = [each for each in model if each[2] != streams[2].id and 10 <= each[0] < 40]
            ids = {streams[0].id, streams[1].id}
            found = reader.first(ids, Span(10, 40), 20, lambda _, __: True, newest=newest)
            expected = sorted(wanted, key=lambda each: (each[0], each[1]), reverse=newest)[:20]
            assert [(each.entry.time, each.entry.line) for each in found] == [(e[0], e[3]) for e in expected]
            assert sum(1 for _ in reader.walk(ids, Span(10, 40))) == len(wanted)
            reader.close()
            file.close()

    check()


CHILD = """
import asyncio, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from services.logs_manager.tests.test_store import opened
from services.logs_manager.store.log_store import NewLine, Progress, Written

async def main():
    file, store = opened(Path(sys.argv[1]), ThreadPoolExecutor(1))
    stream = store.streams.make("a", "g", "s", {"s": "1"}, 0)
    first = int(store.positions.get("x", "0"))
    for number in range(first, first + 100_000):
        read = Progress("x", str(number) if number else "", str(number + 1))
        await store.append([Written(stream, [NewLine(number + 1, b"line %d" % number)])], 0, read)
        print(number, flush=True)
        if number % 40 == 39:
            await store.merge()

asyncio.run(main())
"""


def test_a_kill_loses_nothing_that_was_acknowledged_and_doubles_nothing(tmp_path: Path) -> None:
    """Each time after some lines, wherever it is then; a position is as far as the lines are."""
    acknowledged = -1
    for lines in (7, 60):
        process = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for _ in range(lines):
            acknowledged = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    file, store = opened(tmp_path)
    reader = store.reader()
    (stream,) = store.streams.all()
    found = [each.entry.line for each in reader.walk({stream.id}, ALWAYS)]
    there = int(store.positions["x"])
    assert there > acknowledged
    assert sorted(found) == sorted(b"line %d" % number for number in range(there))
    reader.close()
    file.close()


@virtual_time
async def test_what_is_read_twice_from_one_position_is_kept_once(tmp_path: Path) -> None:
    file, store = opened(tmp_path)
    stream = store.streams.make("a", "g", "s", {}, 0)
    both = [
        store.append([Written(stream, [NewLine(1, b"one")])], 0, Progress("x", "", "1")),
        store.append([Written(stream, [NewLine(1, b"one"), NewLine(2, b"two")])], 0, Progress("x", "", "2")),
        store.append([Written(stream, [NewLine(2, b"two")])], 0, Progress("x", "1", "2")),
    ]
    assert await asyncio.gather(*both) == [True, False, True]
    reader = store.reader()
    assert [each.entry.line for each in reader.walk({stream.id}, ALWAYS)] == [b"one", b"two"]
    assert store.positions == tables.all_positions(file.connection) == {"x": "2"}
    reader.close()
    file.close()


@virtual_time
async def test_a_stream_that_did_not_become_durable_takes_nobody_s_place(tmp_path: Path) -> None:
    """Unless it was there before."""
    file, store = opened(tmp_path)
    there, line = store.streams.make("a", "g", "there", {}, 0), NewLine(1, os.urandom(50_000))
    await store.append([Written(there, [line])], 0)
    file.connection.execute("PRAGMA max_page_count = 1")
    for number in range(3):
        new = store.streams.make("a", "g", f"new {number}", {}, 0)
        same = (
            store.append([Written(new, [line])], 0),
            store.append([Written(new, [line]), Written(there, [line])], 0),
        )
        found = await asyncio.gather(*same, return_exceptions=True)
        assert [type(each) for each in found] == [sqlite3.OperationalError] * 2
        assert store.streams.all() == [there]
    file.connection.execute("PRAGMA max_page_count = 100000")
    again = store.streams.make("a", "g", "new 1", {}, 0)
    await store.append([Written(again, [line])], 0)
    file.close()
    file, store = opened(tmp_path)
    assert [each.name for each in store.streams.all()] == ["there", "new 1"]
    file.close()


@virtual_time
async def test_a_group_that_has_too_much_loses_its_oldest() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file, store = opened(Path(folder))
        stream = store.streams.make("a", "g", "s", {}, 0)
        other = store.streams.make("a", "h", "s", {}, 0)
        for number in range(20):
            lines = [NewLine(number * 100 + n, os.urandom(500)) for n in range(100)]
            await store.append([Written(stream, lines), Written(other, lines[:1])], 0)
        before = (await store.sizes())[stream.id]
        assert await store.shrink([stream], before.stored // 2)
        after = await store.sizes()
        assert after[stream.id].stored <= before.stored // 2 and after[stream.id].last == before.last
        assert after[other.id].lines == 20
        file.close()


class Held(Executor):
    """A thread that takes a step when it is told to."""

    def __init__(self) -> None:
        self._waiting: list[Callable[[], None]] = []

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        found: Future[Any] = Future()
        self._waiting.append(lambda: found.set_result(function(*arguments, **named)))
        return found

    async def step(self) -> None:
        await asyncio.sleep(0)
        if self._waiting:
            self._waiting.pop(0)()


async def kept(store: LogStore, namespace: str, line: bytes) -> None:
    stream = store.streams.make(namespace, "g", "s", {"s": "1"}, 0)
    await store.append([Written(stream, [NewLine(1, line)])], 0)


@pytest.mark.parametrize("end", ["delete", "forget_empty"])
@pytest.mark.parametrize("steps", range(4))
@virtual_time
async def test_lines_that_come_while_their_stream_ends_are_its_own_or_gone(
    tmp_path: Path, end: str, steps: int
) -> None:
    """Never another's: not beside the end of the stream, nor after the file is opened again."""
    thread = Held()
    file, store = opened(tmp_path, thread)
    tasks = [asyncio.ensure_future(kept(store, "a", b"before"))]
    await asyncio.sleep(0)
    if end == "forget_empty":
        await thread.step()
        await tasks[0]
        file.connection.execute("DELETE FROM blocks")
    tasks.append(asyncio.ensure_future(getattr(store, end)(store.streams.all("a"))))
    for _ in range(steps):
        await thread.step()
    tasks.append(asyncio.ensure_future(kept(store, "a", b"during")))
    while not all(each.done() for each in tasks):
        await thread.step()
    await asyncio.gather(*tasks)
    assert [lines_of(store, each) for each in store.streams.all("a")] == [[b"during"]]
    file.close()
    file, store = opened(tmp_path)
    await kept(store, "b", b"of another")
    found = {each.namespace: lines_of(store, each) for each in store.streams.all()}
    assert found == {"a": [b"during"], "b": [b"of another"]}
    file.close()


def lines_of(store: LogStore, stream: Stream) -> list[bytes]:
    reader = store.reader()
    found = [each.entry.line for each in reader.walk({stream.id}, ALWAYS)]
    reader.close()
    return found


@virtual_time
async def test_a_number_is_no_other_stream_s_ever(tmp_path: Path) -> None:
    """Also where the process ended before the lines of a deleted one were gone."""
    file, store = opened(tmp_path)
    stream = store.streams.make("a", "g", "s", {"s": "1"}, 0)
    await store.append([Written(stream, [NewLine(1, b"secret")])], 0)
    file.connection.execute("DELETE FROM streams")
    file.close()
    file, store = opened(tmp_path)
    other = store.streams.make("b", "g", "s", {"s": "1"}, 0)
    await store.append([Written(other, [NewLine(1, b"mine")])], 0)
    assert other.id > stream.id and lines_of(store, other) == [b"mine"]
    assert set(await store.sizes()) == {other.id}
    await store.delete([other])
    with pytest.raises(StreamIsGone):
        await store.append([Written(other, [NewLine(2, b"late")])], 0)
    file.close()
    file, store = opened(tmp_path)
    assert store.streams.make("c", "g", "s", {"s": "1"}, 0).id > other.id
    file.close()
