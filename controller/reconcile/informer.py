"""Our own copy of what is watched: list once, then follow, and never lose a deletion.

An informer follows one kind. When the connection breaks it goes on from the last revision; when that is too old it
lists again and reports every resource that vanished meanwhile. The loop and the garbage collector share theirs.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import anyio
import anyio.abc
import structlog

from controller.client.protocol import ChangeType, Resources, WatchEvent
from controller.kit.backoff import Backoff
from controller.reconcile.metrics import InformerState
from crds.errors import ApiError, Expired
from crds.kind import Kind, KubeObject, key_of
from crds.meta import ObjectKey

M = TypeVar("M", bound=KubeObject)

# A watch that held this many seconds was a healthy one: its end is no failure.
_HEALTHY_SECONDS = 5.0
RECONNECT_BACKOFF = Backoff(first=0.5, factor=2.0, limit=30.0, jitter=0.2)

# What happened, the resource as it is now (for DELETED: as it last was), and as it was before.
Listener = Callable[[ChangeType, Any, Any], None]
_log = structlog.get_logger(__name__)


def revision_of(resource: KubeObject) -> int:
    """The resourceVersion as a number; 0 when there is none."""
    return int(resource.metadata.resource_version or 0)


class Informer(Generic[M]):
    """All resources of one kind. `synced` is set after the first listing."""

    def __init__(
        self, kind: Kind[M], resources: Resources, rng: random.Random, backoff: Backoff = RECONNECT_BACKOFF
    ) -> None:
        self.kind = kind
        self.synced = anyio.Event()
        self.revision: int | None = None
        self.fault: str | None = f"{kind.plural} are not read yet"
        """Why what is here may be old, or None."""
        self._resources, self._rng, self._backoff = resources, rng, backoff
        self._items: dict[ObjectKey, M] = {}
        self._listeners: list[Listener] = []
        self._disconnected_at: float | None = None

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` for what is here, as ADDED, and on every change from now on. It must not wait and must not
        raise. What this returns ends it."""
        for item in self._items.values():
            listener("ADDED", item, None)
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def by_key(self, key: ObjectKey) -> M | None:
        """Shared by all readers: copy before changing."""
        return self._items.get(key)

    def keys(self) -> Sequence[ObjectKey]:
        return tuple(self._items)

    def all(self, namespace: str | None = None) -> Sequence[M]:
        """Resources of one namespace, or of all when None. Shared by all readers."""
        if namespace is None:
            return tuple(self._items.values())
        return [item for key, item in self._items.items() if key.namespace == namespace]

    def record_write(self, written: M) -> None:
        """Take what was just written or read, so that nobody need wait for the watch. Notifies no listener.

        Ignored when the watch is already past it, for it may have been deleted since, and when a newer one is here.
        """
        key = key_of(self.kind, written)
        here = self._items.get(key)
        if revision_of(written) > max(self.revision or 0, revision_of(here) if here is not None else 0):
            self._store(key, written)

    def state(self) -> InformerState:
        """How far it has come, and whether it follows."""
        since = self._disconnected_at
        away = 0.0 if since is None else max(anyio.current_time() - since, 0.0)
        kind = self.kind
        return InformerState(kind.resource, kind.group, kind.plural, len(self._items), self.revision, away)

    async def run(self) -> None:
        """Follow the kind until cancelled. Never raises: what fails is retried with backoff."""
        failures, self._disconnected_at = 0, anyio.current_time()
        while True:
            began, before = anyio.current_time(), self.revision
            failed = await self._follow_once()
            held = anyio.current_time() - began >= _HEALTHY_SECONDS
            if not failed and (held or self.revision != before):
                failures = 0
                continue
            failures = 1 if held else failures + 1
            await anyio.sleep(self._backoff.delay(failures, self._rng))

    async def _follow_once(self) -> bool:
        """List if needed, then watch until it ends. Whether it ended badly."""
        try:
            if self.revision is None:
                await self._list()
            await self._watch()
        except Expired as gone:
            _log.info("history is gone, listing again", kind=self.kind.resource, because=str(gone))
            self.revision = None
            return False
        except (ApiError, OSError) as error:
            self.fault = f"{self.kind.plural} cannot be followed: {error}"
            _log.warning("watch broke", kind=self.kind.resource, because=str(error))
            return True
        except Exception as error:
            self.fault = f"{self.kind.plural} cannot be followed: {error!r}"
            # One unreadable record must not stop the whole house; the next listing may be readable.
            _log.exception("watch failed unexpectedly", kind=self.kind.resource)
            self.revision = None
            return True
        return False

    async def _watch(self) -> None:
        async with self._resources.watch(self.kind, after=self.revision or 0) as steps:
            self._disconnected_at = self.fault = None
            try:
                async for seen in steps:
                    self._apply(seen)
            finally:
                self._disconnected_at = anyio.current_time()

    async def _list(self) -> None:
        listing = await self._resources.list(self.kind)
        now = {key_of(self.kind, item): item for item in listing.items}
        self.revision = listing.revision
        self._drop_vanished(now.keys(), listing.revision)
        for key, item in now.items():
            self._put(key, item, revision_of(item))
        self.synced.set()

    def _drop_vanished(self, present: Iterable[ObjectKey], revision: int) -> None:
        # What we wrote after the listing was made is not in it, and lives.
        stale = {key for key, item in self._items.items() if revision_of(item) <= revision}
        for key in stale.difference(present):
            vanished = self._items[key]
            self._discard(key)
            self._notify("DELETED", vanished, vanished)

    def _put(self, key: ObjectKey, item: M, revision: int) -> None:
        """Notifies of a change to the newest version we know of, not of an older one."""
        before = self._items.get(key)
        if before is None:
            self._store(key, item)
            self._notify("ADDED", item, None)
            return
        known = revision_of(before)
        if revision > known:
            self._store(key, item)
        elif revision < known or item is before:
            return
        # The same again is our own write that comes back: others want to hear of it.
        self._notify("MODIFIED", item, before)

    def _apply(self, seen: WatchEvent[M]) -> None:
        self.revision = max(self.revision or 0, seen.revision)
        if seen.type == "BOOKMARK":
            return
        key = key_of(self.kind, seen.object)
        if seen.type == "DELETED":
            self._take_away(key, seen)
        else:
            self._put(key, seen.object, seen.revision)

    def _take_away(self, key: ObjectKey, seen: WatchEvent[M]) -> None:
        here = self._items.get(key)
        if here is not None and revision_of(here) <= seen.revision:  # else it was made again, and we know already
            self._discard(key)
        self._notify("DELETED", seen.object, here)

    def _store(self, key: ObjectKey, item: M) -> None:
        self._items[key] = item

    def _discard(self, key: ObjectKey) -> None:
        del self._items[key]

    def _notify(self, change: ChangeType, item: M, before: M | None) -> None:
        for listener in self._listeners:
            listener(change, item, before)


