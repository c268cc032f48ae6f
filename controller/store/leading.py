"""Who leads: one row of the database, held for `seconds` from each renewal, by the database's own clock. PostgreSQL
alone.

Each that takes the lead counts one more (its epoch). Whoever wants it locks the clock first, as every batch does:
what the one before has begun to write is there or will never be (`sharing`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any, NamedTuple

import structlog

from controller.store.postgresql import brief, connector, in_words, shown
from controller.store.records import NotLeading
from controller.store.sharing import LOCK_CLOCK

LEASE_SECONDS = 3.0
PRESENT_SECONDS = 5.0
"""Between two times that a conductor says that it is there."""
RENEWALS = 4
"""In each lease, that a slow one or a lost connection costs nobody the lead."""
_FREE = "renewed_at + seconds * interval '1 second' < clock_timestamp()"
_FIRST = (
    "INSERT INTO lease (id, epoch, holder, url, seconds, renewed_at) VALUES (1, 0, '', '', 0, '-infinity')"
    " ON CONFLICT (id) DO NOTHING"
)
_LOOK = f"SELECT epoch, holder, url, {_FREE} FROM lease WHERE id = 1"  # noqa: S608 - of constants
_TAKE = (
    "UPDATE lease SET epoch = epoch + 1, holder = %(holder)s, url = %(url)s, seconds = %(seconds)s,"  # noqa: S608
    f" renewed_at = clock_timestamp() WHERE id = 1 AND {_FREE} RETURNING epoch"
)
# A writer that was frozen or cut off in the middle of what it sends in one go: of its timeouts, the server runs none
# before that is whole. Whoever may take the lead may end it: sessions of the same role.
_END_HUNG = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    " AND datname = current_database() AND usename = current_user"
    " AND application_name = current_setting('application_name')"
    " AND wait_event = 'ClientRead' AND xact_start < clock_timestamp() - interval '2 seconds'"
)
_RENEW = "UPDATE lease SET renewed_at = clock_timestamp() WHERE id = 1 AND epoch = %(epoch)s"
_GIVE_BACK = "UPDATE lease SET renewed_at = '-infinity' WHERE id = 1 AND epoch = %(epoch)s"
_RETIRE = (
    "UPDATE lease SET epoch = epoch + 1, holder = %(holder)s, url = '', renewed_at = 'infinity'"
    " WHERE id = 1 AND epoch = %(epoch)s"
)
_SEEN = (
    "INSERT INTO conductors (url, seen_at) VALUES (%(url)s, clock_timestamp())"
    " ON CONFLICT (url) DO UPDATE SET seen_at = excluded.seen_at"
)
_GONE = "DELETE FROM conductors WHERE seen_at < clock_timestamp() - interval '1 day'"
_OTHERS = "SELECT url FROM conductors WHERE url <> %(url)s ORDER BY url"
_RETIRED = "nobody: its records went to "
_log = structlog.get_logger("store")


class Leader(NamedTuple):
    """Who has the lead, or had it last. `url`: where it is reached. `free`: whether its lease has ended."""

    epoch: int
    holder: str
    url: str
    free: bool


class Lead:
    """The lead, as one process sees it. Blocking; `keep` begins a thread of its own."""

    def __init__(self, url: str, holder: str, reached_at: str, seconds: float = LEASE_SECONDS) -> None:
        """Raises StoreBroken for a URL that is none, or without the driver."""
        self._open, self._name, self._seconds = connector(url), shown(url), seconds
        self._told = {"holder": holder, "url": reached_at, "seconds": seconds}
        self._connection: Any = None
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self.epoch = 0
        self.lost = False
        """Whether another process has taken it from this one."""
        self.others: tuple[str, ...] = ()
        """Where all others are reached that said within the last day that they are there, leading or not."""
        self._present_at = self._held_until = float("-inf")

    @property
    def may_be_over(self) -> bool:
        """Whether it was not renewed for so long that another process may have it by now."""
        return time.monotonic() > self._held_until

    def look(self) -> Leader:
        """Raises StoreAway or StoreBroken, as all that follow do."""
        found: Leader = self._do(_looked)
        return found

    def take(self) -> bool:
        """Whether this process leads now."""
        if self.look().free:
            begun = time.monotonic()
            self.epoch = self._do(lambda cursor: _taken(cursor, self._told))
            self._held_until = begun + self._seconds
        return self.epoch > 0

    def be_present(self) -> None:
        """Say that this conductor is there, and hear who else is; at once the first time, then seldom."""
        now = time.monotonic()
        if self._told["url"] and now - self._present_at >= PRESENT_SECONDS:
            self.others = self._do(lambda cursor: _present(cursor, self._told))
            self._present_at = now

    def keep(self) -> None:
        """Renew it from now on, until `give_back`, or until it is `lost`."""
        self._thread = threading.Thread(target=self._renew, name="lead", daemon=True)
        self._thread.start()

    def give_back(self) -> None:
        """Another one may have it at once. What fails is left to time."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(self._seconds)
        with suppress(Exception):
            self._do(lambda cursor: cursor.execute(_GIVE_BACK, {"epoch": self.epoch}))
        self._drop()

    def retire(self, place: str) -> None:
        """Nobody takes the lead of this database any more: its records have gone to that place. Can be done again.
        Raises NotLeading where another one has taken it since.
        """
        told = {"epoch": self.epoch, "holder": _RETIRED + place}
        if self._do(lambda cursor: cursor.execute(_RETIRE, told).rowcount) != 1 and not self.is_retired(place):
            raise NotLeading(f"{self._name}: another one took the lead meanwhile, and may have written since")

    def is_retired(self, place: str) -> bool:
        """Whether its records have gone to that place, and nobody leads since."""
        return self.look().holder == _RETIRED + place

    def _renew(self) -> None:
        told = False
        while not self._over.wait(self._seconds / RENEWALS):
            begun = time.monotonic()  # the lease counts from somewhere between this and the answer
            try:
                if self._do(lambda cursor: cursor.execute(_RENEW, {"epoch": self.epoch}).rowcount) != 1:
                    self.lost = True
                    return
                self._held_until, told = begun + self._seconds, False
                self.be_present()
            except Exception as error:
                if not told and self.may_be_over:
                    told = True
                    _log.warning("the lead cannot be renewed; another conductor may take it", because=str(error))

    def _do(self, work: Callable[[Any], Any]) -> Any:
        """Over a connection that is made again where it broke. Each statement is a transaction: who is frozen after
        one holds no lock.
        """
        try:
            if self._connection is None or self._connection.closed:
                self._connection = brief(self._open())
            with closing(self._connection.cursor()) as cursor:
                return work(cursor)
        except Exception as error:
            self._drop()
            raise in_words("lead", self._name, error) from error

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()


def _looked(cursor: Any) -> Leader:
    cursor.execute(_FIRST)
    return Leader(*cursor.execute(_LOOK).fetchone())


def _present(cursor: Any, told: dict[str, Any]) -> tuple[str, ...]:
    cursor.execute(_SEEN, told)
    cursor.execute(_GONE)
    return tuple(url for (url,) in cursor.execute(_OTHERS, told).fetchall())


def _taken(cursor: Any, told: dict[str, Any]) -> int:
    """The new epoch; 0 where somebody else was faster. Nobody leads: what hangs in a transaction now is ended."""
    cursor.execute(_END_HUNG)
    with cursor.connection.transaction():
        cursor.execute(LOCK_CLOCK)
        row = cursor.execute(_TAKE, told).fetchone()
    return int(row[0]) if row else 0
