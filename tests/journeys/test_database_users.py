"""Users of a database on a real cloud: what they may, and a change of credentials that nobody notices."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from clouds import Cloud, a_port, eventually
from databases import NEEDED, PLACE, apply, asked, credentials, make, patch, ready

pytestmark = NEEDED


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path_factory.mktemp("users") / "home", a_port())
    cloud.do("up")
    make(cloud, "shop")
    ready(cloud, "shop")
    with psycopg.connect(credentials(cloud, "shop")["uri"]) as owner:
        owner.execute("create table lines (n serial primary key, who text default session_user)")
    yield cloud
    cloud.command("down")
    shutil.rmtree(cloud.home, ignore_errors=True)


def user(cloud: Cloud, name: str, **spec: Any) -> str:
    """A user, and the uri of their Secret."""
    apply(cloud, "DatabaseUser", name, {"database": "shop", **spec})
    eventually(lambda: status(cloud, name).get("login"), f"{name} can log in")
    return credentials(cloud, name)["uri"]


def status(cloud: Cloud, name: str) -> dict[str, Any]:
    with cloud.http() as http:
        answer = http.get(f"{PLACE.format('default', 'databaseusers')}/{name}")
    return dict(answer.raise_for_status().json()["status"]) if answer.status_code != 404 else {}


def refused(uri: str, statement: str) -> bool:
    with psycopg.connect(uri) as connection:
        try:
            connection.execute(statement)  # type: ignore[arg-type]
        except psycopg.errors.InsufficientPrivilege:
            return True
    return False


def test_each_may_what_it_was_given_of_what_there_is_and_what_comes(shop: Cloud) -> None:
    reader, writer, boss = (
        user(shop, each, privileges=given)
        for each, given in (("reader", "read"), ("writer", "write"), ("boss", "owner"))
    )
    with psycopg.connect(credentials(shop, "shop")["uri"]) as owner:
        owner.execute("create schema more; create table more.later (n serial)")
    for table in ("lines", "more.later"):
        assert asked(reader, f"select count(*) from {table}") == "0"
        assert refused(reader, f"insert into {table} default values")
        assert not refused(writer, f"delete from {table}") and not refused(
            writer, f"insert into {table} default values"
        )
        assert refused(writer, f"drop table {table}") and refused(writer, f"truncate {table}")
    assert refused(writer, "create table mine (n int)") and refused(reader, "select * from pg_authid")
    assert not refused(boss, "create table ours (n int)")
    assert (
        asked(credentials(shop, "shop")["uri"], "select tableowner from pg_tables where tablename='ours'") == "shop"
    )


def test_fewer_privileges_are_fewer(shop: Cloud) -> None:
    uri = user(shop, "less", privileges="owner")
    assert not refused(uri, "create table of_less (n int)")
    assert patch(shop, "less", {"spec": {"privileges": "read"}}, "databaseusers") == 200
    eventually(lambda: status(shop, "less").get("privileges") == "read", "it was granted less")
    assert refused(uri, "drop table of_less") and refused(uri, "insert into lines default values")
    assert asked(uri, "select count(*) from of_less") == "0"


def test_a_rotation_fails_no_transaction(shop: Cloud) -> None:
    """One connection that lasts, and new ones by the old uri all the while."""
    before = user(shop, "app", rotation={"days": 30})
    over, failed, done = threading.Event(), [], []

    def work() -> None:
        lasting = psycopg.connect(before, autocommit=True)
        while not over.is_set():
            try:
                lasting.execute("insert into lines default values")
                with psycopg.connect(before) as fresh:
                    fresh.execute("insert into lines default values")
                done.append(1)
            except psycopg.Error as error:
                failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    wish = {"metadata": {"annotations": {"aerekos.cloud/rotate": "2026-01-01T00:00:00Z"}}}
    assert patch(shop, "app", wish, "databaseusers") == 200
    assert status(shop, "app")["login"] == "app_0", "a moment before its password was made asks for nothing"
    first = status(shop, "app")["rotatedAt"]
    later = {"metadata": {"annotations": {"aerekos.cloud/rotate": first.replace("Z", ".999Z")}}}
    assert patch(shop, "app", later, "databaseusers") == 200
    eventually(lambda: status(shop, "app")["login"] == "app_1", "the other one's turn")
    after = credentials(shop, "app")["uri"]
    assert after != before and asked(after, "select session_user || current_user") == "app_1app"
    count = len(done)
    eventually(lambda: len(done) > count + 5, "the old uri goes on")
    over.set()
    thread.join()
    assert failed == [] and status(shop, "app")["nextRotationAt"] > first


def test_two_of_one_name_are_refused(shop: Cloud) -> None:
    with shop.http() as http:
        spec = {"database": "shop", "username": "app"}
        body = {"metadata": {"name": "twin"}, "spec": spec}
        answer = http.post(PLACE.format("default", "databaseusers"), json=body)
        assert answer.status_code == 422 and "app" in answer.json()["message"]


def test_who_is_deleted_is_gone_from_the_database(shop: Cloud) -> None:
    uri, owner = credentials(shop, "app")["uri"], credentials(shop, "shop")["uri"]
    assert asked(uri, "select 1") == "1"
    shop.do("delete", "databaseuser", "app")
    eventually(lambda: asked(owner, "select count(*) from pg_roles where rolname like 'app%'") == "0", "no role left")
    assert asked(uri, "select 1") == "" and int(asked(owner, "select count(*) from lines")) > 0
    eventually(lambda: shop.command("get", "databaseuser", "app").code != 0, "it is gone")
    assert shop.command("get", "secret", "app-credentials").code != 0


@pytest.mark.long
def test_users_of_a_database_that_goes_can_go(shop: Cloud) -> None:
    shop.do("delete", "database", "shop")
    for each in ("reader", "writer", "boss", "less"):
        shop.do("delete", "databaseuser", each)
    eventually(lambda: "reader" not in shop.do("get", "databaseusers"), "nothing holds them back")
