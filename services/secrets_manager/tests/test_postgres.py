"""Rotation of a PostgreSQL user's password, against a real server."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from crds.kinds.service import SERVICE
from services.sdk.postgres import PostgresConnection, PostgresError, quoted_name, verifier_of
from services.secrets_manager.envelope import Envelope
from services.secrets_manager.key_client import KeyClient
from services.secrets_manager.kinds import MANAGED_SECRET
from services.secrets_manager.metrics import SecretsMetrics
from services.secrets_manager.postgres_rotator import AlternatingPostgresRotator, EngineFinder, PostgresRotator
from services.secrets_manager.rotation import RotationFailure, Rotations
from services.secrets_manager.rotation_targets import POSTGRES_MULTI_USER, POSTGRES_SINGLE_USER
from services.secrets_manager.secret import FoundSecret
from services.secrets_manager.secret_store import SecretStore
from services.secrets_manager.tests.conftest import Account

FOLDERS = [str(each) for each in Path("/usr/lib/postgresql").glob("*/bin")]
INITDB = shutil.which("initdb", path=os.pathsep.join([os.environ.get("PATH", ""), *FOLDERS]))
pytestmark = pytest.mark.skipif(INITDB is None, reason="no PostgreSQL: aerekos engine install postgresql")
SUPERUSER = "super's-\\password"
TARGET = f"arn:aws:lambda:us-east-1:111122223333:function:{POSTGRES_SINGLE_USER}"
ALTERNATING = f"arn:aws:lambda:us-east-1:111122223333:function:{POSTGRES_MULTI_USER}"
USER = 'app "one"'


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server of this test, that asks for SCRAM. PostgreSQL refuses to run as root."""
    assert INITDB is not None
    root = os.geteuid() == 0
    who: dict[str, Any] = {"user": "nobody", "group": "nogroup"} if root else {}
    with tempfile.TemporaryDirectory(prefix="postgres-") as name, socket.socket() as probe:
        folder, data = Path(name), str(Path(name) / "data")
        password = folder / "password"
        password.write_text(SUPERUSER)
        for each in (folder, password) if root else ():
            shutil.chown(each, "nobody", "nogroup")
        probe.bind(("127.0.0.1", 0))
        number = int(probe.getsockname()[1])
        probe.close()
        init = [INITDB, "-D", data, "-U", "postgres", "-A", "scram-sha-256", f"--pwfile={password}", "-N"]
        subprocess.run(init, check=True, capture_output=True, cwd=folder, **who)
        control = str(Path(INITDB).resolve().parent / "pg_ctl")
        options = f"-c listen_addresses=127.0.0.1 -c port={number} -c unix_socket_directories='' -c fsync=off"
        start = [control, "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start"]
        subprocess.run(start, check=True, capture_output=True, cwd=folder, **who)
        yield number
        stop = [control, "-D", data, "-m", "immediate", "stop"]
        subprocess.run(stop, check=False, capture_output=True, cwd=folder, **who)


class Database:
    """A user of the server, and a secret with their password."""

    def __init__(self, account: Account, port: int) -> None:
        self.account, self.port, self.run = account, port, account.harness.run
        context = account.harness.context
        metrics = SecretsMetrics(CollectorRegistry())
        keys = KeyClient(context.service_client("key-manager"))
        store = SecretStore(context, Envelope(keys, context.clock, metrics))
        engines = EngineFinder(context.resources)
        rotator = PostgresRotator(store, engines)
        built_in = {POSTGRES_SINGLE_USER: rotator, POSTGRES_MULTI_USER: AlternatingPostgresRotator(store, engines)}
        self.rotations = Rotations(store, rotator, built_in, metrics)

    def add_service(self, **spec: Any) -> None:
        engine = spec or {"engine": {"name": "postgresql"}}
        body = {
            "metadata": {"name": "db", "namespace": self.account.owner.namespace},
            "spec": engine,
            "status": {"instances": [{"name": "db-0", "address": f"127.0.0.1:{self.port}", "ready": True}]},
        }
        self.run(self.account.harness.resources.create(SERVICE, SERVICE.parse(body)))

    def sql(self, statement: str, user: str = "postgres", password: str = SUPERUSER) -> None:
        async def work() -> None:
            opened = await PostgresConnection.open("127.0.0.1", self.port, user, password, "postgres")
            async with opened as connection:
                await connection.execute(statement)

        self.run(work())

    def secret(self, **more: str) -> Any:
        made = self.account.client()
        value = {"engine": "postgres", "host": "db", "username": USER, "password": "first", "dbname": "postgres"}
        made.create_secret(Name="login", SecretString=json.dumps({**value, **more}))
        made.rotate_secret(SecretId="login", RotationLambdaARN=TARGET, RotateImmediately=False)
        return made

    def rotate(self, token: str) -> None:
        async def work() -> None:
            resources = self.account.harness.resources
            secret = await resources.get(MANAGED_SECRET, "login", self.account.owner.namespace)
            await self.rotations.rotate(FoundSecret(secret), token)

        self.run(work())


