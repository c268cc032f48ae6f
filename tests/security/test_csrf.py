"""A page of somebody else acts for nobody, though the browser shows it a certificate; and nothing secret is kept."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from unit.api.components import HOW, House, make_house

from crds.kinds.secret import SECRET

pytestmark = pytest.mark.anyio
PEER = ((("organizationName", "system:masters"),), (("commonName", "admin"),))
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
BODY = b'{"metadata":{"name":"forged"},"data":{}}'
JSON = (b"content-type", b"application/json")
HOST = (b"host", b"cloud.test")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(tmp_path)
    await made.add_user("ann", "admin", password="correct horse battery")
    yield made
    await made.close()


async def sent(house: House, method: str, path: str, *headers: tuple[bytes, bytes], body: bytes = b"") -> Any:
    """Code, headers and body of the answer to a browser that shows the local admin's certificate."""
    told: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        told.append(message)

    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [HOST, (b"content-length", str(len(body)).encode()), *headers],
        "extensions": {"aerekos.peer": PEER},
        "client": ("203.0.113.9", 1),
    }
    await house.door(scope, receive, send)
    return told[0]["status"], dict(told[0]["headers"]), b"".join(each.get("body", b"") for each in told[1:])


@pytest.mark.parametrize(
    "headers",
    [
        (),  # fetch(url, {method: "POST", mode: "no-cors", body: new Blob([...])})
        ((b"content-type", b"text/plain"),),
        ((b"content-type", b"application/x-www-form-urlencoded"),),
        ((b"content-type", b"multipart/form-data; boundary=x"),),
    ],
)
@pytest.mark.parametrize("path", [CONFIG_MAPS, "/auth/password", "/auth/logout-all", "/agents/register"])
async def test_what_a_form_can_send_changes_nothing(
    house: House, path: str, headers: tuple[tuple[bytes, bytes], ...]
) -> None:
    code, _, _ = await sent(house, "POST", path, *headers, body=BODY)
    assert code == 415
    assert not house.store.list("", "configmaps").records


@pytest.mark.parametrize(
    "agent",
    [
        (b"user-agent", b"kubectl/v1.20.15 (linux/amd64) kubernetes/8f1e5bf"),
        (b"kubectl-command", b"kubectl create"),  # with --raw, by a program of any name
    ],
)
async def test_a_kubectl_that_names_no_type_is_no_browser(house: House, agent: tuple[bytes, bytes]) -> None:
    code, _, _ = await sent(house, "POST", CONFIG_MAPS, agent, (b"origin", b"https://evil.example"), body=BODY)
    assert code in (403, 415) and not house.store.list("", "configmaps").records
    code, _, _ = await sent(house, "POST", CONFIG_MAPS, agent, body=BODY)
    assert code == 201


@pytest.mark.parametrize(
    "said",
    [
        (b"origin", b"https://evil.example"),
        (b"origin", b"https://cloud.test:9443"),
        (b"origin", b"null"),
        (b"sec-fetch-site", b"cross-site"),
        (b"sec-fetch-site", b"same-site"),
    ],
)
async def test_a_certificate_does_not_count_for_pages_of_others(house: House, said: tuple[bytes, bytes]) -> None:
    for method, path, body in (
        ("POST", CONFIG_MAPS, BODY),
        ("GET", "/audit", b""),
        ("POST", "/auth/logout-all", b""),
    ):
        code, _, _ = await sent(house, method, path, JSON, said, body=body)
        assert code == 401, (method, path)
    assert not house.store.list("", "configmaps").records


async def test_the_admin_s_own_tools_go_on_working(house: House) -> None:
    assert (await sent(house, "POST", CONFIG_MAPS, JSON, body=BODY))[0] == 201
    for kind in (b"application/merge-patch+json", b"application/strategic-merge-patch+json"):
        patch = (b"content-type", kind)
        assert (await sent(house, "PATCH", f"{CONFIG_MAPS}/forged", patch, body=b'{"data":{"a":"b"}}'))[0] == 200
    apply = (b"content-type", b"application/apply-patch+yaml")
    body = orjson.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "forged"}, "data": {"c": "d"}})
    assert (await sent(house, "PATCH", f"{CONFIG_MAPS}/forged?fieldManager=x", apply, body=body))[0] == 200
    assert (await sent(house, "DELETE", f"{CONFIG_MAPS}/forged"))[0] == 200
    assert (await sent(house, "GET", "/audit", (b"sec-fetch-site", b"none")))[0] == 200


async def test_what_carries_secrets_is_kept_by_nobody(house: House) -> None:
    secret = {"metadata": {"name": "s"}, "data": {"p": base64.b64encode(b"hunter2").decode()}}
    await house.registry.create(SECRET, "default", secret, HOW)
    for path in (
        "/api/v1/namespaces/default/secrets",
        "/api/v1/namespaces/default/secrets/s",
        "/auth/whoami",
        "/audit",
        "/agents/leases",
        "/v2/token",
        "/apis/aerekos.cloud/v1/users",
    ):
        _, headers, _ = await sent(house, "GET", path)
        assert headers.get(b"cache-control") == b"no-store", path
    login = orjson.dumps({"username": "ann", "password": "correct horse battery"})
    code, headers, _ = await sent(house, "POST", "/auth/login", JSON, body=login)
    assert code == 200 and headers[b"cache-control"] == b"no-store"
    _, headers, _ = await sent(house, "GET", "/apis/aerekos.cloud/v1")
    assert b"cache-control" not in headers, "clients keep what there is to ask for good reason"
