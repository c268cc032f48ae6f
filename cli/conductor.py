"""The conductor in one process: store, API, gateway, loop, runtime and agent, wired together here and nowhere else.

SIGTERM and Ctrl-C stop what it started, in order. A conductor that was killed leaves its services running, and the
next one adopts them.
"""

from __future__ import annotations

import os
import random
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import orjson
import structlog
import uvloop

from agent.identity import Identity, IdentityInMemory
from agent.report import Agent
from agent.settings import Settings as AgentSettings
from api.auth.accounts import Accounts
from api.auth.authenticating import Authenticator
from api.auth.authorizer import Authorizer
from api.auth.derived import DerivedSecrets
from api.auth.principal import MASTERS
from api.auth.tokens import TokenKeys, Tokens
from api.door import Door
from api.gateway.balancing import Balancer
from api.gateway.gateway import Gateway
from api.logging import configure_logging
from api.metrics import Metrics
from api.rest import log_routes, rest_app
from api.routes_agents import agent_routes
from api.routes_auth import auth_routes
from api.serving import make_server
from api.tls import Authority
from api.wire.resource_api import ResourceApi
from cli import conductor_process
from cli.founding import FOUNDER, found
from cli.settings import Settings
from controller.kit.clock import SystemClock
from controller.kit.files import keep_secret, write_private
from controller.kit.leases import Leases
from controller.kit.threads import Threads
from controller.loop.events import EventSweeper
from controller.loop.reconciler import Reconciler
from controller.loop.supervisor import Loop
from controller.reconcilers.garbage import GarbageCollector
from controller.reconcilers.namespace import NamespaceReconciler
from controller.reconcilers.service import ServiceReconciler
from controller.reconcilers.worker import WorkerReconciler
from controller.resources.local import LocalResources
from controller.resources.registry import Registry
from controller.runtime.driver import News
from controller.runtime.process import ProcessDriver
from controller.store.records import Store
from controller.store.sql import open_store
from crds.catalog import CORE_KINDS, Catalog
from crds.kind import Manifest
from crds.kinds.service import SERVICE, Service
from crds.kinds.worker import WORKER
from crds.managed import ManagedService
from services.sdk.discovery import managed_services

log = structlog.get_logger("conductor")
COMPACT_EVERY_SECONDS = 300.0


@dataclass(frozen=True)
class _House:
    """What the parts share."""

    settings: Settings
    clock: SystemClock
    threads: Threads
    rng: random.Random
    services: tuple[ManagedService, ...]
    registry: Registry
    accounts: Accounts
    tokens: Tokens
    authorizer: Authorizer
    authority: Authority
    leases: Leases
    worker: str

    @property
    def home(self) -> Path:
        return self.settings.home


def serve(settings: Settings) -> int:
    """Run until told to stop. Returns the exit code. Raises StoreBroken, OSError for what cannot be opened."""
    configure_logging(settings.log_level)
    return uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> int:
    async with _house(settings) as house:
        driver = ProcessDriver(settings.home, worker=house.worker, clock=house.clock, rng=house.rng)
        loop = _loop(house, driver)
        resources = LocalResources(house.registry, FOUNDER)
        async with anyio.create_task_group() as group:
            await group.start(driver.run)
            group.start_soon(_serve_http, house, driver)
            await group.start(loop.run)
            group.start_soon(GarbageCollector(resources, house.registry.catalog, house.clock).run)
            group.start_soon(EventSweeper(resources, house.clock, house.rng).run)
            group.start_soon(_compact_slowly, house)
            group.start_soon(_run_agent, house)
            _record(settings)
            log.info("conductor is up", url=settings.url, runtime=driver.name)
            await _until_told_to_stop()
            log.info("stopping what this conductor started")
            with anyio.CancelScope(shield=True), anyio.move_on_after(60):
                await driver.stop_all()
            group.cancel_scope.cancel()
    (settings.run / "conductor.json").unlink(missing_ok=True)
    return 0


def _record(settings: Settings) -> None:
    """Where the commands find this conductor."""
    me = {"pid": os.getpid(), "startTime": conductor_process.start_time(os.getpid()), "port": settings.port}
    write_private(settings.run / "conductor.json", orjson.dumps(me))


@asynccontextmanager
async def _house(settings: Settings) -> AsyncIterator[_House]:
    """Opens what is kept under the home, oldest first, and makes what a first start needs."""
    home, clock, threads = settings.home, SystemClock(), Threads(8)
    (home / "store").mkdir(parents=True, exist_ok=True)
    services = managed_services()
    catalog = Catalog(CORE_KINDS)
    for kind in (kind for service in services for kind in service.kinds):
        catalog.add(kind)
    keep_secret(home / "secrets" / "root-key")
    derived = DerivedSecrets(keep_secret(home / "secrets" / "master-key"))
    authority = Authority(settings.tls, now=clock.now())
    authority.client("admin", "local-admin", [MASTERS])
    store = await open_store(f"sqlite:///{home}/store/records.db", threads=threads, clock=clock)
    try:
        registry = Registry(store, catalog, clock)
        tokens = Tokens(TokenKeys(home / "secrets" / "jwt"), clock)
        accounts = Accounts(registry, tokens, derived, clock, threads)
        worker = socket.gethostname().split(".")[0].lower() or "worker"
        await found(settings, registry, accounts, services, worker)
        yield _House(
            settings=settings,
            clock=clock,
            threads=threads,
            rng=random.Random(),  # noqa: S311 - jitter, not secrecy
            services=services,
            registry=registry,
            accounts=accounts,
            tokens=tokens,
            authorizer=Authorizer(catalog, services),
            authority=authority,
            leases=Leases(clock),
            worker=worker,
        )
    finally:
        with anyio.CancelScope(shield=True):
            await store.close()


