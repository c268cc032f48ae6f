"""`python -m api.gateway`: the gateway as a process of its own, in front of a conductor on the same machine.

It ends TLS, answers signed AWS calls and `/services/...` by itself, and sends everything else on to the conductor's
socket. What it must know it follows (`api.channel`); it asks nobody while a request waits. Keys and certificates are
those of the home: it runs as the same user, and reads them again when they change.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import structlog
import uvloop

from api.asgi import App, Receive, Scope, Send, error_answer, send_answer
from api.auth.accounts import Accounts
from api.auth.authentication import Authenticator
from api.auth.authorizer import Authorizer
from api.auth.derived_secrets import DerivedSecrets
from api.auth.oidc.login import Federation, federation_of
from api.auth.oidc.options import OidcOptions
from api.auth.on_behalf import RememberedSigners, signer
from api.auth.tokens import TokenKeys, Tokens
from api.chain import RequestChain
from api.channel import replication, reports
from api.channel.settings import GatewaySettings
from api.front_proxy import SOCKET
from api.gateway.access_log import AccessLog
from api.gateway.access_reviews import AccessReviews
from api.gateway.activation import Activation
from api.gateway.content_origin import ContentOrigin
from api.gateway.direct_calls import DirectCalls
from api.gateway.direct_passthrough import DirectPassthrough
from api.gateway.gateway import Gateway
from api.gateway.hand_over import READY, StatusPipe
from api.gateway.handlers import gateway_handlers
from api.gateway.leader import LeaderRoute, believe, is_question
from api.gateway.load_balancer import LoadBalancer
from api.gateway.memory import return_memory
from api.gateway.mutual_tls import MutualTls
from api.gateway.passthrough import Passthrough
from api.gateway.replica import Replica
from api.gateway.reporter import Counts, EventCounts, Reporter, TrafficCounts
from api.gateway.request_limits import LimitedByAddress, RequestLimits
from api.gateway.server_tls import ServerTls
from api.gateway.upstream import BrokenOff, Endpoint, UpstreamPool
from api.logging import configure_logging
from api.request_context import REQUEST_ID_HEADER, request_id_of
from api.streams import StreamGuard
from api.tls import CertificateAuthority
from controller.kit import generations, tracing
from controller.kit.clock import SystemClock
from controller.kit.gc_tuning import collect_seldom
from controller.kit.listening import CannotListen, inherited_listeners, open_listeners
from controller.kit.threads import Threads
from controller.kit.unix_sockets import short_path
from controller.resources.registry import Registry
from crds.errors import NotFound
from services.sdk.discovery import catalog_of, managed_services, use_folders
from services.sdk.edge.client_request import REQUEST, ClientRequest
from services.sdk.edge.connections import limits_for
from services.sdk.edge.descriptors import divide, raise_file_limit
from services.sdk.edge.http_server import HttpServer

log = structlog.get_logger("gateway")
CONTENT_CONNECTIONS = 256
RELOAD_SECONDS, LAST_SPANS_SECONDS = 1.0, 1.0
_QUIET_SECONDS = 30.0


@dataclass(frozen=True)
class Options:
    """How a gateway is told to run. `sockets`: how many to listen on it was started with; 0 to open its own.
    `status`: a descriptor to write to that it is ready, and that it wants somebody to take over. `content_port`: the
    port for what people keep; 0 for none.
    """

    home: Path
    host: str
    port: int
    sockets: int = 0
    status: int = -1
    content_port: int = 0

    @property
    def socket(self) -> str:
        return short_path(self.home / "run" / SOCKET)


class ConductorChannel:
    """Asks the conductor over its socket, for the gateway itself."""

    def __init__(self, path: str) -> None:
        self._endpoint, self._pool = Endpoint(path), UpstreamPool(8)

    async def lines(self) -> AsyncIterator[bytes]:
        """The replica's lines. Raises UpstreamError when the conductor goes."""
        connection = await self._pool.take(self._endpoint, None)
        try:
            connection.send_head(b"GET", _head("GET", replication.PATH), _QUIET_SECONDS)
            await connection.head()
            if connection.status != 200:
                raise BrokenOff(f"it answered {connection.status}")
            rest = b""
            async for part in connection.body:
                *lines, rest = (rest + part).split(b"\n")
                for line in lines:
                    yield line
        finally:
            connection.abort()
            self._pool.give_back(self._endpoint, connection)

    async def deliver(self, body: bytes) -> None:
        """Hand reports over. Raises UpstreamError."""
        connection = await self._pool.take(self._endpoint, None)
        try:
            head = _head("POST", reports.PATH, f"content-length: {len(body)}")
            connection.send_head(b"POST", head + body, _QUIET_SECONDS)
            await connection.head()
            if connection.status != 204:
                raise BrokenOff(f"it answered {connection.status}")
        finally:
            self._pool.give_back(self._endpoint, connection)


