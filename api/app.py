"""The ASGI application of the conductor: every request passes here, through this list.

1. a request id and a trace context (kept when the client sent good ones)
2. signed with SigV4?            -> the gateway, in the words of AWS
3. /health /ready /metrics /version /catalog, the dashboard's files -> answered here
4. /api, /apis, /openapi         -> who asks? -> the resource API
5. /services/<name>/...          -> who asks? -> the gateway
6. everything else               -> the FastAPI application (/auth, /agents, /logs, /traffic, /audit, /templates)
7. WebSockets                    -> the same way as a GET (api/websocket.py)
8. errors become a Kubernetes Status; one log line and one count per request
"""

from __future__ import annotations

import itertools
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext

import anyio
import orjson
import structlog

from api.agents.heartbeats import PATH as HEARTBEAT
from api.agents.heartbeats import Heartbeats
from api.asgi import JSON, Message, Receive, Response, Scope, Send, error_answer, json_answer, read_body, send_answer
from api.audit import Audit
from api.audit.log import STARTED
from api.audit.notes import Notes, note_signed, notes_of, recording, taken
from api.auth.access_reviews import PREFIXES as REVIEWS
from api.auth.access_reviews import review
from api.auth.authentication import WHO, Authenticator
from api.auth.authorizer import Authorizer
from api.auth.principal import Principal
from api.csrf import NO_STORE, may_be_kept, require_stated_type
from api.dashboard import Dashboard
from api.edge.bodies import DEFAULT_LIMIT, body_limit, check_length, has_body
from api.edge.cookies import with_plain_cookies
from api.edge.user_content import NOSNIFF, guarded, refuse_service_worker
from api.exec import ExecHandler, as_asked, end_early, refuse
from api.gateway.gateway import PREFIX as SERVICES
from api.gateway.gateway import Gateway
from api.gateway.reverse_proxy import CLIENT_LEFT
from api.kube.request import is_streaming, read_object
from api.kube.resource_api import ResourceApi
from api.metrics import Metrics
from api.rate_limit import RateLimiter
from api.registry_proxy import PREFIX as IMAGES
from api.registry_proxy import TOKEN_PATH, RegistryProxy
from api.service_catalog import catalog
from api.streams import StreamGuard
from api.websocket import serve_socket
from controller.admission.request import AUDITED
from controller.kit.version import commit, version
from crds.errors import ApiError, InternalError, MethodNotAllowed
from services.sdk.discovery import managed_services