def _loop(house: _House, driver: ProcessDriver) -> Loop:
    """The reconcilers of the core kinds; what the driver sees wakes them and is told as Events."""
    managed = {service.name: service for service in house.services}
    reconcilers: list[Reconciler[Any]] = [
        NamespaceReconciler(house.registry.catalog),
        WorkerReconciler(house.leases),
        ServiceReconciler(driver, managed, _Environment(house), reach=frozenset({house.worker})),
    ]
    loop = Loop(LocalResources(house.registry, FOUNDER), house.clock, reconcilers, house.rng, component="conductor")

    def hear(news: News) -> None:
        loop.look(news.key)
        record = house.registry.store.get(news.key)
        if record is not None:
            about: Manifest = SERVICE.parse(record.body)
            loop.events.tell(about, news.reason, news.message, warning=news.warning)

    driver.on_news(hear)
    return loop


class _Environment:
    """What a managed service's process is told: where the API is, and how to prove itself to it."""

    def __init__(self, house: _House) -> None:
        self._house = house

    async def __call__(self, service: Service, manifest: ManagedService | None) -> Mapping[str, str]:
        if manifest is None:
            return {}
        house, name = self._house, service.metadata.name
        client = f"service:{name}"
        secret = house.accounts.client_secret(client, SERVICE.key(name, service.metadata.namespace))
        file = house.home / "credentials" / f"{name}.json"
        content = orjson.dumps({"clientId": client, "clientSecret": secret})
        if not file.exists() or file.read_bytes() != content:
            write_private(file, content)
        secrets = {
            f"AEREKOS_SECRET_{each.upper().replace('-', '_')}": str(house.home / "secrets" / each)
            for each in manifest.secrets
        }
        return {
            "AEREKOS_API": house.settings.url,
            "AEREKOS_CA": str(house.authority.ca_file),
            "AEREKOS_CREDENTIAL": str(file),
            **secrets,
        }


async def _serve_http(house: _House, driver: ProcessDriver) -> None:
    settings, registry = house.settings, house.registry
    authenticator = Authenticator(house.tokens, house.accounts, house.authorizer)
    gateway = Gateway(Balancer(registry, house.clock), house.tokens, house.authorizer, house.services, house.clock)
    ca = house.authority.ca_file.read_bytes()
    rest = rest_app(
        [
            auth_routes(house.accounts, authenticator, house.tokens.keys, registry, house.clock, ca),
            agent_routes(registry, house.leases, authenticator, house.authorizer, house.clock),
            log_routes(registry, driver, authenticator, house.authorizer),
        ]
    )
    door = Door(
        resources=ResourceApi(registry, house.authorizer, house.clock, house.rng),
        gateway=gateway,
        authenticator=authenticator,
        authorizer=house.authorizer,
        rest=rest,
        readiness=lambda: {"ready": True, "revision": registry.store.revision},
        metrics=Metrics(registry.store),
    )
    certificate, key = house.authority.server(_hosts(settings))
    server = make_server(
        door,
        host=settings.host,
        port=settings.port,
        certificate=certificate,
        key=key,
        ca=house.authority.ca_file,
    )
    try:
        await server.serve()
    finally:
        with anyio.CancelScope(shield=True):
            await gateway.close()


def _hosts(settings: Settings) -> list[str]:
    names = ["localhost", "127.0.0.1", "::1", socket.gethostname(), settings.host]
    return list(dict.fromkeys(name for name in names if name not in ("0.0.0.0", "::")))  # noqa: S104 - left out


async def _run_agent(house: _House) -> None:
    """The embedded agent: an ordinary one, with an identity that needs no token."""
    client = f"worker:{house.worker}"
    secret = house.accounts.client_secret(client, WORKER.key(house.worker))
    ca = house.authority.ca_file.read_text()
    settings = AgentSettings(
        name=house.worker,
        home=house.home,
        api=(house.settings.url,),
        services_dir=house.home / "run" / "instances",
    )
    identity = IdentityInMemory(Identity(house.worker, client, secret, ca))
    await Agent(settings, house.clock, identity=identity).run()


async def _compact_slowly(house: _House) -> None:
    """Keeps the history of the last hours, and no more."""
    store: Store = house.registry.store
    while True:
        await anyio.sleep(COMPACT_EVERY_SECONDS)
        since = house.clock.now() - timedelta(hours=house.settings.retention_hours)
        gone = await store.compact(keep_after=await store.revision_at(since))
        if gone:
            log.info("compacted", records=gone, oldest=store.oldest)


async def _until_told_to_stop() -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            log.info("told to stop", signal=signal.Signals(number).name)
            return
