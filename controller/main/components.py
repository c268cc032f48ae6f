"""Components the conductor's parts share, opened in order: secrets, certificates, the store, the first records."""

from __future__ import annotations

import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import anyio

from api.auth.accounts import Accounts
from api.auth.authorizer import Authorizer
from api.auth.derived_secrets import DerivedSecrets
from api.auth.principal import MASTERS
from api.auth.second_factor import Demand
from api.auth.tokens import TokenKeys, Tokens
from api.channel.conductors import Conductors
from api.cloud import CloudIdentity, identity_of
from api.tls import CertificateAuthority
from controller.kit import generations
from controller.kit.clock import SystemClock
from controller.kit.leases import Leases
from controller.kit.peers import Peers
from controller.kit.threads import Threads
from controller.main.bootstrap import bootstrap
from controller.main.role_endpoint import RoleEndpoint
from controller.main.root_key import RootKeyFile, keep_root_key
from controller.main.settings import Settings
from controller.reconcilers.service_activation import Activations
from controller.resources.registry import Registry
from controller.runtime.endpoints import Endpoints
from controller.store.records import Store, StoreFull
from controller.store.reserve import Reserve
from controller.store.sealing import Sealing
from controller.store.sql import open_store
from controller.store.upgrading import KindUpgrades
from crds.catalog import Catalog
from crds.managed import ManagedService
from services.sdk.discovery import catalog_of, managed_services


@dataclass(frozen=True)
class Components:
    """One open home. `worker` is the name of this machine as a worker."""

    settings: Settings
    clock: SystemClock
    rng: random.Random
    services: tuple[ManagedService, ...]
    registry: Registry
    accounts: Accounts
    tokens: Tokens
    authorizer: Authorizer
    authority: CertificateAuthority
    cloud: CloudIdentity
    leases: Leases
    peers: Peers
    endpoints: Endpoints
    activations: Activations
    worker: str
    derived: DerivedSecrets
    sealing: Sealing
    reserve: Reserve
    role_endpoint: RoleEndpoint
    root_key: RootKeyFile
    conductors: Conductors

    @property
    def home(self) -> Path:
        return self.settings.home


@asynccontextmanager
async def open_components(settings: Settings, epoch: int = 0) -> AsyncIterator[Components]:
    """`epoch`: of the lead, where the store is shared. Raises StoreBroken for a store that cannot be read, StoreAway
    for one that does not answer, OSError for a folder that cannot be used.
    """
    home, clock, threads = settings.home, SystemClock(), Threads(8)
    (home / "store").mkdir(parents=True, exist_ok=True)
    services = managed_services()
    derived = DerivedSecrets(generations.keep(home / "secrets" / "master-key", clock.now()))
    authority = CertificateAuthority(settings.tls, now=clock.now())
    authority.client("admin", "local-admin", [MASTERS])
    catalog = catalog_of(services)
    sealing = Sealing(home / "secrets" / "store-key", sealed_kinds(catalog))
    reserve = Reserve(home / "store" / "reserve")
    store = await _open_store(settings, epoch, reserve, threads, clock, sealing, catalog)
    try:
        registry = Registry(store, catalog, clock)
        root_key = keep_root_key(settings, registry, services, clock.now())
        gateways = home / "secrets" / "gateway-jwt"
        TokenKeys(gateways)  # made before any service asks for the keys that count
        tokens = Tokens(TokenKeys(home / "secrets" / "jwt", beside=gateways), clock)
        accounts = Accounts(registry, tokens, derived, clock, threads)
        accounts.factors.demand = cast(Demand, settings.second_factor)
        worker = socket.gethostname().split(".")[0].lower() or "worker"
        await bootstrap(settings, registry, accounts, services, worker, clock.now())
        yield Components(
            settings=settings,
            clock=clock,
            rng=random.Random(),  # noqa: S311 - jitter, not secrecy
            services=services,
            registry=registry,
            accounts=accounts,
            tokens=tokens,
            authorizer=Authorizer(registry.catalog, services, store),
            authority=authority,
            cloud=identity_of(settings.name, authority.pem),
            leases=Leases(clock),
            peers=Peers(),
            endpoints=Endpoints(),
            activations=Activations(clock),
            worker=worker,
            derived=derived,
            sealing=sealing,
            reserve=reserve,
            role_endpoint=RoleEndpoint(home),
            root_key=root_key,
            conductors=Conductors(),
        )
    finally:
        with anyio.CancelScope(shield=True):
            await store.close()


async def _open_store(
    settings: Settings,
    epoch: int,
    reserve: Reserve,
    threads: Threads,
    clock: SystemClock,
    sealing: Sealing,
    catalog: Catalog,
) -> Store:
    """On a full disk, with the room that was kept for it."""
    upgrades = kind_upgrades(catalog)

    async def opened() -> Store:
        return await open_store(
            settings.store_url, threads=threads, clock=clock, sealing=sealing, upgrades=upgrades, epoch=epoch
        )

    try:
        return await opened()
    except StoreFull:
        if not reserve.give_back():
            raise
        return await opened()


def sealed_kinds(catalog: Catalog) -> set[tuple[str, str]]:
    """Kinds that the store keeps as ciphertext only."""
    return {(kind.group, kind.plural) for kind in catalog if kind.sealed}


def kind_upgrades(catalog: Catalog) -> KindUpgrades:
    """How the store reads records of each kind that an earlier version wrote."""
    return {(kind.group, kind.plural): kind.upgrades for kind in catalog}