class GatewayProcess:
    """Everything a gateway is made of, opened from a home. Raises OSError for a home without keys."""

    def __init__(self, options: Options) -> None:
        self._options, self._clock, self._status = options, SystemClock(), StatusPipe(options.status)
        self._channel = ConductorChannel(options.socket)
        self.reporter = Reporter(self._channel.deliver)
        events = EventCounts(self.reporter)
        self.limits = RequestLimits(self._clock.monotonic, note_refused=partial(events.note, "limited"))
        self.replica = Replica(self._channel.lines, self._use, lambda now: self.route.use(now))
        self._oidc: OidcOptions | None = None
        self._content = ContentOrigin(options.content_port, options.port)
        self.passthrough = Passthrough(Endpoint(options.socket))
        self._secrets = options.home / "secrets"
        services = managed_services()
        self._registry = registry = Registry(self.replica.store, catalog_of(services), self._clock)
        self._derived = DerivedSecrets(generations.read(self._secrets / "master-key"))
        self._tokens = Tokens(TokenKeys(self._secrets / "gateway-jwt", beside=self._secrets / "jwt"), self._clock)
        self._accounts = accounts = Accounts(registry, self._tokens, self._derived, self._clock, Threads(1))
        authorizer = Authorizer(registry.catalog, services, self.replica.store)
        self._authenticator = authenticator = Authenticator(self._tokens, accounts, authorizer)
        self.guard = StreamGuard(authenticator, authorizer)
        managed = {each.service_name: each.name for each in services}
        self._authority = CertificateAuthority(options.home / "tls", now=self._clock.now())
        self._tls = ServerTls(options.home / "tls")
        mutual_tls = MutualTls(self._authority, managed, self._clock)
        self._budget = divide(raise_file_limit())
        self._activation = Activation(self.replica.store, self.replica.endpoints, self.reporter.wanted)
        self.gateway = Gateway(
            LoadBalancer(registry, self.replica.endpoints, self._clock, managed, partial(events.note, "ejected")),
            self._tokens,
            authorizer,
            services,
            self._clock,
            RememberedSigners(partial(signer, accounts), lambda: (self.replica.store.version, self._derived.version)),
            self.reporter.used,
            most_connections=self._budget.upstream,
            tls=mutual_tls,
            own_names=lambda: names(),
            own_hosts=lambda: hosts(),
            traffic=TrafficCounts(self.reporter),
            limits=self.limits,
            events=events,
            activation=self._activation,
        )
        reviews = AccessReviews(
            authenticator, authorizer, registry.catalog, self.limits.admit_principal, self.passthrough
        )
        signed, *others = gateway_handlers(self.gateway, authenticator)
        counts, handlers = Counts(self.reporter), (signed, *others, reviews.handler())
        self.route = LeaderRoute(
            self.passthrough, lambda: self.replica.connected, (signed, *others), mutual_tls.context
        )
        names = self.route.own_names(lambda: self._tls.names)
        hosts = self.route.own_names(lambda: self._tls.hosts)
        self._direct = DirectCalls(self.gateway, signed, counts, self.reporter)
        self._passing = DirectPassthrough(self.passthrough, handlers, self.limits)
        self._chain = RequestChain(
            handlers,
            authenticator=authenticator,
            guard=self.guard,
            metrics=counts,
            audit=self.reporter,
            otherwise=self.passthrough,
            logs=False,
        )

    async def serve(self) -> None:
        """Until it is told to stop (api/gateway/hand_over.py); then what is under way is finished."""
        access = AccessLog(self._options.home / "logs" / "access.log")
        async with anyio.create_task_group() as group:
            for task in (
                self.replica.run,
                self.reporter.run,
                self.guard.run,
                self._activation.run,
                self.route.run,
                collect_seldom,
                self._status.run,
            ):
                group.start_soon(task)
            group.start_soon(self._keep_fresh)
            await self.replica.synced.wait()
            limits = limits_for(self._budget.connections)
            content = self._content_server(access)
            app = self._content.before(self._answer) if content else self._answer
            server = HttpServer(
                self._limited(app),
                self._listeners(),
                self._tls.context,
                limits,
                access.note,
                at_once=self._at_once,
            )
            server.start()
            log.info("the gateway is up", port=self._options.port)
            self._status.say(READY)
            grace = await self._status.until_told_to_stop()
            async with anyio.create_task_group() as stopping:
                for each in (server, content) if content else (server,):
                    stopping.start_soon(each.stop, grace)
            access.close()
            await self.reporter.flush()
            group.cancel_scope.cancel()
        self.passthrough.close()
        self.route.close()
        await self.gateway.close()

    def _limited(self, app: App) -> App:
        return self.route.before(LimitedByAddress(app, self.limits, self.gateway.refuse))

    def _content_server(self, access: AccessLog) -> HttpServer | None:
        """The server of the port for what people keep; None without one, or while it cannot be had."""
        port = self._content.port
        if not port:
            return None
        try:
            listeners = open_listeners(self._options.host, port, 2048, shared=True)
        except CannotListen as refused:
            log.error("objects have no port of their own; they are shown at the dashboard's", because=str(refused))
            return None
        app, limits = self._limited(self._content.at_its_port(self._answer)), limits_for(CONTENT_CONNECTIONS)
        server = HttpServer(app, listeners, self._tls.context, limits, access.note)
        server.start()
        return server

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.route.is_elsewhere():
            await self.route(scope, receive, send)
            return
        if not scope[REQUEST].upgrade:
            await self._chain(scope, receive, send)
            return
        try:
            self.gateway.require_own_host(scope)
        except NotFound as refused:
            await send_answer(send, error_answer(refused), (REQUEST_ID_HEADER, request_id_of(scope)))
        else:
            await self.passthrough(scope, receive, send)

    def _at_once(self, request: ClientRequest) -> bool:
        believe(request.scope)
        if is_question(request.scope) or self.route.is_elsewhere():
            return False
        return self._direct(request) or self._passing(request)

    def _use(self, settings: GatewaySettings) -> None:
        """The settings of the cloud, as the conductor tells them."""
        self.gateway.use(settings)
        if settings.oidc != self._oidc:
            self._oidc = settings.oidc
            self._authenticator.federation = self._federation(settings.oidc) if settings.oidc else None

    def _federation(self, options: OidcOptions) -> Federation:
        """Of an issuer's users, those that are known: only the conductor makes new ones."""
        people, sessions = self._accounts.people, self._accounts.sessions
        return federation_of(options, self._registry, people, sessions, self._clock, create_users=False)

    def _listeners(self) -> list[socket.socket]:
        """Raises CannotListen."""
        if self._options.sockets:
            return inherited_listeners(self._options.sockets)
        return open_listeners(self._options.host, self._options.port, 2048, shared=True)

    async def _keep_fresh(self) -> None:
        """Keys take turns while this runs; what is new is used within a second or two."""
        master = self._secrets / "master-key"
        seen = master.stat().st_mtime_ns
        while True:
            await anyio.sleep(RELOAD_SECONDS)
            self._tokens.keys.refresh()
            self._tokens.keys.look_after(self._clock.now())
            self._tls.refresh()
            if (now := master.stat().st_mtime_ns) != seen:
                seen = now
                self._derived.use(generations.read(master))


