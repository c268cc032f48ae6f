"""uvicorn, taught to show an application the client's certificate."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from api.auth.authenticating import peer_subject
from api.wire.answering import Receive, Scope, Send


class _WithPeer(HttpToolsProtocol):
    """Puts the verified subject into the scope's extensions: uvicorn itself does not pass it on."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.app = _told_the_peer(self.app, transport)


class _SocketWithPeer(WebSocketsSansIOProtocol):
    """The same for WebSockets."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.app = _told_the_peer(self.app, transport)


def _told_the_peer(inner: Any, transport: Any) -> Any:
    subject = peer_subject(transport)
    if not subject:
        return inner

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("extensions", {})["aerekos.peer"] = subject
        await inner(scope, receive, send)

    return app


class QuietServer(uvicorn.Server):
    """Leaves signals to whoever runs it."""

    def install_signal_handlers(self) -> None:
        pass

    def capture_signals(self) -> Any:
        from contextlib import nullcontext

        return nullcontext()


def make_server(app: Any, *, host: str, port: int, certificate: Path, key: Path, ca: Path) -> QuietServer:
    """A server that speaks TLS 1.2+, asks for a client certificate and accepts none."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=_WithPeer,
        ws=_SocketWithPeer,
        loop="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        ssl_certfile=str(certificate),
        ssl_keyfile=str(key),
        ssl_ca_certs=str(ca),
        ssl_cert_reqs=ssl.CERT_OPTIONAL,
        backlog=2048,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
        server_header=False,
        date_header=True,
        proxy_headers=False,  # nobody stands before us: who says otherwise only wants another name in the audit log
    )
    return QuietServer(config)
