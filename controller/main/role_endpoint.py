"""The port of the container credentials endpoint: opened when the first Service has a role, and kept from then on.

Running programs know its number, so the next conductor takes the same one; where somebody else has it by then,
another, which restarts the programs with a role.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

import anyio

from api.asgi import App
from controller.kit.files import write_private
from controller.kit.listening import CannotListen, open_listeners
from services.sdk.edge.connections import ConnectionLimits
from services.sdk.edge.http_server import AT_ONCE, HttpServer

HOST = "127.0.0.1"
_LIMITS = ConnectionLimits(total=512, per_address=512, unproven=128, unproven_per_address=128)
_BACKLOG = 128


class RoleEndpoint:
    """One per conductor. `home`: of the cloud."""

    def __init__(self, home: Path) -> None:
        self._file = home / "run" / "role-port"
        self._opened, self.listeners = anyio.Event(), list[socket.socket]()
        """What it listens on; nothing before a Service has a role."""

    def url(self, namespace: str, name: str) -> str:
        """Where that Service asks. Opens the port. Raises CannotListen."""
        if not self.listeners:
            self.listeners = self._open()
            self._opened.set()
        return f"http://{HOST}:{self.listeners[0].getsockname()[1]}/services/{namespace}/{name}"

    async def serve(self, app: App) -> None:
        """Until cancelled."""
        await self._opened.wait()
        server = HttpServer(app, self.listeners, None, _LIMITS)
        server.start()
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await server.stop(AT_ONCE)

    def _open(self) -> list[socket.socket]:
        """Raises CannotListen."""
        listeners: list[socket.socket] = []
        with suppress(OSError, ValueError, CannotListen):
            listeners = open_listeners(HOST, int(self._file.read_text()), _BACKLOG)
        listeners = listeners or open_listeners(HOST, 0, _BACKLOG)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_private(self._file, str(listeners[0].getsockname()[1]).encode())
        return listeners
