"""uvicorn's server behind an `Acceptor`. It leaves signals to whoever runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

import uvicorn

from services.sdk.edge.acceptor import Acceptor, listen
from services.sdk.edge.connections import Connection, ConnectionLimits, Connections
from services.sdk.edge.protocol import LimitedProtocol


class LimitedServer(uvicorn.Server):
    """`config.http` must be a `LimitedProtocol`."""

    def __init__(self, config: uvicorn.Config, limits: ConnectionLimits) -> None:
        self._stops = False
        self._stopping: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        super().__init__(config)
        self._limits = limits
        self.places: Connections | None = None

    @property
    def should_exit(self) -> bool:
        """Whether it was told to stop. Setting it stops the server at once, from any thread."""
        return self._stops

    @should_exit.setter
    def should_exit(self, stops: bool) -> None:
        self._stops = stops
        if stops and self._stopping is not None:
            loop, stopping = self._stopping
            loop.call_soon_threadsafe(stopping.set)

    async def main_loop(self) -> None:
        """As uvicorn's, which wakes up ten times a second to see whether to stop: most of what an idle one does.

        Each second it writes the `Date` of the answers anew.
        """
        stopping = asyncio.Event()
        self._stopping = asyncio.get_running_loop(), stopping
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), 1.0)
        self._stopping = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None."""
        yield

    async def startup(self, sockets: Any = None) -> None:
        """Raises CannotListen."""
        await self.lifespan.startup()
        config, loop = self.config, asyncio.get_running_loop()
        listeners = sockets or await listen(config.host, config.port, config.backlog)
        self.places = Connections(self._limits, loop.time)
        acceptor = Acceptor(listeners, self.places, self._protocol, config.ssl)
        self.servers = [acceptor]  # type: ignore[list-item]  # what uvicorn asks of it, it can
        acceptor.start()
        self.started = True

    def _protocol(self, connection: Connection) -> asyncio.Protocol:
        protocol = cast(type[LimitedProtocol], self.config.http_protocol_class)(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        protocol.connection = connection
        return protocol
