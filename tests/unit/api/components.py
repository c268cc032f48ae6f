"""The door with everything behind it, on a real store, for tests: no network, no loop, no driver."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx

import api.auth.passwords as passwords
from api.agents.heartbeats import Heartbeats
from api.agents.registration import agent_routes
from api.app import ConductorApp
from api.asgi import App, Receive, Scope, Send
from api.audit import Audit
from api.audit.options import AuditOptions
from api.audit.routes import audit_routes
from api.auth.accounts import Accounts
from api.auth.authentication import Authenticator
from api.auth.authorizer import Authorizer
from api.auth.derived_secrets import DerivedSecrets
from api.auth.join_tokens import JoinTokens
from api.auth.oidc.keys import Fetch, IssuerKeys
from api.auth.oidc.login import Federation
from api.auth.oidc.options import OidcOptions
from api.auth.oidc.verification import Verifier
from api.auth.on_behalf import signer
from api.auth.principal import AUTHENTICATED, MASTERS, Principal
from api.auth.routes.access_keys import access_key_routes
from api.auth.routes.identities import identity_routes
from api.auth.routes.oidc import oidc_routes
from api.auth.routes.policies import policy_routes
from api.auth.routes.sessions import session_routes
from api.auth.routes.sts import sts_routes
from api.auth.routes.totp import totp_routes
from api.auth.service_accounts import AccountTokens
from api.auth.sts.service import SecurityTokens
from api.auth.tokens import TokenKeys, Tokens
from api.chain import RequestChain
from api.cloud import CloudIdentity, cloud_routes
from api.cookies import RefreshCookie
from api.gateway.gateway import Gateway
from api.gateway.handlers import gateway_handlers
from api.gateway.load_balancer import LoadBalancer
from api.gateway_metrics import GatewayCounts
from api.kube.resource_api import ResourceApi
from api.metrics import Metrics
from api.rate_limit import RateLimiter
from api.registry_proxy import RegistryProxy
from api.rest import rest_app
from api.streams import StreamGuard
from api.traffic import Traffic
from api.traffic_routes import traffic_routes
from api.watch_metrics import WatchMetrics
from controller.kit.leases import Leases
from controller.kit.peers import Peers
from controller.kit.threads import Threads
from controller.main.explanations import access_questions
from controller.resources.registry import Registry
from controller.resources.strategy import WriteOptions
from controller.runtime.driver import ObservedInstance
from controller.runtime.endpoints import Endpoints
from controller.store.records import Store
from controller.store.sql import open_store
from crds.catalog import CORE_KINDS, Catalog
from crds.kinds.namespace import NAMESPACE
from crds.kinds.service import SERVICE
from crds.kinds.service_account import SERVICE_ACCOUNT
from crds.kinds.session import SESSION, Session, SessionSpec
from crds.kinds.user import USER
from crds.kinds.worker import WORKER
from crds.managed import Grant, ManagedService

HOW = WriteOptions(by="test")
SIGNING = {"key-manager": ("kms",)}
passwords.COST = (2**10, 8, 1)  # what hashing costs is a matter of one test, not of all
CA = b"-----BEGIN CERTIFICATE-----\n"
COOKIE = RefreshCookie.of(CA)
ADMIN = Principal("system:root", frozenset({MASTERS, AUTHENTICATED}))
KMS = ManagedService(
    "key_manager", "Keys", "", "x:y", speaks=("kms",), grants=(Grant("configmaps", ("get", "list"), ""),)
)


class Hands:
    """A clock that a test moves; it begins at the real time, which is what certificates are judged by."""

    def __init__(self) -> None:
        self._moved, self._began = 0.0, datetime.now(UTC)
        self.slept: list[float] = []

    def forward(self, seconds: float) -> None:
        self._moved += seconds

    async def sleep(self, seconds: float) -> None:
        """As `anyio.sleep`, but the test's hand moves the clock: nobody waits."""
        self.slept.append(seconds)
        self.forward(seconds)

    def now(self) -> datetime:
        return self._began + timedelta(seconds=self._moved)

    def monotonic(self) -> float:
        return 1000 + self._moved


