"""The ASGI application around a managed service's own: health, metrics, identity, access log, errors.

Raw ASGI, because a service must be ready within a second of its start. A request without `X-Aerekos-Identity` gets
only `/health`, `/ready` and `/metrics`; with it, every path belongs to the service (a bucket may be called `health`).
The verified caller is `scope["state"]["caller"]`, the request id `scope["state"]["request_id"]`.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from controller.kit import tracing
from controller.kit.backoff import Backoff
from crds.errors import ApiError, InternalError, NotFound, Unauthorized
from services.sdk.asgi import (
    Asgi,
    Headers,
    Message,
    Receive,
    Scope,
    Send,
    audit_headers,
    header_of,
    send_bytes,
    send_json,
    send_whole,
)
from services.sdk.certificate import GATEWAY
from services.sdk.edge.connections import prove
from services.sdk.health import Check, readiness
from services.sdk.identity import HEADER
from services.sdk.logs import AccessLog
from services.sdk.reconciling import reconcile_forever
from services.sdk.route_table import RouteTable
from services.sdk.server import peer_name

if TYPE_CHECKING:
    from services.sdk.context import ServiceContext
    from services.sdk.service import Service, Task

log = logging.getLogger(__name__)
_TASK_BACKOFF = Backoff(first=1.0, factor=2.0, limit=60.0, jitter=0.2)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


class ServiceApp:
    """The application to serve: the parts of a service, and what all services have.

    reconciles: whether its reconcilers run, too; tests may leave that to themselves.
    """

    def __init__(self, context: ServiceContext, service: Service, *, reconciles: bool = True) -> None:
        self.context, self.metrics = context, context.metrics
        self._service, self._reconciles = service, reconciles and bool(service.reconcilers)
        self.access = AccessLog()
        self._app: Asgi | None = service.app
        if service.routes:
            self._app = RouteTable(context, service.routes, then=service.app)
        informers = context.informers
        self._checks = [
            Check("resources", informers.unread),
            Check("conductor", informers.fault, essential=False),
            *service.checks,
        ]
        self.stopping = False

    def stop_soon(self) -> None:
        """Not ready any more; whoever waits for something is answered now."""
        self.stopping = True
        for tell in self._service.on_stopping:
            tell()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _Exchange(self, scope, receive, send).run()

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. Raises ApiError."""
        token = header_of(scope, HEADER)
        if token is None:
            await self._own(scope, send)
            return
        self._require_gateway(scope)
        scope["state"]["caller"] = await self.context.identities.verify(token)
        prove(scope)
        if self._app is None:
            raise NotFound(f"{scope['method']} {scope['path']} is not served here")
        await self._app(scope, receive, send)

    def _require_gateway(self, scope: Scope) -> None:
        """An identity token counts only from the gateway's own hand. Raises Unauthorized."""
        if self.context.certificate is not None and peer_name(scope) != GATEWAY:
            raise Unauthorized("every request must come through the gateway, which shows its certificate")

    async def _own(self, scope: Scope, send: Send) -> None:
        if scope["path"] == "/health":
            await send_json(send, 200, {"alive": True})
        elif scope["path"] == "/ready" and not self.stopping:
            await send_json(send, *await readiness(self._checks))
        elif scope["path"] == "/ready":
            await send_json(send, 503, {"ready": False, "because": "stopping"})
        elif scope["path"] == "/metrics":
            await send_bytes(send, 200, *self.metrics.text())
        else:
            raise Unauthorized("every request must come through the gateway (no X-Aerekos-Identity)")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Inside, what is no answer to a request runs: informers, tasks, reconcilers."""
        tasks = [*(each.run for each in self.context.informers), *self._service.tasks]
        running = [asyncio.create_task(_run_again_and_again(task)) for task in tasks]
        if self._reconciles:
            loop = reconcile_forever(self.context, self._service.reconcilers, self.metrics)
            running.append(asyncio.create_task(loop))
        try:
            yield
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            for last in self._service.on_stop:
                await last()
            for client in self.context.clients.values():
                await client.aclose()
            self.access.flush()


class _Exchange:
    """One request and its answer: id, status and time, for the log and the metrics."""

    def __init__(self, app: ServiceApp, scope: Scope, receive: Receive, send: Send) -> None:
        self._app, self._scope, self._receive, self._raw_send = app, scope, receive, send
        given = header_of(scope, "x-request-id") or ""
        self.id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)
        self.status = 0

    async def run(self) -> None:
        self._scope.setdefault("state", {})["request_id"] = self.id
        with self._span() as span:
            await self._serve()
            self._describe(span)

    async def _serve(self) -> None:
        clock = self._app.context.clock
        began = clock.monotonic()
        try:
            await self._app.answer(self._scope, self._receive, self)
        except ApiError as error:
            await self._refuse(error)
        except Exception:
            log.exception("the request failed", extra={"fields": {"requestId": self.id}})
            await self._refuse(InternalError(f"the request failed here; request id {self.id}"))
        self._log_request(clock.monotonic() - began)

    def _span(self) -> tracing.Span:
        """Below the gateway's. Only of what came through it: probes and scrapes are none of it."""
        if tracing.tracing() is None or header_of(self._scope, HEADER) is None:
            return tracing.NO_SPAN
        parent = header_of(self._scope, "traceparent") or ""
        return tracing.span(self._scope["method"], "server", parent=parent.encode("latin-1"))

    def _describe(self, span: tracing.Span) -> None:
        if span is tracing.NO_SPAN:
            return
        if action := (self._scope["state"].get("audit") or {}).get("action"):
            span.name(action)
        span.note("http.request.method", self._scope["method"])
        span.note("http.response.status_code", self.status)
        span.note("aerekos.request_id", self.id)
        if self.status >= 500:
            span.fail(str(self.status))

    async def __call__(self, message: Message) -> None:
        """ASGI's `send`."""
        if message["type"] == "http.response.start":
            message["headers"] = self._begin(message["status"], message.get("headers", ()))
        await self._raw_send(message)

    async def send_whole(self, status: int, headers: Headers, body: bytes) -> None:
        """As `services.sdk.asgi.send_whole`."""
        await send_whole(self._raw_send, status, self._begin(status, headers), body)

    def _begin(self, status: int, headers: Headers) -> Headers:
        self.status = status
        return [*headers, *audit_headers(self._scope["state"]), (b"x-request-id", self.id.encode())]

    async def _refuse(self, error: ApiError) -> None:
        if self.status:
            raise error  # half an answer has left: only a broken connection is honest now
        with suppress(OSError):
            await send_json(self, error.code, error.status())

    def _log_request(self, seconds: float) -> None:
        self._app.metrics.record_request(self._scope["method"], self.status, seconds)
        if "caller" not in self._scope["state"]:
            return
        fields = {
            "method": self._scope["method"],
            "path": self._scope["path"],
            "status": self.status,
            "seconds": round(seconds, 6),
            "requestId": self.id,
            "traceparent": header_of(self._scope, "traceparent"),
            "caller": self._scope["state"]["caller"].name,
        }
        self._app.access.note(fields)


async def _run_again_and_again(task: Task) -> None:
    """Until cancelled: a task that ends or fails is begun again, later and later."""
    rng = random.Random()  # noqa: S311 - only spreads retries
    for failures in itertools.count(1):
        began = asyncio.get_running_loop().time()
        try:
            await task()
            log.error("a background task ended by itself", extra={"fields": {"task": repr(task)}})
        except Exception:
            log.exception("a background task failed", extra={"fields": {"task": repr(task)}})
        held = asyncio.get_running_loop().time() - began > _TASK_BACKOFF.limit
        await asyncio.sleep(_TASK_BACKOFF.delay(1 if held else failures, rng))
