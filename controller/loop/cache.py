"""Our own copy of what is watched: list once, then follow, and never lose a deletion.

A cache follows one kind. When the connection breaks it goes on from the last revision; when that is too old it
lists again and tells of every resource that vanished meanwhile. The loop and the garbage collector share theirs.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import anyio
import anyio.abc
import structlog

from controller.kit.backoff import Backoff
from controller.resources.client import ChangeType, Resources, Seen
from crds.errors import ApiError, Expired
from crds.kind import Kind, Manifest, key_of
from crds.meta import ObjectKey

M = TypeVar("M", bound=Manifest)

# A watch that held this many seconds was a healthy one: its end is no failure.
_HEALTHY_SECONDS = 5.0
RECONNECT = Backoff(first=0.5, factor=2.0, limit=30.0, jitter=0.2)

# What happened, the resource as it is now (for DELETED: as it last was), and as it was before.
Listener = Callable[[ChangeType, Any, Any], None]
_log = structlog.get_logger(__name__)


def revision_of(resource: Manifest) -> int:
    """The resourceVersion as a number; 0 when there is none."""
    return int(resource.metadata.resource_version or 0)


class Cache(Generic[M]):
    """All resources of one kind. `synced` is set after the first listing."""

    def __init__(self, kind: Kind[M], resources: Resources, rng: random.Random, backoff: Backoff = RECONNECT) -> None:
        self.kind = kind
        self.synced = anyio.Event()
        self.revision: int | None = None
        self._resources, self._rng, self._backoff = resources, rng, backoff
        self._items: dict[ObjectKey, M] = {}
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` for what is here, as ADDED, and on every change from now on. It must not wait and must not
        raise. What this returns ends it."""
        for item in self._items.values():
            listener("ADDED", item, None)
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def get(self, key: ObjectKey) -> M | None:
        """Shared by all readers: copy before changing."""
        return self._items.get(key)

    def keys(self) -> Sequence[ObjectKey]:
        return tuple(self._items)

    def list(self, namespace: str | None = None) -> Sequence[M]:
        """Of one namespace, or of all when None. Shared by all readers."""
        if namespace is None:
            return tuple(self._items.values())
        return [item for key, item in self._items.items() if key.namespace == namespace]

    def note(self, written: M) -> None:
        """What we just wrote, so that the next look need not wait for the watch. Tells no listener.

        Ignored when the watch is already past it: the resource may have been deleted since.
        """
        if revision_of(written) > (self.revision or 0):
            self._items[key_of(self.kind, written)] = written

    async def run(self) -> None:
        """Follow the kind until cancelled. Never raises: what fails is tried again with growing patience."""
        failures = 0
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
            _log.warning("watch broke", kind=self.kind.resource, because=str(error))
            return True
        except Exception:
            # One unreadable record must not stop the whole house; the next listing may be readable.
            _log.exception("watch failed unexpectedly", kind=self.kind.resource)
            self.revision = None
            return True
        return False

    async def _watch(self) -> None:
        async with self._resources.watch(self.kind, after=self.revision or 0) as steps:
            async for seen in steps:
                self._apply(seen)

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
            vanished = self._items.pop(key)
            self._tell("DELETED", vanished, vanished)

    def _put(self, key: ObjectKey, item: M, revision: int) -> None:
        """A change to the newest version we know of is told, an older one is not."""
        before = self._items.get(key)
        if before is None:
            self._items[key] = item
            self._tell("ADDED", item, None)
            return
        known = revision_of(before)
        if revision > known:
            self._items[key] = item
        elif revision < known or item is before:
            return
        # The same again is our own write that comes back: others want to hear of it.
        self._tell("MODIFIED", item, before)

    def _apply(self, seen: Seen[M]) -> None:
        self.revision = max(self.revision or 0, seen.revision)
        if seen.type == "BOOKMARK":
            return
        key = key_of(self.kind, seen.object)
        if seen.type == "DELETED":
            before = self._items.pop(key, None)
            self._tell("DELETED", seen.object, before)
        else:
            self._put(key, seen.object, seen.revision)

    def _tell(self, change: ChangeType, item: M, before: M | None) -> None:
        for listener in self._listeners:
            listener(change, item, before)


class Caches:
    """The caches of several kinds, read as one (`reconciler.Reader`). What `shared` follows is not followed again."""

    def __init__(
        self, kinds: Iterable[Kind[Any]], resources: Resources, rng: random.Random, shared: Caches | None = None
    ) -> None:
        self._caches: dict[tuple[str, str], Cache[Any]] = {}
        self._own: list[Cache[Any]] = []
        for kind in kinds:
            place = (kind.group, kind.plural)
            if place in self._caches:
                continue
            cache = shared._caches.get(place) if shared is not None else None
            if cache is None:
                cache = Cache(kind, resources, rng)
                self._own.append(cache)
            self._caches[place] = cache

    def start(self, tasks: anyio.abc.TaskGroup) -> None:
        """Follow what nobody else does, until `tasks` is cancelled."""
        for cache in self._own:
            tasks.start_soon(cache.run, name=f"watch {cache.kind.plural}")

    def of(self, kind: Kind[M]) -> Cache[M]:
        """The cache of `kind`. Raises LookupError when nobody said it would be read."""
        cache = self._caches.get((kind.group, kind.plural))
        if cache is None:
            raise LookupError(f"{kind.resource} is not watched; name it in also_watch or also_read")
        return cache

    def __iter__(self) -> Iterator[Cache[Any]]:
        return iter(self._caches.values())

    def get(self, kind: Kind[M], name: str, namespace: str | None = None) -> M | None:
        """Shared: copy before changing. None when there is none."""
        return self.of(kind).get(kind.key(name, namespace))

    def list(self, kind: Kind[M], namespace: str | None = None) -> Sequence[M]:
        """Shared: copy before changing."""
        return self.of(kind).list(namespace)

    async def wait_synced(self) -> None:
        """Until every kind was listed once."""
        for cache in self._caches.values():
            await cache.synced.wait()
