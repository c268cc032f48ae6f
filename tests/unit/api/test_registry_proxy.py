"""The door to container images: who may pull and push, in the words of a registry, in front of a real HTTP server."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest
import uvicorn
from unit.api.components import House

from api.auth.principal import AUTHENTICATED, WORKERS, Principal
from api.registry_proxy import RegistryProxy

pytestmark = pytest.mark.anyio
WORKER = Principal("system:worker:one", frozenset({WORKERS, AUTHENTICATED}))


@asynccontextmanager
async def registry() -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """Answers every request with what it was asked, and keeps it."""
    asked: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        size, more = 0, True
        while more:
            message = await receive()
            size, more = size + len(message.get("body", b"")), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        asked.append(
            {"method": scope["method"], "path": scope["raw_path"].decode(), "headers": headers, "size": size}
        )
        await send(
            {"type": "http.response.start", "status": 202, "headers": [(b"location", b"/v2/x/blobs/uploads/1")]}
        )
        await send({"type": "http.response.body", "body": b"ok"})

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    async with anyio.create_task_group() as group:
        group.start_soon(server.serve)
        with anyio.fail_after(60):
            while not server.started:
                await anyio.lowlevel.checkpoint()
        yield f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", asked
        server.should_exit = True


@asynccontextmanager
async def door(house: House, address: str) -> AsyncIterator[httpx.AsyncClient]:
    images = RegistryProxy(address, house.authenticator, house.accounts, house.authorizer, house.tokens)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(images.serve), base_url="https://x") as client:  # type: ignore[arg-type]
        yield client
    await images.close()


def basic(user: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


async def test_workers_pull_and_do_not_push(house: House) -> None:
    await house.add_worker("one")
    async with registry() as (address, asked), door(house, address) as client:
        answer = await client.get("/v2/web/manifests/1?n=2", headers=house.bearer(WORKER))
        assert (answer.status_code, answer.headers["location"]) == (202, "/v2/x/blobs/uploads/1")
        assert asked[0]["path"] == "/v2/web/manifests/1"
        assert "authorization" not in asked[0]["headers"]
        refused = await client.post("/v2/web/blobs/uploads/", headers=house.bearer(WORKER))
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (403, "DENIED")
        assert len(asked) == 1


async def test_editors_push_with_a_token_for_their_password(house: House) -> None:
    await house.add_user("ada", "editor", password="correct horse")
    async with registry() as (address, asked), door(house, address) as client:
        token = (await client.get("/v2/token", headers=basic("ada", "correct horse"))).json()["token"]
        again = (await client.get("/v2/token", headers=basic("token", token))).json()["token"]
        content = b"x" * 3_000_000
        for each in (token, again):
            held = {"authorization": f"Bearer {each}"}
            assert (await client.put("/v2/web/blobs/1", headers=held, content=content)).status_code == 202
        assert [each["size"] for each in asked] == [3_000_000, 3_000_000]


async def test_docker_learns_where_to_get_a_token(house: House) -> None:
    async with registry() as (address, _), door(house, address) as client:
        through = {"host": "127.0.0.1:7444", "x-forwarded-proto": "http"}
        answer = await client.get("/v2/", headers=through)
        assert answer.status_code == 401 and answer.json()["errors"][0]["code"] == "UNAUTHORIZED"
        assert answer.headers["www-authenticate"] == 'Bearer realm="http://127.0.0.1:7444/v2/token",service="aerekos"'
        for headers in ({}, basic("ada", "wrong"), {"authorization": "Basic !!"}):
            assert (await client.get("/v2/token", headers=headers)).status_code == 401
        odd = await client.get("/v2/", headers={"host": 'x",realm="evil'})
        assert "evil" not in odd.headers["www-authenticate"]


async def test_without_a_registry_it_says_why(house: House) -> None:
    await house.add_worker("one")
    async with door(house, "") as client:
        answer = await client.get("/v2/", headers=house.bearer(WORKER))
        assert answer.status_code == 503 and "runs no Swarm" in answer.text
