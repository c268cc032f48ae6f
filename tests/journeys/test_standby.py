"""Two conductors of one cloud on a real PostgreSQL, each with gateways of its own: clients keep the address they
have, whichever of both leads, and when the one that leads is killed.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import orjson
import pytest
from clouds import Cloud, Said, a_port, eventually
from postgres import a_database

from api.channel import replication
from api.front_proxy import SOCKET
from controller.kit.unix_sockets import short_path
from services.db_manager.tests.postgres_server import SUPERUSER, PostgresServer, running

pytestmark = pytest.mark.long
MAPS = "/api/v1/namespaces/default/configmaps"


@dataclass(frozen=True)
class Conductor(Cloud):
    """A cloud whose store is elsewhere."""

    store: str = ""

    @property
    def env(self) -> dict[str, str]:
        return {**super().env, "AEREKOS_STORE": self.store}


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with running() as made:
        yield made


@pytest.fixture
def pair(server: PostgresServer, tmp_path: Path) -> Iterator[tuple[Conductor, Conductor]]:
    """The first leads, the second stands by."""
    with a_database(server) as url:
        parts, file = urlsplit(url), tmp_path / "pgpass"
        file.write_text(f"{parts.hostname}:{parts.port}:*:postgres:{SUPERUSER.replace(chr(92), chr(92) * 2)}\n")
        file.chmod(0o600)
        store = f"postgresql://postgres@{parts.hostname}:{parts.port}{parts.path}?passfile={file}"
        one, two = (Conductor(tmp_path / name, a_port(), store=store) for name in ("one", "two"))
        try:
            one.do("up", "--timeout", "300")
            two.home.mkdir()
            for folder in ("secrets", "tls"):
                shutil.copytree(one.home / folder, two.home / folder)
            said: Said = two.command("up", "--timeout", "300", timeout=320)
            assert said.code == 0 and f":{one.port} leads" in said.out, said
            eventually(lambda: answers(two), "the second one's own gateway")
            yield one, two
        finally:
            for each in (one, two):
                each.command("down")


def answers(cloud: Cloud) -> bool:
    try:
        with cloud.http() as client:
            return client.get("/readyz", timeout=30).status_code == 200
    except httpx.TransportError:
        return False


def stands_by(cloud: Cloud) -> bool:
    with cloud.http() as client:
        return client.get("/readyz", timeout=30).json().get("standby") is True


def knows(one: Cloud, other: Cloud) -> bool:
    """Whether the conductor tells its gateways of the other one."""
    transport = httpx.HTTPTransport(uds=short_path(one.home / "run" / SOCKET))
    with (
        httpx.Client(transport=transport, base_url="http://conductor") as client,
        client.stream("GET", replication.PATH, timeout=30) as answer,
    ):
        told = (orjson.loads(line) for line in answer.iter_lines())
        _, now = next(each for each in told if each[0] == "conductors")
    return any(each.endswith(f":{other.port}") for each in now["others"])


def is_made(cloud: Cloud, name: str) -> bool:
    try:
        with cloud.http() as client:
            return client.post(MAPS, json={"metadata": {"name": name}}, timeout=30).status_code in (201, 409)
    except httpx.TransportError:
        return False


def names(cloud: Cloud) -> set[str]:
    with cloud.http() as client:
        return {each["metadata"]["name"] for each in client.get(MAPS, timeout=30).json()["items"]}


def test_each_address_goes_on_whoever_leads(pair: tuple[Conductor, Conductor]) -> None:
    one, two = pair
    assert is_made(two, "at-the-second") and is_made(one, "at-the-first")
    assert names(one) == names(two) >= {"at-the-first", "at-the-second"}
    with two.http() as client:
        assert client.get("/readyz").json()["standby"] is True
    keys = two.aws_env()  # signed at the one that stands by, for the address of that one
    s3 = two.boto3("s3", keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"], s3={"addressing_style": "path"})
    s3.create_bucket(Bucket="from-the-second")
    assert "from-the-second" in {each["Name"] for each in s3.list_buckets()["Buckets"]}
    two.do("get", "services")

    eventually(lambda: knows(one, two), "the first one has heard of the second")  # it looks every five seconds
    os.kill(one.conductor_pid(), signal.SIGKILL)
    for each in (two, one):
        eventually(lambda: is_made(each, f"after-{each.port}"), "writes at both addresses")  # noqa: B023
    made = {"at-the-first", "at-the-second", f"after-{one.port}", f"after-{two.port}"}
    assert names(one) == names(two) >= made

    said = one.command("up", "--timeout", "300", timeout=320)  # it comes back, and stands by for the other
    assert said.code == 0 and f":{two.port} leads" in said.out, said
    eventually(lambda: stands_by(one), "the first one's own gateway")  # it may ask the other one for a moment yet
    eventually(lambda: is_made(one, "back"), "writes at the first one")
    two.do("down")
    eventually(lambda: is_made(one, "leads-again"), "the first one leads again")
