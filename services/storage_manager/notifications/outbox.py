"""The outbox: events that are still to be delivered. A table of the metadata index.

An event comes in the transaction of the change that it tells of and goes once its destination has it. So none of an
acknowledged change is lost, and none of a change that never was is sent; one may be sent twice. Its number is the
event's sequencer: it grows with each, also where a clock goes back.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby, takewhile
from typing import NamedTuple

from services.storage_manager.configuration.documents import Document
from services.storage_manager.configuration.notification import Target, targets_of, tells_bus, told
from services.storage_manager.metadata import MetadataIndex, Object
from services.storage_manager.notifications.bus_events import bus_entry, default_bus
from services.storage_manager.notifications.event_messages import (
    Happening,
    Origin,
    SourceBucket,
    event_message,
    source_bucket,
)

NOTIFICATION, _LOCATION, _HOME = "notification", "location", "us-east-1"
EVENT_BYTES = 1024
_COLUMNS = "id, bucket, name, namespace, target, body, recorded"
_OF_ROUTE = "FROM events WHERE bucket=? AND name=? AND namespace=? AND target=? ORDER BY id LIMIT ?"
_PAGE, _OLDEST = f"SELECT id, body {_OF_ROUTE}", f"SELECT id, recorded {_OF_ROUTE}"
# SQLite enters an index behind a column that it compares, but not behind a row of them: it would go through all that
# waits on the route. A bucket's id has one name and one namespace.
_IN_BUCKET, _BEHIND = "bucket=? AND name=? AND namespace=? AND target>?", "bucket>?"
_NEXT = "SELECT bucket, name, namespace, target FROM events WHERE {} ORDER BY bucket, name, namespace, target LIMIT 1"
_NEXT_IN_BUCKET, _NEXT_BUCKET, _FIRST_OF_BUCKET = map(_NEXT.format, (_IN_BUCKET, _BEHIND, "bucket=?"))


class Route(NamedTuple):
    """From which bucket (its id, name and namespace) to which destination (an ARN)."""

    bucket: str
    name: str
    namespace: str
    target: str


class Waiting(NamedTuple):
    """One event, as it is sent."""

    number: int
    body: str


class Outbox:
    """Works in the transaction that is open on this thread, where it says so. Blocking."""

    def __init__(self, metadata: MetadataIndex) -> None:
        self._metadata = metadata

    def record(self, bucket: str, event: str, made: Object, origin: Origin) -> bool:
        """Keep it for everybody who is to be told. Belongs into the transaction of the change. Whether anybody is."""
        kept = self._metadata.configuration(bucket, NOTIFICATION)
        if kept is None:
            return False
        targets, to_bus = told(kept["Configuration"], event, made.key), tells_bus(kept["Configuration"])
        if not targets and not to_bus:
            return False
        source, now = self._source(bucket, kept), self._metadata.clock()
        if to_bus:
            targets.append(Target("", default_bus(source)))
        db = self._metadata.connection()
        for id, arn in targets:
            number = max(int(now * 1e9), self._last() + 1)
            what = Happening(event, made, origin, source, number, now)
            body = event_message(what, id) if id else bus_entry(what)
            values = (number, bucket, kept["Bucket"], kept["Namespace"], arn, body, now)
            db.execute(f"INSERT INTO events ({_COLUMNS}) VALUES (?,?,?,?,?,?,?)", values)  # noqa: S608
        return True

    def _source(self, bucket: str, kept: Document) -> SourceBucket:
        region = (self._metadata.configuration(bucket, _LOCATION) or {}).get("LocationConstraint", _HOME)
        return source_bucket(kept["Bucket"], kept["Namespace"], region)

    def _last(self) -> int:
        """The greatest number there ever was."""
        row = self._metadata.connection().execute("SELECT seq FROM sqlite_sequence WHERE name='events'").fetchone()
        return int(row[0]) if row else 0

    def routes(self, bucket: str = "") -> list[Route]:
        """Those on which something waits, all or those of that bucket. Takes as long as there are routes: each is one
        step along the index, however much waits.
        """
        db, found = self._metadata.connection(), list[Route]()
        begin = _FIRST_OF_BUCKET if bucket else _NEXT_BUCKET
        row = db.execute(begin, (bucket,)).fetchone()
        while row is not None:
            found.append(Route(*row))
            row = db.execute(_NEXT_IN_BUCKET, row).fetchone()
            if row is None and not bucket:
                row = db.execute(_NEXT_BUCKET, found[-1][:1]).fetchone()
        return found

    def since(self, bucket: str) -> dict[Route, float]:
        """When the oldest of each route of a bucket was recorded."""
        db = self._metadata.connection()
        rows = {route: db.execute(_OLDEST, (*route, 1)).fetchone() for route in self.routes(bucket)}
        return {route: row[1] for route, row in rows.items() if row is not None}

    def named(self, routes: Iterable[Route]) -> set[Route]:
        """Those that the configurations of their buckets still name."""
        found = set[Route]()
        for bucket, group in groupby(sorted(routes), lambda route: route.bucket):
            kept = self._metadata.configuration(bucket, NOTIFICATION)
            targets = self._arns(bucket, kept) if kept is not None else set()
            found |= {route for route in group if route.target in targets}
        return found

    def _arns(self, bucket: str, kept: Document) -> set[str]:
        found = {each.arn for each in targets_of(kept["Configuration"])}
        return found | {default_bus(self._source(bucket, kept))} if tells_bus(kept["Configuration"]) else found

    def waiting(self) -> dict[Route, int]:
        """How much waits on each. Goes through the whole index, and nobody waits for it."""
        sql = "SELECT bucket, name, namespace, target, count(*) FROM events GROUP BY bucket, name, namespace, target"
        return {Route(*row[:4]): row[4] for row in self._metadata.connection().execute(sql)}

    def size(self, bucket: str) -> int:
        """Bytes that what waits of a bucket counts for: as many for each, so that none has to be read."""
        sql = "SELECT count(*) FROM events WHERE bucket=?"
        return EVENT_BYTES * int(self._metadata.connection().execute(sql, (bucket,)).fetchone()[0])

    def page(self, route: Route, limit: int) -> list[Waiting]:
        """The oldest of a route."""
        return [Waiting(*row) for row in self._metadata.connection().execute(_PAGE, (*route, limit))]

    def drop(self, numbers: Iterable[int]) -> None:
        """Those are delivered."""
        with self._metadata.transaction() as db:
            db.executemany("DELETE FROM events WHERE id=?", [(each,) for each in numbers])

    def oldest(self, route: Route, before: float, count: int, limit: int) -> list[int]:
        """Numbers of the oldest of a route: the first `count`, and those of the next ones recorded before then; at
        most `limit` of them all.
        """
        rows = self._metadata.connection().execute(_OLDEST, (*route, limit))
        old = takewhile(lambda row: row[0] < count or row[1][1] < before, enumerate(rows))
        return [number for _, (number, _) in old]


def kept_configuration(configuration: Document, bucket: str, namespace: str) -> Document:
    """What is kept of a checked one: events are told by it, also after the bucket is gone."""
    return {"Configuration": configuration, "Bucket": bucket, "Namespace": namespace}
