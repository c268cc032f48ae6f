"""What anybody sends takes no more memory than a table says, and what is kept of it is bounded in bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.api.components import House, make_house

from api.asgi import read_body
from api.edge.bodies import BODY_LIMITS, DEFAULT_LIMIT, MEBIBYTE, body_limit, check_length
from api.edge.bulkheads import Bulkheads
from api.gateway.exchange import ClientDisconnected, RequestBody
from api.gateway.reverse_proxy import ReverseProxy
from controller.store.followers import PAGE_BYTES
from controller.store.memory_index import MemoryIndex
from controller.store.records import Record
from crds.errors import BadRequest, TooLarge, TooManyRequests, Unavailable
from crds.meta import ObjectKey

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(tmp_path)
    yield made
    await made.close()


class Sender:
    """A client that says one length, or none, and sends without end; it counts what was taken of it."""

    def __init__(self, path: str, length: int | None = None) -> None:
        self.taken, self.code, self.body = 0, 0, b""
        sized = (b"transfer-encoding", b"chunked") if length is None else (b"content-length", str(length).encode())
        headers = [(b"host", b"cloud.test"), (b"content-type", b"application/json"), sized]
        self.scope: dict[str, Any] = {
            "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
            "headers": headers, "extensions": {}, "client": ("192.0.2.1", 1), "server": ("cloud.test", 443),
            "http_version": "1.1", "scheme": "https", "root_path": "",
        }  # fmt: skip

    async def receive(self) -> dict[str, Any]:
        self.taken += 65_536
        assert self.taken < 16 * MEBIBYTE, "a body without end is read to its end"
        return {"type": "http.request", "body": b" " * 65_536, "more_body": True}

    async def send(self, message: Any) -> None:
        self.code = message.get("status", self.code)
        self.body += message.get("body", b"")


OPEN_TO_ALL = ["/auth/login", "/auth/refresh", "/auth/token", "/auth/join", "/join", "/nowhere"]


@pytest.mark.parametrize("path", OPEN_TO_ALL)
@pytest.mark.parametrize("length", [None, 300 * MEBIBYTE, 10**30])
async def test_a_stranger_s_body_is_refused_before_it_is_kept(house: House, path: str, length: int | None) -> None:
    sender = Sender(path, length)
    with anyio.fail_after(30):
        await house.door(sender.scope, sender.receive, sender.send)  # type: ignore[arg-type]
    assert sender.code == 413, sender.body
    limit = body_limit(path) or 0
    assert sender.taken <= (0 if length else limit + 2 * 65_536)


async def test_what_fits_is_read(house: House) -> None:
    async with house.client() as client:
        told = await client.post("/auth/login", json={"username": "nobody", "password": "wrong"})
        assert told.status_code == 401
        json = {"content-type": "application/json"}
        assert (await client.post("/auth/login", content=b"x" * 1000, headers=json)).status_code == 422


def test_every_path_has_a_limit() -> None:
    assert body_limit("/auth/login") == 64 * 1024 and body_limit("/whatever") == DEFAULT_LIMIT
    assert body_limit("/services/web/upload") is None and body_limit("/apis/a/v1/b") == 3 * MEBIBYTE
    assert {prefix for prefix, limit in BODY_LIMITS if limit is None} == {"/services/", "/v2/"}
    with pytest.raises(TooLarge):
        check_length("/auth/login", [(b"content-length", b"9" * 5000)])


async def test_half_a_body_is_no_body() -> None:
    told = [{"type": "http.request", "body": b"{}", "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> dict[str, Any]:
        return told.pop(0)

    with pytest.raises(BadRequest, match="broke off"):
        await read_body(receive, limit=100)


def record(revision: int, size: int, name: str = "big") -> Record:
    key = ObjectKey("", "configmaps", "default", name)
    return Record(revision, key, "uid", "updated", 1, b"x" * size, revision - 1, datetime.now(UTC), "test")


def test_three_hundred_updates_of_a_mebibyte_are_not_all_kept() -> None:
    memory = MemoryIndex()
    for revision in range(1, 301):
        memory.apply([record(revision, MEBIBYTE)])
    kept = [each for each in memory._ring if each is not None]
    assert sum(len(each.record.body) for each in kept) <= 16 * MEBIBYTE
    assert not memory.covers(200) and memory.covers(299)  # who is behind reads from disk
    assert [each.record.revision for each in memory.recent(299, 300)] == [300]


def test_large_things_that_became_small_are_not_all_kept() -> None:
    memory = MemoryIndex()
    for number in range(200):
        memory.apply([record(2 * number + 1, MEBIBYTE, f"n{number}")])
        memory.apply([record(2 * number + 2, 2, f"n{number}")])
    kept = [each for each in memory._ring if each is not None and each.before is not None]
    assert sum(len(each.before.body) for each in kept if each.before) <= 16 * MEBIBYTE


@given(st.lists(st.integers(0, 50), max_size=60), st.integers(1, 20), st.integers(1, 200))
def test_the_recent_past_is_whole_and_bounded(sizes: list[int], count: int, most: int) -> None:
    memory = MemoryIndex(recent=count, recent_bytes=most)
    for revision, size in enumerate(sizes, 1):
        memory.apply([record(revision, size, f"n{revision % 3}")])
        kept = [each for each in memory._ring if each is not None]
        assert len(kept) <= 1 or sum(len(each.record.body) for each in kept) <= most
        for after in range(revision + 1):
            if memory.covers(after):
                told = [each.record.revision for each in memory.recent(after, revision)]
                assert told == list(range(after + 1, revision + 1))
                some = memory.recent(after, revision, 60)
                assert [each.record.revision for each in some] == told[: len(some)] and (some or not told)


async def test_a_follower_holds_little_at_once(house: House) -> None:
    from unit.api.components import HOW

    from crds.kinds.config_map import CONFIG_MAP

    await house.registry.create(
        CONFIG_MAP, "default", {"metadata": {"name": "big"}, "data": {"a": "x" * PAGE_BYTES}}, HOW
    )
    key = CONFIG_MAP.key("big", "default")
    for number in range(40):
        await house.registry.merge(CONFIG_MAP, key, {"data": {"b": str(number)}}, HOW)
    seen: list[int] = []
    async with house.store.follow("", "configmaps", after=0) as follower:
        news = follower.__aiter__()
        with anyio.fail_after(60):
            while len(seen) < 41:
                batch = await news.__anext__()
                assert len(batch) == 1
                seen += [each.record.revision for each in batch]
    assert seen == sorted(set(seen))


async def test_a_caller_or_a_service_leaves_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.edge.bulkheads.WAIT_SECONDS", 0.05)
    walls = Bulkheads(per_service=3, per_principal=2)
    taken = [("s3", "a"), ("s3", "a"), ("s3", "b"), ("kms", "a")]
    assert [walls.enter(*each) for each in taken] == [None] * 4
    with pytest.raises(TooManyRequests):
        walls.enter("s3", "a")
    waiting = walls.enter("s3", "c")
    assert waiting is not None
    with pytest.raises(Unavailable):
        await waiting
    for each in taken:
        walls.leave(*each)
    assert not walls._walls and not walls._callers


class Nowhere:
    """No instance may be asked: the client has sent nothing yet."""

    def candidates(self, service: str, namespace: str = "default") -> list[str]:
        raise AssertionError("a connection was wanted before there was something to send")

    def record_success(self, address: str) -> None: ...

    def record_failure(self, address: str) -> None: ...


async def test_no_connection_is_taken_for_a_body_that_has_not_begun() -> None:
    proxy = ReverseProxy(Nowhere())
    asked = anyio.Event()

    async def receive() -> dict[str, Any]:
        asked.set()
        await anyio.sleep_forever()
        return {}

    async with anyio.create_task_group() as group:
        headers = [(b"host", b"a"), (b"content-length", b"5")]

        async def forward() -> None:
            await proxy.forward({"method": "PUT"}, receive, receive, service="s3", target=b"/", headers=headers)  # type: ignore[arg-type]

        group.start_soon(forward)
        await asked.wait()
        await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    await proxy.close()


async def test_a_body_that_begins_and_breaks_off_is_the_client_s_doing() -> None:
    told = [{"type": "http.request", "body": b"", "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> dict[str, Any]:
        return told.pop(0)

    with pytest.raises(ClientDisconnected):
        await RequestBody(receive, expected=True).begin()


class One(Nowhere):
    """One instance, and whether it was blamed."""

    blamed = False

    def candidates(self, service: str, namespace: str = "default") -> list[str]:
        return ["127.0.0.1:1"]

    def record_failure(self, address: str) -> None:
        self.blamed = True


@pytest.mark.parametrize(
    ("target", "header"),
    [(b"/a b", b"x"), (b"/a\r\nx: 1", b"x"), (b"/a", b"x\r\ny: 1"), (b"/a", b"x\ny"), (b"/a", b"x\ry")],
)
async def test_what_cannot_be_passed_on_is_no_failure_of_the_instance(target: bytes, header: bytes) -> None:
    one = One()
    proxy = ReverseProxy(one)

    async def receive() -> dict[str, Any]:
        await anyio.sleep_forever()
        return {}

    with pytest.raises(BadRequest):
        await proxy.forward(
            {"method": "GET"},
            receive,
            receive,
            service="s3",
            target=target,
            headers=[(b"host", b"x"), (b"x", header)],
        )  # type: ignore[arg-type]
    assert not one.blamed
    await proxy.close()
