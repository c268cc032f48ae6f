"""Secrets of secrets_manager over the resource API: nobody writes or takes away a version but the service itself, and
no way of asking loses values at once. What AWS's API refuses is tested with the service.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from unit.api.components import ADMIN, HOW, House, make_house

from api.auth.principal import AUTHENTICATED, SERVICES, Principal
from api.tls import CertificateAuthority
from controller.resources.strategy import WriteOptions
from crds.errors import Conflict, Forbidden, Invalid
from crds.invariants import CONDUCTOR
from crds.model import rfc3339
from services.key_manager.kinds import KEY, KEY_ALIAS
from services.secrets_manager.invariants import SECRETS_MANAGER
from services.secrets_manager.kinds import MANAGED_SECRET, SECRET_VERSION, ManagedSecretSpec, RotationRules
from services.secrets_manager.rotation import RotationFailure
from services.secrets_manager.secret import FoundSecret
from services.secrets_manager.webhooks import WebhookRotator

pytestmark = pytest.mark.anyio
SECRETS = "/apis/aerekos.cloud/v1/namespaces/default/managedsecrets"
VERSIONS = "/apis/aerekos.cloud/v1/namespaces/default/secretversions"
US = WriteOptions(by=SECRETS_MANAGER)
MERGE = {"content-type": "application/merge-patch+json"}
OTHER = Principal("system:service:storage-manager", frozenset({SERVICES, AUTHENTICATED}))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(tmp_path)
    for kind in (MANAGED_SECRET, SECRET_VERSION):
        made.registry.catalog.add(kind)
    await made.registry.create(MANAGED_SECRET, "default", {"metadata": {"name": "db"}}, HOW)
    await made.registry.create(SECRET_VERSION, "default", version(made), US)
    status = {"status": {"versions": [{"versionId": "v", "createdAt": rfc3339(made.clock.now()), "key": "k"}]}}
    await made.registry.merge(MANAGED_SECRET, MANAGED_SECRET.key("db"), status, US, subresource="status")
    yield made
    await made.close()


def version(house: House, name: str = "sv-db") -> dict[str, Any]:
    uid = house.store.get(MANAGED_SECRET.key("db"))
    assert uid is not None
    spec = {"secretUid": uid.object["metadata"]["uid"], "versionId": "v", "key": "k", "wrapped": "", "sealed": ""}
    return {"metadata": {"name": name}, "spec": spec}


def is_there(house: House) -> bool:
    secret, value = house.store.get(MANAGED_SECRET.key("db")), house.store.get(SECRET_VERSION.key("sv-db"))
    return value is not None and secret is not None and not secret.object["metadata"].get("deletionTimestamp")


DELETES = {
    "plain": f"{SECRETS}/db",
    "forced": f"{SECRETS}/db?gracePeriodSeconds=0",
    "foreground": f"{SECRETS}/db?propagationPolicy=Foreground",
    "all of them": SECRETS,
    "by label": f"{SECRETS}?labelSelector=",
}


@pytest.mark.parametrize("how", DELETES)
async def test_no_delete_loses_values_at_once(house: House, how: str) -> None:
    async with house.client(house.bearer(ADMIN)) as client:
        answer = await client.delete(DELETES[how])
    assert answer.status_code == 409 and "aws secretsmanager delete-secret" in answer.json()["message"]
    assert is_there(house)


@pytest.mark.parametrize("days", [-1, 0, 6, 31])
async def test_a_deletion_date_is_a_week_to_a_month_ahead(house: House, days: int) -> None:
    date = rfc3339(house.clock.now() + timedelta(days=days))
    async with house.client(house.bearer(ADMIN)) as client:
        answer = await client.patch(f"{SECRETS}/db", json={"spec": {"deletionDate": date}}, headers=MERGE)
    assert answer.status_code == 422 and "7 to 30 days ahead" in answer.json()["message"]


@pytest.mark.parametrize("change", [{"secretName": "other"}, {"region": "eu-west-1"}])
async def test_what_its_arn_is_made_of_stays(house: House, change: dict[str, str]) -> None:
    async with house.client(house.bearer(ADMIN)) as client:
        answer = await client.patch(f"{SECRETS}/db", json={"spec": change}, headers=MERGE)
    assert answer.status_code == 422, answer.text


async def test_a_secret_is_called_after_its_name_and_takes_no_other_s_place(house: House) -> None:
    async with house.client(house.bearer(ADMIN)) as client:
        body = {"metadata": {"name": "mine"}, "spec": {"secretName": "prod/db"}}
        answer = await client.post(SECRETS, json=body)
    assert answer.status_code == 422 and "prod-db-" in answer.json()["message"]


@pytest.mark.parametrize("method", ["create", "exchange", "delete"])
async def test_nobody_writes_a_version_not_even_an_admin(house: House, method: str) -> None:
    async with house.client(house.bearer(ADMIN)) as client:
        answer = await written(house, client, method)
    assert answer.status_code == 403, answer.text
    assert is_there(house)


async def written(house: House, client: httpx.AsyncClient, method: str) -> httpx.Response:
    if method == "create":
        return await client.post(VERSIONS, json=version(house, "sv-mine"))
    if method == "exchange":
        return await client.patch(f"{VERSIONS}/sv-db", json={"spec": {"sealed": "mine"}}, headers=MERGE)
    return await client.delete(f"{VERSIONS}/sv-db")


@pytest.mark.parametrize("role", ["editor", "viewer"])
async def test_sealed_values_are_seen_by_nobody_who_is_no_admin(house: House, role: str) -> None:
    await house.add_user("eve", role)
    eve = house.accounts.user("eve")
    assert eve is not None
    from api.auth.accounts import principal_of

    async with house.client(house.bearer(principal_of(eve))) as client:
        assert (await client.get(VERSIONS)).status_code == 403
        assert (await client.get(f"{VERSIONS}/sv-db")).status_code == 403


async def test_another_service_touches_neither(house: House) -> None:
    async with house.client(house.bearer(OTHER)) as client:
        for path in (SECRETS, VERSIONS, f"{VERSIONS}/sv-db"):
            assert (await client.get(path)).status_code == 403


async def test_who_cleans_up_takes_versions_along_and_writes_none(house: House) -> None:
    cleaner = WriteOptions(by=CONDUCTOR)
    with pytest.raises(Forbidden):
        await house.registry.create(SECRET_VERSION, "default", version(house, "sv-mine"), cleaner)
    with pytest.raises(Conflict):
        await house.registry.delete(MANAGED_SECRET, MANAGED_SECRET.key("db"), cleaner)
    await house.registry.delete(MANAGED_SECRET, MANAGED_SECRET.key("db"), US)
    await house.registry.delete(SECRET_VERSION, SECRET_VERSION.key("sv-db"), cleaner)
    assert not is_there(house)


@pytest.mark.parametrize("named", ["mine", "arn:aws:kms:us-east-1:000000000000:key/mine", "alias/mine"])
async def test_a_key_that_a_secret_needs_is_not_deleted(house: House, named: str) -> None:
    """Named by the secret, or by what one of its versions is sealed with."""
    for kind in (KEY, KEY_ALIAS):
        house.registry.catalog.add(kind)
    await house.registry.create(KEY, "default", {"metadata": {"name": "mine"}}, HOW)
    alias = {"metadata": {"name": "mine"}, "spec": {"key": "mine", "aliasName": "alias/mine"}}
    await house.registry.create(KEY_ALIAS, "default", alias, HOW)
    body = {"metadata": {"name": "sealed"}, "spec": {"kmsKeyId": named}}
    await house.registry.create(MANAGED_SECRET, "default", body, HOW)
    date = {"spec": {"deletionDate": rfc3339(house.clock.now() + timedelta(days=10))}}
    with pytest.raises(Conflict, match="ManagedSecret sealed"):
        await house.registry.merge(KEY, KEY.key("mine"), date, HOW)
    await house.registry.merge(MANAGED_SECRET, MANAGED_SECRET.key("sealed"), {"spec": {"kmsKeyId": ""}}, HOW)
    version = {"versionId": "v", "createdAt": rfc3339(house.clock.now()), "key": named}
    status = {"status": {"versions": [version]}}
    await house.registry.merge(MANAGED_SECRET, MANAGED_SECRET.key("sealed"), status, US, subresource="status")
    with pytest.raises(Conflict, match="ManagedSecret sealed"):
        await house.registry.merge(KEY, KEY.key("mine"), date, HOW)


@pytest.mark.parametrize(
    "spec",
    [
        {"policy": "garbage"},
        {"tags": {"aws:x": "1"}},
        {"rotation": {"target": "http://a.example/"}},
        {"rotation": {"target": "https://a.example/", "schedule": "daily"}},
        {"delivery": {"secret": "../x"}},
    ],
)
async def test_what_is_no_secret_is_refused_by_its_field(house: House, spec: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match=next(iter(spec))):
        await house.registry.create(MANAGED_SECRET, "default", {"metadata": {"name": "x"}, "spec": spec}, HOW)


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "127.1", "0.0.0.0"]
)
async def test_a_webhook_leads_to_no_address_of_this_machine(host: str) -> None:
    """Whatever it is called by: a real name is asked for, and a port listens for whoever comes."""
    connections: list[object] = []
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):

        async def note(stream: anyio.abc.SocketStream) -> None:
            connections.append(stream)

        tasks.start_soon(listener.serve, note)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        rules = RotationRules(target=f"https://{host}:{port}/")
        secret = MANAGED_SECRET.new("db", namespace="default", spec=ManagedSecretSpec(rotation=rules))
        async with httpx.AsyncClient(trust_env=False) as http:
            with pytest.raises(RotationFailure):
                await WebhookRotator(http).carry_out("createSecret", FoundSecret(secret), "t" * 32)
        tasks.cancel_scope.cancel()
    assert connections == []


@dataclass
class Webhook:
    """Whoever listens for rotations, over real TLS, and what came."""

    http: httpx.AsyncClient
    port: int
    asked: list[bytes]

    async def carry_out(self, host: str) -> None:
        rules = RotationRules(target=f"https://{host}:{self.port}/rotate?x=1")
        secret = MANAGED_SECRET.new("db", namespace="default", spec=ManagedSecretSpec(rotation=rules))

        async def resolve(name: str, port: int) -> list[str]:
            return ["127.0.0.1"]

        rotator = WebhookRotator(self.http, resolve, is_allowed=lambda address: True)
        await rotator.carry_out("createSecret", FoundSecret(secret), "t" * 32)


@asynccontextmanager
async def a_webhook(folder: Path, answer: bytes) -> AsyncIterator[Webhook]:
    authority, asked = CertificateAuthority(folder / "tls", now=datetime.now(UTC)), list[bytes]()
    serves = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serves.load_cert_chain(*authority.server(["rotator.example.com"]))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(65_536))
        writer.write(b"HTTP/1.1 " + answer + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    trust = ssl.create_default_context(cafile=str(authority.ca_file))
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=serves)
    async with server, httpx.AsyncClient(verify=trust, trust_env=False) as http:
        yield Webhook(http, server.sockets[0].getsockname()[1], asked)


async def test_a_webhook_is_told_which_version_and_nothing_secret(tmp_path: Path) -> None:
    async with a_webhook(tmp_path, b"204 No Content") as webhook:
        await webhook.carry_out("rotator.example.com")
        head, _, body = webhook.asked[0].partition(b"\r\n\r\n")
        assert head.startswith(b"POST /rotate?x=1 HTTP/1.1") and b"authorization" not in head.lower()
        assert f"host: rotator.example.com:{webhook.port}".encode() in head.lower()
        assert set(json.loads(body)) == {"Step", "SecretId", "ClientRequestToken"}


async def test_a_webhook_proves_its_name_and_leads_nowhere_else(tmp_path: Path) -> None:
    async with a_webhook(tmp_path, b"302 Found\r\nlocation: https://169.254.169.254/") as webhook:
        with pytest.raises(RotationFailure, match="its certificate is not trusted"):
            await webhook.carry_out("other.example.com")
        assert webhook.asked in ([], [b""]), "nothing was said to it"
        with pytest.raises(RotationFailure, match="answered 302"):
            await webhook.carry_out("rotator.example.com")
