"""Every AWS call and every read of a secret leaves who, with which key, what, on what; no caller can forge it."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from clouds import Cloud, a_port, eventually
from unit.api.components import ADMIN, House, make_house

from services.sdk.asgi import audit_headers, note_action

SECRETS = "/api/v1/namespaces/default/secrets"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(tmp_path)
    yield made
    await made.close()


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


# without processes


@pytest.mark.anyio
async def test_reads_of_secrets_are_noted_and_other_reads_are_not(house: House, tmp_path: Path) -> None:
    body = {"metadata": {"name": "db"}, "stringData": {"password": "hunter2-hunter2"}}
    async with house.client(house.bearer(ADMIN)) as client:
        assert (await client.post(SECRETS, json=body)).status_code == 201
        await client.get(f"{SECRETS}/db")
        await client.get("/api/v1/secrets")
        await client.get("/api/v1/namespaces/default/configmaps")
    told = [(line["verb"], line["objectRef"]) for line in read(tmp_path / "audit.log")]
    place = {"resource": "secrets", "namespace": "default", "apiVersion": "v1"}
    assert told == [
        ("create", place),
        ("get", {**place, "name": "db"}),
        ("list", {"resource": "secrets", "apiVersion": "v1"}),
    ]
    assert b"hunter2" not in (tmp_path / "audit.log").read_bytes()


@pytest.mark.anyio
async def test_whoever_is_refused_is_noted_with_the_reason(house: House, tmp_path: Path) -> None:
    await house.add_user("vera", "viewer", password="a long enough one")
    async with house.client() as client:
        login = await client.post("/auth/login", json={"username": "vera", "password": "a long enough one"})
        mine = {"authorization": f"Bearer {login.json()['accessToken']}"}
        assert (await client.get("/api/v1/namespaces/default/configmaps", headers=mine)).status_code == 200
        assert (await client.get(f"{SECRETS}/db", headers=mine)).status_code == 403
        assert (await client.get("/audit", headers=mine)).status_code == 403
    _, secret, audit = read(tmp_path / "audit.log")
    assert (secret["user"], secret["decision"], secret["objectRef"]["name"]) == ("vera", "forbid", "db")
    assert secret["sid"] == house.accounts.sessions.of("vera")[0][1].metadata.name
    assert 'User "vera" cannot get resource "secrets"' in secret["reason"]
    assert (audit["path"], audit["decision"]) == ("/audit", "forbid") and audit["reason"]


class _Instance:
    """A managed service that tells the audit log what it did, as the SDK does."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.server.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        scope: dict[str, Any] = {}
        note_action(scope, "kms:Decrypt", "arn:aws:kms:us-east-1:000000000000:key/1\r\nx: y", caller="ada")
        told = b"".join(b"%b: %b\r\n" % header for header in audit_headers(scope["state"]))
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n" + told + b"\r\n{}"
                )


@pytest.mark.anyio
async def test_a_caller_cannot_forge_what_the_service_tells(house: House, tmp_path: Path) -> None:
    instance = _Instance()
    await house.add_service("key-manager", instance.address)
    forged = {"x-aerekos-audit-action": "s3:Nothing", "x-aerekos-audit-caller": "somebody-else"}
    async with house.client(house.bearer(ADMIN)) as client:
        answers = [
            await client.post("/services/key-manager/", content=b"{}", headers=forged),
            await client.get("/services/key-manager/keys/default/k", headers=forged),  # a read leaves as much
        ]
    instance.server.close()
    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("x-aerekos-audit")]  # it stays in the house
    posted, got = read(tmp_path / "audit.log")
    assert got["path"] == "/services/key-manager/keys/default/k"
    for line in (posted, got):
        assert (line["action"], line["user"]) == ("kms:Decrypt", ADMIN.name)
        assert line["resource"].startswith("arn:aws:kms:us-east-1:000000000000:key/1")


@pytest.mark.anyio
async def test_an_unproven_aws_call_is_noted_with_the_key_it_claims(house: House, tmp_path: Path) -> None:
    request = AWSRequest("POST", "https://cloud.test/", data=b"{}")
    SigV4Auth(Credentials("AKIACLAIMED", "wrong"), "kms", "us-east-1").add_auth(request)
    async with house.client(dict(request.headers.items())) as client:
        await client.post("/", content=b"{}")
    (line,) = read(tmp_path / "audit.log")
    assert line["accessKey"] == "AKIACLAIMED" and line["code"] >= 400


