"""Activation: a request to a service that sleeps waits here until an instance is ready, bounded in number and time.

The conductor hears at once that somebody waits, and from time to time of services that are answering somebody: a
service is put to sleep only when nobody asked for it for a while.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio

from controller.runtime.endpoints import Endpoint, Endpoints
from controller.store.records import Store
from crds.errors import Unavailable
from crds.kinds.service import service_key
from crds.meta import ObjectKey

MOST_HELD = 256
"""So many requests wait for one service at most, in each gateway."""
HOLD_SECONDS, RETRY_SECONDS = 10.0, 2
AGAIN_SECONDS = 2.0
"""So often the conductor hears of those who still wait, or are still being answered; less than any `idleSeconds`."""
NoteWanted = Callable[[str], object]


class Activation:
    """Holds requests. `note_wanted` hears of services that are asked for."""

    def __init__(self, store: Store, endpoints: Endpoints, note_wanted: NoteWanted) -> None:
        self._store, self._endpoints, self._note_wanted = store, endpoints, note_wanted
        self._in_use: Counter[str] = Counter()
        self._held: Counter[str] = Counter()

    def on_demand(self, service: str) -> bool:
        """Whether that Service may sleep."""
        record = self._store.get(service_key(service, "default"))
        return record is not None and (record.object.get("spec") or {}).get("activation") == "onDemand"

    @contextmanager
    def used(self, service: str) -> Iterator[None]:
        """A request to it is under way."""
        self._in_use[service] += 1
        try:
            yield
        finally:
            self._in_use[service] -= 1
            if not self._in_use[service]:
                del self._in_use[service]

    def require_awake(self, service: str) -> None:
        """For requests that wake nobody. Raises Unavailable for one that sleeps, or is being started."""
        if self.on_demand(service) and not self._is_ready(service):
            raise Unavailable(f"{service} is not running now", retry_after=RETRY_SECONDS)

    async def until_ready(self, service: str) -> None:
        """Raises Unavailable when too many wait, or it takes too long."""
        if self._is_ready(service):
            return
        if self._held[service] >= MOST_HELD:
            raise Unavailable(f"{service} is being started, and many wait for it already", retry_after=RETRY_SECONDS)
        self._held[service] += 1
        try:
            with anyio.fail_after(HOLD_SECONDS):
                await self._change(service)
        except TimeoutError as late:
            text = f"{service} was not ready within {HOLD_SECONDS:g} s; see: aerekos describe service {service}"
            raise Unavailable(text, retry_after=RETRY_SECONDS) from late
        finally:
            self._held[service] -= 1

    async def run(self) -> None:
        """Tell who is asked for, until cancelled."""
        while True:
            await anyio.sleep(AGAIN_SECONDS)
            for service in tuple(self._in_use):
                self._note_wanted(service)

    async def _change(self, service: str) -> None:
        changed = anyio.Event()

        def hear(key: ObjectKey, _uid: str, ready: tuple[Endpoint, ...]) -> None:
            if ready and key == service_key(service, "default"):
                changed.set()

        with self._endpoints.told(hear):
            self._note_wanted(service)
            while not self._is_ready(service):
                await changed.wait()
                changed = anyio.Event()

    def _is_ready(self, service: str) -> bool:
        key = service_key(service, "default")
        record = self._store.get(key)
        return record is None or bool(self._endpoints.ready(key, record.uid))
