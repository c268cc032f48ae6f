"""Signed calls that wait for nothing but their instance, carried without a task of their own.

Most requests of tools are such: small, whole, for a service that is awake, with a connection to it that is free. They
take the same steps as on the way of `Gateway.serve_aws`, which is left to all others and to every refusal.
"""

from __future__ import annotations

import asyncio
from time import perf_counter

import structlog

from api.asgi import CLIENT_LEFT
from api.audit.notes import note_signed, notes_of
from api.auth.authentication import WHO
from api.chain import AuditsRequests, CountsRequests, Handler, ResponseRecorder
from api.gateway.exchange import HOP_BY_HOP, ClientDisconnected, relay, relayed_headers
from api.gateway.gateway import FAILED, Gateway
from api.gateway.reverse_proxy import ANSWER_SECONDS, FreeConnection
from api.gateway.upstream import AnswerTimeout, UpstreamError
from api.request_context import REQUEST_ID_HEADER, request_id_of, trace_context
from controller.kit import tracing
from crds.errors import ApiError, Unavailable
from services.sdk.asgi import header_map, is_streaming
from services.sdk.aws.errors import AwsError, SignatureError
from services.sdk.edge.client_request import ClientRequest

log = structlog.get_logger("gateway")
MOST_BODY_BYTES = 64 * 1024
_UNUSUAL = HOP_BY_HOP | {b"cookie", b"service-worker", b"sec-fetch-mode", b"sec-fetch-dest"}
"""What needs another look than these calls get."""


class DirectCalls:
    """Takes requests at once (`services.sdk.edge.client_connection.AnswersAtOnce`). `handler`: the one of signed
    requests in the chain that all others pass; `metrics` and `audit` are that chain's, too.
    """

    def __init__(self, gateway: Gateway, handler: Handler, metrics: CountsRequests, audit: AuditsRequests) -> None:
        self.gateway, self.handler, self._metrics, self._audit = gateway, handler, metrics, audit

    def __call__(self, request: ClientRequest) -> bool:
        scope = request.scope
        signing_name = self.gateway.aws_service(scope) if _is_plain(request) else None
        if not signing_name:
            return False
        note_signed(scope, signing_name)
        identified = (REQUEST_ID_HEADER, request_id_of(scope)), trace_context(scope)
        try:
            self._audit.check(scope)
            self.gateway.limits.admit_address(scope)
            begun = self.gateway.begin_call(scope, request.body.peek(), signing_name, *identified)
        except (ApiError, AwsError, SignatureError):
            return False  # what is refused is worded on the other way
        if begun is None:
            return False
        _DirectCall(self, request, *begun)
        return True

    def note(self, request: ClientRequest, service: str, code: int, seconds: float) -> None:
        """One was answered with that code, or nobody waits for its answer any more."""
        scope = request.scope
        self.gateway.traffic.note("", service, code, seconds)
        self._metrics.note(self.handler.name, scope["method"], code, seconds)
        self._audit.note(scope, scope.get(WHO), code, request_id_of(scope).decode())


def _is_plain(request: ClientRequest) -> bool:
    """Whether it says nothing that needs another look."""
    told, body = header_map(request.scope), request.body
    if len(told) < len(request.headers) or not _UNUSUAL.isdisjoint(told) or request.upgrade:
        return False
    plain = request.version == "1.1" and body.seen <= MOST_BODY_BYTES and tracing.tracing() is None
    return plain and not is_streaming(request.scope["query_string"])


class _DirectCall:
    """One of them, on its way."""

    __slots__ = ("_began", "_calls", "_free", "_principal", "_request")

    def __init__(self, calls: DirectCalls, request: ClientRequest, free: FreeConnection, data: bytes) -> None:
        self._calls, self._request, self._free, self._began = calls, request, free, perf_counter()
        self._principal: str = request.scope[WHO].name
        request.abandon = self._abandon
        free.connection.send_head(request.method, data, ANSWER_SECONDS, self._answered)

    def _abandon(self) -> None:
        self._free.connection.fail(ClientDisconnected())

    def _answered(self) -> None:
        connection = self._free.connection
        if connection.error is not None:
            self._failed(connection.error)
        elif connection.body.complete:
            recorder = self._recorder()
            headers = recorder.begin(connection.status, relayed_headers(connection))
            self._request.write_whole(connection.status, headers, connection.body.take())
            self._calls.gateway.proxy.record_success(self._free.address)
            self._over(connection.status)
        else:
            asyncio.get_running_loop().create_task(self._stream())

    async def _stream(self) -> None:
        """The rest of the body is still to come."""
        connection, proxy = self._free.connection, self._calls.gateway.proxy
        code = connection.status
        try:
            await relay(connection, self._recorder())
            proxy.record_success(self._free.address)
        except ClientDisconnected:
            code = CLIENT_LEFT
        except UpstreamError as broken:
            # Its connection ends in the middle of the answer, which the client notices.
            proxy.record_failure(self._free.address)
            log.warning("an answer broke off in the middle", service=self._free.service, because=repr(broken))
        finally:
            self._over(code)

    def _recorder(self) -> ResponseRecorder:
        request, scope = self._request, self._request.scope
        return ResponseRecorder(
            request, scope, notes_of(scope), self._calls.handler, request_id_of(scope), keeps_body=False
        )

    def _over(self, code: int) -> None:
        free = self._free
        self._calls.gateway.proxy.leave(free, self._principal)
        self._calls.note(self._request, free.service, code, perf_counter() - self._began)
        self._request.over()

    def _failed(self, error: Exception) -> None:
        """No answer has begun. What may be tried again is, on the other way; so is the refusal of all else."""
        request, free, proxy = self._request, self._free, self._calls.gateway.proxy
        if isinstance(error, ClientDisconnected):
            self._over(CLIENT_LEFT)
            return
        proxy.leave(free, self._principal)
        proxy.record_failure(free.address)
        if isinstance(error, AnswerTimeout):
            refusal: ApiError = proxy.timed_out(free.service, ANSWER_SECONDS)
        elif proxy.may_repeat(request.method, free.service):
            request.answer_in_task()
            return
        else:
            refusal = Unavailable(f"{free.service} broke off before it answered; try again", retry_after=1)
        request.scope[FAILED] = refusal
        self._calls.gateway.traffic.note("", free.service, refusal.code, perf_counter() - self._began)
        request.answer_in_task()
