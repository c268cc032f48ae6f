"""A conductor that stands by, as its clients see it: gateways of its own, and reads and watches answered from the
store it follows (api/standby.py). It runs nothing and writes nothing.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import structlog

from api.audit import Audit
from api.auth.accounts import Accounts
from api.auth.authentication import Authenticator
from api.auth.authorizer import Authorizer
from api.auth.derived_secrets import DerivedSecrets
from api.auth.tokens import TokenKeys, Tokens
from api.channel.conductor import Channel
from api.channel.conductors import Conductors
from api.channel.replication import Replication
from api.channel.reports import Reports
from api.front_proxy import SOCKET, FrontProxy
from api.gateway_metrics import GatewayCounts
from api.kube.resource_api import ResourceApi
from api.metrics import Metrics
from api.rate_limit import RateLimiter
from api.server import make_socket_server
from api.standby import StandbyApp
from api.streams import StreamGuard
from api.tls import CertificateAuthority
from api.traffic import Traffic
from controller.kit import generations
from controller.kit.clock import SystemClock
from controller.kit.leases import Leases
from controller.kit.threads import Threads
from controller.kit.unix_sockets import listen_on
from controller.main.audit_log import looked_after, open_audit
from controller.main.certificates import keep_certificates_fresh, server_certificate
from controller.main.components import kind_upgrades, sealed_kinds
from controller.main.gateways import Gateways
from controller.main.http import gateway_settings
from controller.main.oidc import federation, oidc_options
from controller.main.server_names import ServerNames
from controller.main.settings import Settings
from controller.resources.registry import Registry
from controller.runtime.endpoints import Endpoints
from controller.store.records import FollowingStore
from controller.store.sealing import Sealing
from controller.store.sql import follow_store
from crds.kinds.definition import DEFINITION
from services.sdk.discovery import catalog_of, managed_services

# Made by the conductor that was first. One that made its own would be another cloud with the same records.
_NEEDED = (
    "secrets/master-key",
    "secrets/store-key",
    "secrets/jwt",
    "secrets/gateway-jwt",
    "tls/ca.crt",
    "tls/ca.key",
)
log = structlog.get_logger("conductor")


async def serve_reads(settings: Settings, gateways: Gateways, conductors: Conductors) -> None:
    """Until cancelled. Raises StoreAway, StoreBroken, CannotListen, OSError, Misuse."""
    if missing := [each for each in _NEEDED if not (settings.home / each).exists()]:
        log.warning(
            "standing by without a port: copy secrets/ and tls/ from the home of the one that leads", missing=missing
        )
        return
    async with _open(settings, conductors) as parts, anyio.create_task_group() as group:
        server = make_socket_server(FrontProxy(parts.channel), parts.audit.flush)
        names = ServerNames(settings)
        server_certificate(parts.authority, await names.look())
        listener = listen_on(settings.home / "run" / SOCKET)
        group.start_soon(parts.guard.run)
        group.start_soon(_follow_definitions, parts.registry)
        group.start_soon(keep_certificates_fresh, settings.tls, names, SystemClock().now)
        gateways.open()
        group.start_soon(gateways.run)
        log.info("reads are answered here, and all else goes on to the conductor that leads", url=settings.url)
        await server.serve_until_cancelled(listener)


@dataclass(frozen=True)
class _Parts:
    """What is open while a conductor serves reads."""

    channel: Channel
    registry: Registry
    guard: StreamGuard
    audit: Audit
    authority: CertificateAuthority


@asynccontextmanager
async def _open(settings: Settings, conductors: Conductors) -> AsyncIterator[_Parts]:
    clock, catalog = SystemClock(), catalog_of(managed_services())
    sealing = Sealing(settings.home / "secrets" / "store-key", sealed_kinds(catalog))
    store = await follow_store(
        settings.store_url, threads=Threads(4), clock=clock, sealing=sealing, upgrades=kind_upgrades(catalog)
    )
    try:
        audit = open_audit(settings, clock)
        async with looked_after(audit):
            yield _parts(settings, conductors, store, Registry(store, catalog, clock), clock, audit)
    finally:
        with anyio.CancelScope(shield=True):
            await store.close()


def _parts(
    settings: Settings,
    conductors: Conductors,
    store: FollowingStore,
    registry: Registry,
    clock: SystemClock,
    audit: Audit,
) -> _Parts:
    secrets = settings.home / "secrets"
    tokens = Tokens(TokenKeys(secrets / "jwt", beside=secrets / "gateway-jwt"), clock)
    derived = DerivedSecrets(generations.read(secrets / "master-key"))
    accounts = Accounts(registry, tokens, derived, clock, Threads(1))
    authorizer = Authorizer(registry.catalog, managed_services(), store)
    trusted = federation(oidc_options(settings), registry, accounts, clock, create_users=False)
    authenticator = Authenticator(tokens, accounts, authorizer, trusted)
    guard, metrics = StreamGuard(authenticator, authorizer), Metrics(store, clock=clock)
    rng = random.Random()  # noqa: S311 - jitter, not secrecy
    app = StandbyApp(
        store=store,
        resources=ResourceApi(registry, authorizer, clock, rng, leases=Leases(clock)),
        authenticator=authenticator,
        guard=guard,
        limits=RateLimiter(clock, per_second=settings.requests_per_second, watches=settings.watches_per_user),
        metrics=metrics,
        audit=audit,
        leader=lambda: conductors.now.leader,
    )
    events = GatewayCounts(clock.monotonic)
    reports = Reports(audit, metrics, Traffic(events.ejected), lambda *_: None, events)
    replication = Replication(store, Endpoints(), gateway_settings(settings), conductors)
    authority = CertificateAuthority(settings.tls, now=clock.now())
    return _Parts(Channel(app, replication, reports), registry, guard, audit, authority)


async def _follow_definitions(registry: Registry) -> None:
    """Kinds that people define while this conductor stands by are known, as are those that go."""
    store = registry.store
    async with store.follow(DEFINITION.group, DEFINITION.plural, after=store.revision) as follower:
        registry.definitions.load()
        async for batch in follower:
            for event in batch:
                registry.definitions.learn(event.record)
