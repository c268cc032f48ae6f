"""`GET /internal/replica`: who is who, what they may and where services answer, told to a gateway as it changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import anyio
from anyio.abc import ObjectSendStream

from api.asgi import JSON, Receive, Scope, Send, cancel_when_gone
from api.channel.conductors import Conductors
from api.channel.records import ALIVE, COPIED, KINDS, endpoints_line, record_line, synced_line
from api.channel.settings import GatewaySettings, settings_line
from controller.runtime.endpoints import Endpoint, Endpoints
from controller.store.records import Store
from crds.meta import ObjectKey

PATH = "/internal/replica"
ALIVE_SECONDS = 5.0
_MOST_WAITING = 1000


class Replication:
    """Tells each gateway that asks everything there is, then what changes, until it leaves. How many gateways there
    are is one of those things.
    """

    def __init__(
        self,
        store: Store,
        endpoints: Endpoints,
        settings: GatewaySettings = GatewaySettings(),  # noqa: B008 (frozen)
        conductors: Conductors | None = None,
    ) -> None:
        """`conductors`: what is known of the lead; None where there is one conductor alone."""
        self._store, self._endpoints, self._settings = store, endpoints, settings
        self._conductors = conductors or Conductors()
        self._gateways: set[Callable[[bytes], None]] = set()

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Until the gateway goes, or is too slow to be told: then it asks for everything again."""
        sending, waiting = anyio.create_memory_object_stream[bytes](_MOST_WAITING)
        async with anyio.create_task_group() as group:

            def tell(line: bytes) -> None:
                try:
                    sending.send_nowait(line)
                except anyio.WouldBlock:
                    group.cancel_scope.cancel()

            def moved(key: ObjectKey, uid: str, ready: tuple[Endpoint, ...]) -> None:
                tell(endpoints_line(key, uid, ready))

            with self._endpoints.told(moved), self._conductors.told(tell), self._counted(tell):
                revision, everything = self._everything()
                await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", JSON)]})
                await send({"type": "http.response.body", "body": everything, "more_body": True})
                group.start_soon(self._follow, revision, sending)
                group.start_soon(cancel_when_gone, receive, group.cancel_scope)
                while True:
                    line = ALIVE
                    with anyio.move_on_after(ALIVE_SECONDS):
                        line = await waiting.receive()
                    await send({"type": "http.response.body", "body": line, "more_body": True})

    @contextmanager
    def _counted(self, tell: Callable[[bytes], None]) -> Iterator[None]:
        """All gateways hear how many they are."""
        self._gateways.add(tell)
        self._tell_settings()
        try:
            yield
        finally:
            self._gateways.discard(tell)
            self._tell_settings()

    def _tell_settings(self) -> None:
        line = settings_line(replace(self._settings, gateways=len(self._gateways)))
        for tell in tuple(self._gateways):
            tell(line)

    def _everything(self) -> tuple[int, bytes]:
        """At one revision: nothing else runs meanwhile."""
        revision = self._store.revision
        lines = [record_line(each) for kind in KINDS for each in self._store.list(kind.group, kind.plural).records]
        lines += [endpoints_line(key, uid, ready) for key, (uid, ready) in self._endpoints.all().items()]
        return revision, b"".join(lines) + synced_line(revision)

    async def _follow(self, after: int, sending: ObjectSendStream[bytes]) -> None:
        async with self._store.follow("", "*", after=after) as follower:
            async for batch in follower:
                lines = [record_line(each.record) for each in batch if each.record.key[:2] in COPIED]
                if lines:
                    await sending.send(b"".join(lines))
