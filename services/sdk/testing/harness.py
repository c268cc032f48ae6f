"""A whole managed service on a loopback port, in a thread of its own: for real clients, such as boto3."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from controller.kit.clock import Clock, SystemClock
from crds.managed import ManagedService
from services.sdk.app import ServiceApp
from services.sdk.aws.model import called
from services.sdk.clients.service_client import ServiceClient
from services.sdk.context import ServiceContext
from services.sdk.discovery import managed_service
from services.sdk.edge.http_server import AT_ONCE
from services.sdk.server import open_server
from services.sdk.service import create_service
from services.sdk.testing.conductor import FakeConductor, GatewayIdentity, User, fake_context
from services.sdk.testing.gateway import gateway_for
from services.sdk.testing.memory_resources import MemoryResources


@dataclass
class ServiceHarness:
    """A running service."""

    url: str
    conductor: FakeConductor
    resources: MemoryResources
    context: ServiceContext
    loop: asyncio.AbstractEventLoop

    def boto3_client(self, service: str, user: User | None = None, **options: Any) -> Any:
        """A real client that signs as `user`, without retries."""
        import boto3
        from botocore.config import Config

        who = user or User()
        return boto3.client(
            called(service),
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=who.access_key,
            aws_secret_access_key=who.secret,
            config=Config(retries={"total_max_attempts": 1}, **options),
        )

    def http(self, user: User | None = None) -> httpx.Client:
        """A client of its plain routes, as the gateway lets `user` in. Close it."""
        auth = GatewayIdentity(self.conductor, self.context.service_name, user or User())
        return httpx.Client(base_url=self.url, auth=auth)

    def peer_client(self, caller: str) -> httpx.AsyncClient:
        """How the managed service `caller` (`notes-manager`) reaches this one."""
        who = User(f"system:service:{caller}", ("system:services",))
        return httpx.AsyncClient(
            base_url=self.url, auth=GatewayIdentity(self.conductor, self.context.service_name, who)
        )

    def run(self, work: Any) -> Any:
        """The result of a coroutine, run in the service's own loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)


def client_over(http: httpx.AsyncClient, name: str = "peer") -> ServiceClient:
    """The client that a service has of another one, whose root `http` is."""
    return ServiceClient(name, http, SystemClock(), lambda service, outcome: None)


@contextmanager
def serving(
    service: str | ManagedService,
    *,
    secrets: Mapping[str, bytes] | None = None,
    clock: Clock | None = None,
    peer: Callable[[str], httpx.AsyncClient] | None = None,
    reconciles: bool = False,
) -> Iterator[ServiceHarness]:
    """That managed service on a free loopback port, behind a gateway that adds identities.

    `peer`: the clients it reaches other managed services with, such as `ServiceHarness.peer_client` of another one.
    `reconciles`: whether its reconcilers run, too.
    """
    manifest = service if isinstance(service, ManagedService) else managed_service(service)
    if manifest is None:
        raise LookupError(f"there is no managed service {service!r}")
    conductor = FakeConductor(clock)
    started: list[ServiceHarness | BaseException] = []
    ready, stop = threading.Event(), asyncio.Event()

    async def main() -> None:
        resources = MemoryResources(conductor.clock, keepers=reconciles)
        with tempfile.TemporaryDirectory() as folder:
            context = fake_context(manifest.name, Path(folder), conductor, resources, secrets)
            context.make_peer = peer
            app = ServiceApp(context, create_service(manifest, context), reconciles=reconciles)
            gateway = gateway_for(app, conductor, context, manifest)
            server = await open_server(gateway, "127.0.0.1", 0)
            async with app.running():
                server.start()
                port, loop = server.sockets[0].getsockname()[1], asyncio.get_running_loop()
                started.append(ServiceHarness(f"http://127.0.0.1:{port}", conductor, resources, context, loop))
                ready.set()
                await stop.wait()
                app.stop_soon()
                await server.stop(AT_ONCE)

    def thread() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            started.append(error)
            ready.set()

    runner = threading.Thread(target=thread, name=f"serving {manifest.name}", daemon=True)
    runner.start()
    ready.wait(30)
    if not started or isinstance(started[0], BaseException):
        raise RuntimeError(f"{manifest.name} did not start") from (started[0] if started else None)  # type: ignore[misc]
    try:
        yield started[0]
    finally:
        started[0].loop.call_soon_threadsafe(stop.set)
        runner.join(15)
