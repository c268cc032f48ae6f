"""The agent's door to images, between a real client and a real server: what passes, and what is said if it cannot."""

from __future__ import annotations

import hashlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
from served import served

from agent.errors import AgentError
from agent.swarm.registry_proxy import RegistryProxy
from agent.swarm.upstream import Upstream
from api.tls import CertificateAuthority

pytestmark = pytest.mark.anyio
PIECE = b"x" * 65536


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Conductor:
    """Keeps what it was asked. `answers` is an ASGI application for the answer; without one it says 200 and ok."""

    asked: list[dict[str, Any]] = field(default_factory=list)
    answers: Callable[..., Any] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        kept = {
            "method": scope["method"],
            "path": scope["raw_path"].decode(),
            "query": scope["query_string"].decode(),
        }
        headers = [(name.decode(), value.decode()) for name, value in scope["headers"]]
        self.asked.append({**kept, "headers": dict(headers), "names": [name for name, _ in headers]})
        if self.answers is not None:
            await self.answers(receive, send)
            return
        digest, size, more = hashlib.sha256(), 0, True
        while more:
            message = await receive()
            digest.update(message.get("body", b""))
            size, more = size + len(message.get("body", b"")), message.get("more_body", False)
        self.asked[-1] |= {"size": size, "sha256": digest.hexdigest()}
        await _start(send, 200, (b"location", b"/v2/x/blobs/uploads/1"), (b"docker-content-digest", b"sha256:1"))
        await send({"type": "http.response.body", "body": b"ok"})


async def _start(send: Any, status: int, *headers: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})


