"""A port of its own for what people keep here: another origin than the dashboard's, with nothing but signed requests.

Objects are shown in a sandbox wherever they are (`api.edge.user_content`); that rests on browsers that keep to it. At
another port they share no storage, no service workers and no pages with the dashboard at all. Cookies know no ports
(RFC 6265, 8.5), but no cookie counts there, and no client's certificate. A browser that opens a signed link at the
dashboard's port is sent here; the signature covers the host it was made for, so that is what is verified. Tools
notice nothing: they do not navigate.
"""

from __future__ import annotations

import re

from api.asgi import App, Receive, Response, Scope, Send, error_answer, send_answer
from api.csrf import NO_STORE
from api.edge.user_content import navigates
from api.gateway.aws_routing import signed_for
from api.request_context import REQUEST_ID_HEADER, request_id_of
from crds.errors import NotFound
from services.sdk.edge.client_request import REQUEST, ClientRequest

HTTPS_PORT = 443
_HOST = re.compile(rb"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_NOT_BELIEVED = frozenset({b"cookie"})


class ContentOrigin:
    """`port`: of its own. `own_port`: where everything else is served."""

    def __init__(self, port: int, own_port: int) -> None:
        self.port, self._own_port = port, own_port

    def before(self, app: App) -> App:
        """`app`, from which browsers that open a signed link are sent to the other port."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            where = self._elsewhere(scope)
            if where is None:
                await app(scope, receive, send)
            else:
                await send_answer(send, where, (REQUEST_ID_HEADER, request_id_of(scope)))

        return answer

    def at_its_port(self, app: App) -> App:
        """`app`, for signed requests alone, whose host is the one they were signed for."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            request: ClientRequest = scope[REQUEST]
            if request.upgrade or signed_for(scope["headers"], scope["query_string"]) is None:
                refused = NotFound("only objects are served here, by links that are signed")
                await send_answer(send, error_answer(refused), (REQUEST_ID_HEADER, request_id_of(scope)))
                return
            kept = [each for each in scope["headers"] if each[0] not in _NOT_BELIEVED]
            scope["headers"] = [(name, self._signed_host(v) if name == b"host" else v) for name, v in kept]
            (scope.get("extensions") or {}).pop("aerekos.peer", None)
            await app(scope, receive, send)

        return answer

    def _elsewhere(self, scope: Scope) -> Response | None:
        headers = scope["headers"]
        if scope["method"] not in ("GET", "HEAD") or not navigates(headers):
            return None
        if signed_for(headers, scope["query_string"]) is None:
            return None
        host = _HOST.fullmatch(next((value for name, value in headers if name == b"host"), b""))
        if host is None:
            return None
        target = scope["raw_path"].partition(b"?")[0] + b"?" + scope["query_string"]
        location = b"https://%b:%d%b" % (host[1], self.port, target)
        more = ((b"location", location), NO_STORE, (b"referrer-policy", b"no-referrer"))
        return Response(307, b"", b"text/plain", more)

    def _signed_host(self, host: bytes) -> bytes:
        found = _HOST.fullmatch(host)
        if found is None:
            return host
        return found[1] if self._own_port == HTTPS_PORT else b"%b:%d" % (found[1], self._own_port)
