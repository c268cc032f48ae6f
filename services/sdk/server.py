"""A managed service's server: limits before the login, a TLS context that is renewed while it runs, and word of whose
certificate was seen.
"""

from __future__ import annotations

import ssl
from typing import Any

import uvicorn

from services.sdk.edge.connections import limits_for
from services.sdk.edge.descriptors import divide, raise_file_limit
from services.sdk.edge.protocol import LimitedProtocol
from services.sdk.edge.server import LimitedServer

GRACE_SECONDS = 8
PEER = "aerekos.peer_name"


class _Config(uvicorn.Config):
    """With a context that was made elsewhere: uvicorn only knows files."""

    tls: ssl.SSLContext | None = None

    def load(self) -> None:
        super().load()
        self.ssl = self.tls


class _WithPeer(LimitedProtocol):
    """Puts the name in the client's verified certificate (CN) into the scope's extensions."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if name := _peer_name(transport):
            self.app = _with_peer_name(self.app, name)


def server_for(app: Any, host: str, port: int, tls: ssl.SSLContext | None = None) -> LimitedServer:
    """HTTP/1.1 with the fast parser; the application writes its own access log. Without `tls` for tests only."""
    config = _Config(
        app,
        host=host,
        port=port,
        http=_WithPeer,
        ws="none",
        loop="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    config.tls = tls
    return LimitedServer(config, limits_for(divide(raise_file_limit()).connections))


def _peer_name(transport: Any) -> str:
    tls = transport.get_extra_info("ssl_object")
    certificate = tls.getpeercert() if tls is not None else None
    subject = certificate.get("subject", ()) if certificate else ()
    return next((value for field in subject for name, value in field if name == "commonName"), "")


def _with_peer_name(inner: Any, name: str) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope.setdefault("extensions", {})[PEER] = name
        await inner(scope, receive, send)

    return app
