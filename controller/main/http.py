"""The conductor's HTTP side: the resource API with everything beside it, on a socket that only gateways speak to."""

from __future__ import annotations

import anyio
from anyio.abc import TaskStatus

from agent.addressing.interfaces import local_network
from api.agents.container_events import news_routes
from api.agents.heartbeats import Heartbeats
from api.agents.join import join_routes
from api.agents.node_claims import NodeClaims
from api.agents.overlay import overlay_routes
from api.agents.registration import agent_routes
from api.agents.role_credentials import role_credential_routes
from api.app import ConductorApp
from api.audit import Audit
from api.audit.routes import audit_routes
from api.auth.authentication import Authenticator
from api.auth.join_tokens import JoinTokens
from api.auth.routes.access_keys import access_key_routes
from api.auth.routes.certificates import certificate_routes
from api.auth.routes.identities import identity_routes
from api.auth.routes.oidc import oidc_routes
from api.auth.routes.policies import policy_routes
from api.auth.routes.root_key import root_key_routes
from api.auth.routes.sessions import session_routes
from api.auth.routes.sts import sts_routes
from api.auth.routes.totp import totp_routes
from api.auth.service_accounts import AccountTokens
from api.auth.sts.service import SecurityTokens
from api.channel.conductor import Channel
from api.channel.replication import Replication
from api.channel.reports import Reports
from api.channel.settings import GatewaySettings
from api.cloud import cloud_routes
from api.cloud_metrics import CloudMetrics
from api.cookies import RefreshCookie
from api.exec import ExecHandler
from api.front_proxy import SOCKET, FrontProxy
from api.gateway.mutual_tls import MutualTls
from api.gateway_metrics import GatewayCounts
from api.health import health_routes
from api.history import history_routes
from api.instance_logs import instance_log_routes
from api.instance_metrics import InstanceMetrics, instance_metrics_routes
from api.kube.resource_api import ResourceApi
from api.loop_health import LoopHealth, loop_health_routes
from api.metrics import Metrics
from api.rate_limit import RateLimiter
from api.registry_proxy import RegistryProxy
from api.rest import log_routes, rest_app
from api.role_credentials import role_credentials_app
from api.server import make_socket_server
from api.streams import StreamGuard
from api.swarm_services import swarm_routes
from api.templates.routes import template_routes
from api.traffic import Traffic
from api.traffic_routes import traffic_routes
from controller.kit.networks import parse_networks
from controller.kit.threads import Threads
from controller.kit.unix_sockets import listen_on
from controller.main.audit_log import looked_after, open_audit
from controller.main.certificates import keep_certificates_fresh, server_certificate
from controller.main.components import Components
from controller.main.explanations import access_questions
from controller.main.health_checks import health_of
from controller.main.image_resolver import registry_trust
from controller.main.key_rotation import turning
from controller.main.oidc import federation, oidc_options
from controller.main.runtime_selection import Runtime
from controller.main.server_names import ServerNames
from controller.main.settings import Settings
from controller.reconcile.loop import Loop
from controller.runtime.driver import SupportsAdopt, SupportsExec, SupportsRefresh
from crds.kinds.worker import WORKER


