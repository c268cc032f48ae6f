"""queue_manager in virtual time, without threads: json or forms, as a client that the gateway let in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import httpx

from services.queue_manager.app import assembled
from services.queue_manager.manifest import MANIFEST
from services.sdk.app import ServiceApp
from services.sdk.context import ServiceContext
from services.sdk.outbound import OutboundHttp
from services.sdk.service import Service
from services.sdk.testing import User, in_memory
from services.sdk.testing.conductor import FakeConductor, fake_context
from services.sdk.testing.memory_resources import MemoryResources
from services.sdk.testing.virtual import AtOnce, LoopClock, MemoryService


class Outside:
    """Whoever is posted to. `answer`: to a request."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.answer: Callable[[httpx.Request], httpx.Response] = lambda request: httpx.Response(200)
        self.addresses = ["203.0.114.7"]

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answer(request)

    async def resolve(self, host: str, port: int) -> list[str]:
        return self.addresses


OUTSIDE = Outside()


def create(context: ServiceContext) -> Service:
    """On the loop's time, which is also there where no task runs."""
    loop, start = asyncio.get_running_loop(), context.clock.now().timestamp() * 1000
    began = loop.time()
    http = httpx.AsyncClient(transport=httpx.MockTransport(OUTSIDE.handle))
    now = lambda: round(start + (loop.time() - began) * 1000)  # noqa: E731 - as it is asked for
    return assembled(context, AtOnce(), now, OutboundHttp(http, OUTSIDE.resolve))


@dataclass
class Queues:
    """The service, and a caller."""

    service: MemoryService
    user: User = field(default_factory=User)

    async def call(self, operation: str, **body: Any) -> dict[str, Any]:
        """The answer. Raises AssertionError with what is refused."""
        status, answer = await self.ask(operation, **body)
        assert status == 200, answer
        return answer

    async def ask(self, operation: str, **body: Any) -> tuple[int, dict[str, Any]]:
        headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": f"AmazonSQS.{operation}"}
        async with self.service.client(self.user) as client:
            response = await client.post("/", headers=headers, json=body)
        return response.status_code, response.json() if response.content else {}

    async def form(self, operation: str, path: str = "/", **fields: str) -> tuple[int, ElementTree.Element]:
        """The same by the query protocol: fields as they are written there."""
        content = urlencode({"Action": operation, "Version": "2012-11-05", **fields})
        headers = {"content-type": "application/x-www-form-urlencoded"}
        async with self.service.client(self.user) as client:
            response = await client.post(path, headers=headers, content=content)
        document = ElementTree.fromstring(response.text)
        for each in document.iter():
            each.tag = each.tag.rpartition("}")[2]
        return response.status_code, document

    async def queue(self, name: str = "orders", **attributes: str) -> str:
        if name.endswith(".fifo"):
            attributes["FifoQueue"] = "true"
        made = await self.call("CreateQueue", QueueName=name, Attributes=attributes)
        return str(made["QueueUrl"])

    async def send(self, url: str, body: str, **more: Any) -> dict[str, Any]:
        return await self.call("SendMessage", QueueUrl=url, MessageBody=body, **more)

    async def receive(self, url: str, **more: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.call("ReceiveMessage", QueueUrl=url, **more)).get("Messages", [])
        return found

    async def bodies(self, url: str, most: int = 10, **more: Any) -> list[str]:
        return [each["Body"] for each in await self.receive(url, MaxNumberOfMessages=most, **more)]


@asynccontextmanager
async def queues_in_memory() -> AsyncIterator[Queues]:
    manifest = replace(MANIFEST, create=f"{__name__}:create")
    async with in_memory(manifest) as service:
        yield Queues(service)


@asynccontextmanager
async def queues_of(folder: Path, before: Queues | None = None) -> AsyncIterator[Queues]:
    """On what another one left in that folder, with its resources and its clock: as after a restart."""
    clock = before.service.context.clock if before else LoopClock()
    kept = before.service.resources if before else MemoryResources(clock, keepers=True)
    conductor = FakeConductor(clock)
    context = fake_context(MANIFEST.name, folder, conductor, kept, {})
    service = create(context)
    app = ServiceApp(context, service)
    async with app.running():
        yield Queues(MemoryService(context, conductor, kept, service, app))
        app.stop_soon()