@dataclass
class House:
    """What the conductor wires together, less the parts that start processes."""

    store: Store
    registry: Registry
    clock: Hands
    tokens: Tokens
    accounts: Accounts
    authorizer: Authorizer
    leases: Leases
    endpoints: Endpoints
    balancer: LoadBalancer
    gateway: Gateway
    metrics: Metrics
    door: App
    conductor: ConductorApp
    authenticator: Authenticator
    guard: StreamGuard
    audit: Audit
    watches: WatchMetrics
    security: SecurityTokens
    state: dict[str, object] = field(default_factory=lambda: {"ready": True})
    heard: list[str] = field(default_factory=list)
    pretended: dict[str, Session] = field(default_factory=dict)

    def __post_init__(self) -> None:
        sessions, stored = self.accounts.sessions, self.accounts.sessions.find
        clients, bound = self.accounts.clients, self.accounts.clients.binding

        def find(sid: str) -> Any:
            return (None, self.pretended[sid]) if sid in self.pretended else stored(sid)

        def binding(client_id: str) -> Any:
            pretended = {"uid": "pretended", "gen": 0} if client_id.startswith("service:") else None
            return bound(client_id) or pretended

        def principal(claims: Any) -> Principal:
            """Masters come by certificate; a test's come by a token, so that it needs no TLS."""
            return replace(ADMIN) if claims["sub"] == ADMIN.name else judged(claims)

        standing, judged = self.accounts.standing, self.accounts.standing.principal
        standing.principal = principal  # type: ignore[method-assign]
        sessions.find = find  # type: ignore[method-assign]
        clients.binding = binding  # type: ignore[method-assign]

    async def close(self) -> None:
        await self.gateway.close()
        await self.store.close()

    async def add_user(self, name: str, *roles: str, password: str = "", **spec: Any) -> None:
        body = {"metadata": {"name": name}, "spec": {"roles": list(roles or ("viewer",)), **spec}}
        await self.registry.create(USER, "", body, HOW)
        if password:
            await self.accounts.set_password(name, password, one_time=False, by="test")

    async def add_worker(self, name: str) -> None:
        await self.registry.create(WORKER, "", {"metadata": {"name": name}}, HOW)

    async def robot(self) -> dict[str, str]:
        """The header of a known identity that may do nothing: a service account without a role."""
        made = await self.registry.create(SERVICE_ACCOUNT, "default", {"metadata": {"name": "robot"}}, HOW)
        assert made.record is not None
        who = Principal("system:serviceaccount:default:robot", frozenset())
        return {"authorization": f"Bearer {self.tokens.issue(who, seconds=600, uid=made.record.uid)}"}

    async def add_service(self, name: str, *addresses: str, unready: tuple[str, ...] = (), **more: Any) -> None:
        """A Service whose instances are where the test says, as if a driver had reported them."""
        key = SERVICE.key(name, "default")
        if self.store.get(key) is None:
            spec = {"managed": KMS.name} if name == KMS.service_name else {"image": "x:1"}
            body = {"metadata": {"name": name}, "spec": spec | more}
            await self.registry.create(SERVICE, "default", body, HOW)
        seen = [
            ObservedInstance(f"{name}-{n}", "Ready", address not in unready, "r", address)
            for n, address in enumerate((*addresses, *unready))
        ]
        self.endpoints.report(key, self.registry.get(SERVICE, key).uid, seen)

    def bearer(self, who: Principal, **more: Any) -> dict[str, str]:
        """The header of somebody with a good token. What they may is what the store says of them."""
        bound = self._binding(who)
        return {"authorization": f"Bearer {self.tokens.issue(who, seconds=600, **bound, **more)}"}

    def _binding(self, who: Principal) -> dict[str, Any]:
        if who.service or who.worker:
            return dict(self.accounts.clients.binding(who.name.removeprefix("system:")) or {})
        if who.name.startswith("system:"):
            return {}
        return {"sid": self.pretended_session(who.name)}

    def pretended_session(self, name: str) -> str:
        """The id of a session as a login would have left it, without waiting for the store."""
        user, now = self.accounts.user(name), self.clock.now()
        uid = str(user.metadata.uid) if user else "nobody"
        spec = SessionSpec(
            user=name,
            user_uid=uid,
            credential=self.accounts.people.digest(name),
            expires_at=now + timedelta(days=1),
            refreshed_at=now,
        )
        sid = f"pretended-{name}-{len(self.pretended)}"
        self.pretended[sid] = SESSION.new(sid, spec=spec)
        return sid

    def client(self, headers: Mapping[str, str] | None = None) -> httpx.AsyncClient:
        """Asks the app, without a network between."""
        transport = httpx.ASGITransport(app=self.door, raise_app_exceptions=True)  # type: ignore[arg-type]
        return httpx.AsyncClient(transport=transport, base_url="https://cloud.test", headers=headers)