log = structlog.get_logger("api")
App = Callable[[Scope, Receive, Send], Awaitable[None]]
LOGS = "/logs/"
LAST_WORDS_SECONDS = 0.3
_CONTENT_IS_JSON = (b"content-type", JSON)
RESOURCE_PATHS = ("/api/", "/apis/", "/openapi/")
Readiness = Callable[[], dict[str, object]]
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# Request ids: unlike those of any other process, and cheap, for every request has one.
_PROCESS, _COUNT = secrets.token_hex(4).encode(), itertools.count()
_TRACEPARENT = re.compile(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
VERSION = {
    "version": version(),
    "major": "1",
    "minor": "30",
    "gitVersion": "v1.30.0+aerekos",
    "gitCommit": commit(),
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "linux/amd64",
}


class ConductorApp:
    """The ASGI application of the conductor."""

    def __init__(
        self,
        *,
        resources: ResourceApi,
        gateway: Gateway,
        authenticator: Authenticator,
        authorizer: Authorizer,
        heartbeats: Heartbeats,
        guard: StreamGuard,
        exec_: ExecHandler | None,
        images: RegistryProxy,
        rest: App,
        readiness: Readiness,
        metrics: Metrics,
        limits: RateLimiter,
        audit: Audit,
    ) -> None:
        self._resources, self._gateway = resources, gateway
        self._authenticator, self._authorizer, self._guard = authenticator, authorizer, guard
        self._rest, self._readiness, self._metrics = rest, readiness, metrics
        self._limits, self._audit = limits, audit
        metrics.watch_audit(lambda: len(audit.problems()))
        self._heartbeats, self._exec, self._images = heartbeats, exec_, images
        self._dashboard, self._catalog = Dashboard(), catalog(managed_services())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and scope["path"].startswith("/api/") and scope["path"].endswith("/exec"):
            await self._serve_exec(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await serve_socket(scope, receive, send, self)
            return
        if scope["type"] != "http":
            await self._rest(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = _request_id(scope)
        notes = notes_of(scope)
        outcome = _ResponseRecorder(send, notes, keeps_body=self._audit.keeps_bodies)
        if is_streaming(scope["query_string"]):
            # What lasts for hours is noted when it begins, too.
            outcome.begun = lambda code: self._audit.note(scope, scope.get(WHO), code, request_id.decode(), STARTED)
        audited = AUDITED.set(notes.annotations)
        try:
            self._audit.check(scope)
            await self._authenticator.prepare(scope)
            asked = recording(receive, notes) if self._audit.keeps_bodies else receive
            if is_streaming(scope["query_string"]) or scope["path"].startswith(SERVICES):
                await self._guarded(scope, asked, outcome, (b"x-request-id", request_id))
            else:
                await self._answered(scope, asked, outcome, (b"x-request-id", request_id))
        except ApiError as error:
            notes.reason = error.message if error.code in (401, 403) else ""
            await self._refuse(outcome, error, request_id)
        except Exception as error:
            log.exception("request failed", request=request_id.decode(), path=scope["path"])
            await self._refuse(outcome, InternalError(f"internal error ({type(error).__name__})"), request_id)
        finally:
            AUDITED.reset(audited)
        self._note(scope, outcome.handler, outcome.code or CLIENT_LEFT, time.perf_counter() - began, request_id)

    async def _guarded(
        self, scope: Scope, receive: Receive, send: _ResponseRecorder, ids: tuple[bytes, bytes]
    ) -> None:
        """What may last: it ends with the credential it began with. Raises why, while nothing was answered yet."""
        with self._guard.held(scope) as stream:
            await self._answered(scope, receive, send, ids)
        if stream.ended is None:
            return
        if not send.code:
            raise stream.ended
        with anyio.move_on_after(LAST_WORDS_SECONDS):
            last = orjson.dumps({"type": "ERROR", "object": stream.ended.status()}) + b"\n" if send.lines else b""
            await send({"type": "http.response.body", "body": last, "more_body": False})

    async def _answered(
        self, scope: Scope, receive: Receive, send: _ResponseRecorder, ids: tuple[bytes, bytes]
    ) -> None:
        path: str = scope["path"]
        signed_for = self._gateway.aws_service(scope)
        if signed_for is None:
            check_length(path, scope["headers"])
        send.theirs = signed_for is not None or path.startswith((SERVICES, IMAGES))
        if send.theirs:
            send.request = scope["headers"]
            refuse_service_worker(send.request)
        if signed_for is not None:
            send.handler = "aws"
            note_signed(scope, signed_for)
            await self._gateway.serve_aws(scope, receive, send, signed_for, ids, _trace(scope))
        elif path.startswith(SERVICES):
            send.handler = "gateway"
            who = self._authenticator.authenticate(scope)
            await self._gateway.serve(scope, receive, send, who, ids, _trace(scope))
        elif path.startswith(IMAGES):
            send.handler = "images"
            send.keeps_nothing = path == TOKEN_PATH
            await self._images.serve(scope, receive, send, ids)
        else:
            send.keeps_nothing = not may_be_kept(path)
            require_stated_type(scope)
            await self._answered_here(scope, receive, send, ids)

    async def _answered_here(
        self, scope: Scope, receive: Receive, send: _ResponseRecorder, ids: tuple[bytes, bytes]
    ) -> None:
        """What goes on to nobody else."""
        path: str = scope["path"]
        if path == HEARTBEAT:
            send.handler = "agents"
            await send_answer(send, await self._heartbeats.answer(scope, receive), ids)
        elif answer := self._own(path):
            send.handler = "own"
            await send_answer(send, answer, ids)
        elif answer := self._dashboard.answer(scope):
            send.handler = "dashboard"
            await send_answer(send, answer, ids)
        elif path == "/catalog":
            send.handler = "own"
            self._authenticator.authenticate(scope)
            await send_answer(send, json_answer(200, self._catalog), ids)
        elif path.startswith(RESOURCE_PATHS) or path in ("/api", "/apis"):
            send.handler = "resources"
            await self._serve_resources(scope, receive, send, ids)
        elif path.startswith(LOGS):
            who = self._authenticator.authenticate(scope)
            self._limits.admit(who)
            with self._limits.watching(who) if is_streaming(scope["query_string"]) else nullcontext():
                await self._serve_rest(scope, receive, _WithHeader(send, ids))
        else:
            await self._serve_rest(scope, receive, _WithHeader(send, ids))

    async def _serve_rest(self, scope: Scope, receive: Receive, send: Send) -> None:
        """By the framework, which would read cookies slowly and any body whole."""
        scope["headers"] = with_plain_cookies(scope["headers"])
        if has_body(scope["headers"]):
            limit = body_limit(scope["path"]) or DEFAULT_LIMIT
            receive = _replaying(await read_body(receive, limit=limit), receive)
        await self._rest(scope, receive, send)

    async def _serve_exec(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (await receive())["type"] != "websocket.connect":
            return
        scope = as_asked(scope)
        request_id = _request_id(scope).decode()
        noted = {**scope, "method": "POST"}
        try:
            self._audit.check(noted)
            await self._authenticator.prepare(scope)
            who = self._authenticator.authenticate(scope)
            self._audit.note(noted, who, 101, request_id, STARTED)
            if self._exec is None:
                raise MethodNotAllowed("this runtime cannot run commands in its instances")
            with self._guard.held(scope) as stream:
                code = await self._exec.serve(scope, receive, send, who)
            if stream.ended is not None:
                code = stream.ended.code
                await end_early(send, stream.ended)
        except ApiError as error:
            code = error.code
            await refuse(scope, send, error)
        self._audit.note(noted, scope.get(WHO), code, request_id)

    async def _serve_resources(self, scope: Scope, receive: Receive, send: Send, ids: tuple[bytes, bytes]) -> None:
        who = self._authenticator.authenticate(scope)
        self._limits.admit(who)
        if scope["method"] == "POST" and scope["path"].startswith(REVIEWS):
            await send_answer(send, await self._review(scope, receive, who), ids)
            return
        with self._limits.watching(who) if is_streaming(scope["query_string"]) else nullcontext():
            await self._resources.serve(scope, receive, send, who, ids)

    def _own(self, path: str) -> Response | None:
        match path.rstrip("/"):
            case "/health" | "/healthz" | "/livez":
                return Response(200, b"ok", b"text/plain")
            case "/ready" | "/readyz":
                state = self._readiness()
                if problems := self._audit.problems():
                    # Not unready for it: an orchestrator would restart what still answers reads.
                    state = {**state, "audit": problems}
                return json_answer(200 if state["ready"] else 503, state)
            case "/metrics":
                return Response(200, self._metrics.render(), b"text/plain; version=0.0.4; charset=utf-8")
            case "/version":
                return json_answer(200, VERSION)
        return None

    async def _review(self, scope: Scope, receive: Receive, who: Principal) -> Response:
        body = read_object(await read_body(receive, limit=2**20), "")
        answer = review(scope["path"], body, who, self._authorizer, self._authenticator.by_token)
        return json_answer(201, answer)

    async def _refuse(self, outcome: _ResponseRecorder, error: ApiError, request_id: bytes) -> None:
        # Once an answer has begun, all that is left is to break the connection off.
        if outcome.code == 0:
            await send_answer(outcome, error_answer(error), (b"x-request-id", request_id))

    def _note(self, scope: Scope, handler: str, code: int, seconds: float, request_id: bytes) -> None:
        watched = is_streaming(scope["query_string"])
        self._metrics.note(handler, scope["method"], code, None if watched else seconds)
        self._audit.note(scope, scope.get(WHO), code, request_id.decode())
        if code >= 500 or handler in ("aws", "gateway"):
            log.info(
                "answered",
                handler=handler,
                method=scope["method"],
                path=scope["path"],
                code=code,
                ms=round(seconds * 1000, 1),
                request=request_id.decode(),
            )


class _ResponseRecorder:
    """Passes messages on and remembers which door answers, and the answer's code; 0 while none has begun (the client
    left, or will hear of an error). What the answer tells the audit log alone goes no further."""

    __slots__ = (
        "_keeps_body",
        "_notes",
        "_send",
        "begun",
        "code",
        "handler",
        "keeps_nothing",
        "lines",
        "request",
        "theirs",
    )

    def __init__(self, send: Send, notes: Notes, *, keeps_body: bool = False) -> None:
        self._send, self.code, self.handler = send, 0, "rest"
        self._notes, self._keeps_body = notes, keeps_body
        self.begun: Callable[[int], None] | None = None
        self.keeps_nothing = False  # whether nobody on the way may keep the answer
        self.theirs = False  # whether the answer is what people keep here, and no word of ours
        self.request: Sequence[tuple[bytes, bytes]] = ()
        self.lines = False  # whether the answer is one JSON value in each line

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.code = message["status"]
            headers = taken(message.get("headers", ()), self._notes)
            self.lines = _CONTENT_IS_JSON in headers
            if self.theirs:
                headers = guarded(headers, self.request, shared=self.handler == "aws")
            elif NOSNIFF not in headers:
                headers.append(NOSNIFF)
            if self.keeps_nothing and not any(name == b"cache-control" for name, _ in headers):
                headers.append(NO_STORE)
            message["headers"] = headers
            if self.begun is not None:
                self.begun(self.code)
        elif self._keeps_body:
            self._notes.add_response(message.get("body", b""))
        await self._send(message)


class _WithHeader:
    """Adds one header to the answer of an application that does not know of it."""

    __slots__ = ("_header", "_send")

    def __init__(self, send: Send, header: tuple[bytes, bytes]) -> None:
        self._send, self._header = send, header

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], self._header]
        await self._send(message)


def _replaying(body: bytes, receive: Receive) -> Receive:
    """`receive` as it was before `body` was read."""
    left = [body]

    async def again() -> Message:
        return {"type": "http.request", "body": left.pop(), "more_body": False} if left else await receive()

    return again


def _request_id(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return bytes(value)
    return b"%s%08x" % (_PROCESS, next(_COUNT))


def _trace(scope: Scope) -> tuple[bytes, bytes]:
    """The trace context header (W3C Trace Context) of the next hop."""
    for name, value in scope["headers"]:
        if name == b"traceparent" and _TRACEPARENT.fullmatch(value):
            return name, value
    return b"traceparent", f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01".encode()