class Pool(threading.Thread):
    """Programs that read the secret now and then, and open one connection after another with what they have read.
    `failed`: what any of them met.
    """

    def __init__(self, database: Database, secrets: Any) -> None:
        super().__init__(daemon=True)
        self._database, self._secrets, self._over = database, secrets, threading.Event()
        self.opened = 0
        self.failed: list[Exception] = []
        self.login = self._read()

    def _read(self) -> tuple[str, str]:
        value = json.loads(self._secrets.get_secret_value(SecretId="login")["SecretString"])
        return value["username"], value["password"]

    def renew(self) -> None:
        self.login = self._read()

    def goes_on(self) -> None:
        """Comes back once some more connections were opened."""
        wanted, deadline = self.opened + 3, time.monotonic() + 60
        while self.opened < wanted:
            assert not self.failed and time.monotonic() < deadline, self.failed
            time.sleep(0.01)

    async def _work(self) -> None:
        kept = await PostgresConnection.open("127.0.0.1", self._database.port, *self.login, "postgres")
        async with kept:
            while not self._over.is_set():
                async with await PostgresConnection.open(
                    "127.0.0.1", self._database.port, *self.login, "postgres"
                ) as new:
                    await new.execute("SELECT 1")
                await kept.execute("SELECT 1")
                self.opened += 1

    def run(self) -> None:
        try:
            asyncio.run(self._work())
        except Exception as failure:  # told by the test
            self.failed.append(failure)

    def stop(self) -> None:
        self._over.set()
        self.join(30)


SECOND = "app_second"


@pytest.fixture
def both(database: Database) -> Iterator[Any]:
    """A secret with the logins of two users."""
    database.add_service()
    database.sql(f"CREATE ROLE {SECOND} LOGIN PASSWORD 'other'")
    made = database.account.client()
    value = {"engine": "postgres", "host": "db", "dbname": "postgres"}
    made.create_secret(Name="login", SecretString=json.dumps({**value, "username": SECOND, "password": "other"}))
    made.put_secret_value(SecretId="login", SecretString=json.dumps({**value, "username": USER, "password": "first"}))
    made.rotate_secret(SecretId="login", RotationLambdaARN=ALTERNATING, RotateImmediately=False)
    yield made
    database.sql(f"DROP ROLE {SECOND}")


def test_with_two_users_in_turn_no_connection_breaks(database: Database, both: Any) -> None:
    """Whoever reads the secret once between two rotations never has a login that is over."""
    pool, users = Pool(database, both), []
    pool.start()
    for number in range(4):
        database.rotate(f"{number}" * 32)
        pool.goes_on()
        pool.renew()
        users.append(pool.login[0])
    pool.stop()
    assert users == [SECOND, USER, SECOND, USER] and not pool.failed
    assert len({pool.login[1], "first", "other", password_of(both, "AWSPREVIOUS")}) == 4


def test_a_rotation_of_two_users_that_broke_off_is_finished_by_the_next(database: Database, both: Any) -> None:
    value = {"engine": "postgres", "host": "db", "dbname": "postgres", "username": SECOND, "password": "pending"}
    token = "w" * 32
    both.put_secret_value(
        SecretId="login", SecretString=json.dumps(value), ClientRequestToken=token, VersionStages=["AWSPENDING"]
    )
    database.sql(f"ALTER ROLE {SECOND} PASSWORD 'pending'")
    database.rotate(token)
    assert (password_of(both), password_of(both, "AWSPREVIOUS")) == ("pending", "first")
    database.sql("SELECT 1", USER, "first")


def test_two_users_are_needed_to_take_turns(database: Database) -> None:
    database.add_service()
    secrets = database.secret()
    secrets.rotate_secret(SecretId="login", RotationLambdaARN=ALTERNATING, RotateImmediately=False)
    with pytest.raises(RotationFailure, match="createSecret: the previous version must be"):
        database.rotate("t" * 32)
    value = json.loads(secrets.get_secret_value(SecretId="login")["SecretString"])
    secrets.put_secret_value(SecretId="login", SecretString=json.dumps(value))
    with pytest.raises(RotationFailure, match="of a second user"):
        database.rotate("t" * 32)
    secrets.put_secret_value(SecretId="login", SecretString=json.dumps({**value, "masterarn": "arn:aws:x"}))
    with pytest.raises(RotationFailure, match="masterarn: is of no use here"):
        database.rotate("u" * 32)
    database.sql("SELECT 1", USER, "first")


