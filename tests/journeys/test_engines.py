"""A database by name, on a machine without Docker: from a missing program to rows that outlive kills and restarts.

The folder in which the cloud looks for engines is empty at first, so that installing can be watched on a machine that
has PostgreSQL already.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from clouds import Cloud, a_port, eventually, kill

from controller.runtime.engines.finder import EngineFinder
from controller.runtime.sandbox import landlock, seccomp
from crds.engines import ENGINES

FOUND = EngineFinder().find(ENGINES["postgresql"])
pytestmark = [
    pytest.mark.skipif(landlock.abi() < 6 or not seccomp.is_known(), reason="this machine has too few walls"),
    pytest.mark.skipif(FOUND is None, reason="no PostgreSQL: aerekos engine install postgresql"),
]
PORT = a_port()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("engines")
    made.chmod(0o755)  # users of services run what is there
    return made


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Cloud]:
    running = Cloud(tmp_path_factory.mktemp("shared") / "home", a_port())
    (running.home).mkdir(mode=0o700)
    (running.home / "settings.toml").write_text(f'version = 1\nengine_path = "{folder}"\n')
    running.do("up")
    yield running
    running.command("down")
    shutil.rmtree(running.home, ignore_errors=True)


@pytest.fixture(scope="module")
def database(cloud: Cloud, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Cloud:
    """PostgreSQL runs. On the way: what is said while its program is missing, and that it starts once it is there."""
    spec = {"engine": {"name": "postgresql"}, "ports": [{"port": 5432, "name": "sql", "published": PORT}]}
    body = {"apiVersion": "aerekos.cloud/v1", "kind": "Service", "metadata": {"name": "db"}, "spec": spec}
    file = tmp_path_factory.mktemp("manifest") / "db.json"
    file.write_text(json.dumps(body))
    cloud.do("apply", "-f", str(file))
    told = eventually(lambda: missing(cloud), "it says what is missing")
    assert "postgresql is not installed on" in told and "aerekos engine install postgresql" in told
    assert "missing" in cloud.do("engine", "list").split("postgresql", 1)[1].splitlines()[0]
    assert FOUND
    for name in ("postgres", "initdb", "pg_isready"):
        (folder / name).symlink_to(Path(FOUND.folder) / name)
    eventually(lambda: cloud.is_ready("db"), "it starts by itself")
    return cloud


def missing(cloud: Cloud) -> str:
    told = cloud.condition("db", "Ready")
    return str(told["message"]) if told.get("reason") == "EngineMissing" else ""


def password(cloud: Cloud) -> str:
    held = json.loads(cloud.do("get", "secret", "db-superuser", "-o", "json"))["data"]
    return base64.b64decode(held["password"]).decode()


def sql(cloud: Cloud, query: str) -> str:
    """What psql says; empty while the server cannot be reached."""
    assert FOUND
    client = str(Path(FOUND.folder) / "psql")
    asked = [client, "-h", "127.0.0.1", "-p", str(PORT), "-U", "postgres", "-tAqc", query]
    done = subprocess.run(asked, env={"PGPASSWORD": password(cloud)}, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def test_psql_connects_and_a_kill_costs_no_row(database: Cloud) -> None:
    sql(database, "create table lines as select generate_series(1, 1000) as n")
    assert sql(database, "select count(*) from lines") == "1000"
    before = database.instances()["db-0"]
    kill(before)
    eventually(lambda: database.instances().get("db-0") not in (None, before), "another process")
    assert eventually(lambda: sql(database, "select count(*) from lines"), "it answers again") == "1000"
    eventually(lambda: database.is_ready("db"), "it is ready")
    status = database.get("services", "db")["status"]
    assert status["engine"]["secret"] == "db-superuser" and status["engine"]["version"] in database.do("logs", "db")


def test_its_password_is_where_it_belongs_and_nowhere_else(database: Cloud) -> None:
    text = password(database)
    pid = database.instances()["db-0"]
    assert text.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
    assert text.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
    # Nowhere as text: the store is sealed, and the server keeps a SCRAM verifier.
    kept = [each for each in database.home.rglob("*") if each.is_file() and text.encode() in each.read_bytes()]
    assert kept == []
    said = database.command("exec", "db-0", "--", "sh", "-c", "id -un; stat -c %a /secrets/superuser")
    assert said.out.split()[-2:] in (["postgres", "400"], [subprocess.getoutput("id -un"), "400"]), said


def test_another_password_is_rolled_out(database: Cloud) -> None:
    old = password(database)
    database.do("delete", "secret", "db-superuser")
    eventually(lambda: password_or_nothing(database) not in ("", old), "another one is made")
    assert eventually(lambda: sql(database, "select 42"), "it opens") == "42"


def password_or_nothing(cloud: Cloud) -> str:
    return password(cloud) if cloud.command("get", "secret", "db-superuser").code == 0 else ""


def test_its_configuration_is_read_again_without_a_restart(database: Cloud, tmp_path: Path) -> None:
    def configure(text: str) -> None:
        data = {"postgresql.conf": text}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "db"}, "data": data}
        (tmp_path / "config.json").write_text(json.dumps(body))
        database.do("apply", "-f", str(tmp_path / "config.json"))

    configure("work_mem = 5MB\n")
    file = {"path": "/config/postgresql.conf", "configMap": {"name": "db", "key": "postgresql.conf"}}
    with database.http() as client:
        patch = {"spec": {"files": [file]}}
        head = {"content-type": "application/merge-patch+json"}
        place = "/apis/aerekos.cloud/v1/namespaces/default/services/db"
        assert client.patch(place, content=json.dumps(patch), headers=head).status_code == 200
    eventually(lambda: sql(database, "show work_mem") == "5MB", "its first configuration")
    pid = database.instances()["db-0"]
    configure("work_mem = 6MB\nport = 1\n")
    eventually(lambda: sql(database, "show work_mem") == "6MB", "its second one")
    assert database.instances()["db-0"] == pid and database.events("Reloaded")
    assert sql(database, "show port") == str(PORT), "where it listens is not its configuration's to say"
    kill(database.conductor_pid())
    database.do("up")
    configure("work_mem = 7MB\n")
    eventually(lambda: sql(database, "show work_mem") == "7MB", "told by the conductor that found it running")
    assert database.instances()["db-0"] == pid


def test_its_data_outlives_the_cloud(database: Cloud) -> None:
    sql(database, "create table lasting as select 'here' as it")
    database.do("down")
    log = (database.home / "logs" / "services" / "db-0.log").read_text()
    assert log.rstrip().endswith("database system is shut down"), "it was asked to stop, not killed"
    database.do("up")
    assert eventually(lambda: sql(database, "select it from lasting"), "its data is there") == "here"


def test_a_kill_in_the_middle_of_its_first_start_is_healed(database: Cloud) -> None:
    body = {"metadata": {"name": "young"}, "spec": {"engine": {"name": "postgresql"}}}
    with database.http() as client:
        assert client.post("/apis/aerekos.cloud/v1/namespaces/default/services", json=body).status_code == 201
    data = database.home / "data" / "young" / "data"
    eventually(lambda: list(data.glob(".*.half/global")), "initdb is at work")
    kill(database.instances()["young-0"])
    eventually(lambda: database.is_ready("young"), "it is healed")
    assert not list(data.glob(".*.half")), "the half it had made is gone"
    assert database.get("services", "young")["status"]["instances"][0]["restarts"] == 1


def test_what_was_deleted_lies_in_the_trash_and_comes_back(database: Cloud) -> None:
    """After the test above, whose database it deletes."""
    held = eventually(lambda: database.get("services", "young")["status"].get("volumes"), "its data was measured")
    assert held[0]["name"] == "data" and held[0]["used"].endswith("Mi")
    database.do("delete", "service", "young")
    data = database.home / "data" / "young"
    told = eventually(lambda: database.events("DataInTrash"), "it is said where it lies")[0]
    assert not data.exists() and "make the Service again" in told
    restore = next(line for line in database.do("engine", "trash").splitlines() if line.strip().startswith("mv "))
    assert restore.strip() in told
    subprocess.run(restore.split(), check=True)
    database.do("create", "service", "young", "--engine", "postgresql")
    eventually(lambda: database.is_ready("young"), "it runs with the data it had, and another password")
    assert "creating configuration files" not in database.do("logs", "young").rpartition("is shut down")[2]
    database.do("delete", "service", "young")


def link(folder: Path, engine: str) -> None:
    """Lets the cloud find an engine of this machine, or skips."""
    found = EngineFinder().find(ENGINES[engine])
    if found is None:
        pytest.skip(f"no {engine}: aerekos engine install {engine}")
    (folder / Path(found.program).name).symlink_to(found.program)


def test_a_cache_keeps_what_it_was_told(database: Cloud, folder: Path) -> None:
    link(folder, "valkey")
    database.do("create", "service", "cache", "--engine", "valkey")
    eventually(lambda: database.is_ready("cache"), "it answers with its password")
    ask = 'export REDISCLI_AUTH="$(cat /secrets/superuser)"; redis-cli -p $PORT'

    def asked(words: str) -> str:
        return database.command("exec", "cache-0", "--", "sh", "-c", f"{ask} {words}").out.strip()

    assert asked("set colour blue") == "OK"
    assert "NOAUTH" in database.command("exec", "cache-0", "--", "sh", "-c", "redis-cli -p $PORT get colour").out
    before = database.instances()["cache-0"]
    database.do("restart", "cache")
    eventually(lambda: database.instances().get("cache-0") not in (None, before), "another process")
    eventually(lambda: asked("get colour") == "blue", "what it was told is there")
    database.do("delete", "service", "cache")


def test_a_load_balancer_takes_another_configuration_between_two_requests(
    database: Cloud, folder: Path, tmp_path: Path
) -> None:
    link(folder, "haproxy")

    def apply(word: str) -> None:
        answer = f'http-request return status 200 content-type text/plain string "{word}"'
        config = f'defaults\n mode http\n timeout client 5s\nfrontend f\n bind "${{HOST}}:${{PORT}}"\n {answer}\n'
        file = {"path": "/config/haproxy.cfg", "content": config}
        spec = {"engine": {"name": "haproxy"}, "files": [file]}
        body = {"apiVersion": "aerekos.cloud/v1", "kind": "Service", "metadata": {"name": "lb"}, "spec": spec}
        (tmp_path / "lb.json").write_text(json.dumps(body))
        database.do("apply", "-f", str(tmp_path / "lb.json"))

    apply("one")
    eventually(lambda: answered(database) == "one", "it answers through the gateway")
    pid = database.instances()["lb-0"]
    apply("two")
    eventually(lambda: answered(database) == "two", "it answers otherwise")
    assert database.instances()["lb-0"] == pid, "its first process is the one it was"
    database.do("delete", "service", "lb")


def answered(cloud: Cloud) -> str:
    with cloud.http() as client:
        answer = client.get("/services/lb/")
    return answer.text if answer.status_code == 200 else ""
