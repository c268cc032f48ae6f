"""Watches: one JSON line per change, from a revision on, every change once and in order.

With `writtenAt=true` each event also tells when its version was written, as the store remembers it: beside `type` and
`object`, where clients that do not ask for it see nothing. An object itself does not know that time: its conditions
know only when they changed, and a deletion changes no field.

Source: Kubernetes API concepts, "Efficient detection of changes"; selector transitions as the apiserver's cacher
makes them (entering is ADDED, leaving is DELETED with the previous object at the new revision).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import anyio
import orjson

from api.asgi import JSON, AtOnce, Receive, Send, cancel_when_gone
from api.kube.broadcast import BOOKMARK_SECONDS, Subscriber, WatchBroadcaster
from api.kube.negotiation import Form, form_of
from api.kube.request import ApiRequest, as_count, as_seconds
from api.kube.resource_version import refuse_future, wants_initial_events
from api.kube.storage import StorageMap
from api.kube.tables import partial, table
from api.watch_metrics import WatchMetrics
from controller.kit.clock import Clock
from controller.resources.selectors import Test, by_fields, by_labels
from controller.store.records import Compacted, Follower, Record, SeekableFollower, StoreEvent
from crds.errors import Expired
from crds.kind import Kind
from crds.model import rfc3339

# Bursts leave as one network write: with many watchers this is what keeps the loop free. The pause after each write
# is about twice what one round of writes to all watchers takes, so a few watchers hear of everything almost at once.
GATHER_SECONDS_EACH, LONGEST_GATHER_SECONDS = 0.00005, 0.03
_TYPES = {"created": "ADDED", "updated": "MODIFIED", "deleted": "DELETED"}
WatchScope = tuple[str, str, str | None]
LAST_MARK_SECONDS = 2.0  # before the end of a watch, as the apiserver's cacher has it
INITIAL_EVENTS_END = "k8s.io/initial-events-end"


@dataclass(frozen=True, slots=True)
class _WatchEncoder:
    """How one watcher wants to see things."""

    kind: Kind[Any]
    tests: tuple[Test, ...]
    form: Form
    include: str
    dated: bool
    clock: Clock

    @property
    def alike(self) -> Hashable:
        """Key of watchers that see the same lines: they select nothing and want the same form."""
        return (self.form, self.include, self.dated) if not self.tests else None

    def lines(self, batch: Sequence[StoreEvent]) -> bytes:
        """The events of a batch."""
        return b"".join(map(self._event, batch))

    def _event(self, happening: StoreEvent) -> bytes:
        """The event as this watcher sees it; empty when it is none of its business."""
        record, before = happening.record, happening.before
        if not self.tests:
            return self._line(
                _TYPES[record.verb], record, record.body, None if self.form == "object" else record.object
            )
        was = before is not None and before.verb != "deleted" and self._means(before.object)
        now = record.verb != "deleted" and self._means(record.object)
        if now:
            return self._line("MODIFIED" if was else "ADDED", record, record.body, record.object)
        if not was or before is None:
            return b""
        last = {**before.object, "metadata": {**before.object["metadata"], "resourceVersion": str(record.revision)}}
        return self._line("DELETED", record, orjson.dumps(last), last)

    def first_line(self, record: Record) -> bytes:
        """The line that tells `record` to a watcher that has seen nothing yet."""
        if not self._means(record.object):
            return b""
        return self._line("ADDED", record, record.body, record.object)

    def _means(self, resource: dict[str, Any]) -> bool:
        return all(test(resource) for test in self.tests)

    def _line(self, type_: str, record: Record, body: bytes, resource: dict[str, Any] | None) -> bytes:
        if resource is not None and self.form != "object":
            body = orjson.dumps(self._shown(resource))
        written = b',"writtenAt":"%s"' % rfc3339(record.written_at).encode() if self.dated else b""
        return b'{"type":"%s"%s,"object":%s}\n' % (type_.encode(), written, body)

    def _shown(self, resource: dict[str, Any]) -> dict[str, Any]:
        if self.form == "metadata":
            return partial(resource)
        meta = {"resourceVersion": resource["metadata"]["resourceVersion"]}
        return table(self.kind, [resource], meta, now=self.clock.now(), include=self.include)

    def bookmark(self, revision: int, *, initial_end: bool = False) -> bytes:
        """A bookmark: how far everything was told. `initial_end`: all that was there at the beginning was."""
        meta: dict[str, Any] = {"resourceVersion": str(revision)}
        if initial_end:
            meta["annotations"] = {INITIAL_EVENTS_END: "true"}
        body = {"kind": self.kind.name, "apiVersion": self.kind.api_version, "metadata": meta}
        if self.form == "table":
            body = table(self.kind, [], meta, now=self.clock.now())
        elif self.form == "metadata":
            body = partial(body)
        return b'{"type":"BOOKMARK","object":%s}\n' % orjson.dumps(body)


@dataclass(slots=True)
class Marks:
    """Whether a watcher wants bookmarks, and when it gets the last one: then it knows where to go on from."""

    wanted: bool
    last_at: float

    def __post_init__(self) -> None:
        if not self.wanted or self.last_at <= anyio.current_time():
            self.last_at = math.inf

    @property
    def last_is_due(self) -> bool:
        return anyio.current_time() >= self.last_at


class WatchHandler:
    """Serves watches. Each watcher has its own cursor into the store: a dead one costs writers nothing."""

    def __init__(self, sources: StorageMap, clock: Clock, rng: random.Random) -> None:
        self._sources, self._clock, self._rng = sources, clock, rng
        self.metrics = WatchMetrics()
        self._crowds: dict[WatchScope, WatchBroadcaster] = {}

    async def serve(
        self,
        ask: ApiRequest,
        receive: Receive,
        send: Send,
        headers: Sequence[tuple[bytes, bytes]],
        at_once: AtOnce | None = None,
    ) -> None:
        """Answers until the client leaves, the asked time is over, or the history is gone."""
        view = self._view(ask)
        # Untimed watches end after 30 to 60 minutes, as the apiserver's do, so that load spreads.
        seconds = as_seconds(ask.params, "timeoutSeconds") or self._rng.uniform(1800, 3600)
        start, initial = self._start(ask, view)
        marks = Marks(ask.flag("allowWatchBookmarks"), anyio.current_time() + seconds - LAST_MARK_SECONDS)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", JSON), *headers]})
        with anyio.move_on_after(seconds):
            async with anyio.create_task_group() as group:
                group.start_soon(cancel_when_gone, receive, group.cancel_scope)
                await _push(send, initial)
                await self._stream(ask, view, start, send, at_once, marks)
                group.cancel_scope.cancel()
        with anyio.CancelScope(shield=True), anyio.move_on_after(5):
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _view(self, ask: ApiRequest) -> _WatchEncoder:
        kind = ask.target.kind
        tests = (
            by_labels(ask.params.get("labelSelector", "")),
            by_fields(ask.params.get("fieldSelector", ""), kind.selectable_fields, kind.selectable_absent),
        )
        form, include = form_of(ask.header(b"accept")), ask.params.get("includeObject", "")
        chosen = tuple(test for test in tests if test)
        return _WatchEncoder(ask.target.kind, chosen, form, include, ask.flag("writtenAt"), self._clock)

    def _start(self, ask: ApiRequest, view: _WatchEncoder) -> tuple[int, bytes]:
        """The revision to follow from, and what the watcher must be told before. Raises Invalid, Timeout."""
        listing = wants_initial_events(ask)
        asked = as_count(ask.params, "resourceVersion")
        source = self._sources.of(ask.target.kind)
        refuse_future(asked or 0, source.revision)
        if asked and not listing:
            return asked, b""
        snapshot = source.list(ask.target.kind, ask.target.namespace)
        initial = b"".join(view.first_line(record) for record in snapshot.records)
        if listing:
            initial += view.bookmark(snapshot.revision, initial_end=True)
        return snapshot.revision, initial

    async def _stream(
        self, ask: ApiRequest, view: _WatchEncoder, after: int, send: Send, at_once: AtOnce | None, marks: Marks
    ) -> None:
        target = ask.target
        kind = target.kind.resource
        self.metrics.began(kind)
        try:
            async with self._sources.of(target.kind).follow(
                target.kind, after=after, namespace=target.namespace
            ) as follower:
                if at_once is not None and isinstance(follower, SeekableFollower):
                    place = (target.kind.group, target.kind.plural, target.namespace)
                    await self._together(place, view, follower, send, at_once, marks)
                else:
                    await self._deliver(view, follower, send, marks)
        except Compacted as gone:
            self.metrics.expired += 1
            error = Expired(f"too old resource version: {gone.asked} ({gone.oldest})")
            await _push(send, b'{"type":"ERROR","object":%s}\n' % orjson.dumps(error.status()))
        finally:
            self.metrics.ended(kind)

    async def _together(
        self,
        place: WatchScope,
        view: _WatchEncoder,
        follower: SeekableFollower,
        send: Send,
        at_once: AtOnce,
        marks: Marks,
    ) -> NoReturn:
        """In the crowd whenever it keeps up, by itself until it has caught up."""
        while True:
            await self._deliver(
                view, follower, send, marks, until=lambda: follower.caught_up and not marks.last_is_due
            )
            with anyio.move_on_at(marks.last_at):
                await self._stay(place, Subscriber(view, at_once, marks.wanted, follower.position), follower)

    async def _stay(self, place: WatchScope, member: Subscriber, follower: SeekableFollower) -> None:
        """Until it is too slow for the others."""
        crowd = self._crowds.setdefault(place, WatchBroadcaster(self._pause))
        try:
            await crowd.stay(member, follower)
            self.metrics.slow += 1
            follower.seek(member.told)
        finally:
            if not len(crowd):
                self._crowds.pop(place, None)

    def _pause(self) -> float:
        return min(GATHER_SECONDS_EACH * self.metrics.now, LONGEST_GATHER_SECONDS)

    async def _deliver(
        self,
        view: _WatchEncoder,
        follower: Follower,
        send: Send,
        marks: Marks,
        *,
        until: Callable[[], bool] = lambda: False,
    ) -> None:
        batches = follower.__aiter__()
        mark_at = anyio.current_time() + BOOKMARK_SECONDS
        while not until():
            batch: Sequence[StoreEvent] = ()
            with anyio.move_on_at(min(mark_at, marks.last_at)):
                batch = await batches.__anext__()
            lines, due = view.lines(batch), marks.last_is_due or anyio.current_time() >= mark_at
            # What a selector hides moves a watcher on too: without marks it would come back to a place long gone.
            if due and marks.wanted and (not lines or marks.last_is_due):
                lines += view.bookmark(follower.position)
            if marks.last_is_due:
                marks.last_at = math.inf
            if due or lines:
                mark_at = anyio.current_time() + BOOKMARK_SECONDS
            await _push(send, lines)
            if batch:
                await anyio.sleep(self._pause())


async def _push(send: Send, lines: bytes) -> None:
    if lines:
        await send({"type": "http.response.body", "body": lines, "more_body": True})
