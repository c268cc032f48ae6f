"""A whole managed service on the test's own loop, in virtual time: application, informers, reconcilers and tasks.

What waits for threads or sockets does not move virtual time: such a service is tested by `serving`.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from concurrent.futures import Executor, Future
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import httpx

from controller.kit.clock import LoopClock as LoopClock  # also for tests of services, which do not see controller
from controller.kit.virtual import VirtualLoop as VirtualLoop
from crds.managed import ManagedService
from services.sdk.app import ServiceApp
from services.sdk.context import ServiceContext
from services.sdk.service import Service, create_service
from services.sdk.testing.conductor import FakeConductor, GatewayIdentity, User, fake_context
from services.sdk.testing.memory_resources import MemoryResources

P = ParamSpec("P")


class AtOnce(Executor):
    """What is to be done in a thread is done on the spot: virtual time does not wait for threads."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except BaseException as error:
            done.set_exception(error)
        return done


def virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an async test on a loop whose time jumps to the next timer whenever all tasks wait."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


@dataclass
class MemoryService:
    """A running service."""

    context: ServiceContext
    conductor: FakeConductor
    resources: MemoryResources
    service: Service
    app: ServiceApp

    def client(self, user: User | None = None) -> httpx.AsyncClient:
        """A client of its routes, as the gateway lets `user` in."""
        auth = GatewayIdentity(self.conductor, self.context.service_name, user or User())
        return self._client(auth)

    def probe(self) -> httpx.AsyncClient:
        """A client without an identity: for /health, /ready and /metrics."""
        return self._client(None)

    async def advance(self, seconds: float) -> None:
        """Let that much time pass: whatever is due happens."""
        await asyncio.sleep(seconds)

    def _client(self, auth: httpx.Auth | None) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://service", auth=auth)


@asynccontextmanager
async def in_memory(
    manifest: ManagedService,
    *,
    secrets: Mapping[str, bytes] | None = None,
    peer: Callable[[str], httpx.AsyncClient] | None = None,
    resources: MemoryResources | None = None,
) -> AsyncIterator[MemoryService]:
    """That service, started and stopped as by its process. `resources`: those of another one beside it."""
    clock = LoopClock()
    conductor, kept = FakeConductor(clock), resources or MemoryResources(clock, keepers=True)
    with tempfile.TemporaryDirectory() as folder:
        context = fake_context(manifest.name, Path(folder), conductor, kept, secrets)
        context.make_peer = peer
        service = create_service(manifest, context)
        app = ServiceApp(context, service)
        async with app.running():
            yield MemoryService(context, conductor, kept, service, app)
            app.stop_soon()
