"""Addresses that people chose: what is judged is what is connected to, and nothing of this cloud is reached."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress

import anyio
import anyio.abc
import httpx
import pytest

from services.sdk.outbound import OutboundFault, OutboundHttp, is_outside, is_public, open_outbound
from services.sdk.testing import virtual_time

PUBLIC, OTHER = "203.0.114.7", "198.41.0.4"


class Server:
    """Whoever answers; `seen`: the addresses and names it was asked by."""

    def __init__(self, *addresses: str, answer: httpx.Response | None = None) -> None:
        self.addresses, self.answer = addresses, answer or httpx.Response(204)
        self.seen: list[tuple[str, str, object]] = []
        self.resolved = 0

    async def resolve(self, host: str, port: int) -> list[str]:
        self.resolved += 1
        return list(self.addresses)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append((request.url.host, request.headers["host"], request.extensions.get("sni_hostname")))
        return self.answer

    def client(self) -> OutboundHttp:
        return OutboundHttp(httpx.AsyncClient(transport=httpx.MockTransport(self)), self.resolve)


async def post(server: Server, url: str = "https://hooks.example.com:8443/a", read: int = 0) -> object:
    return await server.client().post(url, b"{}", {}, seconds=5, is_allowed=is_public, read=read)


@virtual_time
async def test_the_address_that_was_judged_is_the_one_that_is_called() -> None:
    server = Server("10.0.0.1", PUBLIC, OTHER)
    await post(server)
    assert server.seen == [(PUBLIC, "hooks.example.com:8443", "hooks.example.com")]
    assert server.resolved == 1


@virtual_time
async def test_a_name_of_nothing_but_private_addresses_is_not_called() -> None:
    server = Server("127.0.0.1", "10.1.2.3", "::1", "fd00::1", "169.254.169.254")
    with pytest.raises(OutboundFault):
        await post(server)
    assert server.seen == []


@virtual_time
async def test_redirects_are_not_followed_and_little_is_read() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 7

    moved = httpx.Response(307, headers={"location": "https://127.0.0.1/"}, content=endless())
    server = Server(PUBLIC, answer=moved)
    answer = await post(server, read=10)
    assert (answer.status, answer.body) == (307, b"x" * 10)  # type: ignore[attr-defined]
    assert len(server.seen) == 1


@virtual_time
async def test_when_to_come_again_is_told_in_seconds_alone() -> None:
    for said, seconds in (("120", 120.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-1", None), ("9" * 20, None)):
        server = Server(PUBLIC, answer=httpx.Response(503, headers={"retry-after": said}))
        assert (await post(server)).retry_after == seconds  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1",
        "255.255.255.255", "::", "::1", "fe80::1%eth0", "fd00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "2002:7f00:1::", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2001:db8::1", "no address", "", "fec0::1",
        "64:ff9b:1::a00:1", "::10.0.0.1", "::8.8.8.8", "::ffff:0:10.0.0.1",
    ],
)  # fmt: skip
def test_what_is_not_of_the_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", [PUBLIC, OTHER, "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_what_is_of_the_internet(address: str) -> None:
    assert is_public(address) and is_outside(address)


def test_private_networks_are_outside_of_this_machine() -> None:
    assert is_outside("10.0.0.1") and is_outside("fd00::1")
    for inside in ("::ffff:127.0.0.1", "64:ff9b::7f00:1", "::127.0.0.1", "64:ff9b:1::7f00:1", "::ffff:0:127.0.0.1"):
        assert not is_outside(inside), inside


@virtual_time
async def test_nothing_but_the_wanted_seconds_limits_a_request() -> None:
    seen: list[object] = []

    def answered(request: httpx.Request) -> httpx.Response:
        seen.append(request.extensions["timeout"])
        return httpx.Response(204)

    client = OutboundHttp(httpx.AsyncClient(transport=httpx.MockTransport(answered)), Server(PUBLIC).resolve)
    await client.post("https://a.example.com/", b"", {}, seconds=20, is_allowed=is_public)
    assert seen == [dict.fromkeys(("connect", "read", "write", "pool"), 20)]


def test_many_are_asked_at_once_and_no_connection_is_used_twice() -> None:
    anyio.run(ask_many)


async def ask_many() -> None:
    many, opened, all_there = 120, 0, anyio.Event()

    async def serve(stream: anyio.abc.SocketStream) -> None:
        nonlocal opened
        opened += 1
        if opened == many:
            all_there.set()
        async with stream:
            await stream.receive()
            await all_there.wait()
            await stream.send(b"HTTP/1.1 204 No Content\r\n\r\n")
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                await stream.receive()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, open_outbound() as http:
        url = f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}/"
        client = OutboundHttp(http)
        statuses: list[int] = []

        async def asked() -> None:
            answer = await client.post(url, b"{}", {}, seconds=20, is_allowed=lambda address: True)
            statuses.append(answer.status)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, serve)
            async with anyio.create_task_group() as asking:
                for _ in range(many):
                    asking.start_soon(asked)
            await asked()
            tasks.cancel_scope.cancel()
    assert statuses == [204] * (many + 1) and opened == many + 1
