"""A newer version ran and is taken back: the version before goes on with all of it, and keeps what it does not know.

The newer version is this code with one thing more in each format: a field of a Service's spec and of its status, an
upgrade of its stored body, a field of the records of processes, and a column in each database. Both versions are
copies, and run from where they lie.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from clouds import REPOSITORY, Cloud, eventually, kill

from controller.runtime.process import state_files
from controller.store import schema
from crds.kinds.service import SERVICE
from services.storage_manager.metadata import database

PACKAGES = ("aerekos_cloud", "agent", "api", "cli", "controller", "crds", "services")
SERVICES = "/apis/aerekos.cloud/v1/namespaces/default/services"
STORE, INDEX, RECORD = schema.OWN.version, database.OWN.version, state_files.VERSION
# By file: what is there once, and what the newer version has in its place.
NEWER = {
    "crds/kinds/service.py": [
        ("    enabled: bool = True\n", '    enabled: bool = True\n    tier: str = "plain"\n'),
        ('    ready: str = "0/0"\n', '    ready: str = "0/0"\n    mood: str = "calm"\n'),
        (
            '    name="Service",\n',
            '    name="Service",\n'
            '    upgrades=(lambda body: {**body, "spec": {"tier": "plain", **body["spec"]}},),\n',
        ),
    ],
    "crds/kinds/service_rules.py": [('        "enabled",\n', '        "enabled",\n        "tier",\n')],
    "controller/runtime/process/state_files.py": [
        (f"VERSION = {RECORD}\n", f"VERSION = {RECORD + 1}\n"),
        (
            "    more_ports: Mapping[int, int] = field(default_factory=dict)\n",
            "    more_ports: Mapping[int, int] = field(default_factory=dict)\n    nice: int = 7\n",
        ),
    ],
    "controller/store/schema.py": [(f"version={STORE}, oldest", f"version={STORE + 1}, oldest")],
    "controller/store/tables.py": [
        (
            '    Column("compacted", BigInteger, nullable=False),\n',
            '    Column("compacted", BigInteger, nullable=False),\n'
            '    Column("shard", Integer, nullable=False, server_default="5"),\n',
        ),
    ],
    "services/storage_manager/metadata/database.py": [
        (f"version={INDEX}, oldest", f"version={INDEX + 1}, oldest"),
        (
            "MIGRATIONS: Migrations = {",
            f"MIGRATIONS: Migrations = {{{INDEX + 1}: lambda db: add_column(\n"
            "    db, 'objects', 'heat', \"TEXT NOT NULL DEFAULT 'hot'\"\n), ",
        ),
    ],
}


def copied(folder: Path, changes: dict[str, list[tuple[str, str]]]) -> Path:
    """This code with those changes, in that folder."""
    for each in PACKAGES:
        shutil.copytree(REPOSITORY / each, folder / each, ignore=shutil.ignore_patterns("__pycache__", "tests"))
    for name, replaced in changes.items():
        text = (folder / name).read_text()
        for old, new in replaced:
            assert text.count(old) == 1, (name, old)
            text = text.replace(old, new)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def newer(new_cloud: Any, tmp_path: Path) -> Cloud:
    """A cloud of the newer version, which runs."""
    cloud = replace(new_cloud(), code=copied(tmp_path / "newer", NEWER))
    cloud.do("up")
    return cloud


def service(cloud: Cloud, name: str) -> dict[str, Any]:
    """As it is stored, which is as the API shows it."""
    with cloud.http() as client:
        return dict(client.get(f"{SERVICES}/{name}").raise_for_status().json())


def write(cloud: Cloud, method: str, body: dict[str, Any], kind: str = "application/json") -> dict[str, Any]:
    content = json.dumps(body)
    with cloud.http() as client:
        path = f"{SERVICES}/key-manager"
        answer = client.request(method, path, content=content, headers={"content-type": kind})
        return dict(answer.raise_for_status().json())


def columns(file: Path, table: str) -> set[str]:
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as db:
        return {row[1] for row in db.execute(f"PRAGMA table_info({table})")}


def version_of(file: Path) -> tuple[int, int]:
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as db:
        version, oldest = db.execute("SELECT version, oldest_reader FROM schema_version").fetchone()
        return version, oldest


def formats_of(cloud: Cloud, name: str) -> list[int]:
    """Of each record of that Service, oldest first."""
    with sqlite3.connect(f"file:{cloud.home / 'store' / 'records.db'}?mode=ro", uri=True) as db:
        query = "SELECT format FROM records WHERE plural='services' AND name=? ORDER BY revision"
        return [row[0] for row in db.execute(query, (name,))]


def test_the_version_before_goes_on_and_forgets_nothing(newer: Cloud, tmp_path: Path) -> None:
    store = newer.home / "store" / "records.db"
    (index,) = newer.home.rglob("book.db")
    (tmp_path / "photo").write_bytes(b"taken by the newer one")
    write(newer, "PATCH", {"spec": {"tier": "silver"}}, "application/merge-patch+json")
    eventually(lambda: newer.is_ready("key-manager") and newer.is_ready("storage-manager"), "all is ready")
    for words in (["mb", "s3://photos"], ["cp", "--only-show-errors", str(tmp_path / "photo"), "s3://photos/a"]):
        assert newer.aws("s3", *words).code == 0
    there, running = service(newer, "key-manager"), newer.instances()
    assert (there["spec"]["tier"], there["status"]["mood"]) == ("silver", "calm")
    assert (version_of(store), version_of(index)) == ((STORE + 1, 2), (INDEX + 1, database.OWN.oldest_reader))
    assert "shard" in columns(store, "clock") and "heat" in columns(index, "objects")
    records = [json.loads(each.read_text()) for each in (newer.home / "run" / "instances").glob("*.json")]
    assert {(each["version"], each["nice"]) for each in records} == {(RECORD + 1, 7)}
    assert set(formats_of(newer, "key-manager")) == {len(SERVICE.upgrades) + 2}

    kill(newer.conductor_pid())
    older = replace(newer, code=copied(tmp_path / "older", {}))
    older.do("up")
    assert older.instances() == running, "adopted, not started anew"
    assert older.aws("s3", "cp", "--only-show-errors", "s3://photos/a", str(tmp_path / "back")).code == 0
    assert (tmp_path / "back").read_bytes() == b"taken by the newer one"
    assert older.aws("s3", "cp", "--only-show-errors", str(tmp_path / "back"), "s3://photos/b").code == 0
    # Whoever writes it back as it was read, or changes what this version knows, keeps what it does not know.
    read = service(older, "key-manager")
    assert read["spec"]["tier"] == "silver"
    read["metadata"]["labels"] = {"seen": "by-the-older"}
    assert write(older, "PUT", read)["spec"]["tier"] == "silver"
    older.do("scale", "key-manager", "--replicas", "2")
    eventually(lambda: service(older, "key-manager")["status"]["readyReplicas"] == 2, "the loop runs")
    kill(running["key-manager-0"])
    eventually(lambda: older.instances().get("key-manager-0") not in (None, running["key-manager-0"]), "started anew")
    eventually(lambda: older.is_ready("key-manager"), "what was adopted is healed like its own")
    now = service(older, "key-manager")
    assert (now["spec"]["tier"], now["status"]["mood"], now["spec"]["replicas"]) == ("silver", "calm", 2)
    assert formats_of(older, "key-manager")[-1] == len(SERVICE.upgrades) + 1
    with older.http() as client:
        assert "\naerekos_unreadable_records 0.0\n" in client.get("/metrics").raise_for_status().text

    kill(older.conductor_pid())
    running = older.instances()
    newer.do("up")
    assert newer.instances() == running
    again = service(newer, "key-manager")
    assert (again["spec"]["tier"], again["spec"]["replicas"], again["metadata"]["labels"]) == (
        "silver",
        2,
        {"seen": "by-the-older"},
    )
    assert (version_of(store), version_of(index)) == ((STORE + 1, 2), (INDEX + 1, database.OWN.oldest_reader))
    assert newer.aws("s3", "ls", "s3://photos").out.count("\n") == 2
