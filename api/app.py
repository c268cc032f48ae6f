"""The ASGI application of the conductor: its handlers, in the order in which they are asked (`handlers`).

WebSockets take the same way as a GET (api/websocket.py); commands in instances have one of their own (api/exec.py).
What stands around every handler: api/chain.py.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

from api.access.reviews import PREFIX as QUESTIONS
from api.access.reviews import AccessQuestions
from api.agents.heartbeats import PATH as HEARTBEAT
from api.agents.heartbeats import Heartbeats
from api.asgi import App, Message, Receive, Response, Scope, Send, json_answer, read_body, send_answer
from api.audit import Audit
from api.audit.log import STARTED
from api.auth.access_reviews import PREFIXES as REVIEWS
from api.auth.access_reviews import review
from api.auth.authentication import WHO, Authenticator
from api.auth.authorizer import Authorizer
from api.auth.principal import Principal
from api.chain import Handler, Id, RequestChain, ResponseRecorder, Serve
from api.csrf import may_be_kept, require_stated_type
from api.dashboard import Dashboard
from api.edge.bodies import DEFAULT_LIMIT, body_limit, check_length, has_body
from api.edge.cookies import with_plain_cookies
from api.exec import ExecHandler, as_asked, end_early, refuse
from api.kube.request import read_object
from api.kube.resource_api import ResourceApi
from api.local_reads import RESOURCE_PATHS
from api.metrics import Metrics
from api.rate_limit import RateLimiter
from api.registry_proxy import PREFIX as IMAGES
from api.registry_proxy import TOKEN_PATH, RegistryProxy
from api.request_context import request_id_of
from api.service_catalog import catalog
from api.streams import StreamGuard
from api.websocket import serve_socket
from controller.kit.version import commit, version
from crds.errors import ApiError, MethodNotAllowed
from services.sdk.asgi import is_streaming, replaying
from services.sdk.discovery import managed_services

LOGS = "/logs/"
Readiness = Callable[[], dict[str, object]]
_OWN = frozenset({"/health", "/healthz", "/livez", "/ready", "/readyz", "/metrics", "/version"})
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
        questions: AccessQuestions,
    ) -> None:
        self._resources = resources
        self._authenticator, self._authorizer, self._guard = authenticator, authorizer, guard
        self._rest, self._readiness, self.metrics = rest, readiness, metrics
        self._limits, self._audit, self._questions = limits, audit, questions
        metrics.watch_audit(lambda: len(audit.problems()))
        self._heartbeats, self._exec, self._images = heartbeats, exec_, images
        self._dashboard, self._catalog = Dashboard(), catalog(managed_services())
        self._chain = RequestChain(
            self.handlers(), authenticator=authenticator, guard=guard, metrics=metrics, audit=audit
        )

    def handlers(self) -> tuple[Handler, ...]:
        """The first that matches answers."""
        return (
            Handler("images", _below(IMAGES), self._serve_images, theirs=True),
            Handler("agents", _at(HEARTBEAT), self._plain(self._serve_heartbeat)),
            Handler("resources", _below(*RESOURCE_PATHS), self._plain(self._serve_resources)),
            Handler("resources", _at("/api", "/apis"), self._plain(self._serve_resources)),
            Handler("own", lambda scope: scope["path"].rstrip("/") in _OWN, self._plain(self._serve_own)),
            Handler("dashboard", self._dashboard.serves, self._plain(self._serve_dashboard)),
            Handler("own", _at("/catalog"), self._plain(self._serve_catalog)),
            Handler("rest", _below(LOGS), self._plain(self._serve_logs)),
            Handler("rest", lambda _: True, self._plain(self._serve_rest)),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and scope["path"].startswith("/api/") and scope["path"].endswith("/exec"):
            await self._serve_exec(scope, receive, send)
        elif scope["type"] == "websocket":
            await serve_socket(scope, receive, send, self)
        elif scope["type"] == "http":
            await self._chain(scope, receive, send)
        else:
            await self._rest(scope, receive, send)

    @staticmethod
    def _plain(serve: Serve) -> Serve:
        """`serve` for what is answered here and by nobody else: bodies are small, and say what they are."""

        async def checked(scope: Scope, receive: Receive, send: ResponseRecorder, id: Id) -> None:
            path: str = scope["path"]
            check_length(path, scope["headers"])
            send.keeps_nothing = not may_be_kept(path)
            require_stated_type(scope)
            await serve(scope, receive, send, id)

        return checked

    async def _serve_images(self, scope: Scope, receive: Receive, send: ResponseRecorder, id: Id) -> None:
        check_length(scope["path"], scope["headers"])
        send.keeps_nothing = scope["path"] == TOKEN_PATH
        await self._images.serve(scope, receive, send, id)

    async def _serve_heartbeat(self, scope: Scope, receive: Receive, send: ResponseRecorder, id: Id) -> None:
        await send_answer(send, await self._heartbeats.answer(scope, receive), id)

    async def _serve_own(self, scope: Scope, receive: Receive, send: ResponseRecorder, id: Id) -> None:
        await send_answer(send, self._own(scope["path"]), id)

    async def _serve_dashboard(self, scope: Scope, receive: Receive, send: ResponseRecorder, id: Id) -> None:
        await send_answer(send, self._dashboard.answer(scope), id)

    async def _serve_catalog(self, scope: Scope, receive: Receive, send: ResponseRecorder, id: Id) -> None:
        self._authenticator.authenticate(scope)
        await send_answer(send, json_answer(200, self._catalog), id)

    async def _serve_logs(self, scope: Scope, receive: Receive, send: ResponseRecorder, id: Id) -> None:
        who = self._authenticator.authenticate(scope)
        self._limits.admit(who)
        with self._limits.watching(who) if is_streaming(scope["query_string"]) else nullcontext():
            await self._serve_rest(scope, receive, send, id)

    async def _serve_rest(self, scope: Scope, receive: Receive, send: ResponseRecorder, id: Id) -> None:
        """By the framework, which would read cookies slowly and any body whole."""
        scope["headers"] = with_plain_cookies(scope["headers"])
        if has_body(scope["headers"]):
            limit = body_limit(scope["path"]) or DEFAULT_LIMIT
            receive = replaying(await read_body(receive, limit=limit), receive)
        await self._rest(scope, receive, _WithHeader(send, id))

    async def _serve_exec(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (await receive())["type"] != "websocket.connect":
            return
        scope = as_asked(scope)
        request_id = request_id_of(scope).decode()
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

    async def _serve_resources(self, scope: Scope, receive: Receive, send: ResponseRecorder, id: Id) -> None:
        who = self._authenticator.authenticate(scope)
        self._limits.admit(who)
        if scope["method"] == "POST" and scope["path"].startswith(QUESTIONS):
            body = read_object(await read_body(receive, limit=2**20), "")
            answer = await self._questions.answer(scope["path"], body, who)
            await send_answer(send, json_answer(201, answer), id)
            return
        if scope["method"] == "POST" and scope["path"].startswith(REVIEWS):
            await send_answer(send, await self._review(scope, receive, who), id)
            return
        with self._limits.watching(who) if is_streaming(scope["query_string"]) else nullcontext():
            await self._resources.serve(scope, receive, send, who, id)

    def _own(self, path: str) -> Response:
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
                return Response(200, self.metrics.render(), b"text/plain; version=0.0.4; charset=utf-8")
            case _:
                return json_answer(200, VERSION)

    async def _review(self, scope: Scope, receive: Receive, who: Principal) -> Response:
        body = read_object(await read_body(receive, limit=2**20), "")
        answer = review(scope["path"], body, who, self._authorizer, self._authenticator.by_token)
        return json_answer(201, answer)


class _WithHeader:
    """Adds one header to the answer of an application that does not know of it."""

    __slots__ = ("_header", "_send")

    def __init__(self, send: Send, header: tuple[bytes, bytes]) -> None:
        self._send, self._header = send, header

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], self._header]
        await self._send(message)


def _below(*prefixes: str) -> Callable[[Scope], bool]:
    return lambda scope: scope["path"].startswith(prefixes)


def _at(*paths: str) -> Callable[[Scope], bool]:
    return lambda scope: scope["path"] in paths
