"""The index of objects as the first version wrote it, and as one to come may write it."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from crds.formats import NewerFormat
from services.storage_manager.metadata import database
from services.storage_manager.metadata.database import MIGRATIONS, OWN, MetadataDb
from services.storage_manager.metadata.records import Object, Piece
from services.storage_manager.metadata.retention import MetadataIndex

FIRST = Path(__file__).parent / "first"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return Path(shutil.copy(FIRST / "objects.db", tmp_path / "objects.db"))


def run(file: Path, statement: str, *values: Any) -> list[Any]:
    db = sqlite3.connect(file)
    with db:
        found = db.execute(statement, values).fetchall()
    db.close()
    return found


def test_the_first_format_is_read_whole_and_brought_up_to_date(file: Path) -> None:
    index = MetadataIndex(file)
    found = index.find("photos", "a/b.txt")
    assert found is not None and found.pieces == (Piece("blob-1", 5, "key-1"),)
    assert found.headers == {"content-type": "text/plain"} and index.usage("photos") == (1, 5)
    assert index.wrapped_key("key-1") == (b"wrapped", "")
    assert [each.id for each in index.uploads("photos", "")] == ["upload-1"]
    assert run(file, "SELECT version, oldest_reader FROM schema_version") == [tuple(OWN)]


def test_old_and_new_files_end_with_the_same_tables(file: Path, tmp_path: Path) -> None:
    MetadataDb(file)
    MetadataDb(tmp_path / "new.db")
    for table in (
        "data_keys",
        "objects",
        "uploads",
        "parts",
        "finished",
        "closed",
        "forgotten",
        "versions",
        "configurations",
        "schema_version",
    ):
        columns = [
            sorted(row[1] for row in run(each, f"PRAGMA table_info({table})")) for each in (file, tmp_path / "new.db")
        ]
        assert columns[0] == columns[1] != [], table


def test_what_a_newer_version_only_added_stays_untouched(file: Path) -> None:
    MetadataDb(file)
    run(file, "ALTER TABLE objects ADD COLUMN mood TEXT NOT NULL DEFAULT ''")
    run(file, "UPDATE schema_version SET version=?", OWN.version + 1)
    index = MetadataIndex(file)
    old = index.find("photos", "a/b.txt")
    assert old is not None
    index.put("photos", Object("new", 1, "e", 1.0, {}, old.pieces))
    assert index.find("photos", "new") is not None
    assert run(file, "SELECT version, oldest_reader FROM schema_version") == [(OWN.version + 1, OWN.oldest_reader)]


def test_what_this_version_would_misread_is_refused_and_left_alone(file: Path) -> None:
    MetadataDb(file)
    run(file, "UPDATE schema_version SET version=?, oldest_reader=?", OWN.version + 2, OWN.version + 1)
    with pytest.raises(NewerFormat, match="Install the newer version again"):
        MetadataDb(file)
    assert run(file, "SELECT version FROM schema_version") == [(OWN.version + 2,)]


def test_a_migration_that_fails_changes_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(db: sqlite3.Connection) -> None:
        db.execute("ALTER TABLE objects ADD COLUMN half TEXT")
        raise OSError("no power")

    monkeypatch.setattr(database, "MIGRATIONS", {**MIGRATIONS, 2: fails})
    with pytest.raises(OSError, match="no power"):
        MetadataDb(file)
    assert "half" not in {row[1] for row in run(file, "PRAGMA table_info(objects)")}
    monkeypatch.undo()
    assert MetadataIndex(file).find("photos", "a/b.txt") is not None


def test_every_version_has_its_migration() -> None:
    assert sorted(MIGRATIONS) == list(range(1, OWN.version + 1))