@dataclass
class House:
    conductor: Conductor
    door: RegistryProxy
    client: httpx.AsyncClient
    road: Upstream
    lost: str = ""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A conductor that speaks TLS with a certificate for another address: its own has changed since."""
    authority = CertificateAuthority(tmp_path / "tls", now=datetime.now(UTC))
    certificate, key = authority.server(["localhost", "conductor.example"])
    conductor = Conductor()
    async with served(conductor, ssl_certfile=str(certificate), ssl_keyfile=str(key)) as address:
        made: House

        async def road() -> Upstream:
            if made.lost:
                raise AgentError(made.lost)
            return made.road

        door = RegistryProxy("127.0.0.1:0", road)
        async with served(door) as here, httpx.AsyncClient(base_url=f"http://{here}", timeout=60) as client:
            known = Upstream((f"https://{address}",), "mine", authority.ca_file.read_text())
            made = House(conductor, door, client, known)
            yield made
            await door._client.close()


def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"https://127.0.0.1:{probe.getsockname()[1]}"


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "PATCH", "DELETE"])
async def test_requests_pass_as_they_are(house: House, method: str) -> None:
    answer = await house.client.request(
        method, "/v2/a%2Fb/blobs/sha256:1?mount=x&from=y%20z", headers={"X-Own": "1", "Accept": "a/b"}
    )
    (asked,) = house.conductor.asked
    assert (asked["method"], asked["path"], asked["query"]) == (
        method,
        "/v2/a%2Fb/blobs/sha256:1",
        "mount=x&from=y%20z",
    )
    assert asked["headers"]["x-own"] == "1" and asked["headers"]["accept"] == "a/b"
    assert asked["headers"]["host"] == house.client.base_url.netloc.decode(), "clients are sent back to this door"
    assert asked["headers"]["x-forwarded-proto"] == "http"
    assert sorted(set(asked["names"])) == sorted(asked["names"]), "nothing is said twice"
    assert (answer.text, answer.headers["location"]) == ("ok", "/v2/x/blobs/uploads/1")
    assert answer.headers["docker-content-digest"] == "sha256:1"


async def test_a_head_has_the_length_of_what_it_leaves_out(house: House) -> None:
    async def head(_: Any, send: Any) -> None:
        await _start(send, 200, (b"content-length", b"1234567"))
        await send({"type": "http.response.body", "body": b""})

    house.conductor.answers = head
    answer = await house.client.head("/v2/x/manifests/1")
    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, "1234567", b"")


async def test_only_who_asks_for_a_token_gets_this_workers(house: House) -> None:
    await house.client.get("/v2/token?scope=x")
    await house.client.get("/v2/token", headers={"Authorization": "Basic eDp5"})
    await house.client.get("/v2/x/manifests/1")
    given = [each["headers"].get("authorization") for each in house.conductor.asked]
    assert given == ["Bearer mine", "Basic eDp5", None]


async def test_refusals_pass_as_they_are(house: House) -> None:
    async def refuse(_: Any, send: Any) -> None:
        await _start(send, 401, (b"www-authenticate", b'Bearer realm="http://127.0.0.1:7444/v2/token"'))
        await send({"type": "http.response.body", "body": b"no"})

    house.conductor.answers = refuse
    answer = await house.client.get("/v2/")
    assert (answer.status_code, answer.text) == (401, "no")
    assert answer.headers["www-authenticate"].startswith("Bearer realm=")


@pytest.mark.parametrize("path", ["/", "/v1/x", "/v2x/secret", "/auth/login"])
async def test_nothing_but_images_passes(house: House, path: str) -> None:
    answer = await house.client.get(path)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, "UNSUPPORTED")
    assert not house.conductor.asked


@pytest.mark.parametrize("path", ["/v2/../auth/login", "/v3/../v2/x", "/v2/%2e%2e/auth/login", "//v2/x", "/v2/x/.."])
async def test_no_path_leads_around_it(house: House, path: str) -> None:
    """Written to the wire as it stands: clients that behave would tidy it up."""
    async with await anyio.connect_tcp("127.0.0.1", house.client.base_url.port or 0) as wire:
        await wire.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert (await wire.receive()).startswith(b"HTTP/1.1 404")
    assert not house.conductor.asked


async def test_a_conductor_that_is_away_is_told_as_registries_do(house: House) -> None:
    house.road = Upstream((closed_port(),), "mine", house.road.ca)
    answer = await house.client.get("/v2/x/manifests/1")
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (503, "UNAVAILABLE")
    assert "conductor does not answer" in error["message"]
    house.lost = "this machine has not joined yet"
    assert "has not joined yet" in (await house.client.get("/v2/")).json()["errors"][0]["message"]
    house.lost, house.road = "", Upstream((), "mine", house.road.ca)
    assert (await house.client.get("/v2/")).status_code == 503


async def test_another_ca_is_not_trusted(house: House, tmp_path: Path) -> None:
    other = CertificateAuthority(tmp_path / "other", now=datetime.now(UTC)).ca_file.read_text()
    house.road = Upstream(house.road.urls, "mine", other)
    answer = await house.client.get("/v2/token")
    assert answer.status_code == 503 and not house.conductor.asked


async def test_the_next_manager_is_asked_when_one_is_away(house: House) -> None:
    house.road = Upstream((closed_port(), *house.road.urls), "mine", house.road.ca)
    answer = await house.client.put("/v2/x/blobs/1", content=b"all of it")
    assert answer.status_code == 200 and house.conductor.asked[0]["size"] == 9


async def test_a_large_layer_goes_up_piece_by_piece(house: House) -> None:
    """Sent without a length, as `docker push` does; what the proxy holds meanwhile does not grow."""
    digest = hashlib.sha256(PIECE * 1600)

    async def layer() -> AsyncIterator[bytes]:
        for _ in range(1600):
            yield PIECE

    answer = await house.client.patch("/v2/x/blobs/uploads/1", content=layer())
    assert answer.status_code == 200
    assert house.conductor.asked[0]["sha256"] == digest.hexdigest()


async def test_who_reads_slowly_holds_the_sender_up(house: House) -> None:
    """Constant memory: what nobody has read yet waits at the conductor, not here."""
    sent = 0

    async def layer(_: Any, send: Any) -> None:
        nonlocal sent
        await _start(send, 200, (b"content-length", str(len(PIECE) * 3000).encode()))
        for _ in range(3000):
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
            sent += len(PIECE)
        await send({"type": "http.response.body", "body": b""})

    house.conductor.answers = layer
    read = 0
    async with house.client.stream("GET", "/v2/x/blobs/sha256:1") as answer:
        pieces = answer.aiter_raw()
        read += len(await anext(pieces))
        before = -1
        while before != sent:  # until nothing moves any more
            before = sent
            await anyio.sleep(0.3)
        assert sent < 40 * 2**20, "the rest of 187 MiB has not been asked for"
        async for piece in pieces:
            read += len(piece)
    assert read == len(PIECE) * 3000


async def test_half_a_layer_is_never_taken_for_a_whole_one(house: House) -> None:
    async def broken(_: Any, send: Any) -> None:
        await _start(send, 200)  # chunked: only the end of the stream says that it is all
        await send({"type": "http.response.body", "body": PIECE, "more_body": True})
        raise ConnectionResetError("the conductor was killed")

    house.conductor.answers = broken
    with pytest.raises(httpx.RemoteProtocolError):
        await house.client.get("/v2/x/blobs/sha256:1")


async def test_what_nobody_waits_for_is_not_fetched(house: House) -> None:
    ended = anyio.Event()

    async def endless(receive: Any, send: Any) -> None:
        await _start(send, 200)
        async with anyio.create_task_group() as tasks:

            async def until_left() -> None:
                while (await receive())["type"] != "http.disconnect":
                    continue
                ended.set()
                tasks.cancel_scope.cancel()

            tasks.start_soon(until_left)
            while True:
                await send({"type": "http.response.body", "body": PIECE, "more_body": True})
                await anyio.lowlevel.checkpoint()

    house.conductor.answers = endless
    async with house.client.stream("GET", "/v2/x/blobs/sha256:1") as answer:
        await anext(answer.aiter_raw())
    with anyio.fail_after(60):
        await ended.wait()


async def test_a_taken_port_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.swarm.registry_proxy.RETRY_SECONDS", 0.1)

    async def road() -> Upstream:
        raise AgentError("not yet")

    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(RegistryProxy(f"127.0.0.1:{port}", road).run)
            await anyio.sleep(0.3)
            holder.close()
            with anyio.fail_after(60):
                while True:
                    try:
                        answer = await httpx.AsyncClient().get(f"http://127.0.0.1:{port}/v2/")
                        break
                    except httpx.HTTPError:
                        await anyio.sleep(0.05)
            assert answer.status_code == 503
            tasks.cancel_scope.cancel()


def test_the_ca_is_all_that_is_trusted(tmp_path: Path) -> None:
    from agent.conductor_client import tls_context

    context = tls_context(CertificateAuthority(tmp_path / "tls", now=datetime.now(UTC)).ca_file.read_text())
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert len(context.get_ca_certs()) == 1
