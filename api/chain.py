"""The chain every request passes: who answers it, and what is noted of it. One list of handlers, read from the top.

Around the handler: a request id and a trace context (kept when the client sent good ones), the audit log's word, an
end with the credential it began with for what lasts, errors as Kubernetes Status, one log line and one count.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import anyio
import orjson
import structlog

from api.asgi import CLIENT_LEFT, JSON, App, Message, Receive, Scope, Send, error_answer, send_answer
from api.audit.log import STARTED
from api.audit.notes import Notes, notes_of, recording, taken
from api.auth.authentication import WHO, Authenticator
from api.auth.principal import Principal
from api.csrf import NO_STORE
from api.edge.token_buckets import rate_limit_headers
from api.edge.user_content import NOSNIFF, guarded, refuse_service_worker
from api.request_context import REQUEST_ID_HEADER, request_id_of
from api.spans import describe, request_span
from api.streams import StreamGuard
from api.whole_answers import send_whole
from controller.admission.request import AUDITED
from controller.kit.tracing import Span
from crds.errors import ApiError, InternalError
from services.sdk.asgi import is_streaming

log = structlog.get_logger("api")
LAST_WORDS_SECONDS = 0.3
_CONTENT_IS_JSON = (b"content-type", JSON)
Id = tuple[bytes, bytes]
Serve = Callable[[Scope, Receive, "ResponseRecorder", Id], Awaitable[None]]


class AuditsRequests(Protocol):
    """What notes who did what (`api.audit.log.Audit`)."""

    @property
    def keeps_bodies(self) -> bool: ...

    def check(self, scope: Scope) -> None: ...

    def note(self, scope: Scope, who: Principal | None, code: int, request_id: str, stage: str = ...) -> None: ...


class CountsRequests(Protocol):
    """What counts answers (`api.metrics.Metrics`)."""

    def note(self, handler: str, method: str, code: int, seconds: float | None) -> None: ...


@dataclass(frozen=True, slots=True)
class Handler:
    """Answers the requests that match. `name`: in metrics and logs. `lasts`: its requests may go on for hours,
    whatever their query says. `theirs`: it answers with what people keep here, no word of ours; `shared`: pages of
    other origins may show that as a picture.
    """

    name: str
    matches: Callable[[Scope], bool]
    serve: Serve
    lasts: bool = False
    theirs: bool = False
    shared: bool = False


class RequestChain:
    """An ASGI application for `http`: the first handler that matches answers. What none matches goes to `otherwise`
    as it came; without one, the last handler must match everything. `logs`: False where an access log says it all.
    """

    def __init__(
        self,
        handlers: Sequence[Handler],
        *,
        authenticator: Authenticator,
        guard: StreamGuard,
        metrics: CountsRequests,
        audit: AuditsRequests,
        otherwise: App | None = None,
        logs: bool = True,
    ) -> None:
        self._handlers, self._otherwise, self._logs = tuple(handlers), otherwise, logs
        self._authenticator, self._guard, self._metrics, self._audit = authenticator, guard, metrics, audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for handler in self._handlers:
            if handler.matches(scope):
                break
        else:
            assert self._otherwise is not None, "the last handler must match everything"
            await self._otherwise(scope, receive, send)
            return
        lasts = is_streaming(scope["query_string"])
        with request_span(scope, lasts=lasts) as span:
            await self._serve(handler, scope, receive, send, span, lasts=lasts)

    async def _serve(
        self, handler: Handler, scope: Scope, receive: Receive, send: Send, span: Span, *, lasts: bool
    ) -> None:
        began = time.perf_counter()
        request_id, notes = request_id_of(scope), notes_of(scope)
        outcome = ResponseRecorder(send, scope, notes, handler, request_id, keeps_body=self._audit.keeps_bodies)
        if lasts:
            # What lasts for hours is noted when it begins, too.
            outcome.begun = lambda code: self._audit.note(scope, scope.get(WHO), code, request_id.decode(), STARTED)
        audited = AUDITED.set(notes.annotations)
        try:
            self._audit.check(scope)
            await self._authenticator.prepare(scope)
            asked = recording(receive, notes) if self._audit.keeps_bodies else receive
            if handler.theirs:
                refuse_service_worker(scope["headers"])
            if lasts or handler.lasts:
                await self._guarded(handler, scope, asked, outcome, (b"x-request-id", request_id))
            else:
                await handler.serve(scope, asked, outcome, (b"x-request-id", request_id))
        except ApiError as error:
            notes.reason = error.message if error.code in (401, 403) else ""
            await _refuse(outcome, error, request_id)
        except Exception as error:
            log.exception("request failed", request=request_id.decode(), path=scope["path"])
            await _refuse(outcome, InternalError(f"internal error ({type(error).__name__})"), request_id)
        finally:
            AUDITED.reset(audited)
        code = outcome.code or CLIENT_LEFT
        describe(span, scope, handler.name, code, request_id)
        self._note(scope, handler, code, time.perf_counter() - began, request_id, watched=lasts)

    async def _guarded(
        self, handler: Handler, scope: Scope, receive: Receive, send: ResponseRecorder, id: Id
    ) -> None:
        """What may last: it ends with the credential it began with. Raises why, while nothing was answered yet."""
        with self._guard.held(scope) as stream:
            await handler.serve(scope, receive, send, id)
        if stream.ended is None:
            return
        if not send.code:
            raise stream.ended
        with anyio.move_on_after(LAST_WORDS_SECONDS):
            last = orjson.dumps({"type": "ERROR", "object": stream.ended.status()}) + b"\n" if send.lines else b""
            await send({"type": "http.response.body", "body": last, "more_body": False})

    def _note(
        self, scope: Scope, handler: Handler, code: int, seconds: float, request_id: bytes, *, watched: bool
    ) -> None:
        self._metrics.note(handler.name, scope["method"], code, None if watched else seconds)
        self._audit.note(scope, scope.get(WHO), code, request_id.decode())
        if self._logs and (code >= 500 or handler.lasts or handler.shared):
            log.info(
                "answered",
                handler=handler.name,
                method=scope["method"],
                path=scope["path"],
                code=code,
                ms=round(seconds * 1000, 1),
                request=request_id.decode(),
            )


class ResponseRecorder:
    """Passes messages on and remembers the answer's code; 0 while none has begun (the client left, or will hear of an
    error). What the answer tells the audit log alone goes no further."""

    __slots__ = (
        "_handler",
        "_id",
        "_keeps_body",
        "_notes",
        "_scope",
        "_send",
        "begun",
        "code",
        "keeps_nothing",
        "lines",
    )

    def __init__(
        self,
        send: Send,
        scope: Scope,
        notes: Notes,
        handler: Handler,
        request_id: bytes,
        *,
        keeps_body: bool,
    ) -> None:
        self._send, self._handler, self._scope, self.code = send, handler, scope, 0
        self._notes, self._id, self._keeps_body = notes, request_id, keeps_body
        self.begun: Callable[[int], None] | None = None
        self.keeps_nothing = False  # whether nobody on the way may keep the answer
        self.lines = False  # whether the answer is one JSON value in each line

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = self.begin(message["status"], message.get("headers", ()))
        elif self._keeps_body:
            self._notes.add_response(message.get("body", b""))
        await self._send(message)

    async def send_whole(self, code: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """An answer of ours whose body is at hand."""
        headers = self.begin(code, headers)
        if self._keeps_body:
            self._notes.add_response(body)
        await send_whole(self._send, code, headers, body)

    def begin(self, code: int, given: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """The headers to send with an answer that has these."""
        self.code, headers = code, taken(given, self._notes)
        self.lines = _CONTENT_IS_JSON in headers
        if self._handler.theirs:
            headers = guarded(headers, self._scope["headers"], shared=self._handler.shared)
            headers += ((REQUEST_ID_HEADER, self._id), *rate_limit_headers(self._scope))
        elif NOSNIFF not in headers:
            headers.append(NOSNIFF)
        if self.keeps_nothing and not any(name == b"cache-control" for name, _ in headers):
            headers.append(NO_STORE)
        if self.begun is not None:
            self.begun(code)
        return headers


async def _refuse(outcome: ResponseRecorder, error: ApiError, request_id: bytes) -> None:
    # Once an answer has begun, all that is left is to break the connection off.
    if outcome.code == 0:
        await send_answer(outcome, error_answer(error), (b"x-request-id", request_id))
