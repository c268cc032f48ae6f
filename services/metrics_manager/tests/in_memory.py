"""metrics_manager in virtual time, without threads; what it scrapes is what the test says."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx

from services.metrics_manager.app import assembled
from services.metrics_manager.manifest import MANIFEST
from services.sdk.app import ServiceApp
from services.sdk.outbound import OutboundHttp
from services.sdk.testing import User
from services.sdk.testing.conductor import FakeConductor, fake_context
from services.sdk.testing.memory_resources import MemoryResources
from services.sdk.testing.virtual import AtOnce, LoopClock, MemoryService

PUBLIC = "203.0.114.7"


@dataclass
class Outside:
    """Whoever is asked and told: `pages` by path of the conductor, or by host of what is outside."""

    pages: dict[str, str] = field(default_factory=lambda: {"/metrics": "one 1\n", "/metrics/cloud": ""})
    instances: list[dict[str, Any]] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)
    status: int = 200
    address: str = PUBLIC
    silent: set[str] = field(default_factory=set)
    """Hosts that take what is sent, and never answer."""
    published: list[dict[str, str]] = field(default_factory=list)
    topic_status: int = 200

    async def resolve(self, host: str, port: int) -> list[str]:
        return [self.address]

    async def topic(self, request: httpx.Request) -> httpx.Response:
        """As the service of topics answers."""
        if self.topic_status == 200:
            self.published.append(dict(parse_qsl(request.content.decode())))
        text = "<ErrorResponse><Error><Code>NotFound</Code><Message>no topic</Message></Error></ErrorResponse>"
        return httpx.Response(self.topic_status, text=text)

    async def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.headers["host"] in self.silent:
            await asyncio.sleep(86_400)
        text = self.pages.get(request.headers["host"], "")
        return httpx.Response(self.status, stream=httpx.ByteStream(text.encode()))


@dataclass
class Metrics:
    """The service, and somebody who may everything."""

    service: MemoryService
    outside: Outside

    async def ask(self, path: str, user: User | None = None, **parameters: Any) -> Any:
        """`data` of an answer, or the whole of one that is an error."""
        async with self.service.client(user) as client:
            answer = await client.get(f"/api/v1/{path}", params=parameters)
        return answer.json().get("data", answer.json())

    async def value(self, query: str, user: User | None = None) -> float | None:
        """Of the one series there is."""
        found = (await self.ask("query", user, query=query))["result"]
        return float(found[0]["value"][1]) if found else None

    async def post(
        self, path: str, content: bytes, headers: dict[str, str], user: User | None = None
    ) -> httpx.Response:
        async with self.service.client(user) as client:
            return await client.post(path, content=content, headers=headers)

    async def advance(self, seconds: float) -> None:
        await self.service.advance(seconds)


@asynccontextmanager
async def metrics(folder: Path | None = None, resources: MemoryResources | None = None) -> AsyncIterator[Metrics]:
    """Started and stopped as by its process."""
    clock = LoopClock()
    conductor, outside = FakeConductor(clock), Outside()
    kept = resources or MemoryResources(clock, keepers=True)

    async def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/metrics/targets":
            return httpx.Response(200, json={"targets": outside.instances})
        if path in outside.pages:
            return httpx.Response(200, text=outside.pages[path])
        if path.startswith("/metrics"):
            return httpx.Response(503, json={"message": "the instance cannot be asked"})
        return await conductor.answer(request)

    with tempfile.TemporaryDirectory() as made:
        context = fake_context(MANIFEST.name, folder or Path(made), conductor, kept)
        context.client = httpx.AsyncClient(base_url="http://conductor", transport=httpx.MockTransport(answer))
        topics = httpx.AsyncClient(base_url="http://topics", transport=httpx.MockTransport(outside.topic))
        context.make_peer = lambda _: topics
        http = httpx.AsyncClient(transport=httpx.MockTransport(outside.handle))
        service = assembled(context, OutboundHttp(http, outside.resolve), AtOnce(), AtOnce(), AtOnce())
        app = ServiceApp(context, service)
        async with app.running():
            try:
                yield Metrics(MemoryService(context, conductor, kept, service, app), outside)
            finally:
                app.stop_soon()
