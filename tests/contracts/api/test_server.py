"""What the server itself promises: TLS with and without a client certificate, sockets, limits, a quiet stop."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest
import websocket
import websockets
from contracts.api.conftest import Served, behind_a_gateway, read_all
from unit.api.components import ADMIN, HOW
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from api.tls import CertificateAuthority
from crds.kinds.config_map import CONFIG_MAP
from crds.kinds.namespace import NAMESPACE

pytestmark = pytest.mark.anyio
NAMESPACES = "/api/v1/namespaces"


async def whoami(served: Served, context: ssl.SSLContext) -> dict[str, Any]:
    """As whom the server sees who shows no token."""
    connection = await asyncio.open_connection("127.0.0.1", served.port, ssl=context, server_hostname="localhost")
    _, _, body = await read_all(*connection, b"GET /auth/whoami HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    return dict(json.loads(body))


async def test_a_client_certificate_is_a_name(served: Served, tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path / "tls", now=served.house.clock.now())
    certificate, key = authority.client("ann", "local-admin", ["system:masters"])
    context = ssl.create_default_context(cafile=str(authority.ca_file))
    assert (await whoami(served, context))["code"] == 401
    context.load_cert_chain(str(certificate), str(key))
    told = await whoami(served, context)
    assert (told["name"], "system:masters" in told["groups"]) == ("local-admin", True)


async def test_plain_http_gets_no_answer(served: Served) -> None:
    stream = await anyio.connect_tcp("127.0.0.1", served.port)
    await stream.send(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
    with anyio.fail_after(60), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
        while True:
            assert b"200" not in await stream.receive()
    await stream.aclose()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_old_tls_is_refused(served: Served) -> None:
    served.context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    served.context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((OSError, anyio.BrokenResourceError, anyio.EndOfStream)):
        await served.connect()


async def test_a_watch_over_a_socket(served: Served) -> None:
    token = served.house.bearer(ADMIN)["authorization"].removeprefix("Bearer ")
    bearer = "base64url.bearer.authorization.k8s.io." + base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
    url = f"wss://localhost:{served.port}{NAMESPACES}?watch=true"
    async with websockets.connect(url, ssl=served.context, subprotocols=["aerekos.lines", bearer]) as socket:
        assert socket.subprotocol == "aerekos.lines"
        with anyio.fail_after(60):
            assert json.loads(await socket.recv())["object"]["metadata"]["name"] == "default"
            await served.house.registry.create(NAMESPACE, "", {"metadata": {"name": "new"}}, HOW)
            event = json.loads(await socket.recv())
    assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "new")


async def test_each_frame_of_a_socket_is_a_record_of_its_own(tmp_path: Path) -> None:
    """A client that polls its socket cannot see what waits decrypted behind the frame it has read."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        for word in (b"one", b"two", b"three"):
            await send({"type": "websocket.send", "bytes": word})
        await send({"type": "websocket.close", "code": 1000})

    async with behind_a_gateway(app, tmp_path) as (port, authority):

        def behind_each_frame() -> list[tuple[bytes, int]]:
            options = {"ca_certs": str(authority.ca_file)}
            with closing(websocket.create_connection(f"wss://localhost:{port}/", sslopt=options, timeout=60)) as told:
                return [(bytes(told.recv_frame().data), told.sock.pending()) for _ in range(4)]

        words = await anyio.to_thread.run_sync(behind_each_frame)
    assert words == [(b"one", 0), (b"two", 0), (b"three", 0), ((1000).to_bytes(2), 0)]


async def test_a_refused_socket_says_why(served: Served) -> None:
    async with websockets.connect(
        f"wss://localhost:{served.port}{NAMESPACES}?watch=true", ssl=served.context
    ) as socket:
        with anyio.fail_after(60):
            assert json.loads(await socket.recv())["object"]["code"] == 401
            with pytest.raises(websockets.ConnectionClosed):
                await socket.recv()
    assert socket.close_code == 4401


async def test_a_body_larger_than_allowed_is_refused_before_it_is_kept(served: Served) -> None:
    code, _, body = await served.ask("POST", NAMESPACES, "content-type: application/json", body=b"x" * (4 * 2**20))
    assert (code, json.loads(body)["reason"]) == (413, "RequestEntityTooLarge")


async def test_the_server_does_not_say_what_it_is_made_of(served: Served) -> None:
    _, head, _ = await served.ask("GET", "/health")
    assert b"\r\nserver:" not in head


async def test_who_reads_late_leaves_the_crowd_and_still_gets_everything(served: Served) -> None:
    """More is written than the buffers of both ends hold, so the server has to wait for who does not read."""
    crowds = served.house.conductor._resources._watching._crowds
    watch = served.head("GET", f"{NAMESPACES}/default/configmaps?watch=true&resourceVersion=1")
    (quick, one), (late, other) = await served.connect(), await served.connect()
    one.write(watch)
    other.write(watch)
    told, told_late = events(quick), events(late)
    with anyio.fail_after(60):
        await until(lambda: [len(crowd) for crowd in crowds.values()] == [2])
        names = [f"large-{number}" for number in range(60)]
        for name in names:
            body = {"metadata": {"name": name}, "data": {"text": "x" * 300_000}}
            await served.house.registry.create(CONFIG_MAP, "default", body, HOW)
            assert await anext(told) == name
        assert [len(crowd) for crowd in crowds.values()] == [1]
        assert [await anext(told_late) for _ in names] == names
        await until(lambda: [len(crowd) for crowd in crowds.values()] == [2])
    one.close()
    other.close()


async def test_a_watch_that_ended_leaves_nothing_to_the_collector(served: Served) -> None:
    """What it left would be kept for minutes, with all buffers of its connection."""
    crowds = served.house.conductor._resources._watching._crowds
    gc.collect()
    gc.disable()
    try:
        _, writer = await served.connect()
        writer.write(served.head("GET", f"{NAMESPACES}/default/configmaps?watch=true&resourceVersion=1"))
        with anyio.fail_after(60):
            await until(lambda: bool(crowds))
            writer.close()
            await until(lambda: not crowds)
            await until(lambda: not any(isinstance(each, RequestResponseCycle) for each in gc.get_objects()))
    finally:
        gc.enable()


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - nobody tells tests of it
        await anyio.sleep(0.01)


async def events(reader: asyncio.StreamReader) -> AsyncIterator[str]:
    """The names of what changed, from a chunked answer."""
    await reader.readuntil(b"\r\n\r\n")
    rest = b""
    while size := int(await reader.readline(), 16):
        *lines, rest = (rest + (await reader.readexactly(size + 2))[:-2]).split(b"\n")
        for line in lines:
            yield json.loads(line)["object"]["metadata"]["name"]
