"""Engines on a machine: real folders with real programs, which say of themselves what a test wants."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.runtime.driver import DriverError
from controller.runtime.engines.finder import EngineFinder, data_major
from controller.runtime.engines.inputs import engine_env, find_engine
from crds.engines import ENGINES

POSTGRESQL, VALKEY = ENGINES["postgresql"], ENGINES["valkey"]


def program(path: Path, says: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def postgres(folder: Path, version: str) -> Path:
    for name in ("initdb", "pg_isready"):
        program(folder / name, "")
    return program(folder / "postgres", f"postgres (PostgreSQL) {version} (Debian)")


def test_the_newest_that_fits_is_taken(tmp_path: Path) -> None:
    for version in ("9.6.24", "15.3", "16.1"):
        postgres(tmp_path / version, version)
    finder = EngineFinder([tmp_path / each for each in ("9.6.24", "15.3", "16.1", "absent")])
    assert [each.version for each in finder.all(POSTGRESQL)] == ["16.1", "15.3", "9.6.24"]
    newest, older = finder.find(POSTGRESQL), finder.find(POSTGRESQL, "15")
    assert newest and newest.program == str(tmp_path / "16.1" / "postgres")
    assert newest.folders == (str(tmp_path / "16.1"),), "what is not of the system must be shown to it"
    assert older and older.version == "15.3" and finder.find(POSTGRESQL, "14") is None


def test_a_link_on_path_leads_to_the_folder_that_holds_the_rest(tmp_path: Path) -> None:
    real = postgres(tmp_path / "lib" / "16" / "bin", "16.1")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "postgres").symlink_to(real)
    found = EngineFinder([tmp_path / "bin"]).find(POSTGRESQL)
    assert found and found.program == str(real)


def test_half_an_installation_is_none(tmp_path: Path) -> None:
    program(tmp_path / "postgres", "postgres (PostgreSQL) 16.1")
    finder = EngineFinder([tmp_path])
    assert finder.find(POSTGRESQL) is None
    postgres(tmp_path, "16.1")
    assert finder.find(POSTGRESQL), "and what is installed meanwhile is found by the same finder"


def test_a_program_of_another_name_is_called_by_its_own(tmp_path: Path) -> None:
    """Debian's redis-server is a link to redis-check-rdb, which asks what it was called."""
    real = program(tmp_path / "redis-check-rdb", "Redis server v=7.0.15 sha=0")
    (tmp_path / "redis-server").symlink_to(real)
    found = EngineFinder([tmp_path]).find(VALKEY)
    assert found and found.program == str(tmp_path / "redis-server") and found.version == "7.0.15"
    program(tmp_path / "valkey-server", "Valkey server v=8.1.0 sha=0")
    found = EngineFinder([tmp_path]).find(VALKEY)
    assert found and found.program == str(tmp_path / "valkey-server")


def test_an_upgrade_in_place_is_noticed(tmp_path: Path) -> None:
    finder = EngineFinder([tmp_path])
    postgres(tmp_path, "16.1")
    first = finder.find(POSTGRESQL)
    postgres(tmp_path, "16.2 ")
    second = finder.find(POSTGRESQL)
    assert first and second and (first.version, second.version) == ("16.1", "16.2")


def test_what_it_lacks_is_said_with_the_command_that_mends_it(tmp_path: Path) -> None:
    postgres(tmp_path / "16", "16.1")
    (tmp_path / "data" / "15").mkdir(parents=True)
    (tmp_path / "data" / ".17.half").mkdir()
    assert data_major(POSTGRESQL, tmp_path / "data") == "15" and data_major(VALKEY, tmp_path / "data") == ""
    finder, data = EngineFinder([tmp_path / "16"]), tmp_path / "data"
    with pytest.raises(DriverError) as missing:
        find_engine(EngineFinder([tmp_path]), VALKEY, "", tmp_path, "oak")
    assert missing.value.reason == "EngineMissing"
    assert str(missing.value) == "valkey is not installed on oak; run there: aerekos engine install valkey"
    with pytest.raises(DriverError) as other:
        find_engine(finder, POSTGRESQL, "", data, "oak")
    command = "aerekos engine install postgresql --version 15"
    assert str(other.value) == f"postgresql 15 is not installed on oak; run there: {command} (there is 16.1)"
    with pytest.raises(DriverError) as moved:
        find_engine(finder, POSTGRESQL, "16", data, "oak")
    assert moved.value.reason == "EngineVersionMismatch" and "set spec.engine.version to 15 again" in str(moved.value)
    found = find_engine(finder, POSTGRESQL, "", tmp_path / "nothing", "oak")
    assert engine_env(found)["PATH"].startswith(f"{tmp_path / '16'}:/usr/local/sbin")
