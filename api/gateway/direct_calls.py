"""Signed calls that wait for nothing but their instance, carried without a task of their own.

Most requests of tools are such: small, whole, for a service that is awake, with a connection to it that is free. They
take the same steps as on the way of `Gateway.serve_aws`, which is left to all others and to every refusal.
"""

from __future__ import annotations

from time import perf_counter

import structlog

from api.asgi import CLIENT_LEFT, Scope
from api.audit.notes import Notes, note_signed, taken
from api.auth.authentication import WHO
from api.chain import AuditsRequests, CountsRequests, Handler, ResponseRecorder
from api.edge.token_buckets import VERDICT, rate_limit_lines
from api.edge.user_content import NOT_THEIRS, guarded
from api.gateway.call_at_once import CallAtOnce, is_plain
from api.gateway.exchange import (
    FAILED,
    HOP_BY_HOP,
    NOT_RELAYED,
    ClientDisconnected,
    header_lines,
    relay,
    relayed_headers,
)
from api.gateway.gateway import Gateway
from api.gateway.outages import ServiceAway
from api.gateway.reverse_proxy import ANSWER_SECONDS, FreeConnection
from api.gateway.upstream import AnswerTimeout, Headers, UpstreamError
from api.request_context import REQUEST_ID_HEADER, request_id_of, trace_context
from crds.errors import ApiError
from services.sdk.aws.errors import AwsError, SignatureError
from services.sdk.edge.client_request import ClientRequest

log = structlog.get_logger("gateway")
_UNUSUAL = HOP_BY_HOP | {b"cookie", b"service-worker", b"sec-fetch-mode", b"sec-fetch-dest"}
"""What needs another look than these calls get."""
_NOT_RELAYED = NOT_RELAYED | NOT_THEIRS


class DirectCalls:
    """Takes requests at once (`services.sdk.edge.client_connection.AnswersAtOnce`). `handler`: the one of signed
    requests in the chain that all others pass; `metrics` and `audit` are that chain's, too.
    """

    def __init__(self, gateway: Gateway, handler: Handler, metrics: CountsRequests, audit: AuditsRequests) -> None:
        self.gateway, self.handler, self._metrics, self._audit = gateway, handler, metrics, audit
        self._guarding = header_lines(guarded((), (), shared=handler.shared))

    def own_lines(self, id: bytes, scope: Scope) -> bytes:
        """What is said with each answer, as the chain says it (`api.chain.ResponseRecorder`)."""
        return b"%bx-request-id: %b\r\n%b" % (self._guarding, id, rate_limit_lines(scope.get(VERDICT)))

    def __call__(self, request: ClientRequest) -> bool:
        scope = request.scope
        signing_name = self.gateway.aws_service(scope) if is_plain(request, _UNUSUAL) else None
        if not signing_name:
            return False
        notes, id = note_signed(scope, signing_name), request_id_of(scope)
        identified = (REQUEST_ID_HEADER, id), trace_context(scope)
        try:
            self._audit.check(scope)
            self.gateway.limits.admit_address(scope)
            begun = self.gateway.begin_call(scope, request.body.peek(), signing_name, *identified)
        except (ApiError, AwsError, SignatureError):
            return False  # what is refused is worded on the other way
        if begun is None:
            return False
        free, data = begun
        notes.service_tells = True
        _DirectCall(self, request, free, notes, id).begin(data, ANSWER_SECONDS)
        return True

    def note(self, scope: Scope, service: str, code: int, id: bytes, seconds: float) -> None:
        """One was answered with that code, or nobody waits for its answer any more."""
        self.gateway.traffic.note("", service, code, seconds)
        self._metrics.note(self.handler.name, scope["method"], code, seconds)
        self._audit.note(scope, scope.get(WHO), code, id.decode())


def plain_lines(headers: Headers, notes: Notes, *, has_no_body: bool) -> bytes | None:
    """The header lines of an instance's answer that go on, where nothing needs another look: it says how long its
    body is, and nothing of this hop. What it tells the audit log is noted.
    """
    told = dict(headers)
    if b"connection" in told or (b"content-length" not in told and not has_no_body):
        return None
    kept = [each for each in taken(headers, notes) if each[0] not in _NOT_RELAYED]
    return header_lines(kept)


class _DirectCall(CallAtOnce):
    """One of them, on its way."""

    __slots__ = ("_began", "_calls", "_free", "_id", "_notes", "_principal")

    def __init__(
        self, calls: DirectCalls, request: ClientRequest, free: FreeConnection, notes: Notes, id: bytes
    ) -> None:
        super().__init__(request, free.connection)
        self._calls, self._free, self._notes, self._id, self._began = calls, free, notes, id, perf_counter()
        self._principal: str = request.scope[WHO].name

    def relay_whole(self) -> None:
        request, connection = self.request, self.connection
        status, body = connection.status, connection.body.take()
        has_no_body = status in (204, 304) or request.method == b"HEAD"
        lines = plain_lines(connection.headers, self._notes, has_no_body=has_no_body)
        if lines is not None:
            own = self._calls.own_lines(self._id, request.scope)
            request.write_ready(status, lines + own, body)
        else:
            headers = self._recorder().begin(status, relayed_headers(connection))
            request.write_whole(status, headers, body)
        self._calls.gateway.record_success(self._free)

    async def relay(self) -> None:
        await relay(self.connection, self._recorder())
        self._calls.gateway.record_success(self._free)

    def broke_off(self, error: UpstreamError) -> None:
        self._calls.gateway.proxy.record_failure(self._free.address)
        log.warning("an answer broke off in the middle", service=self._free.service, because=repr(error))

    def _recorder(self) -> ResponseRecorder:
        request, handler = self.request, self._calls.handler
        return ResponseRecorder(request, request.scope, self._notes, handler, self._id, keeps_body=False)

    def over(self, code: int) -> None:
        free = self._free
        self._calls.gateway.proxy.leave(free, self._principal)
        self._calls.note(self.request.scope, free.service, code, self._id, perf_counter() - self._began)
        self.request.over()

    def failed(self, error: Exception) -> None:
        """What may be tried again is, on the other way; so is the refusal of all else."""
        request, free, proxy = self.request, self._free, self._calls.gateway.proxy
        if isinstance(error, ClientDisconnected):
            self.over(CLIENT_LEFT)
            return
        proxy.leave(free, self._principal)
        proxy.record_failure(free.address)
        if isinstance(error, AnswerTimeout):
            refusal: ApiError = proxy.timed_out(free.service, ANSWER_SECONDS)
        elif proxy.may_repeat(request.method, free.service):
            request.answer_in_task()
            return
        else:
            refusal = ServiceAway(f"{free.service} broke off before it answered; try again", retry_after=1)
        request.scope[FAILED] = refusal
        self._calls.gateway.traffic.note("", free.service, refusal.code, perf_counter() - self._began)
        request.answer_in_task()
