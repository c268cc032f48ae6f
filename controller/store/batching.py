"""Forms a batch: which waiting writes hold, which revisions and bodies they get. Pure; touches no disk.

Every write is judged against memory plus what earlier writes of the same batch would change. One that
expects another version fails alone; the others go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import anyio
import orjson

from controller.store.memory_index import MemoryIndex
from controller.store.records import Change, Record, Stale, Verb
from crds.meta import ObjectKey


@dataclass(eq=False, slots=True)
class Pending:
    """One call of `write` that waits for `turn`: then it is done, or must lead the next batch, or waits for another.

    Who came first has a turn of its own; all others share one, the end of their batch.
    """

    changes: Sequence[Change]
    by: str
    turn: anyio.Event
    leads: bool = False
    done: bool = False
    abandoned: bool = False
    records: Sequence[Record] = ()
    error: Exception | None = None
    trace: Any = None
    """The span it was called in (`tracing.current`)."""

    def finish(self, *, records: Sequence[Record] = (), error: Exception | None = None) -> None:
        """Note how it went."""
        self.records, self.error, self.done = records, error, True

    def outcome(self) -> Sequence[Record]:
        """What `write` returns, or its error raised."""
        if self.error is not None:
            raise self.error
        return self.records


class Batch:
    """Writes that will be committed together, and what each of them came to."""

    def __init__(self, memory: MemoryIndex, now: datetime) -> None:
        self.base = memory.revision
        self.records: list[Record] = []
        self.locks: list[int] = []
        """For each record, the revision that its row names as `previous`."""
        self._memory = memory
        self._now = now
        self._overlay: dict[ObjectKey, Record] = {}
        self._outcomes: list[tuple[Pending, Sequence[Record], Exception | None]] = []

    def add(self, pending: Pending) -> None:
        """Judge one write. An error of its own (Stale, a body that is no JSON) waits for the batch:
        it may come from a neighbour, and counts only once that neighbour is on disk."""
        mark, undo = len(self.records), {each.key: self._overlay.get(each.key) for each in pending.changes}
        try:
            for change in pending.changes:
                self._take(change, pending.by)
        except Exception as error:
            del self.records[mark:], self.locks[mark:]
            self._restore(undo)
            self._outcomes.append((pending, (), error))
        else:
            self._outcomes.append((pending, self.records[mark:], None))

    @property
    def refused(self) -> bool:
        """Whether one of them has failed."""
        return any(error is not None for _, _, error in self._outcomes)

    def settle(self) -> None:
        """Tell every caller that the batch is on disk and in memory."""
        for pending, records, error in self._outcomes:
            pending.finish(records=records, error=error)

    def _take(self, change: Change, by: str) -> None:
        newest = self._overlay.get(change.key) or self._memory.heads.get(change.key)
        alive = newest if newest is not None and newest.verb != "deleted" else None
        found = alive.revision if alive else 0
        if change.expect != found:
            raise Stale(change.key, change.expect, found)
        revision = self.base + len(self.records) + 1
        record = _record(change, alive, revision, self._now, by)
        self.locks.append(newest.revision if newest else self._memory.tombstones.get(change.key, 0))
        self.records.append(record)
        self._overlay[change.key] = record

    def _restore(self, undo: dict[ObjectKey, Record | None]) -> None:
        for key, record in undo.items():
            if record is None:
                self._overlay.pop(key, None)
            else:
                self._overlay[key] = record


def _record(change: Change, before: Record | None, revision: int, now: datetime, by: str) -> Record:
    body = change.body if change.body is not None else before.object if before else {}
    verb: Verb = "deleted" if change.body is None else "updated" if before else "created"
    meta: dict[str, Any] = {**(body.get("metadata") or {}), "resourceVersion": str(revision)}
    whole = {**body, "metadata": meta}
    return Record(
        revision=revision,
        key=change.key,
        uid=str(meta.get("uid") or ""),
        verb=verb,
        generation=int(meta.get("generation") or 0),
        body=orjson.dumps(whole),
        previous=before.revision if before else 0,
        written_at=now,
        written_by=by,
        typed=change.typed,
        values=whole,
    )