def _head(method: str, path: str, *lines: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "host: conductor", *lines, "", ""]).encode()


def main(arguments: list[str] | None = None) -> None:
    """Run a gateway until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m api.gateway", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="the folder of the cloud")
    parser.add_argument("--host", default="localhost", help="the address to listen on (default: the loopback)")
    parser.add_argument("--port", type=int, required=True, help="the port to listen on; several may share it")
    parser.add_argument(
        "--sockets", type=int, default=0, help="listen on so many sockets it is started with, from descriptor 3 on"
    )
    parser.add_argument(
        "--status", type=int, default=-1, help="a descriptor to write to that it is ready, or makes room"
    )
    parser.add_argument("--number", type=int, default=0, help="which of this machine's gateways it is, for ps")
    parser.add_argument(
        "--content-port", type=int, default=0, help="another port, for what people keep (default: none)"
    )
    parser.add_argument("--otlp-endpoint", default="", help="where spans are sent (default: nothing is traced)")
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    parser.add_argument("--services-path", default="", help="more folders that hold managed services, as in PATH")
    told = parser.parse_args(arguments)
    use_folders(told.services_path)
    configure_logging(told.log_level)
    return_memory()
    options = Options(told.home, told.host, told.port, told.sockets, told.status, told.content_port)
    if not (options.home / "secrets" / "master-key").exists():
        parser.exit(1, f"there is no cloud in {options.home}: start one with aerekos up\n")
    if told.otlp_endpoint:
        tracing.start(told.otlp_endpoint, "aerekos-gateway", report=_report_collector)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(options))
    tracing.stop(LAST_SPANS_SECONDS)


def _report_collector(taken: bool, what: str) -> None:
    (log.info if taken else log.warning)(what)


async def _run(options: Options) -> None:
    await GatewayProcess(options).serve()
