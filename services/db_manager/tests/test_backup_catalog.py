"""What of an archive brings a moment back, and what its objects are stored as: without a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.db_manager.backups.catalog import (
    BaseManifest,
    LatestMoment,
    Unrestorable,
    WalChunk,
    chunk_name,
    plan_recovery,
    read_chunk_name,
    superfluous_bases,
    superfluous_chunks,
    usable_bases,
    wal_folder,
)
from services.db_manager.backups.replication import lsn_of, lsn_text
from services.db_manager.backups.sealing import Damaged, Sealer
from services.db_manager.backups.stores import FolderStore, Missing

pytestmark = pytest.mark.anyio
START = datetime(2026, 3, 1, tzinfo=UTC)
FOLDER = wal_folder("7301234567890123456", 1)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def base(start: int, end: int, hour: int = 0) -> BaseManifest:
    done = START + timedelta(hours=hour)
    return BaseManifest(
        id=f"b{hour}",
        system="7301234567890123456",
        timeline=1,
        version="15.18",
        start_lsn=start,
        end_lsn=end,
        started_at=done,
        completed_at=done,
        database="shop",
        username="shop",
        size=1,
        parts=[],
    )


def reaching(time: datetime, chunks: list[WalChunk]) -> LatestMoment:
    return LatestMoment(time, base(0, 0).system, chunks[-1].end if chunks else 0)


def log(sizes: list[int], first: int = 0) -> list[WalChunk]:
    """A chunk for each size, each with a mark a minute after the one before."""
    found, at = [], first
    for number, size in enumerate(sizes, 1):
        name = chunk_name(FOLDER, at, at + size, START + timedelta(minutes=number))
        found.append(read_chunk_name(name))
        at += size
    return found


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1), st.none() | st.integers(0, 10**12))
def test_names_say_what_was_put_into_them(start: int, end: int, milliseconds: int | None) -> None:
    mark = None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
    read = read_chunk_name(chunk_name(FOLDER, start, end, mark))
    assert (read.start, read.end) == (start, end) and lsn_of(lsn_text(start)) == start
    assert (read.mark is None) == (mark is None)
    if mark is not None and read.mark is not None:
        assert timedelta(0) <= mark - read.mark < timedelta(milliseconds=2), "never later than it was"


@given(
    st.lists(st.integers(1, 40 << 20), min_size=2, max_size=12),
    st.integers(0, 999),
    st.integers(0, 11),
)
def test_a_moment_comes_back_unless_something_before_it_is_missing(sizes: list[int], where: int, lost: int) -> None:
    chunks = log(sizes)
    latest = reaching(START + timedelta(minutes=len(sizes)), chunks)
    moment = START + (latest.time - START) * where / 1000
    plan = plan_recovery([base(0, 0)], chunks, moment, latest)
    used = plan.chunks
    assert used == tuple(chunks[: len(used)]) and used[0].start == 0
    assert plan.until == moment and used[-1].mark is not None and used[-1].mark > moment
    assert all(each.mark is not None and each.mark <= moment for each in used[:-1]), "and no more than it takes"
    if lost < len(used) - 1:
        gone = chunks.pop(lost)
        with pytest.raises(Unrestorable, match=f"from {lsn_text(gone.start)} to {lsn_text(gone.end)} is missing"):
            plan_recovery([base(0, 0)], chunks, moment, latest)


def test_the_end_of_the_log_is_recovered_to_without_a_moment() -> None:
    """After the last mark nothing was committed: a recovery to a time would look for what is not there."""
    chunks = log([100, 100])
    late = START + timedelta(hours=5)
    latest = reaching(late, chunks)
    plan = plan_recovery([base(0, 0)], chunks, late, latest)
    assert plan.until is None and plan.chunks == tuple(chunks)
    with pytest.raises(Unrestorable, match=f"from {lsn_text(100)} on is missing"):
        plan_recovery([base(0, 0)], chunks[:-1], late, latest)
    with pytest.raises(Unrestorable, match=f"from {lsn_text(200)} on is missing"):
        plan_recovery([base(0, 0)], chunks, late, latest._replace(system="another server's"))
    with pytest.raises(Unrestorable, match="not stored yet"):
        plan_recovery([base(0, 0)], chunks, late + timedelta(seconds=1), latest)
    with pytest.raises(Unrestorable, match="no base backup from before"):
        plan_recovery([base(0, 0, hour=1)], chunks, START, latest)


def test_what_nobody_needs_is_told_and_nothing_else() -> None:
    segment = 16 << 20
    bases = [base(0, 1, 0), base(3 * segment + 7, 3 * segment + 9, 24), base(6 * segment, 6 * segment + 1, 48)]
    old = superfluous_bases(bases, START + timedelta(hours=30))
    assert [each.id for each in old] == ["b0"], "the second is needed for what comes before the third"
    chunks = log([segment] * 8)
    gone = superfluous_chunks(chunks, bases[1:])
    assert gone == chunks[:3] and superfluous_chunks(chunks, []) == []
    usable = usable_bases(bases, [*chunks[:2], *chunks[3:]], bases[0].system, 1)
    assert [each.id for each in usable] == ["b24", "b48"], "there is a gap behind the first"
    assert usable_bases(bases, chunks, bases[0].system, 2) == []


async def test_an_object_is_what_was_stored_under_its_name(tmp_path: Path) -> None:
    store, sealer = FolderStore(tmp_path), Sealer(bytes(32))
    await store.put("a/b/one", sealer.seal("a/b/one", b"rows"))
    stored = await store.get("a/b/one")
    assert sealer.open("a/b/one", stored) == b"rows" and b"rows" not in stored
    for name, content, told in (
        ("a/b/two", stored, "was changed"),
        ("a/b/one", stored[:-1], "was changed or cut off"),
        ("a/b/one", stored[:20], "was changed or cut off"),
        ("a/b/one", stored[:30] + bytes([stored[30] ^ 1]) + stored[31:], "was changed"),
        ("a/b/one", b"", "no object of a backup"),
        ("a/b/one", b"AEDB\x02" + stored[5:], "format 2"),
    ):
        with pytest.raises(Damaged, match=told):
            sealer.open(name, content)
    with pytest.raises(Damaged, match="put that key back"):
        Sealer(b"1" * 32).open("a/b/one", stored)
    assert await store.names("a/") == ["a/b/one"] and await store.names("a/b/one") == ["a/b/one"]
    assert await store.names("a/", after="a/b/one") == []
    await store.delete("a/b/one")
    with pytest.raises(Missing):
        await store.get("a/b/one")
