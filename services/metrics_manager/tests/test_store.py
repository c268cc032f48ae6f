"""Samples are durable, come back as they were, and are bounded."""

from __future__ import annotations

import asyncio
import struct
from array import array
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.metrics_manager.exposition import ExpositionFault, ExpositionReader
from services.metrics_manager.promql.matcher import Matcher
from services.metrics_manager.store import sample_store
from services.metrics_manager.store.chunks import UnreadableChunk, packed, unpacked
from services.metrics_manager.store.sample_store import RETENTION_MS, Sample, SampleStore, TooManySeries
from services.metrics_manager.store.tables import Batch, batch_bytes, batch_of, open_metrics
from services.sdk.group_commit import GroupCommitter
from services.sdk.sqlite_file import SqliteFile
from services.sdk.testing.virtual import AtOnce

A, B = (("__name__", "a"), ("job", "x")), (("__name__", "b"), ("namespace", "n"))
EVERY = [[Matcher("__name__", "!=", "")]]
numbers = st.floats(allow_nan=True, allow_infinity=True)


def opened(folder: Path) -> tuple[SqliteFile, SampleStore]:
    file = open_metrics(folder)
    return file, SampleStore(file, GroupCommitter(file, AtOnce()), folder)


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


def read(store: SampleStore, start: int = 0, end: int = 10**15) -> dict[str, list[tuple[int, float]]]:
    reader = store.reader()
    found = list(reader.select(EVERY, start, end))
    reader.close()
    return {
        dict(each.labels)["__name__"]: list(zip(each.times.tolist(), each.values.tolist(), strict=True))
        for each in found
    }


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 2**45), numbers), min_size=1, max_size=300))
def test_chunks_give_back_every_bit(samples: list[tuple[int, float]]) -> None:
    samples.sort(key=lambda each: each[0])
    times, values = array("q", [t for t, _ in samples]), array("d", [v for _, v in samples])
    found_times, found_values = unpacked(packed(times, values))
    assert found_times.tolist() == times.tolist()
    assert found_values.tobytes() == values.tobytes()


@given(st.binary(max_size=200))
def test_what_is_no_chunk_is_told(data: bytes) -> None:
    with pytest.raises(UnreadableChunk):
        unpacked(data)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 2**45), numbers), max_size=50))
def test_batches_give_back_every_bit(rows: list[tuple[int, int, float]]) -> None:
    batch = Batch(
        array("q", [r[0] for r in rows]), array("q", [r[1] for r in rows]), array("d", [r[2] for r in rows])
    )
    found = batch_of(batch_bytes(batch))
    assert [each.tobytes() for each in found] == [each.tobytes() for each in batch]


def test_what_was_acknowledged_is_there_after_a_kill_at_any_time(tmp_path: Path) -> None:
    async def write() -> None:
        file, store = opened(tmp_path)
        await store.add([Sample(A, 1000, 1.5), Sample(B, 1000, 2.0)])
        await store.cut()
        await store.add([Sample(A, 2000, 3.0)])
        file.close()  # nothing is written at the end: as if it were killed

    asyncio.run(write())
    file, store = opened(tmp_path)
    assert read(store) == {"a": [(1000, 1.5), (2000, 3.0)], "b": [(1000, 2.0)]}
    file.close()


def test_what_comes_late_or_twice_is_there_once_and_in_order(tmp_path: Path) -> None:
    async def write() -> None:
        file, store = opened(tmp_path)
        await store.add([Sample(A, 3000, 3.0), Sample(A, 1000, 1.0)])
        await store.cut()
        await store.add([Sample(A, 2000, 2.0), Sample(A, 3000, 3.0)])
        assert read(store) == {"a": [(1000, 1.0), (2000, 2.0), (3000, 3.0)]}
        assert read(store, 1500, 2500) == {"a": [(2000, 2.0)]}
        file.close()

    asyncio.run(write())


def test_what_is_too_old_is_forgotten_with_its_series(tmp_path: Path) -> None:
    async def write() -> None:
        file, store = opened(tmp_path)
        now = 10 * RETENTION_MS
        await store.add([Sample(A, now - 2 * RETENTION_MS, 1.0), Sample(B, now, 1.0)])
        await store.cut()
        await store.forget_old(now)
        assert read(store) == {"b": [(now, 1.0)]}
        assert len(store.index) == 1
        file.close()

    asyncio.run(write())


def test_a_burst_of_series_is_refused_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_store, "MOST_SERIES_OF_NAMESPACE", 2)
    file, store = opened(tmp_path)
    for i in range(2):
        store.series_of((("__name__", f"m{i}"), ("namespace", "n")))
    with pytest.raises(TooManySeries, match="namespace n has 2 series"):
        store.series_of((("__name__", "m2"), ("namespace", "n")))
    store.series_of((("__name__", "m2"), ("namespace", "other")))
    file.close()


def test_a_new_series_to_which_nothing_was_appended_is_none(tmp_path: Path) -> None:
    async def write() -> None:
        file, store = opened(tmp_path)
        with pytest.raises(OSError), store.series_for([A]), store.series_for([A, B]):
            raise OSError
        assert len(store.index) == 0
        with store.series_for([A, B]) as ids, store.series_for([A]):
            await store.append(Batch(array("q", ids[:1]), array("q", [1000]), array("d", [1.0])))
        assert read(store) == {"a": [(1000, 1.0)]} and len(store.index) == 1
        with store.series_for([A]):
            pass
        assert len(store.index) == 1, "one that has samples stays"
        file.close()

    asyncio.run(write())


def test_a_new_series_stays_while_it_is_written_though_whoever_wrote_has_left(tmp_path: Path) -> None:
    async def write() -> None:
        file, store = opened(tmp_path)
        with store.series_for([A]) as ids:
            writing = asyncio.ensure_future(
                store.append(Batch(array("q", ids), array("q", [1000]), array("d", [1.0])))
            )
            await asyncio.sleep(0)
            writing.cancel()
        await store.add([Sample(B, 1000, 2.0)])  # after it
        assert read(store) == {"a": [(1000, 1.0)], "b": [(1000, 2.0)]}
        file.close()

    asyncio.run(write())


def test_of_many_new_series_all_are_made_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_store, "MOST_SERIES", 4)
    monkeypatch.setattr(sample_store, "OF_PLATFORM", 2)
    file, store = opened(tmp_path)
    theirs = [(("__name__", f"m{i}"), ("namespace", "n")) for i in range(3)]
    with pytest.raises(TooManySeries):
        store.series_of_all(theirs)
    assert len(store.index) == 0
    assert len(store.series_of_all(theirs[:2])) == 2
    with pytest.raises(TooManySeries):
        store.series_of_all(theirs)
    assert len(store.index) == 2, "those that were there before stay"
    assert store.series_of_all([A]), "the platform's have room of their own"
    file.close()


def test_an_answer_that_cannot_be_read_makes_no_series() -> None:
    made: list[Any] = []

    def make(found: Any) -> list[int]:
        made.extend(found)
        return list(range(len(found)))

    reader = ExpositionReader(make)
    with pytest.raises(ExpositionFault, match="line 2") as fault:
        reader.read("a 1\npassword=hunter2 is {here\n", 10)
    assert made == [] and "hunter2" not in str(fault.value)
    assert [each.value for each in reader.read("a 1\nb 2\n", 10)] == [1.0, 2.0]
