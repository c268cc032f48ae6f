"""Backups of a real PostgreSQL in a bucket, and a database restored from them up to a point: pgbackrest, barman."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from clouds import a_port, run

from .conftest import PATIENCE_SECONDS, Tools

pytestmark = pytest.mark.s3_tools
# PostgreSQL refuses to be root; in a user namespace it is nobody, and the files stay ours.
NOBODY = ["unshare", "--user", "--map-user=65534", "--map-group=65534"] if os.geteuid() == 0 else []
POINT = "before_the_accident"


@dataclass
class Database:
    """One server, on a socket in its folder. `env`: what its archive and restore commands get."""

    tools: Tools
    folder: Path
    env: Mapping[str, str]
    port: int = field(default_factory=a_port)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def do(self, program: str, *arguments: str) -> str:
        command = [*NOBODY, self.tools.path(program), *arguments]
        said = run(command, {**self.env, "PGHOST": str(self.folder)}, None, PATIENCE_SECONDS, self.folder)
        assert said.code == 0, f"{program} {' '.join(arguments)} → {said}\n{self.log()}"
        return said.out

    def log(self) -> str:
        return "".join(each.read_text()[-3000:] for each in self.folder.glob("*.log"))

    def create(self, archive_command: str) -> None:
        self.do("initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "--locale=C", "-E", "UTF8", "-k")
        self.set(
            archive_mode="on", archive_command=archive_command, wal_level="replica", jit="off", listen_addresses=""
        )
        self.set(port=str(self.port), unix_socket_directories=str(self.folder), max_wal_senders="3")

    def set(self, **values: str) -> None:
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in values.items())

    def start(self) -> None:
        # The server keeps what it is given of descriptors: with a pipe of ours, nobody would see the end of it.
        self.do("pg_ctl", "-D", str(self.data), "-l", str(self.folder / "server.log"), "-w", "-t", "60", "start")

    def stop(self) -> None:
        self.do("pg_ctl", "-D", str(self.data), "-m", "fast", "-w", "stop")

    def sql(self, text: str) -> str:
        given = ("-p", str(self.port), "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-At", "-c", text)
        return self.do("psql", *given, "postgres").strip()

    def lose(self) -> None:
        """The table, after a named point; then the whole disk."""
        self.sql(f"select pg_create_restore_point('{POINT}')")
        self.sql("drop table orders")
        self.sql("select pg_switch_wal()")
        self.stop()
        shutil.rmtree(self.data)

    def close(self) -> None:
        if (self.data / "postmaster.pid").exists():
            self.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A short one: paths of sockets have an end."""
    short = Path("/tmp") / f"aerekos-pg-{a_port()}"
    short.mkdir(mode=0o700)
    yield short
    shutil.rmtree(short)


def fill(database: Database, first: int, last: int) -> None:
    database.sql(
        f"create table if not exists orders (n int, text text);"
        f"insert into orders select n, repeat(md5(n::text), 20) from generate_series({first}, {last}) n"
    )


def orders(database: Database) -> str:
    return database.sql("select count(*), sum(n) from orders")


def test_pgbackrest(tools: Tools, bucket: str, folder: Path) -> None:
    program = tools.path("pgbackrest")
    paths = {f"PGBACKREST_{name.upper()}_PATH": str(folder / name) for name in ("lock", "log", "spool")}
    env = {
        **tools.env("pgbackrest"),
        **paths,
        "PGBACKREST_REPO1_S3_BUCKET": bucket,
        "PGBACKREST_REPO1_PATH": "/backups",
        "PGBACKREST_STANZA": "main",
        "PGBACKREST_PG1_PATH": str(folder / "data"),
        "PGBACKREST_PG1_SOCKET_PATH": str(folder),
        "PGBACKREST_PG1_USER": "postgres",
        "PGBACKREST_COMPRESS_TYPE": "lz4",
        "PGBACKREST_START_FAST": "y",
    }
    database = Database(tools, folder, env)
    database.env = {**env, "PGBACKREST_PG1_PORT": str(database.port)}
    try:
        database.create(f"{program} archive-push %p")
        database.start()
        database.do("pgbackrest", "stanza-create")
        database.do("pgbackrest", "check")
        fill(database, 1, 20_000)
        database.do("pgbackrest", "--type=full", "backup")
        fill(database, 20_001, 30_000)
        database.do("pgbackrest", "--type=incr", "backup")
        fill(database, 30_001, 31_000)
        before = orders(database)
        database.lose()
        database.do("pgbackrest", "--type=name", f"--target={POINT}", "--target-action=promote", "restore")
        database.start()
        assert orders(database) == before == "31000|480515500"
        kinds = [each["type"] for each in json.loads(database.do("pgbackrest", "info", "--output=json"))[0]["backup"]]
        assert kinds == ["full", "incr"]
        database.do("pgbackrest", "verify")
    finally:
        database.close()


def test_barman_cloud(tools: Tools, bucket: str, folder: Path) -> None:
    there = (f"s3://{bucket}/backups", "main")
    database = Database(tools, folder, tools.env())
    how = ("-h", str(folder), "-p", str(database.port), "-U", "postgres", "-d", "postgres", "--immediate-checkpoint")
    try:
        database.create(f"{tools.path('barman-cloud-wal-archive')} {' '.join(there)} %p")
        database.start()
        fill(database, 1, 20_000)
        database.do("barman-cloud-backup", *how, "--gzip", *there)
        fill(database, 20_001, 31_000)
        before = orders(database)
        database.lose()
        backups = json.loads(database.do("barman-cloud-backup-list", "--format", "json", *there))["backups_list"]
        assert [each["status"] for each in backups] == ["DONE"]
        database.do("barman-cloud-restore", *there, backups[0]["backup_id"], str(database.data))
        database.set(
            restore_command=f"{tools.path('barman-cloud-wal-restore')} {' '.join(there)} %f %p",
            recovery_target_name=POINT,
            recovery_target_action="promote",
        )
        (database.data / "recovery.signal").touch()
        database.start()
        assert orders(database) == before == "31000|480515500"
    finally:
        database.close()
