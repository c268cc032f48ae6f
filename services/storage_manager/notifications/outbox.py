"""The outbox: events that are still to be delivered. A table of the metadata index.

An event comes in the transaction of the change that it tells of and goes once its destination has it. So none of an
acknowledged change is lost, and none of a change that never was is sent; one may be sent twice. Its number is the
event's sequencer: it grows with each, also where a clock goes back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from services.storage_manager.configuration.documents import Document
from services.storage_manager.configuration.notification import told
from services.storage_manager.metadata import MetadataIndex, Object
from services.storage_manager.notifications.event_messages import Origin, event_message, source_bucket

NOTIFICATION, _LOCATION, _HOME = "notification", "location", "us-east-1"
_COLUMNS = "id, bucket, name, namespace, target, body, recorded"
_PAGE = "SELECT id, body FROM events WHERE bucket=? AND name=? AND namespace=? AND target=? ORDER BY id LIMIT ?"


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
        if kept is None or not (targets := told(kept["Configuration"], event, made.key)):
            return False
        region = (self._metadata.configuration(bucket, _LOCATION) or {}).get("LocationConstraint", _HOME)
        source, now = source_bucket(kept["Bucket"], kept["Namespace"], region), self._metadata.clock()
        db = self._metadata.connection()
        for id, arn in targets:
            number = max(int(now * 1e9), self._last() + 1)
            body = event_message(event, made, origin, source, id, number, now)
            values = (number, bucket, kept["Bucket"], kept["Namespace"], arn, body, now)
            db.execute(f"INSERT INTO events ({_COLUMNS}) VALUES (?,?,?,?,?,?,?)", values)  # noqa: S608
        return True

    def _last(self) -> int:
        """The greatest number there ever was."""
        row = self._metadata.connection().execute("SELECT seq FROM sqlite_sequence WHERE name='events'").fetchone()
        return int(row[0]) if row else 0

    def routes(self) -> list[Route]:
        """Those on which something waits. Cheap."""
        sql = "SELECT DISTINCT bucket, name, namespace, target FROM events"
        return [Route(*row) for row in self._metadata.connection().execute(sql)]

    def waiting(self) -> dict[Route, int]:
        """How much waits on each."""
        sql = "SELECT bucket, name, namespace, target, count(*) FROM events GROUP BY bucket, name, namespace, target"
        return {Route(*row[:4]): row[4] for row in self._metadata.connection().execute(sql)}

    def page(self, route: Route, limit: int) -> list[Waiting]:
        """The oldest of a route."""
        return [Waiting(*row) for row in self._metadata.connection().execute(_PAGE, (*route, limit))]

    def drop(self, numbers: Iterable[int]) -> None:
        """Those are delivered."""
        with self._metadata.transaction() as db:
            db.executemany("DELETE FROM events WHERE id=?", [(each,) for each in numbers])

    def trim(self, before: float, most: int) -> int:
        """Give up what was recorded before then, and of each route all but the newest `most`. How many that was."""
        with self._metadata.transaction() as db:
            count = db.execute("DELETE FROM events WHERE recorded<?", (before,)).rowcount
            for route, waiting in self.waiting().items():
                if waiting > most:
                    sql = "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE bucket=? AND name=?"
                    sql += " AND namespace=? AND target=? ORDER BY id LIMIT ?)"
                    count += db.execute(sql, (*route, waiting - most)).rowcount
        return count


def kept_configuration(configuration: Document, bucket: str, namespace: str) -> Document:
    """What is kept of a checked one: events are told by it, also after the bucket is gone."""
    return {"Configuration": configuration, "Bucket": bucket, "Namespace": namespace}
