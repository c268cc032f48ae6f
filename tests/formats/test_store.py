"""The record store as each version before this one wrote it, and as one to come may write it."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import orjson
import pytest

from controller.kit.clock import SystemClock
from controller.kit.threads import Threads
from controller.resources.registry import Registry
from controller.store import schema
from controller.store.records import Change, StoreBroken
from controller.store.sealing import Sealing
from controller.store.sql import open_store
from crds.catalog import CORE_KINDS, Catalog
from crds.kinds.config_map import CONFIG_MAP
from crds.kinds.secret import SECRET
from crds.kinds.service import SERVICE

pytestmark = pytest.mark.anyio
GOLDEN = Path(__file__).parent


@pytest.fixture(params=["first", "second"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A database of that format, beside the key it is sealed with, if it is."""
    home = tmp_path / "store"
    shutil.copytree(GOLDEN / request.param, home)
    return home / "records.db"


async def opened(file: Path) -> Registry:
    sealing = Sealing(file.parent / "store-key", frozenset({("", "secrets")}))
    store = await open_store(f"sqlite:///{file}", threads=Threads(2), clock=SystemClock(), sealing=sealing)
    return Registry(store, Catalog(CORE_KINDS), SystemClock())


def noted(file: Path) -> list[Any]:
    with sqlite3.connect(file) as db:
        return db.execute("SELECT version, oldest_reader FROM schema_version").fetchall()


def content(file: Path) -> bytes:
    return file.read_bytes()


def dump(file: Path) -> list[str]:
    with sqlite3.connect(file) as db:
        return list(db.iterdump())


def note(file: Path, version: int, oldest_reader: int) -> None:
    with sqlite3.connect(file) as db:
        db.execute("UPDATE schema_version SET version=?, oldest_reader=?", (version, oldest_reader))
    db.close()


async def test_an_older_format_is_read_whole_and_brought_up_to_date(file: Path) -> None:
    registry = await opened(file)
    web = SERVICE.decode(registry.get(SERVICE, SERVICE.key("web", "default")).object)
    assert web.spec.image == "nginx" and web.spec.replicas == 3
    assert [each.object["spec"]["replicas"] for each in await registry.store.history(SERVICE.key("web", "default"))]
    assert registry.store.get(CONFIG_MAP.key("gone", "default")) is None
    secret = registry.get(SECRET, SECRET.key("login", "default"))
    assert secret.object["data"] == {"password": "c2VjcmV0"}
    assert not any(b"c2VjcmV0" in each.read_bytes() for each in file.parent.iterdir()), "nor in the log beside it"
    await registry.store.close()
    assert noted(file) == [tuple(schema.OWN)]
    assert b"c2VjcmV0" not in content(file), "what was kept in plain is sealed now"


async def test_what_a_newer_version_only_added_stays_untouched(file: Path) -> None:
    await (await opened(file)).store.close()
    note(file, schema.OWN.version + 1, schema.OWN.version)
    with sqlite3.connect(file) as db:
        db.execute("ALTER TABLE heads ADD COLUMN shard INTEGER NOT NULL DEFAULT 0")
        db.execute("CREATE TABLE shards (id INTEGER PRIMARY KEY)")
    registry = await opened(file)
    key = CONFIG_MAP.key("settings", "default")
    record = registry.get(CONFIG_MAP, key)
    await registry.store.write(
        [Change(key, {**record.object, "data": {"colour": "black"}}, record.revision)], by="me"
    )
    await registry.store.close()
    assert noted(file) == [(schema.OWN.version + 1, schema.OWN.version)], "nobody forgets that a newer one was here"


async def test_what_this_version_would_misread_is_refused_and_left_alone(file: Path) -> None:
    await (await opened(file)).store.close()
    note(file, schema.OWN.version + 2, schema.OWN.version + 1)
    before = content(file)
    with pytest.raises(StoreBroken, match="Install the newer version again"):
        await opened(file)
    assert content(file) == before


async def test_a_migration_that_fails_changes_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(connection: Any) -> None:
        connection.exec_driver_sql("ALTER TABLE heads ADD COLUMN half INTEGER")
        raise OSError("no power")

    monkeypatch.setattr(schema, "MIGRATIONS", dict.fromkeys(schema.MIGRATIONS, fails))
    before = dump(file)
    with pytest.raises(Exception, match="no power"):
        await opened(file)
    assert dump(file) == before
    monkeypatch.undo()
    registry = await opened(file)
    assert orjson.loads(registry.get(SERVICE, SERVICE.key("web", "default")).body)["kind"] == "Service"
    await registry.store.close()


def test_every_version_has_its_migration() -> None:
    assert sorted(schema.MIGRATIONS) == list(range(2, schema.OWN.version + 1))
    assert schema.OWN.oldest_reader <= schema.OWN.version