class Informers:
    """Informers of several kinds, read as one (`reconciler.Lister`). What `shared` follows is not followed again."""

    def __init__(
        self, kinds: Iterable[Kind[Any]], resources: Resources, rng: random.Random, shared: Informers | None = None
    ) -> None:
        self._informers: dict[tuple[str, str], Informer[Any]] = {}
        self._own: list[Informer[Any]] = []
        for kind in kinds:
            resource = (kind.group, kind.plural)
            if resource in self._informers:
                continue
            informer = shared._informers.get(resource) if shared is not None else None
            if informer is None:
                informer = Informer(kind, resources, rng)
                self._own.append(informer)
            self._informers[resource] = informer

    def start(self, tasks: anyio.abc.TaskGroup) -> None:
        """Follow what nobody else does, until `tasks` is cancelled."""
        for informer in self._own:
            tasks.start_soon(informer.run, name=f"watch {informer.kind.plural}")

    def of(self, kind: Kind[M]) -> Informer[M]:
        """The informer of `kind`. Raises LookupError when nobody said it would be read."""
        informer = self._informers.get((kind.group, kind.plural))
        if informer is None:
            raise LookupError(f"{kind.resource} is not watched; name it in also_watch or also_read")
        return informer

    def __iter__(self) -> Iterator[Informer[Any]]:
        return iter(self._informers.values())

    def get(self, kind: Kind[M], name: str, namespace: str | None = None) -> M | None:
        """Shared: copy before changing. None when there is none."""
        return self.of(kind).by_key(kind.key(name, namespace))

    def list(self, kind: Kind[M], namespace: str | None = None) -> Sequence[M]:
        """Shared: copy before changing."""
        return self.of(kind).all(namespace)

    async def wait_synced(self) -> None:
        """Wait until every kind was listed once."""
        for informer in self._informers.values():
            await informer.synced.wait()