@pytest.fixture
def database(account: Account, port: int) -> Iterator[Database]:
    made = Database(account, port)
    made.sql(f"CREATE ROLE {quoted_name(USER)} LOGIN PASSWORD 'first'")
    yield made
    made.sql(f"DROP ROLE {quoted_name(USER)}")


def password_of(secrets: Any, label: str = "AWSCURRENT") -> str:
    return str(json.loads(secrets.get_secret_value(SecretId="login", VersionStage=label)["SecretString"])["password"])


def test_a_user_gets_a_new_password_and_the_old_one_is_over(database: Database) -> None:
    database.add_service()
    secrets = database.secret()
    database.rotate("t" * 32)
    new = password_of(secrets)
    assert new != "first" and password_of(secrets, "AWSPREVIOUS") == "first"
    database.sql("SELECT 1", USER, new)
    with pytest.raises(PostgresError) as refused:
        database.sql("SELECT 1", USER, "first")
    assert refused.value.is_wrong_password
    database.rotate("u" * 32)
    database.sql("SELECT 1", USER, password_of(secrets))


def test_a_rotation_that_broke_off_after_any_step_is_finished_by_the_next(database: Database) -> None:
    """Whoever was killed after the database took the password finds the pending one right."""
    database.add_service()
    secrets = database.secret()
    value = {**json.loads(secrets.get_secret_value(SecretId="login")["SecretString"]), "password": "pending"}
    token = "v" * 32
    secrets.put_secret_value(
        SecretId="login", SecretString=json.dumps(value), ClientRequestToken=token, VersionStages=["AWSPENDING"]
    )
    database.sql(f"ALTER ROLE {quoted_name(USER)} PASSWORD 'pending'")
    database.rotate(token)
    assert (password_of(secrets), password_of(secrets, "AWSPREVIOUS")) == ("pending", "first")


def test_when_no_password_is_right_nothing_changes(database: Database) -> None:
    database.add_service()
    secrets = database.secret(password="wrong")
    with pytest.raises(RotationFailure, match="setSecret: none of the secret's passwords opens the database"):
        database.rotate("t" * 32)
    assert password_of(secrets) == "wrong"
    database.sql("SELECT 1", USER, "first")


@pytest.mark.parametrize("host", ["127.0.0.1", "none", "db.example.com", "../db", "web"])
def test_only_a_database_of_the_namespace_is_connected_to(database: Database, host: str) -> None:
    database.add_service()
    web = {"metadata": {"name": "web", "namespace": database.account.owner.namespace}, "spec": {"command": ["x"]}}
    database.run(database.account.harness.resources.create(SERVICE, SERVICE.parse(web)))
    database.secret(host=host)
    with pytest.raises(RotationFailure, match="setSecret: host: must be the name of a Service") as failure:
        database.rotate("t" * 32)
    assert host not in str(failure.value)


@pytest.mark.parametrize(
    ("member", "value"), [("engine", "mysql"), ("username", ""), ("username", "a\x00b"), ("password", "päss")]
)
def test_a_value_that_is_no_login_is_told_by_its_member(database: Database, member: str, value: str) -> None:
    database.add_service()
    database.secret(**{member: value})
    with pytest.raises(RotationFailure, match=f"createSecret: {member}: must be"):
        database.rotate("t" * 32)


def test_a_verifier_is_what_the_server_would_store(database: Database) -> None:
    database.sql(f"ALTER ROLE {quoted_name(USER)} PASSWORD '{verifier_of('second')}'")
    database.sql("SELECT 1", USER, "second")


def test_a_server_that_does_not_know_the_password_is_not_believed(database: Database) -> None:
    """It takes any proof, and cannot make its own."""
    import struct

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (length,) = struct.unpack("!i", await reader.readexactly(4))
        await reader.readexactly(length - 4)
        writer.write(b"R" + struct.pack("!ii", 23 + 1, 10) + b"SCRAM-SHA-256\x00\x00" + b"\x00")
        first = (await reader.read(4096)).decode("latin-1")
        nonce = first.rpartition("r=")[2]
        challenge = f"r={nonce}evil,s=c2FsdA==,i=4096".encode()
        writer.write(b"R" + struct.pack("!ii", 8 + len(challenge), 11) + challenge)
        await reader.read(4096)
        final = b"v=" + b"A" * 43 + b"="
        writer.write(b"R" + struct.pack("!ii", 8 + len(final), 12) + final)
        await writer.drain()

    async def work() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(PostgresError, match="not the one it claims to be"):
                await PostgresConnection.open("127.0.0.1", port, "app", "first", "postgres")

    database.run(work())
