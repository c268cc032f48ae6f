"""Who waits for a group hears how it ended, whatever becomes of the others and of the disk."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import anyio
import pytest

from services.storage_manager.tests.test_small_blobs import Room


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def test_who_goes_away_hinders_nobody_and_is_stored_all_the_same(room: Room) -> None:
    first, second = room.seal(b"first"), room.seal(b"second")

    async def story() -> None:
        async with anyio.create_task_group() as group:
            with anyio.CancelScope() as leaving:
                group.start_soon(room.put, "k2", second)
                leaving.cancel()
                await room.put("k1", first)
        await room.small.committer.run(lambda: None)

    anyio.run(story)
    assert second.blob in room.known()
    assert room.read(second) == b"second"


def test_a_commit_that_fails_fails_for_all_and_the_next_works(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[str] = []

    async def put(number: int) -> None:
        try:
            await room.put(f"k{number}", room.seal(b"x"))
        except sqlite3.OperationalError as why:
            failed.append(str(why))

    async def story() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(room.metadata, "transaction", broken)
            async with anyio.create_task_group() as group:
                for number in range(5):
                    group.start_soon(put, number)
        await room.put("after", room.seal(b"y"))

    def broken() -> None:
        raise sqlite3.OperationalError("disk I/O error")

    anyio.run(story)
    assert failed == ["disk I/O error"] * 5 and len(room.known()) == 1


def test_a_full_index_undoes_the_whole_group(room: Room) -> None:
    """SQLite itself ends the transaction then: nothing of it may be taken for done."""
    outcomes: list[str] = []

    def fill() -> None:
        db = room.metadata.connection()
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages + 1}")
        try:
            db.execute("INSERT INTO finished (upload, key) VALUES ('u', zeroblob(1000000))")
        finally:
            db.execute("PRAGMA max_page_count = 1000000000")

    async def one(number: int) -> None:
        try:
            if number == 2:
                await room.small.committer.run(fill)
            else:
                await room.put(f"k{number}", room.seal(b"x"))
            outcomes.append("done")
        except sqlite3.OperationalError as why:
            outcomes.append(str(why))

    async def story() -> None:
        async with anyio.create_task_group() as group:
            for number in range(5):
                group.start_soon(one, number)
        await room.put("after", room.seal(b"y"))

    anyio.run(story)
    assert len(room.known()) == outcomes.count("done") + 1
    assert "database or disk is full" in outcomes


def test_after_a_commit_that_failed_nobody_joins_what_is_left_of_it(room: Room) -> None:
    """COMMIT itself may fail and leave the transaction open, as it does here for a foreign key."""
    db = room.metadata.connection()
    db.execute("PRAGMA foreign_keys=ON")
    db.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
    db.execute("CREATE TABLE child (parent INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(sqlite3.IntegrityError), room.metadata.transaction():
        db.execute("INSERT INTO child VALUES (1)")
    assert not db.in_transaction
    room.metadata.add_key("k", "b", "", b"wrapped", 0.0)
    assert Room(room.small.folder.parent).metadata.wrapped_key("k") == (b"wrapped", "")
