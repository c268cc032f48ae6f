"""Data of Services that are gone: a week in the trash, whose time is in its name, and then no more."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cli.engines import trash
from controller.runtime.process import volumes
from crds.meta import ObjectKey

KEY = ObjectKey("aerekos.cloud", "services", "acme", "db")
NOW = datetime(2026, 11, 29, 6, 30, 15, 999, tzinfo=UTC)


def with_data(home: Path, text: str = "rows") -> Path:
    folder = home / "data" / "acme.db" / "data"
    folder.mkdir(parents=True)
    (folder / "file").write_text(text)
    return folder


def test_what_is_discarded_lies_whole_in_the_trash_and_can_be_moved_back(tmp_path: Path) -> None:
    with_data(tmp_path)
    gone = volumes.discard(tmp_path, KEY, NOW)
    assert gone and gone.path == tmp_path / "trash" / "20261129T063015Z-acme.db"
    assert (gone.path / "data" / "file").read_text() == "rows" and not (tmp_path / "data" / "acme.db").exists()
    assert gone.path.parent.stat().st_mode & 0o777 == 0o700
    (told,) = trash.found(tmp_path)
    assert (told["service"], told["keptUntil"]) == ("acme.db", "2026-12-06T06:30:15Z")
    assert told["restore"] == f"mv {gone.path} {tmp_path}/data/acme.db" and told["restore"] in trash.render([told])
    assert volumes.discard(tmp_path, KEY, NOW) is None, "nothing is left to discard"


def test_two_of_one_name_in_one_second_are_both_kept(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with_data(tmp_path, text)
        volumes.discard(tmp_path, KEY, NOW)
    first, second = volumes.trashed(tmp_path)
    assert [(each.path / "data" / "file").read_text() for each in (first, second)] == ["first", "second"]


def test_a_week_later_it_is_removed_and_not_before(tmp_path: Path) -> None:
    with_data(tmp_path)
    (tmp_path / "trash").mkdir()
    (tmp_path / "trash" / "somebody-elses").mkdir()
    volumes.discard(tmp_path, KEY, NOW)
    almost = NOW + timedelta(days=7) - timedelta(seconds=2)
    assert volumes.sweep(tmp_path, almost) == [] and len(volumes.trashed(tmp_path)) == 1
    assert [each.name for each in volumes.sweep(tmp_path, NOW + timedelta(days=7))] == ["acme.db"]
    assert [each.name for each in (tmp_path / "trash").iterdir()] == ["somebody-elses"], (
        "what has no time in its name is not ours"
    )
    assert volumes.sweep(tmp_path / "absent", NOW) == []


def test_what_a_folder_holds_is_what_it_takes_on_the_disk(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"x" * 10_000_000)
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    empty = volumes.used(folder)
    (folder / "deep" / "file").write_bytes(b"x" * 1_000_000)
    (folder / "deep" / "link").symlink_to(elsewhere)
    one = volumes.used(folder)
    assert 1_000_000 <= one - empty < 1_100_000
    os.link(folder / "deep" / "file", folder / "again")
    assert volumes.used(folder) - one < 100_000, "one file under two names is there once"
