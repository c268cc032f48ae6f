"""Requests for the conductor that wait for nothing but it, sent on without a task of their own.

Those of `kubectl` are such, and of every controller: small, whole, for the resource API, with a connection to the
conductor that is free. All others, watches among them, take the way of `Passthrough`; so does every refusal.
"""

from __future__ import annotations

from collections.abc import Sequence

from api.asgi import CLIENT_LEFT, Scope
from api.chain import Handler
from api.gateway.call_at_once import CallAtOnce, is_plain
from api.gateway.exchange import FAILED, ClientDisconnected, relay, relayed_headers
from api.gateway.passthrough import NOT_FOR_CLIENTS, SILENT_SECONDS, Passthrough, broke_off, note_proven
from api.gateway.request_limits import RequestLimits
from api.gateway.upstream import UpstreamConnection, UpstreamError
from crds.errors import ApiError
from services.sdk.edge.client_request import ClientRequest


class DirectPassthrough:
    """Takes requests at once (`services.sdk.edge.client_connection.AnswersAtOnce`). `handlers`: those of the chain,
    whose requests are none of the conductor's.
    """

    def __init__(self, passthrough: Passthrough, handlers: Sequence[Handler], limits: RequestLimits) -> None:
        self.passthrough, self._handlers, self._limits = passthrough, tuple(handlers), limits

    def __call__(self, request: ClientRequest) -> bool:
        if not is_plain(request) or self._is_others(request.scope):
            return False
        connection = self.passthrough.take_free()
        if connection is None:
            return False
        try:
            self._limits.admit_address(request.scope)
            head = self.passthrough.head_of(request)
        except ApiError:
            self.passthrough.give_back(connection)
            return False  # what is refused is worded on the other way
        _Passing(self, request, connection).begin(head + request.body.peek(), SILENT_SECONDS)
        return True

    def _is_others(self, scope: Scope) -> bool:
        return any(each.matches(scope) for each in self._handlers)


class _Passing(CallAtOnce):
    """One of them, on its way."""

    __slots__ = ("_direct",)

    def __init__(self, direct: DirectPassthrough, request: ClientRequest, connection: UpstreamConnection) -> None:
        super().__init__(request, connection)
        self._direct = direct

    def relay_whole(self) -> None:
        connection = self.connection
        note_proven(self.request.scope, connection.headers)
        headers = relayed_headers(connection, NOT_FOR_CLIENTS)
        self.request.write_whole(connection.status, headers, connection.body.take())

    async def relay(self) -> None:
        note_proven(self.request.scope, self.connection.headers)
        await relay(self.connection, self.request, NOT_FOR_CLIENTS)

    def over(self, code: int) -> None:
        self._direct.passthrough.give_back(self.connection)
        self.request.over()

    def failed(self, error: Exception) -> None:
        if isinstance(error, ClientDisconnected):
            self.over(CLIENT_LEFT)
            return
        self._direct.passthrough.give_back(self.connection)
        self.request.scope[FAILED] = broke_off()
        self.request.answer_in_task()

    def broke_off(self, error: UpstreamError) -> None:
        """As on the other way: nothing is said of it, the client's connection ends."""
