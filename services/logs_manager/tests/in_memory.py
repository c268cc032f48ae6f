"""logs_manager in virtual time, without threads; what instances write is what the test says."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from services.logs_manager.app import assembled
from services.logs_manager.manifest import MANIFEST
from services.sdk.app import ServiceApp
from services.sdk.testing import User
from services.sdk.testing.conductor import FakeConductor, fake_context
from services.sdk.testing.memory_resources import MemoryResources
from services.sdk.testing.virtual import AtOnce, LoopClock, MemoryService

LOKI = "/loki/api/v1"
NS = 1_000_000_000


@dataclass
class Instances:
    """What instances wrote, by `namespace/service/instance`; a position is how many lines were read. `seconds`: how
    long it takes to answer for one; `broken`: of whom nothing is told.
    """

    lines: dict[str, list[tuple[int | None, str]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    first_kept: int = 0
    most: int = 1_000
    seconds: dict[str, float] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/logs/instances").strip("/")
        if not path:
            marks = [(each.split("/"), str(len(lines))) for each, lines in self.lines.items()]
            found = [{"namespace": n, "service": s, "instance": i, "mark": mark} for (n, s, i), mark in marks]
            return httpx.Response(200, json={"instances": found})
        self.asked.append(path)
        await asyncio.sleep(self.seconds.get(path, 0.0))
        if path not in self.lines:
            return httpx.Response(404, json={"message": "no such Service"})
        if path in self.broken:
            return httpx.Response(503, json={"message": "away"})
        start = max(int(request.url.params.get("position") or 0), self.first_kept)
        lost = start > int(request.url.params.get("position") or 0)
        entries = self.lines[path][start : start + self.most]
        end = start + len(entries)
        more = end < len(self.lines[path])
        return httpx.Response(200, json={"entries": entries, "position": str(end), "more": more, "lost": lost})


@dataclass
class Logs:
    """The service, and somebody who may everything."""

    service: MemoryService
    instances: Instances

    @property
    def now(self) -> int:
        """ns since 1970."""
        return round(self.service.context.clock.now().timestamp() * NS)

    async def ask(self, path: str, user: User | None = None, **parameters: Any) -> Any:
        """`data` of an answer, or the text of one that is an error."""
        async with self.service.client(user) as client:
            answer = await client.get(f"{LOKI}/{path}", params=parameters)
        return answer.json()["data"] if answer.status_code == 200 else answer.text

    async def lines(self, query: str, user: User | None = None, **parameters: Any) -> list[str]:
        """Of all streams, in the order of time, newest last."""
        found = await self.ask("query_range", user, **{"query": query, "direction": "forward", **parameters})
        assert isinstance(found, dict), found
        pairs = [pair for stream in found["result"] for pair in stream["values"]]
        return [line for _, line in sorted(pairs, key=lambda pair: int(pair[0]))]

    async def push(self, labels: dict[str, str], *lines: str, user: User | None = None, at: int | None = None) -> int:
        start = self.now - len(lines) if at is None else at
        values = [[str(start + number), line] for number, line in enumerate(lines)]
        async with self.service.client(user) as client:
            body = {"streams": [{"stream": labels, "values": values}]}
            return (await client.post(f"{LOKI}/push", json=body)).status_code

    async def advance(self, seconds: float) -> None:
        await self.service.advance(seconds)


@asynccontextmanager
async def logs(
    folder: Path | None = None, resources: MemoryResources | None = None, instances: Instances | None = None
) -> AsyncIterator[Logs]:
    """Started and stopped as by its process."""
    clock = LoopClock()
    conductor, written = FakeConductor(clock), instances or Instances()
    kept = resources or MemoryResources(clock, keepers=True)

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/logs/instances"):
            return await written.answer(request)
        return await conductor.answer(request)

    with tempfile.TemporaryDirectory() as made:
        context = fake_context(MANIFEST.name, folder or Path(made), conductor, kept)
        context.client = httpx.AsyncClient(base_url="http://conductor", transport=httpx.MockTransport(answer))
        service = assembled(context, AtOnce(), AtOnce(), AtOnce())
        app = ServiceApp(context, service)
        async with app.running():
            yield Logs(MemoryService(context, conductor, kept, service, app), written)
            app.stop_soon()
