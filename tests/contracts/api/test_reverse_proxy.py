"""What the gateway promises callers and instances, on real connections: bytes untouched, nothing done twice."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from contracts.api.conftest import Serve, Served, an_instance, answering, read_all

from api.gateway import reverse_proxy
from api.gateway.reverse_proxy import forwarded

pytestmark = pytest.mark.anyio
WEB = "/services/web"


async def refuses_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def test_path_query_and_body_arrive_as_they_left(served: Served) -> None:
    body = bytes(range(256)) * 300

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got = await reader.readexactly(len(body))
        writer.write(b"HTTP/1.1 201 Created\r\nx-own: 1\r\ncontent-length: %d\r\n\r\n" % len(got) + got)

    async with an_instance(echo) as web:
        await served.house.add_service("web", web.address)
        code, head, got = await served.ask("PUT", f"{WEB}/a%2Fb/../%C3%BC?x=%20+&&y", body=body)
    assert (code, got) == (201, body)
    assert b"x-own: 1" in head
    assert web.heads[0].split(b"\r\n")[0] == b"PUT /a%2Fb/../%C3%BC?x=%20+&&y HTTP/1.1"


@pytest.mark.parametrize("path", [WEB, f"{WEB}/", "/services/w%65b/"])
async def test_the_name_is_cut_off_however_it_is_written(served: Served, path: str) -> None:
    async with an_instance(answering()) as web:
        await served.house.add_service("web", web.address)
        assert (await served.ask("GET", path))[0] == 200
    assert web.heads[0].startswith(b"GET / HTTP/1.1")


async def test_the_instance_learns_who_calls_and_only_from_us(served: Served) -> None:
    async with an_instance(answering()) as web:
        await served.house.add_service("web", web.address)
        lies = ("X-Aerekos-Identity: forged", "Connection: close, X-Secret-Hop", "X-Secret-Hop: 1", "X-Mine: kept")
        await served.ask("GET", f"{WEB}/", *lies, "TE: trailers", "Upgrade: h2c", "X-Request-ID: abc")
    head = web.heads[0].lower()
    (identity,) = [line for line in web.heads[0].split(b"\r\n") if line.lower().startswith(b"x-aerekos-identity:")]
    who = served.house.tokens.read(identity.partition(b":")[2].strip().decode(), "web")
    assert who.name == "system:root"
    for gone in (b"forged", b"x-secret-hop", b"authorization", b"\r\nte:", b"upgrade", b"h2c"):
        assert gone not in head, gone
    for kept in (b"x-mine: kept", b"x-request-id: abc", b"traceparent: 00-"):
        assert kept in head, kept


async def test_the_answer_keeps_what_belongs_to_the_connection_to_itself(served: Served) -> None:
    lines = (b"connection: x-hop", b"x-hop: 1", b"keep-alive: timeout=5", b"date: yesterday", b"x-own: 2")
    async with an_instance(answering(b"hello", *lines)) as web:
        await served.house.add_service("web", web.address)
        _, head, _ = await served.ask("GET", f"{WEB}/")
    assert (b"x-hop" in head, b"keep-alive:" in head, b"yesterday" in head) == (False, False, False)
    assert (head.count(b"\r\ndate:"), b"x-own: 2" in head) == (1, True)


async def test_an_answer_flows_before_it_is_complete(served: Served) -> None:
    go_on = anyio.Event()

    async def slow(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await go_on.wait()
        writer.write(b"4\r\nlast\r\n0\r\n\r\n")

    async with an_instance(slow) as web:
        await served.house.add_service("web", web.address)
        reader, writer = await served.connect()
        writer.write(served.head("GET", f"{WEB}/"))
        with anyio.fail_after(60):
            assert b"first" in await reader.readuntil(b"first")
            go_on.set()
            assert b"last" in await reader.readuntil(b"0\r\n\r\n")
        writer.close()


async def test_a_request_flows_before_it_is_complete(served: Served) -> None:
    seen = anyio.Event()

    async def reads(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"first")
        seen.set()
        await reader.readuntil(b"0\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with an_instance(reads) as web:
        await served.house.add_service("web", web.address)
        reader, writer = await served.connect()
        writer.write(served.head("POST", f"{WEB}/", "transfer-encoding: chunked") + b"5\r\nfirst\r\n")
        with anyio.fail_after(60):
            await seen.wait()
            writer.write(b"4\r\nlast\r\n0\r\n\r\n")
            assert b" 204 " in await reader.readuntil(b"\r\n\r\n")
        writer.close()


async def test_a_client_that_leaves_takes_its_request_along(served: Served) -> None:
    """Three moments: while it still sends, while the instance thinks, while the answer flows."""
    asked = anyio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ndata\r\n")
        asked.set()
        await reader.read()
        writer.close()

    half = ("POST", "content-length: 1000"), ("GET", "x-none: 1")
    for serve, (method, line) in ((silent, half[0]), (silent, half[1]), (endless, half[1])):
        asked = anyio.Event()
        async with an_instance(serve) as web:
            await served.house.add_service("web", web.address)
            _, writer = await served.connect()
            writer.write(served.head(method, f"{WEB}/", line) + (b"some" if method == "POST" else b""))
            with anyio.fail_after(60):
                await asked.wait()
                writer.transport.abort()
                await web.left.wait()
            assert served.house.balancer._hosts[web.address].failures == 0, "it was not the instance's fault"


async def test_an_instance_that_dies_in_mid_answer_is_not_passed_off_as_complete(served: Served) -> None:
    async def dies(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.transport.abort()

    async with an_instance(dies) as web:
        await served.house.add_service("web", web.address)
        code, head, body = await served.ask("GET", f"{WEB}/")
    assert (code, b"content-length: 100" in head) == (200, True)
    assert len(body) < 100
    assert len(web.heads) == 1, "an answer that has begun is not asked for again"
    assert served.house.balancer._hosts[web.address].failures == 1


async def test_an_aws_answer_that_breaks_off_does_not_begin_again(served: Served) -> None:
    async def dies(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.close()

    await served.house.add_user("ann", "editor")
    pair = served.house.accounts.access_key("ann")
    request = AWSRequest("POST", "https://x/", data=b"", headers={"host": "x"})
    SigV4Auth(Credentials(pair.id, pair.secret), "kms", "us-east-1").add_auth(request)
    signed = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items() if name != "host")
    async with an_instance(dies) as kms:
        await served.house.add_service("key-manager", kms.address)
        raw = f"POST / HTTP/1.1\r\nhost: x\r\n{signed}connection: close\r\n\r\n"
        code, head, body = await read_all(*await served.connect(), raw.encode())
    assert (code, b"retry-after" in head, body) == (200, False, b"half")
    assert b"authorization: AWS4" in kms.heads[0].replace(b"Authorization", b"authorization"), "chunks start from it"


async def test_a_chunked_answer_that_breaks_off_has_no_end(served: Served) -> None:
    async def dies(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        await writer.drain()
        writer.close()

    async with an_instance(dies) as web:
        await served.house.add_service("web", web.address)
        _, _, body = await served.ask("GET", f"{WEB}/")
    assert not body.endswith(b"0\r\n\r\n")


async def test_who_cannot_be_reached_is_passed_over(served: Served) -> None:
    async with an_instance(answering()) as gone:
        pass
    async with an_instance(answering()) as web:
        await served.house.add_service("web", gone.address, web.address)
        with anyio.fail_after(60):
            for method in ("GET", "POST", "GET", "POST"):
                assert (await served.ask(method, f"{WEB}/", body=b"" if method == "GET" else b"x"))[0] == 200
    assert len(web.heads) == 4


@pytest.mark.parametrize(("method", "asked"), [("GET", 2), ("DELETE", 2), ("POST", 1), ("PATCH", 1)])
async def test_only_what_may_be_repeated_is_asked_twice(served: Served, method: str, asked: int) -> None:
    """The instance took the request and hung up: who knows what it has done."""
    async with an_instance(refuses_all) as bad, an_instance(answering()) as good:
        await served.house.add_service("web", bad.address, good.address)
        code, _, _ = await served.ask(method, f"{WEB}/")
        assert len(bad.heads) + len(good.heads) == asked
        assert code == (200 if asked == 2 else 503)


async def test_a_body_that_was_read_is_never_sent_again(served: Served) -> None:
    async def takes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(4)
        writer.close()

    async with an_instance(takes) as bad, an_instance(answering()) as good:
        await served.house.add_service("web", bad.address, good.address)
        code, _, body = await served.ask("PUT", f"{WEB}/", body=b"once")
    assert (code, len(bad.heads), len(good.heads)) == (503, 1, 0)
    assert b"try again" in body


async def test_who_answers_too_late_is_given_up(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reverse_proxy, "USUAL_PATIENCE", reverse_proxy.Patience(0.2))

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with an_instance(silent) as web:
        await served.house.add_service("web", web.address)
        code, _, body = await served.ask("GET", f"{WEB}/")
        with anyio.fail_after(60):
            await web.left.wait()
    assert (code, b"did not answer" in body, len(web.heads)) == (504, True, 1)


async def test_nobody_there_is_said_at_once(served: Served) -> None:
    assert (await served.ask("GET", f"{WEB}/"))[0] == 404
    await served.house.add_service("web", unready=("127.0.0.1:1",))
    code, head, _ = await served.ask("GET", f"{WEB}/")
    assert (code, b"retry-after: 1" in head) == (503, True)


@pytest.mark.parametrize(
    "lines",
    [
        ("content-length: 4", "transfer-encoding: chunked"),
        ("transfer-encoding: chunked", "content-length: 4"),
        ("content-length: 4", "content-length: 5"),
        ("content-length: +4",),
        ("content-length: 4, 4",),
        ("transfer-encoding: xchunked",),
        ("transfer-encoding: identity, chunked, identity",),
        ("content-length : 4",),
        ("x: 1\r\n folded: 2",),
        ("x: 1\nsmuggled: 2",),
        ("transfer-encoding:\x0bchunked",),
    ],
)
async def test_one_request_never_becomes_two(served: Served, lines: tuple[str, ...]) -> None:
    """Whatever the client and we might disagree on: the instance sees no request that we did not see."""
    smuggled = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"
    async with an_instance(answering()) as web:
        await served.house.add_service("web", web.address)
        reader, writer = await served.connect()
        raw = served.head("POST", f"{WEB}/", *lines, "connection: close") + smuggled
        await read_all(reader, writer, raw)
        assert not any(b"/smuggled" in head.split(b"\r\n")[0] for head in web.heads), web.heads
        for head in web.heads:
            assert head.lower().count(b"content-length:") + head.lower().count(b"transfer-encoding:") <= 1, head


async def test_a_header_cannot_end_a_line(served: Served) -> None:
    async with an_instance(answering(b"x", b"x-evil: a")) as web:
        await served.house.add_service("web", web.address)
        await served.ask("GET", f"{WEB}/a%0d%0aX-Injected:%201?b=%0d%0aX-Injected:%201")
    assert b"\r\nX-Injected" not in web.heads[0]


def test_a_message_keeps_its_end_whatever_the_connection_header_names() -> None:
    headers = [(b"connection", b"content-length, host"), (b"content-length", b"4"), (b"host", b"x")]
    assert forwarded(headers) == headers[1:]


async def test_an_instance_that_breaks_off_is_ejected_and_that_can_be_seen(served: Served) -> None:
    async with an_instance(refuses_all) as bad, an_instance(answering()) as good:
        await served.house.add_service("web", bad.address, good.address)
        for _ in range(8):
            assert (await served.ask("GET", f"{WEB}/"))[0] == 200
        assert len(bad.heads) == 3
        served.house.clock.forward(2.0)
        for _ in range(4):
            assert (await served.ask("GET", f"{WEB}/"))[0] == 200
        assert len(bad.heads) == 4, "back after a while, and out again at once"
    _, _, told = await served.ask("GET", "/traffic")
    assert b'"ejected":["web-0"]' in told
    text = served.house.metrics.render().decode()
    assert 'aerekos_gateway_ejections_total{service="web"} 2.0' in text
    assert 'aerekos_gateway_retries_total{service="web"} 4.0' in text


async def test_retries_come_out_of_a_budget(served: Served) -> None:
    """All instances break off: a client hears so at once, and the service is not asked four times as often."""
    async with an_instance(refuses_all) as bad, an_instance(refuses_all) as worse:
        await served.house.add_service("web", bad.address, worse.address)
        for _ in range(12):
            assert (await served.ask("GET", f"{WEB}/"))[0] == 503
        assert len(bad.heads) + len(worse.heads) == 12 + 10 + 2, "those of two seconds, and a fifth of the requests"
    text = served.house.metrics.render().decode()
    assert 'aerekos_gateway_retries_total{service="web"} 12.0' in text
    assert 'aerekos_gateway_retries_refused_total{service="web"} 9.0' in text


async def test_the_least_busy_instance_is_asked(served: Served) -> None:
    asked, go_on = anyio.Event(), anyio.Event()

    async def slow(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await go_on.wait()
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with an_instance(slow) as busy, an_instance(answering()) as free:
        await served.house.add_service("web", busy.address, free.address)
        async with anyio.create_task_group() as group:
            group.start_soon(served.ask, "GET", f"{WEB}/")
            with anyio.fail_after(60):
                await asked.wait()
            for _ in range(6):
                assert (await served.ask("GET", f"{WEB}/"))[0] == 200
            go_on.set()
        assert (len(busy.heads), len(free.heads)) == (1, 6)
    assert served.house.balancer.active == {}


async def says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def drips(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An answer that goes on and on: never idle, and never complete."""
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"1\r\nx\r\n")
        await writer.drain()
        await anyio.sleep(0.02)


@pytest.mark.parametrize(
    ("serve", "timeouts", "code"),
    [
        (says_nothing, {"idleSeconds": 0.1}, 504),
        (says_nothing, {"requestSeconds": 0.1}, 504),
        (drips, {"requestSeconds": 0.3}, 200),
        (answering(), {"requestSeconds": 30, "idleSeconds": 30}, 200),
    ],
)
async def test_a_service_says_how_long_it_may_take(
    served: Served, serve: Serve, timeouts: dict[str, float], code: int
) -> None:
    async with an_instance(serve) as web:
        await served.house.add_service("web", web.address, timeouts=timeouts)
        found, _, body = await served.ask("GET", f"{WEB}/")
        if serve in (says_nothing, drips):
            with anyio.fail_after(60):
                await web.left.wait()
    assert found == code
    assert not body.endswith(b"0\r\n\r\n"), "what was broken off is not passed off as complete"
    late = "" if serve not in (says_nothing, drips) else 'aerekos_gateway_timeouts_total{service="web"} 1.0'
    assert late in served.house.metrics.render().decode()
    assert served.house.balancer.active == {}