async def make_house(
    folder: Path,
    audit_options: AuditOptions | None = None,
    oidc: OidcOptions | None = None,
    fetch: Fetch | None = None,
) -> House:
    """A cloud with the namespace `default` and nobody in it."""
    clock, catalog, threads = Hands(), Catalog(CORE_KINDS), Threads(4)
    store = await open_store(f"sqlite:///{folder}/records.db", threads=threads, clock=clock)
    registry = Registry(store, catalog, clock)
    await registry.create(NAMESPACE, "", {"metadata": {"name": "default"}}, HOW)
    # The last admin could not be demoted or deleted.
    await registry.create(USER, "", {"metadata": {"name": "owner"}, "spec": {"roles": ["admin"]}}, HOW)
    tokens = Tokens(TokenKeys(folder / "jwt"), clock)
    derived = DerivedSecrets(b"m" * 32)
    accounts = Accounts(registry, tokens, derived, clock, threads, clock.sleep)
    authorizer, leases = Authorizer(catalog, (KMS,), store), Leases(clock)
    federation = _federation(registry, accounts, clock, oidc, fetch) if oidc else None
    authenticator, endpoints = Authenticator(tokens, accounts, authorizer, federation), Endpoints()
    security = SecurityTokens(store, accounts, tokens, authorizer, derived, clock, fetch)
    counts = GatewayCounts(clock.monotonic)
    managed = {KMS.service_name: KMS.name}
    balancer = LoadBalancer(registry, endpoints, clock, managed, partial(counts.note, "ejected"))
    gateway = Gateway(
        balancer, tokens, authorizer, (KMS,), clock, partial(signer, accounts), accounts.access_keys.used,
        traffic=Traffic(counts.ejected), events=counts,
    )  # fmt: skip
    resources = ResourceApi(
        registry, authorizer, clock, random.Random(1), account_tokens=AccountTokens(tokens, clock)
    )
    metrics = Metrics(store, watches=resources.watches)
    metrics.registry.register(counts)
    guard = StreamGuard(authenticator, authorizer)
    state: dict[str, object] = {"ready": True}
    heard: list[str] = []
    audit = Audit(folder / "audit.log", clock, key=b"a" * 32, options=audit_options)
    rest = rest_app(
        [
            cloud_routes(CloudIdentity("attic", "ab" * 32)),
            session_routes(accounts, authenticator, COOKIE),
            access_key_routes(accounts, authenticator),
            policy_routes(security.policies, authenticator),
            sts_routes(security, authenticator, authorizer),
            totp_routes(accounts, authenticator),
            oidc_routes(oidc, authenticator, COOKIE),
            identity_routes(accounts, authenticator, tokens.keys, JoinTokens(registry, clock), CA, clock, SIGNING),
            agent_routes(registry, leases, authenticator, authorizer, clock),
            traffic_routes(gateway.traffic, authenticator, authorizer),
            audit_routes(audit, authenticator, authorizer),
        ]
    )
    conductor = ConductorApp(
        resources=resources,
        authenticator=authenticator,
        authorizer=authorizer,
        guard=guard,
        exec_=None,
        heartbeats=Heartbeats(registry, leases, Peers(), authenticator, heard.append),
        images=RegistryProxy("", authenticator, accounts, authorizer, tokens),
        rest=rest,
        readiness=lambda: state,
        metrics=metrics,
        limits=RateLimiter(clock, per_second=1000, watches=100),
        audit=audit,
        questions=access_questions(registry, authorizer, (KMS,), audit, clock),
    )
    door = _with_gateway(conductor, gateway, authenticator, guard, metrics, audit)
    return House(
        store, registry, clock, tokens, accounts, authorizer, leases, endpoints, balancer, gateway, metrics, door,
        conductor,        authenticator, guard, audit, resources.watches, security, state, heard
    )  # fmt: skip


def _with_gateway(
    conductor: ConductorApp,
    gateway: Gateway,
    authenticator: Authenticator,
    guard: StreamGuard,
    metrics: Metrics,
    audit: Audit,
) -> App:
    """Both in one process: what the gateway answers by itself, and the conductor for all else."""
    chain = RequestChain(
        gateway_handlers(gateway, authenticator),
        authenticator=authenticator,
        guard=guard,
        metrics=metrics,
        audit=audit,
        otherwise=conductor,
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (chain if scope["type"] == "http" else conductor)(scope, receive, send)

    return app


def _federation(
    registry: Registry, accounts: Accounts, clock: Hands, options: OidcOptions, fetch: Fetch | None
) -> Federation:
    verifier = Verifier(options, IssuerKeys(options, clock, fetch), clock)
    create = options.create_users
    return Federation(verifier, registry, accounts.people, accounts.sessions, create_users=create)
