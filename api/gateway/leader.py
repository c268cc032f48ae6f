"""What this gateway's own conductor does not answer, for it stands by or is away, goes to the gateway of the one that
leads.

Who asks is told there as it is told the own conductor (api.front_proxy), and believed of who shows the certificate of
a gateway of this cloud, which nobody has who lacks the key of its CA. What was sent on once is not sent on again.
A conductor that stands by answers reads itself, and says which of them only the one that leads can answer.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import anyio
import orjson

from api.asgi import App, Message, Receive, Scope, Send, error_answer, json_answer, send_answer
from api.chain import Handler
from api.channel.conductors import Leadership
from api.edge.bodies import has_body
from api.front_proxy import remote_of
from api.gateway.bucket_hosts import OwnNames
from api.gateway.passthrough import Passthrough
from api.gateway.upstream import Endpoint, UpstreamError, UpstreamPool
from api.local_reads import ASK_LEADER, is_local_read
from api.request_context import REQUEST_ID_HEADER, request_id_of
from crds.errors import CONDUCTOR_AWAY, Cause, Unavailable
from services.sdk.asgi import replaying
from services.sdk.certificate import GATEWAY
from services.sdk.edge.client_request import REQUEST
from services.sdk.edge.connections import prove

PATH = "/internal/leader"
"""Where gateways ask each other: `{"leads": true}`."""
SENT_ON = "aerekos.sent_on"
"""In the scope of a request of another conductor's gateway: where its client is; empty for what it asks itself."""
LOOK_SECONDS, ANSWER_SECONDS = 0.5, 2.0
_PEER = ((("commonName", GATEWAY),),)
_ASK = f"GET {PATH} HTTP/1.1\r\nhost: conductor\r\n\r\n".encode()


class LeaderRoute:
    """An ASGI application for what is elsewhere. `own`: the way to the own conductor; `is_connected`: whether that is
    there; `handlers`: of what a gateway answers with no conductor; `tls`: shows a certificate of a gateway.
    """

    def __init__(
        self,
        own: Passthrough,
        is_connected: Callable[[], bool],
        handlers: Sequence[Handler],
        tls: Callable[[], ssl.SSLContext | None],
    ) -> None:
        self._own, self._is_connected, self._tls = own, is_connected, tls
        self._handlers, self._pool = tuple(handlers), UpstreamPool(8)
        self._ways: dict[str, Passthrough] = {}
        self._now, self._found = Leadership(), ""
        self.hosts: tuple[str, ...] = ()
        """By which all other conductors are reached."""

    def use(self, now: Leadership) -> None:
        """What the own conductor knows of the lead."""
        self._now = now
        self.hosts = tuple(urlsplit(url).hostname or "" for url in now.others)
        for url in self._ways.keys() - {now.leader, *now.others}:
            self._ways.pop(url).close()

    def own_names(self, names: OwnNames) -> OwnNames:
        """Those, and the hosts of all others: what they send on was asked for by their names. The same sequence until
        something changes.
        """
        known: tuple[Sequence[str], Sequence[str], Sequence[str]] = ((), (), ())

        def all_names() -> Sequence[str]:
            nonlocal known
            own, hosts = names(), self.hosts
            if known[0] is not own or known[1] is not hosts:
                known = own, hosts, (*own, *(each for each in hosts if each not in own))
            return known[2]

        return all_names

    def is_elsewhere(self) -> bool:
        """Whether neither this gateway nor its conductor is to answer, but for reads (`__call__`)."""
        # While nobody else is found to lead, what runs here is reached as ever, with what was known last.
        return not self._now.leads or bool(self._found)

    def before(self, app: App) -> App:
        """`app`, which sees what another gateway sent on as that one saw it."""

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            believe(scope)
            if is_question(scope):
                await send_answer(send, json_answer(200, {"leads": self._leads_surely()}))
            else:
                await app(scope, receive, send)

        return serve

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if SENT_ON in scope:
            await _refuse(scope, send, "this conductor does not lead, and was taken for the one that does")
            return
        if self._stands_by() and self._is_read(scope):
            first = _UnlessRefused(send)
            await self._own(scope, receive, first)
            if not first.refused:
                return
            receive = replaying(b"", receive)
        leader = self._found or self._now.leader
        if leader:
            await self._way(leader)(scope, receive, send)
        else:
            await _refuse(scope, send, "no conductor leads now; the next one takes over by itself")

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await anyio.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """While the own conductor is away, or not sure that it still leads, ask all others who does."""
        self._found = "" if self._leads_surely() or self._stands_by() else await self._find()

    def close(self) -> None:
        """Close what is idle."""
        for each in self._ways.values():
            each.close()
        self._pool.close()

    async def _find(self) -> str:
        """The URL of a conductor that says it leads; empty without one."""
        for url in dict.fromkeys((self._found, self._now.leader, *self._now.others)):
            if url and await self._leads(url):
                return url
        return ""

    async def _leads(self, url: str) -> bool:
        endpoint = _endpoint(url)
        try:
            connection = await self._pool.take(endpoint, self._tls())
            try:
                connection.send_head(b"GET", _ASK, ANSWER_SECONDS)
                await connection.head()
                told = b"".join([part async for part in connection.body])
            finally:
                self._pool.give_back(endpoint, connection)
            return connection.status == 200 and orjson.loads(told) == {"leads": True}
        except (UpstreamError, orjson.JSONDecodeError):
            return False

    def _leads_surely(self) -> bool:
        return self._now.leads and self._now.sure and self._is_connected()

    def _stands_by(self) -> bool:
        """The own conductor tells who leads, and answers reads."""
        return not self._now.leads and self._is_connected()

    def _way(self, url: str) -> Passthrough:
        if url not in self._ways:
            self._ways[url] = Passthrough(_endpoint(url), self._tls)
        return self._ways[url]

    def _is_read(self, scope: Scope) -> bool:
        request = scope[REQUEST]
        local = is_local_read(scope) and not request.upgrade and not has_body(scope["headers"])
        return local and not self._is_services(scope)

    def _is_services(self, scope: Scope) -> bool:
        return any(each.matches(scope) for each in self._handlers)


def believe(scope: Scope) -> None:
    """Where another conductor's gateway asks, see its client in its place."""
    extensions = scope.get("extensions") or {}
    if extensions.get("aerekos.peer") != _PEER or SENT_ON in scope:
        return
    prove(scope)
    scope["headers"], peer, address = remote_of(scope["headers"])
    scope["extensions"] = {**extensions, "aerekos.peer": peer}
    scope["client"] = (address or scope["client"][0], 0)
    scope[SENT_ON] = address


def is_question(scope: Scope) -> bool:
    """Whether another gateway asks whether this one's conductor leads."""
    return scope.get(SENT_ON) == "" and scope["path"] == PATH


class _UnlessRefused:
    """Passes an answer on, unless only the conductor that leads can give it."""

    def __init__(self, send: Send) -> None:
        self._send, self.refused = send, False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.refused = message["status"] == 503 and (ASK_LEADER, b"1") in message.get("headers", ())
        if not self.refused:
            await self._send(message)


def _endpoint(url: str) -> Endpoint:
    parts = urlsplit(url)
    host = parts.hostname or ""
    return Endpoint(host, parts.port or 443, host)


async def _refuse(scope: Scope, send: Send, why: str) -> None:
    error = Unavailable(why, causes=(Cause("", why, CONDUCTOR_AWAY),), retry_after=1)
    await send_answer(send, error_answer(error), (REQUEST_ID_HEADER, request_id_of(scope)))