async def serve_http(
    components: Components,
    runtime: Runtime,
    loop: Loop,
    *,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled. Started once gateways can come: it listens, and their certificate is there."""
    trusted = federation(
        oidc_options(components.settings),
        components.registry,
        components.accounts,
        components.clock,
        create_users=True,
    )
    authenticator = Authenticator(components.tokens, components.accounts, components.authorizer, trusted)
    guard, gateways = StreamGuard(authenticator, components.authorizer), GatewayCounts(components.clock.monotonic)
    names = ServerNames(components.settings, runtime.swarm, runtime.node)
    server_certificate(components.authority, await names.look())
    traffic = Traffic(gateways.ejected)
    images, audit = _images(components, authenticator), open_audit(components.settings, components.clock)
    security = _security(components)
    app = _app(components, runtime, loop, authenticator, guard, images, audit, traffic, security)
    app.metrics.registry.register(gateways)
    reports = Reports(
        audit,
        app.metrics,
        traffic,
        components.accounts.access_keys.used,
        gateways,
        components.activations.note_use,
    )
    replication = Replication(
        components.registry.store,
        components.endpoints,
        gateway_settings(components.settings),
        components.conductors,
    )
    channel = Channel(app, replication, reports)
    server = make_socket_server(FrontProxy(channel), audit.flush)
    listener = listen_on(components.home / "run" / SOCKET)
    try:
        async with looked_after(audit), anyio.create_task_group() as group:
            group.start_soon(guard.run)
            group.start_soon(components.role_endpoint.serve, role_credentials_app(security.workloads))
            group.start_soon(keep_certificates_fresh, components.settings.tls, names, components.clock.now)
            task_status.started()
            await server.serve(sockets=[listener])
            group.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await images.close()


def gateway_settings(settings: Settings) -> GatewaySettings:
    """What gateways follow of the settings. Raises Misuse."""
    return GatewaySettings(
        per_principal=settings.gateway_requests_per_principal,
        per_address=settings.gateway_requests_per_address,
        per_service=settings.gateway_requests_per_service,
        oidc=oidc_options(settings),
    )


def _app(
    components: Components,
    runtime: Runtime,
    loop: Loop,
    authenticator: Authenticator,
    guard: StreamGuard,
    images: RegistryProxy,
    audit: Audit,
    traffic: Traffic,
    security: SecurityTokens,
) -> ConductorApp:
    registry, authorizer, clock, driver = components.registry, components.authorizer, components.clock, runtime.driver
    ca, stack = components.authority.pem, components.settings.stack
    claims, cookie = _claims(components, runtime), RefreshCookie.of(ca)
    tokens = JoinTokens(registry, clock, claims.is_member)
    health = health_of(components, loop, audit)

    def heard(worker: str) -> None:
        loop.enqueue(WORKER.key(worker))

    account_tokens = AccountTokens(components.tokens, clock)
    resources = ResourceApi(
        registry,
        authorizer,
        clock,
        components.rng,
        driver=driver,
        leases=components.leases,
        account_tokens=account_tokens,
    )
    loop_health = LoopHealth(loop, registry.store, resources.watches, clock, lambda: len(registry.quarantine))
    rest = rest_app(
        [
            cloud_routes(components.cloud),
            session_routes(components.accounts, authenticator, cookie),
            access_key_routes(components.accounts, authenticator),
            policy_routes(security.policies, authenticator),
            sts_routes(security, authenticator, authorizer),
            totp_routes(components.accounts, authenticator),
            oidc_routes(oidc_options(components.settings), authenticator, cookie),
            identity_routes(
                components.accounts,
                authenticator,
                components.tokens.keys,
                tokens,
                ca,
                clock,
                {each.service_name: each.speaks for each in components.services},
                turning(components, loop),
            ),
            certificate_routes(components.authority, authenticator, clock),
            root_key_routes(authenticator, _with_root_key(components), components.root_key.unwrapped, Threads(1)),
            agent_routes(registry, components.leases, authenticator, authorizer, clock),
            log_routes(registry, driver, authenticator, authorizer, clock),
            instance_log_routes(registry, driver, authenticator, authorizer),
            history_routes(registry, authenticator, authorizer, clock),
            traffic_routes(traffic, authenticator, authorizer),
            health_routes(health, authenticator, authorizer),
            loop_health_routes(loop_health, authenticator, authorizer),
            instance_metrics_routes(
                InstanceMetrics(registry, components.endpoints, _to_instances(components)),
                CloudMetrics(registry.store, components.leases, traffic, components.settings.tls),
                authenticator,
                authorizer,
            ),
            audit_routes(audit, authenticator, authorizer),
            template_routes(frozenset(driver.name.split(" and ")), authenticator),
            join_routes(
                tokens,
                authenticator,
                runtime.swarm if stack else None,
                stack.agent_image if stack else "",
                stack.published_port if stack else components.settings.port,
                stack.control_network if stack else "",
            ),
            swarm_routes(
                runtime.swarm, driver if isinstance(driver, SupportsAdopt) else None, authenticator, authorizer
            ),
            overlay_routes(registry, authenticator, clock, loop.events.record),
            role_credential_routes(authenticator, security.workloads),
            news_routes(
                authenticator, driver.request_refresh if isinstance(driver, SupportsRefresh) else loop.enqueue
            ),
        ]
    )
    return ConductorApp(
        resources=resources,
        authenticator=authenticator,
        authorizer=authorizer,
        guard=guard,
        exec_=ExecHandler(driver, resources.instance_of) if isinstance(driver, SupportsExec) else None,
        images=images,
        heartbeats=Heartbeats(
            registry, components.leases, components.peers, authenticator, heard, loop.events.record, claims
        ),
        rest=rest,
        readiness=health.readiness,
        metrics=Metrics(
            registry.store,
            runtime.docker_calls,
            lambda: len(registry.quarantine),
            loop=loop,
            watches=resources.watches,
            clock=clock,
        ),
        limits=RateLimiter(
            clock, per_second=components.settings.requests_per_second, watches=components.settings.watches_per_user
        ),
        audit=audit,
        questions=access_questions(registry, authorizer, tuple(components.services), audit, clock),
    )


def _to_instances(components: Components) -> MutualTls:
    managed = [each.service_name for each in components.services]
    return MutualTls(components.authority, managed, components.clock)


def _security(components: Components) -> SecurityTokens:
    store, accounts, derived = components.registry.store, components.accounts, components.derived
    return SecurityTokens(
        store,
        accounts,
        components.tokens,
        components.authorizer,
        derived,
        components.clock,
        services=components.services,
    )


def _images(components: Components, authenticator: Authenticator) -> RegistryProxy:
    """Never in the clear: without the CA that vouches for the registry, there is none."""
    stack = components.settings.stack
    known = stack is not None and stack.registry_ca_file.exists()
    address, tls = (stack.registry, registry_trust(stack.registry_ca_file)) if stack and known else ("", None)
    return RegistryProxy(address, authenticator, components.accounts, components.authorizer, components.tokens, tls)


def _with_root_key(components: Components) -> frozenset[str]:
    return frozenset(each.service_name for each in components.services if "root-key" in each.secrets)


def _claims(components: Components, runtime: Runtime) -> NodeClaims:
    networks = parse_networks(components.settings.node_networks)
    swarm = runtime.swarm.addresses_of if runtime.swarm else None
    # What comes from this machine into our container comes from its router.
    own = (
        dict.fromkeys(local_network().routers, runtime.node.address)
        if components.settings.stack and runtime.node
        else {}
    )
    return NodeClaims(
        components.registry,
        components.peers,
        components.clock,
        networks,
        swarm,
        own,
        components.settings.overlay_encryption,
    )
