"""Watches: one JSON line per change, from a revision on, every change once and in order.

Source: Kubernetes API concepts, "Efficient detection of changes"; selector transitions as the apiserver's cacher
makes them (entering is ADDED, leaving is DELETED with the previous object at the new revision).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import anyio
import orjson

from api.wire.answering import JSON, Receive, Send
from api.wire.asking import Ask, as_count, as_seconds
from api.wire.tables import definition, row, wants_table
from controller.kit.clock import Clock
from controller.resources.local import SELECTABLE
from controller.resources.registry import Registry
from controller.resources.selecting import Test, by_fields, by_labels
from controller.store.records import Compacted, Follower, Happening, Record
from crds.errors import Expired
from crds.kind import Kind

BOOKMARK_SECONDS = 30.0
# Bursts leave as one network write: with many watchers this is what keeps the loop free.
GATHER_SECONDS = 0.03
_TYPES = {"created": "ADDED", "updated": "MODIFIED", "deleted": "DELETED"}
INITIAL_EVENTS_END = "k8s.io/initial-events-end"


@dataclass(frozen=True, slots=True)
class _View:
    """How one watcher wants to see things."""

    kind: Kind[Any]
    tests: tuple[Test, ...]
    as_table: bool
    clock: Clock

    def line(self, happening: Happening) -> bytes:
        """The event as this watcher sees it; empty when it is none of its business."""
        record, before = happening.record, happening.before
        if not self.tests:
            return self._line(_TYPES[record.verb], record.body, record.object if self.as_table else None)
        was = before is not None and before.verb != "deleted" and self._means(before.object)
        now = record.verb != "deleted" and self._means(record.object)
        if now:
            return self._line("MODIFIED" if was else "ADDED", record.body, record.object)
        if not was or before is None:
            return b""
        last = {**before.object, "metadata": {**before.object["metadata"], "resourceVersion": str(record.revision)}}
        return self._line("DELETED", orjson.dumps(last), last)

    def first_line(self, record: Record) -> bytes:
        """What a watcher that has seen nothing yet is told of `record`."""
        if not self._means(record.object):
            return b""
        return self._line("ADDED", record.body, record.object)

    def _means(self, resource: dict[str, Any]) -> bool:
        return all(test(resource) for test in self.tests)

    def _line(self, type_: str, body: bytes, resource: dict[str, Any] | None) -> bytes:
        if self.as_table and resource is not None:
            body = orjson.dumps(
                {
                    "kind": "Table",
                    "apiVersion": "meta.k8s.io/v1",
                    "metadata": {"resourceVersion": resource["metadata"]["resourceVersion"]},
                    "columnDefinitions": [definition(column) for column in self.kind.columns],
                    "rows": [row(self.kind, resource, now=self.clock.now())],
                }
            )
        return b'{"type":"%s","object":%s}\n' % (type_.encode(), body)

    def bookmark(self, revision: int, *, initial_end: bool = False) -> bytes:
        meta: dict[str, Any] = {"resourceVersion": str(revision)}
        if initial_end:
            meta["annotations"] = {INITIAL_EVENTS_END: "true"}
        body = {"kind": self.kind.name, "apiVersion": self.kind.api_version, "metadata": meta}
        return b'{"type":"BOOKMARK","object":%s}\n' % orjson.dumps(body)


class Watching:
    """Serves watches. Each watcher has its own cursor into the store: a dead one costs writers nothing."""

    def __init__(self, registry: Registry, clock: Clock, rng: random.Random) -> None:
        self._registry, self._clock, self._rng = registry, clock, rng

    async def serve(self, ask: Ask, receive: Receive, send: Send, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Answers until the client leaves, the asked time is over, or the history is gone."""
        view = self._view(ask)
        # Untimed watches end after 30 to 60 minutes, as the apiserver's do, so that load spreads.
        seconds = as_seconds(ask.params, "timeoutSeconds") or self._rng.uniform(1800, 3600)
        start, initial = self._start(ask, view)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", JSON), *headers]})
        with anyio.move_on_after(seconds):
            async with anyio.create_task_group() as group:
                group.start_soon(_until_gone, receive, group.cancel_scope)
                await _push(send, initial)
                await self._stream(ask, view, start, send)
                group.cancel_scope.cancel()
        with anyio.CancelScope(shield=True), anyio.move_on_after(5):
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _view(self, ask: Ask) -> _View:
        tests = (
            by_labels(ask.params.get("labelSelector", "")),
            by_fields(ask.params.get("fieldSelector", ""), SELECTABLE),
        )
        as_table = wants_table(ask.headers.get("accept", ""))
        return _View(ask.target.kind, tuple(test for test in tests if test), as_table, self._clock)

    def _start(self, ask: Ask, view: _View) -> tuple[int, bytes]:
        """The revision to follow from, and what the watcher must be told before."""
        asked = as_count(ask.params, "resourceVersion")
        listing = ask.params.get("sendInitialEvents") in ("true", "1", "True")
        if asked and not listing:
            return asked, b""
        kind = ask.target.kind
        snapshot = self._registry.store.list(kind.group, kind.plural, ask.target.namespace)
        initial = b"".join(view.first_line(record) for record in snapshot.records)
        if listing:
            initial += view.bookmark(snapshot.revision, initial_end=True)
        return snapshot.revision, initial

    async def _stream(self, ask: Ask, view: _View, after: int, send: Send) -> None:
        kind, store = ask.target.kind, self._registry.store
        fields = ask.params.get("fieldSelector", "")
        try:
            async with store.follow(kind.group, kind.plural, after=after, namespace=ask.target.namespace) as follower:
                bookmarks = ask.params.get("allowWatchBookmarks") in ("true", "1", "True")
                await self._deliver(view, follower, send, bookmarks=bookmarks)
        except Compacted as gone:
            error = Expired(f"too old resource version: {gone.asked} ({gone.oldest}){' ' + fields if fields else ''}")
            await _push(send, b'{"type":"ERROR","object":%s}\n' % orjson.dumps(error.status()))

    async def _deliver(self, view: _View, follower: Follower, send: Send, *, bookmarks: bool) -> None:
        batches = follower.__aiter__()
        while True:
            batch: Sequence[Happening] | None = None
            with anyio.move_on_after(BOOKMARK_SECONDS):
                batch = await batches.__anext__()
            if batch is None:
                if bookmarks:
                    await _push(send, view.bookmark(follower.position))
                continue
            await _push(send, b"".join(map(view.line, batch)))
            await anyio.sleep(GATHER_SECONDS)


async def _push(send: Send, lines: bytes) -> None:
    if lines:
        await send({"type": "http.response.body", "body": lines, "more_body": True})


async def _until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
