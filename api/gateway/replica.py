"""A gateway's copy of who is who, what they may and where services are. It answers without asking anybody.

The conductor tells it everything when they meet, then each change. While the conductor is away, what was told last
holds: services go on being reachable, and nobody gains a right.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

import anyio
import orjson
import structlog

from api.channel.conductors import Leadership, read_conductors
from api.channel.records import read_record
from api.channel.settings import GatewaySettings, read_settings
from controller.runtime.endpoints import Endpoint, Endpoints
from controller.store.memory_index import MemoryIndex
from controller.store.metrics import StoreMetrics
from controller.store.records import Change, Follower, Record, Snapshot, StoreBroken, StoreError
from crds.meta import ObjectKey

log = structlog.get_logger("gateway")
AGAIN_SECONDS = 0.5
Lines = Callable[[], AsyncIterator[bytes]]


class ReplicaStore:
    """A `Store` that is only read from. Only the newest state is known, and nothing can be followed."""

    oldest = 0
    trouble: StoreError | None = None

    def __init__(self) -> None:
        self._index, self.metrics = MemoryIndex(recent=1), StoreMetrics()
        self.version = 0
        """Another one after each change, also where the conductor began anew at an older revision."""

    @property
    def revision(self) -> int:
        return self._index.revision

    def replace(self, records: Sequence[Record], revision: int) -> None:
        """Begin again from these."""
        self.version += 1
        self._index.rebuild(records, {}, revision, revision)

    def apply(self, record: Record) -> None:
        """One change that came after."""
        self.version += 1
        self._index.apply([record])

    def last(self, group: str, plural: str) -> int:
        return self._index.last((group, plural))

    def get(self, key: ObjectKey) -> Record | None:
        return self._index.heads.get(key)

    def list(self, group: str, plural: str, namespace: str | None = None) -> Snapshot:
        return Snapshot(self.revision, self._index.list((group, plural), namespace))

    async def write(self, changes: Sequence[Change], *, by: str) -> Sequence[Record]:
        raise StoreBroken("a gateway writes nothing: ask the conductor")

    def follow(
        self, group: str, plural: str, *, after: int, namespace: str | None = None
    ) -> AbstractAsyncContextManager[Follower]:
        raise StoreBroken("a gateway's copy cannot be followed: ask the conductor")

    async def get_at(self, key: ObjectKey, revision: int) -> Record | None:
        raise StoreBroken("a gateway knows no past: ask the conductor")

    async def list_at(self, group: str, plural: str, namespace: str | None, revision: int) -> Snapshot:
        raise StoreBroken("a gateway knows no past: ask the conductor")

    async def history(self, key: ObjectKey, *, most_bytes: int | None = None) -> Sequence[Record]:
        raise StoreBroken("a gateway knows no past: ask the conductor")

    async def revision_at(self, moment: datetime) -> int:
        raise StoreBroken("a gateway knows no past: ask the conductor")

    async def compact(self, *, keep_after: int) -> int:
        return 0

    async def close(self) -> None:
        return


class Replica:
    """Keeps store and endpoints as the conductor has them. `ask` begins a new stream of lines; `use` hears of
    settings as they change, and `use_conductors` of who leads.
    """

    def __init__(
        self,
        ask: Lines,
        use: Callable[[GatewaySettings], object] = lambda _: None,
        use_conductors: Callable[[Leadership], object] = lambda _: None,
    ) -> None:
        self._ask, self._use, self._use_conductors = ask, use, use_conductors
        self.store, self.endpoints = ReplicaStore(), Endpoints()
        self.synced = anyio.Event()
        """Set once everything was told for the first time."""
        self.connected = False

    async def run(self) -> None:
        """Follow the conductor until cancelled, whatever becomes of it."""
        while True:
            try:
                await self._follow()
            except Exception as broken:
                log.warning("the conductor is away; what it told last holds", because=str(broken) or repr(broken))
            self.connected = False
            await anyio.sleep(AGAIN_SECONDS)

    async def _follow(self) -> None:
        records: list[Record] = []
        endpoints: dict[ObjectKey, tuple[str, list[Endpoint]]] = {}
        async for line in self._ask():
            word, *fields = orjson.loads(line)
            if word == "synced":
                self._begin(records, endpoints, int(fields[0]))
            elif word == "record":
                record = read_record(fields)
                if self.connected:
                    self.store.apply(record)
                else:
                    records.append(record)
            elif word == "settings":
                self._use(read_settings(fields[0]))
            elif word == "conductors":
                self._use_conductors(read_conductors(fields[0]))
            elif word == "endpoints":
                key, uid, ready = _read_endpoints(fields)
                if self.connected:
                    self.endpoints.put(key, uid, ready)
                else:
                    endpoints[key] = uid, ready

    def _begin(
        self, records: Sequence[Record], endpoints: dict[ObjectKey, tuple[str, list[Endpoint]]], revision: int
    ) -> None:
        self.store.replace(records, revision)
        for key in self.endpoints.all():
            if key not in endpoints:
                self.endpoints.forget(key)
        for key, (uid, ready) in endpoints.items():
            self.endpoints.put(key, uid, ready)
        self.connected = True
        self.synced.set()


def _read_endpoints(fields: Sequence[Any]) -> tuple[ObjectKey, str, list[Endpoint]]:
    group, plural, namespace, name, uid, ready = fields
    return ObjectKey(group, plural, namespace, name), uid, [Endpoint(*each) for each in ready]
