"""Requests that the gateway sends on to the conductor, over a socket that only the user of the home can open.

The gateway ends TLS, so it says what the conductor would have seen itself, as Kubernetes has it for proxies in front
of its API (`--requestheader-username-headers`): `X-Remote-User` and `X-Remote-Group` are the name and the groups of
the client's verified certificate, `X-Forwarded-For` is its address. Believed on this socket alone: the gateway drops
them where clients send them, and no other server of ours reads them. Bearer tokens are judged here as ever.
The other way, `X-Aerekos-Proven` says that a request came from somebody known, for the limits of connections, and
`X-Aerekos-Principal` who that is, percent-encoded, for the access log.
Source: Kubernetes, "Authenticating Proxy"; RFC 7239 (Forwarded) for what is left out.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import quote

from api.asgi import App, Message, Receive, Scope, Send
from api.auth.authentication import WHO
from api.auth.principal import Principal
from api.whole_answers import send_whole
from services.sdk.edge.connections import EXTENSION

Headers = list[tuple[bytes, bytes]]
SOCKET = "conductor.sock"
"""In the folder `run` of the home."""
USER, GROUP, ADDRESS, PROVEN = b"x-remote-user", b"x-remote-group", b"x-forwarded-for", b"x-aerekos-proven"
PRINCIPAL = b"x-aerekos-principal"
TRUSTED = frozenset({USER, GROUP, ADDRESS})
"""What only the gateway may say."""


class FrontProxy:
    """An ASGI application for that socket. `app` sees the request as if the client had come to it by itself."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        proof = _Proof()
        scope["headers"], peer, address = remote_of(scope["headers"])
        extensions: dict[str, Any] = scope.setdefault("extensions", {})
        extensions["aerekos.peer"] = peer
        extensions[EXTENSION] = proof
        scope["client"] = (address, 0)
        scope["scheme"] = "https" if scope["type"] == "http" else "wss"
        await self._app(scope, receive, _WithProof(scope, send, proof) if scope["type"] == "http" else send)


class _Proof:
    """Stands for the client's connection, which is the gateway's. The scope holds it, so it holds nothing of the
    request: both would wait for the collector."""

    __slots__ = ("proven",)

    def __init__(self) -> None:
        self.proven = False

    def prove(self) -> None:
        self.proven = True


class _WithProof:
    """Says in the head of the answer whether the client was proven to be somebody, and who."""

    __slots__ = ("_proof", "_scope", "_send")

    def __init__(self, scope: Scope, send: Send, proof: _Proof) -> None:
        self._scope, self._send, self._proof = scope, send, proof

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *self._said()]
        await self._send(message)

    async def send_whole(self, code: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """The same for an answer in one piece."""
        await send_whole(self._send, code, [*headers, *self._said()], body)

    def _said(self) -> list[tuple[bytes, bytes]]:
        if not self._proof.proven:
            return []
        who = self._scope.get(WHO)
        named = [(PRINCIPAL, _encoded(who.name))] if isinstance(who, Principal) else []
        return [(PROVEN, b"1"), *named]


@lru_cache(1024)
def _encoded(name: str) -> bytes:
    """Remembered: few people ask much."""
    return quote(name, safe=":@/").encode()


def _subject(user: bytes, groups: list[bytes]) -> tuple[Any, ...]:
    """As `ssl` gives the subject of a certificate; empty without one."""
    if not user:
        return ()
    told = [("organizationName", each.decode("utf-8")) for each in groups]
    return tuple((field,) for field in (*told, ("commonName", user.decode("utf-8"))))


def remote_of(given: Headers) -> tuple[Headers, tuple[Any, ...], str]:
    """All other headers, and what a gateway says in those of its own: the subject of its client's certificate, and
    where that client is.
    """
    told, groups, headers = dict[bytes, bytes](), list[bytes](), Headers()
    for each in given:
        name, value = each
        if name not in TRUSTED:
            headers.append(each)
        elif name == GROUP:
            groups.append(value)
        else:
            told[name] = value
    return headers, _subject(told.get(USER, b""), groups), told.get(ADDRESS, b"").decode("latin-1")


def remote_headers(subject: tuple[Any, ...], address: str) -> list[tuple[bytes, bytes]]:
    """What the gateway says of a client: the subject of its certificate, and where it is."""
    fields = [pair for field in subject for pair in field]
    user = next((value for name, value in fields if name == "commonName"), "")
    groups = [value for name, value in fields if name == "organizationName"] if user else []
    said = [(ADDRESS, address.encode("latin-1"))]
    if user:
        said.append((USER, user.encode("utf-8")))
    return [*said, *((GROUP, each.encode("utf-8")) for each in groups)]
