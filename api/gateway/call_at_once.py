"""A request that was sent on without a task of its own: what is alike in all of them, wherever they go."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

from api.asgi import CLIENT_LEFT
from api.gateway.exchange import HOP_BY_HOP, ClientDisconnected
from api.gateway.upstream import UpstreamConnection, UpstreamError
from controller.kit import tracing
from services.sdk.asgi import header_map, is_streaming
from services.sdk.edge.client_request import ClientRequest

MOST_BODY_BYTES = 64 * 1024


class CallAtOnce(ABC):
    """One of them, on its way. What is under way ends with the client, and then `over` is called, once."""

    __slots__ = ("connection", "request")

    def __init__(self, request: ClientRequest, connection: UpstreamConnection) -> None:
        self.request, self.connection = request, connection

    def begin(self, data: bytes, patience: float) -> None:
        """Send it: head and body. `patience`: the seconds without a byte after which it fails."""
        self.request.abandon = self._abandon
        self.connection.send_head(self.request.method, data, patience, self._answered)

    @abstractmethod
    def relay_whole(self) -> None:
        """All of the answer is there."""

    @abstractmethod
    async def relay(self) -> None:
        """The rest of the answer's body is still to come. Raises UpstreamError, ClientDisconnected."""

    @abstractmethod
    def over(self, code: int) -> None:
        """It was answered with that code, or nobody waits for its answer any more."""

    @abstractmethod
    def failed(self, error: Exception) -> None:
        """No answer has begun, and none will."""

    @abstractmethod
    def broke_off(self, error: UpstreamError) -> None:
        """The answer ended in its middle, as its connection does, which the client notices."""

    def _abandon(self) -> None:
        self.connection.fail(ClientDisconnected())

    def _answered(self) -> None:
        connection = self.connection
        if connection.error is not None:
            self.failed(connection.error)
        elif connection.body.complete:
            self.relay_whole()
            self.over(connection.status)
        else:
            asyncio.get_running_loop().create_task(self._stream())

    async def _stream(self) -> None:
        code = self.connection.status
        try:
            await self.relay()
        except ClientDisconnected:
            code = CLIENT_LEFT
        except UpstreamError as broken:
            self.broke_off(broken)
        finally:
            self.over(code)


def is_plain(request: ClientRequest, unusual: frozenset[bytes] = HOP_BY_HOP) -> bool:
    """Whether it is small and says nothing that needs another look, as each header of `unusual` does."""
    told, body = header_map(request.scope), request.body
    if len(told) < len(request.headers) or not unusual.isdisjoint(told) or request.upgrade:
        return False
    plain = request.version == "1.1" and body.seen <= MOST_BODY_BYTES and tracing.tracing() is None
    query = request.scope["query_string"]
    return plain and not (query and is_streaming(query))
