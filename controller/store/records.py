"""The interface of the store, and the records it keeps. Backends implement `Store`; nobody else knows SQL.

Promises every backend keeps (tests/contracts/store):
- revisions are 1, 2, 3, ... without gaps, in commit order, over all kinds;
- a write is on disk before `write` returns, and seen by every read that starts after;
- a change that expects another version than the newest writes nothing;
- `follow` delivers every record once, in order, or raises Expired; a slow follower delays no writer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import orjson

from controller.store.metrics import StoreMetrics
from crds.meta import ObjectKey

Verb = Literal["created", "updated", "deleted"]


@dataclass(slots=True)
class Record:
    """One change of one resource. `body` is the whole resource as JSON, resourceVersion included.

    For a deletion, `body` is the last state with the deletion's own revision. `previous` is the revision of the
    record before it: 0 for a first creation, the deletion's for one that came after a deletion. Treat as immutable:
    readers share it.
    """

    revision: int
    key: ObjectKey
    uid: str
    verb: Verb
    generation: int
    body: bytes
    previous: int
    written_at: datetime
    written_by: str
    typed: Any = field(default=None, repr=False, compare=False)
    """What writers or readers made of `body`, so that it is made once for all. The store itself knows no kinds."""
    values: dict[str, Any] | None = field(default=None, repr=False, compare=False)
    """`object`, where somebody has it already."""
    fault: str = field(default="", repr=False, compare=False)
    """Why `body` is still in an older format than this version's; empty when it is not."""

    @property
    def object(self) -> dict[str, Any]:
        """The resource as JSON values, parsed once. Shared: copy before changing."""
        if self.values is None:
            self.values = orjson.loads(self.body)
        return self.values


class Change(NamedTuple):
    """One wanted write. `body` is the whole resource (None deletes), which nobody may change any more; the store
    sets resourceVersion.

    `expect` is the revision the newest record must have: 0 means the resource must not exist. `typed` becomes the
    record's: what the writer has made of `body` already, but for the version it cannot know.
    """

    key: ObjectKey
    body: dict[str, Any] | None
    expect: int
    typed: Any = None


class StoreError(Exception):
    """Base of what the store refuses."""


class Stale(StoreError):
    """A change expected another version. Read again, decide again. `found` is 0 if there is none."""

    def __init__(self, key: ObjectKey, expected: int, found: int) -> None:
        super().__init__(f"{key}: expected revision {expected}, newest is {found}")
        self.key, self.expected, self.found = key, expected, found


class Compacted(StoreError):
    """The history asked for is gone. `oldest` is the lowest revision that can still be asked for."""

    def __init__(self, asked: int, oldest: int) -> None:
        super().__init__(f"revision {asked} is compacted; the oldest kept is {oldest}")
        self.asked, self.oldest = asked, oldest


class StoreBroken(StoreError):
    """The backend cannot write or read (file corrupt, no permission). The message names the file and the fix."""


class StoreFull(StoreError):
    """There is no room on the disk: nothing was written, and the same may be tried again when there is. Reads go on.
    The message names the file and the fix.
    """


class StoreAway(StoreError):
    """The database cannot be reached now: try again. Whether what was to be written is there is not known, and shown
    by the next read. The message names the database.
    """


class NotLeading(StoreError):
    """Another process has the lead: nothing was written, and this one writes nothing any more."""


class Snapshot(NamedTuple):
    """Resources as they stood at one revision, ordered by (namespace, name)."""

    revision: int
    records: Sequence[Record]


class StoreEvent(NamedTuple):
    """A record with the one it replaced (None for a creation): what a watcher needs for selectors."""

    record: Record
    before: Record | None


class Follower(Protocol):
    """Iterate to get batches of what happened, oldest first. Ends only by cancellation or Compacted.

    Cancelling a wait for the next batch loses nothing: the next wait goes on where this one stood.
    """

    @property
    def position(self) -> int:
        """Everything of this kind up to this revision was handed out."""
        ...

    def __aiter__(self) -> AsyncIterator[Sequence[StoreEvent]]: ...


@runtime_checkable
class SeekableFollower(Follower, Protocol):
    """A follower that can go on from another position, for those who heard of changes from somebody else."""

    @property
    def caught_up(self) -> bool:
        """Whether everything was handed out."""
        ...

    def seek(self, revision: int) -> None:
        """The next batch begins after `revision`; it may be an earlier one than was reached."""
        ...


class Store(Protocol):
    """An ordered memory of every change. One event loop uses it; blocking work is its own business."""

    @property
    def revision(self) -> int:
        """The newest committed revision; 0 when nothing was ever written."""
        ...

    @property
    def oldest(self) -> int:
        """The lowest revision whose state can still be asked for, and be followed from."""
        ...

    @property
    def trouble(self) -> StoreError | None:
        """The error that kept the last write from the disk; None once one did."""
        ...

    @property
    def metrics(self) -> StoreMetrics:
        """What it has counted since it was opened."""
        ...

    def last(self, group: str, plural: str) -> int:
        """The newest revision in which something happened to that kind; 0 if nothing is known."""
        ...

    def get(self, key: ObjectKey) -> Record | None:
        """The newest record of a living resource. From memory."""
        ...

    def list(self, group: str, plural: str, namespace: str | None = None) -> Snapshot:
        """Living resources of one kind, in one namespace or all, at the newest revision. From memory."""
        ...

    async def write(self, changes: Sequence[Change], *, by: str) -> Sequence[Record]:
        """All changes or none, durable when it returns. Each gets its own revision, consecutive.

        Raises Stale when any expectation fails, StoreFull or StoreBroken when the disk does; of a database elsewhere,
        StoreAway while it cannot be reached, NotLeading for who has lost the lead.
        """
        ...

    def follow(
        self, group: str, plural: str, *, after: int, namespace: str | None = None
    ) -> AbstractAsyncContextManager[Follower]:
        """Everything that happens to that kind after revision `after`. Raises Compacted if that is too old.

        Empty group and plural "*" follow every kind.
        """
        ...

    async def get_at(self, key: ObjectKey, revision: int) -> Record | None:
        """The resource as it stood at `revision`. Raises Compacted."""
        ...

    async def list_at(self, group: str, plural: str, namespace: str | None, revision: int) -> Snapshot:
        """The kind as it stood at `revision`. Raises Compacted."""
        ...

    async def history(self, key: ObjectKey, *, most_bytes: int | None = None) -> Sequence[Record]:
        """Every kept record of that key, oldest first (deleted ones and their successors too).

        With `most_bytes`, the newest whose bodies are of so many bytes together; always one, if there is any.
        """
        ...

    async def revision_at(self, moment: datetime) -> int:
        """The newest revision written at or before `moment`; 0 if none is kept from then."""
        ...

    async def compact(self, *, keep_after: int) -> int:
        """Forget superseded records with a revision of at most `keep_after`, in small batches.

        The state at `keep_after` and everything later stays readable. Returns how many records went.
        """
        ...

    async def close(self) -> None:
        """Finish pending writes and let go of the files."""
        ...


class FollowingStore(Store, Protocol):
    """A store of which another process writes what is read here. `write` raises NotLeading."""

    async def catch_up(self) -> None:
        """Know everything that was committed before this was called. Raises StoreAway, StoreBroken."""
        ...
