"""The resource API on a real store, asked without a network: a request is a scope, an answer its messages."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest

from api.asgi import AT_ONCE, Message, Send, error_answer, send_answer
from api.auth.authorizer import Authorizer
from api.auth.principal import AUTHENTICATED, MASTERS, Principal
from api.kube.resource_api import ResourceApi
from controller.kit.clock import LoopClock
from controller.kit.threads import Inline
from controller.kit.virtual import VirtualLoop
from controller.resources.registry import Registry
from controller.resources.strategy import WriteOptions
from controller.store.sql import open_store
from crds.catalog import CORE_KINDS, Catalog
from crds.errors import ApiError
from crds.kinds.namespace import NAMESPACE

ADMIN = Principal("admin", frozenset({MASTERS, AUTHENTICATED}))
# Who tells what was seen: nobody else may write a status.
SEER = Principal("system:conductor", frozenset({MASTERS, AUTHENTICATED}))
MAPS = "/api/v1/namespaces/default/configmaps"
SERVICES = "/apis/aerekos.cloud/v1/namespaces/default/services"
WEB = {"metadata": {"name": "web", "labels": {"app": "web"}}, "spec": {"image": "nginx:1"}}


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return ("asyncio", {"loop_factory": VirtualLoop})


@dataclass(frozen=True)
class Reply:
    code: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


class Watched:
    """The events of one watch, as they come."""

    def __init__(self) -> None:
        self.code = 0
        self.ended = anyio.Event()
        self.is_slow: Callable[[], bool] = lambda: False
        self._buffer = b""
        self._lines_in, self._lines = anyio.create_memory_object_stream[bytes](1000)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.code = message["status"]
            return
        self._buffer += message.get("body", b"")
        *whole, self._buffer = self._buffer.split(b"\n")
        for line in whole:
            await self._lines_in.send(line)

    def at_once(self, part: bytes) -> bool:
        """As `answering.AtOnce`, of a client that reads while it is not slow."""
        if self.is_slow():
            return False
        assert part.endswith(b"\n") and not self._buffer
        for line in part.split(b"\n")[:-1]:
            self._lines_in.send_nowait(line)
        return True

    async def next(self, seconds: float = 5) -> dict[str, Any]:
        """The next event. Fails when none comes in time."""
        with anyio.fail_after(seconds):
            event: dict[str, Any] = orjson.loads(await self._lines.receive())
        return event

    async def told(self, count: int) -> list[tuple[str, str]]:
        """The next events as (type, name)."""
        events = [await self.next() for _ in range(count)]
        return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]

    async def is_quiet(self, seconds: float = 1) -> bool:
        """Whether nothing more comes for so long. What comes meanwhile is kept for `next`."""
        with anyio.move_on_after(seconds):
            while not self._lines.statistics().current_buffer_used:  # noqa: ASYNC110 - time is virtual
                await anyio.sleep(0.01)
            return False
        return True

    async def silent(self, seconds: float = 1) -> bool:
        """Whether nothing comes for so long."""
        with anyio.move_on_after(seconds):
            await self._lines.receive()
            return False
        return True


class Wire:
    """Asks the resource API as a client would."""

    def __init__(self, api: ResourceApi, registry: Registry) -> None:
        self.api, self.registry = api, registry
        self.at_once = False
        """Whether watchers can be written to at once, as by the server we run on."""

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "",
        accept: str = "application/json",
        who: Principal | None = None,
    ) -> Reply:
        who = who or (SEER if path.partition("?")[0].endswith("/status") else ADMIN)
        told: list[Message] = []

        async def send(message: Message) -> None:
            told.append(message)

        content: bytes = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        try:
            # Who watches stays: a client that has sent its request says nothing more until it leaves.
            receive = _never_leaves if "watch=1" in path else _body(content)
            await self.api.serve(_scope(method, path, content_type, accept), receive, send, who)
        except ApiError as error:
            await send_answer(send, error_answer(error))
        headers: dict[str, str] = {}
        for name, value in told[0]["headers"]:
            before = headers.get(name.decode())
            headers[name.decode()] = f"{before}, {value.decode()}" if before else value.decode()
        return Reply(told[0]["status"], headers, b"".join(message["body"] for message in told[1:]))

    async def ok(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """The answer's JSON. Fails when the answer is an error."""
        reply = await self.ask(method, path, body, **more)
        assert reply.code < 300, reply.json
        return reply.json

    async def merge(self, path: str, patch: Any, **more: Any) -> Any:
        return await self.ok("PATCH", path, patch, content_type="application/merge-patch+json", **more)

    async def jsonpatch(self, path: str, patch: Any) -> Reply:
        return await self.ask("PATCH", path, patch, content_type="application/json-patch+json")

    async def serve_watch(self, path: str, send: Send) -> None:
        """A watch as long as `send` takes it; nothing can be written to it at once."""
        scope = _scope("GET", path, "", "application/json") | {"extensions": {AT_ONCE: lambda part: False}}
        await self.api.serve(scope, _never_leaves, send, ADMIN)

    @asynccontextmanager
    async def watch(self, path: str, *, accept: str = "application/json") -> AsyncIterator[Watched]:
        seen = Watched()

        async def run() -> None:
            scope = _scope("GET", path, "", accept)
            if self.at_once:
                scope["extensions"] = {AT_ONCE: seen.at_once}
            await self.api.serve(scope, _never_leaves, seen.send, ADMIN)
            seen.ended.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            yield seen
            tasks.cancel_scope.cancel()


@pytest.fixture(params=[False, True], ids=["alone", "together"])
def however_told(wire: Wire, request: pytest.FixtureRequest) -> None:
    """Each watcher by itself, and all by one of them: nobody may see a difference."""
    wire.at_once = request.param


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    clock, catalog = LoopClock(), Catalog(CORE_KINDS)
    store = await open_store(f"sqlite:///{tmp_path}/records.db", threads=Inline(), clock=clock)
    registry = Registry(store, catalog, clock)
    for name in ("default", "other"):
        await registry.create(NAMESPACE, "", {"metadata": {"name": name}}, WriteOptions(by="test"))
    yield Wire(ResourceApi(registry, Authorizer(catalog, (), store), clock, random.Random(1)), registry)
    await store.close()


def _scope(method: str, path: str, content_type: str, accept: str) -> Message:
    path, _, query = path.partition("?")
    headers = [(b"accept", accept.encode())]
    if content_type:
        headers.append((b"content-type", content_type.encode()))
    return {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": headers}


def _body(content: bytes) -> Any:
    async def receive() -> Message:
        return {"type": "http.request", "body": content, "more_body": False}

    return receive


async def _never_leaves() -> Message:
    await anyio.sleep_forever()
    raise AssertionError("not reached")