# a whole cloud


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    running = Cloud(tmp_path_factory.mktemp("audited") / "home", a_port())
    said = running.command("up", "--timeout", "200", timeout=240)
    assert said.code == 0, said
    yield running
    running.command("down")
    shutil.rmtree(running.home, ignore_errors=True)


def noted(cloud: Cloud, action: str) -> list[dict[str, Any]]:
    return [line for line in read(cloud.home / "logs" / "audit.log") if line.get("action") == action]


def test_kms_and_s3_calls_of_the_aws_cli_are_attributed(cloud: Cloud, tmp_path: Path) -> None:
    access = cloud.aws_env()["AWS_ACCESS_KEY_ID"]
    made = cloud.kms("create-key")["KeyMetadata"]
    sealed = cloud.kms("encrypt", "--key-id", made["KeyId"], "--plaintext", "c2VjcmV0")["CiphertextBlob"]
    blob = tmp_path / "blob"
    blob.write_bytes(base64.b64decode(sealed))
    cloud.kms("decrypt", "--ciphertext-blob", f"fileb://{blob}")
    file = tmp_path / "photo.jpg"
    file.write_bytes(b"x" * 100)
    for command in (("mb", "s3://albums"), ("cp", str(file), "s3://albums/2026/photo.jpg")):
        assert cloud.aws("s3", *command).code == 0
    assert cloud.aws("s3api", "get-object", "--bucket", "albums", "--key", "2026/photo.jpg", str(file)).code == 0
    (decrypt,) = eventually(lambda: noted(cloud, "kms:Decrypt"), "the decryption is noted")
    assert decrypt["resource"] == made["Arn"]
    assert (decrypt["accessKey"], decrypt["user"], decrypt["decision"]) == (access, "admin", "allow")
    (read_object,) = eventually(lambda: noted(cloud, "s3:GetObject"), "the download is noted")
    assert read_object["resource"] == "arn:aws:s3:::albums/2026/photo.jpg"
    assert (read_object["accessKey"], read_object["user"]) == (access, "admin")
    assert noted(cloud, "s3:PutObject") and noted(cloud, "s3:CreateBucket")
    assert b"c2VjcmV0" not in (cloud.home / "logs" / "audit.log").read_bytes()


def test_storage_asks_for_keys_in_its_own_name_and_that_is_noted(cloud: Cloud) -> None:
    lines = [line for line in noted(cloud, "kms:GenerateDataKey") if "storage-manager" in line["user"] + line["by"]]
    assert lines and all(line["resource"].startswith("arn:aws:kms:") for line in lines)


def test_a_forged_signature_is_noted_as_refused(cloud: Cloud) -> None:
    said = cloud.aws("kms", "list-keys", AWS_SECRET_ACCESS_KEY="not-the-secret")
    assert said.code != 0
    lines = eventually(
        lambda: [x for x in read(cloud.home / "logs" / "audit.log") if x.get("decision") == "forbid"],
        "the refusal is noted",
    )
    assert lines[-1]["accessKey"] == cloud.aws_env()["AWS_ACCESS_KEY_ID"]


def test_huge_user_agents_over_the_wire_leave_the_log_and_the_conductor_small(cloud: Cloud) -> None:
    """What the attacker did, as it was done: the edge ends it long before the audit log has to."""
    log = cloud.home / "logs" / "audit.log"
    before, conductor = log.stat().st_size, psutil.Process(cloud.conductor_pid())
    used = conductor.memory_info().rss
    for _ in range(24):
        with cloud.http() as client, suppress(httpx.HTTPError):
            answer = client.post("/api/v1/namespaces", headers={"user-agent": "x" * (4 * 2**20)}, json={})
            assert answer.status_code == 431
    assert log.stat().st_size - before < 24 * 16 * 1024
    assert conductor.memory_info().rss - used < 100 * 2**20
    assert cloud.command("get", "namespaces").code == 0


def test_the_log_of_a_running_cloud_verifies_and_a_change_shows(cloud: Cloud) -> None:
    assert "nothing was changed" in cloud.do("audit", "verify")
    copy = cloud.home / "copy.log"
    copy.write_bytes((cloud.home / "logs" / "audit.log").read_bytes().replace(b'"code":200', b'"code":201', 1))
    said = cloud.command("audit", "verify", str(copy))
    assert said.code == 1 and "was changed" in said.out
