"""A managed service's servers: limits before the login, and a TLS context that is renewed while they run.

At its port it answers whoever comes, with TLS; at the sockets it was handed, which only the conductor's user can
open, the gateway of the same machine.
"""

from __future__ import annotations

import ssl
from typing import Any

from controller.kit.listening import inherited_listeners
from services.sdk.asgi import Asgi
from services.sdk.certificate import GATEWAY
from services.sdk.edge.acceptor import listen
from services.sdk.edge.connections import limits_for
from services.sdk.edge.descriptors import divide, raise_file_limit
from services.sdk.edge.http_server import HttpServer, Patience

BACKLOG = 2048
PATIENCE = Patience(8.0, 0.2)
"""Connections on which nothing is under way are the gateway's, which takes another one."""


async def open_server(app: Asgi, host: str, port: int, tls: ssl.SSLContext | None = None) -> HttpServer:
    """It listens, and has yet to be started. Without `tls` for tests only. Raises CannotListen."""
    listeners = await listen(host, port, BACKLOG)
    return HttpServer(app, listeners, tls, limits_for(divide(raise_file_limit()).connections))


def gateway_server(app: Asgi, sockets: int) -> HttpServer:
    """At so many sockets that were handed over; it has yet to be started. Raises CannotListen."""
    limits = limits_for(divide(raise_file_limit()).connections)
    return HttpServer(app, inherited_listeners(sockets), None, limits, peer=((("commonName", GATEWAY),),))


def peer_name(scope: Any) -> str:
    """The name in the certificate the client showed (CN), which TLS has verified; empty without one."""
    subject = (scope.get("extensions") or {}).get("aerekos.peer") or ()
    return next((value for field in subject for name, value in field if name == "commonName"), "")
