"""What is due when, and what is under way: one SQLite file that a killed process goes on from.

`schedules` has a row for each schedule, with the next time it is due, and for each target of an event rule;
`firings` one for each time it was due, or each event, that was not delivered or given up yet. A firing is written in
the transaction that reads its schedule and moves it on to the next time, so none is lost, and none comes into being
twice. Both are found by an index on the time they want
something next: a million that wait cost nothing. `outcomes` has how the last firings of each schedule ended. `events`
has an event once, however many targets it waits for, and as long as it waits for one; `rooms` what they are in bytes.

Times are seconds since 1970. All methods block, and each is one transaction, durable when it returns.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from crds.formats import FormatVersion
from services.sdk.sqlite_schema import Migrations, add_column, upgrade

FILE = "schedules.db"
OWN = FormatVersion(version=4, oldest_reader=1)
MOST_WAITING = 10_000
"""Events that wait for one target of a rule."""
MOST_WAITING_BYTES = 256 << 20
"""Of the events of one namespace that wait, and of what is noted for each target they wait for."""
FIRING_BYTES = 512
"""As the triggers have it: another number takes triggers, and rooms, of its own."""
OUTCOMES_KEPT = 20
_TABLES = """
CREATE TABLE schedules (uid TEXT PRIMARY KEY, generation INTEGER NOT NULL, namespace TEXT NOT NULL,
  spec TEXT NOT NULL, made REAL NOT NULL, due REAL);
CREATE INDEX next_due ON schedules (due) WHERE due IS NOT NULL;
CREATE TABLE firings (id TEXT PRIMARY KEY, uid TEXT NOT NULL, due REAL NOT NULL, fires REAL NOT NULL,
  attempts INTEGER NOT NULL, next_attempt REAL NOT NULL, fault TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX next_attempts ON firings (next_attempt, due);
CREATE INDEX firings_of ON firings (uid, due);
CREATE TABLE outcomes (uid TEXT NOT NULL, number INTEGER NOT NULL, id TEXT NOT NULL, due REAL NOT NULL,
  ended REAL NOT NULL, attempts INTEGER NOT NULL, fault TEXT NOT NULL, PRIMARY KEY (uid, number)) WITHOUT ROWID
"""


def _create(db: sqlite3.Connection) -> None:
    for statement in _TABLES.split(";"):
        db.execute(statement)


def _set_aside_and_exhausted(db: sqlite3.Connection) -> None:
    add_column(db, "schedules", "aside", "INTEGER NOT NULL DEFAULT 0")
    add_column(db, "firings", "exhausted", "TEXT NOT NULL DEFAULT ''")


def _events(db: sqlite3.Connection) -> None:
    add_column(db, "firings", "event", "TEXT NOT NULL DEFAULT ''")


_EVENT_TABLES = (
    "CREATE TABLE events (id TEXT PRIMARY KEY, namespace TEXT NOT NULL, bytes INTEGER NOT NULL, body TEXT NOT NULL)",
    "CREATE TABLE rooms (namespace TEXT PRIMARY KEY, bytes INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX firings_about ON firings (event) WHERE event <> ''",
    """CREATE TRIGGER event_came AFTER INSERT ON events BEGIN
      INSERT INTO rooms VALUES (new.namespace, new.bytes) ON CONFLICT DO UPDATE SET bytes = bytes + new.bytes;
    END""",
    """CREATE TRIGGER event_went AFTER DELETE ON events BEGIN
      UPDATE rooms SET bytes = bytes - old.bytes WHERE namespace = old.namespace;
      DELETE FROM rooms WHERE namespace = old.namespace AND bytes <= 0;
    END""",
    """CREATE TRIGGER event_waits AFTER INSERT ON firings WHEN new.event <> '' BEGIN
      UPDATE rooms SET bytes = bytes + 512
        WHERE namespace = (SELECT namespace FROM events WHERE id = new.event);
    END""",
    """CREATE TRIGGER event_waits_no_more AFTER DELETE ON firings WHEN old.event <> '' BEGIN
      UPDATE rooms SET bytes = bytes - 512
        WHERE namespace = (SELECT namespace FROM events WHERE id = old.event);
      DELETE FROM events WHERE id = old.event
        AND NOT EXISTS (SELECT 1 FROM firings WHERE event = old.event AND event <> '');
    END""",
)


def _events_once(db: sqlite3.Connection) -> None:
    """What a firing has of its event is the event's id from here on."""
    for statement in _EVENT_TABLES:
        db.execute(statement)
    db.execute(
        "INSERT INTO events SELECT f.id, s.namespace, length(CAST(f.event AS BLOB)), f.event"
        " FROM firings f JOIN schedules s ON s.uid = f.uid WHERE f.event <> ''"
    )
    db.execute("UPDATE firings SET event = id WHERE event <> ''")
    db.execute(
        "UPDATE rooms SET bytes = bytes + (SELECT count(*) * ? FROM events WHERE events.namespace = rooms.namespace)",
        (FIRING_BYTES,),
    )


MIGRATIONS: Migrations = {1: _create, 2: _set_aside_and_exhausted, 3: _events, 4: _events_once}


class Planned(NamedTuple):
    """A schedule: `spec` is the JSON of its spec, `made` when the resource was; `due`: next, None for never again."""

    uid: str
    generation: int
    namespace: str
    spec: str
    made: float
    due: float | None


class Firing(NamedTuple):
    """One due time of a schedule, and how its delivery stands: first tried at `fires`. fault: why the last attempt
    failed, empty before it. exhausted: why its target is not called again, in AWS's words, empty while it is.
    """

    id: str
    uid: str
    due: float
    fires: float
    attempts: int
    next_attempt: float
    fault: str = ""
    exhausted: str = ""


class Waiting(NamedTuple):
    """An event: its body is JSON."""

    id: str
    namespace: str
    body: str

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.body.encode())


class Published(NamedTuple):
    """An event that a target of a rule gets."""

    plan: Planned
    firing: Firing
    event: Waiting


class Moved(NamedTuple):
    """What follows from a schedule that is due. `due`: when it is next; `replaces`: its earlier firings are given
    up.
    """

    due: float | None
    firings: Sequence[Firing] = ()
    replaces: bool = False


class Ended(NamedTuple):
    """How a firing ended: `fault` is empty where it was delivered."""

    id: str
    due: float
    ended: float
    attempts: int
    fault: str


class ScheduleStore:
    """Of one process; any of its threads, one at a time."""

    def __init__(self, path: Path) -> None:
        """Raises NewerFormat for a file that only a newer version reads."""
        self._db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        with self._transaction():
            upgrade(self._db, str(path), OWN, MIGRATIONS)
            # What this version cannot read may be what the one before could not.
            self._db.execute("UPDATE schedules SET aside = 0 WHERE aside")

    def close(self) -> None:
        self._db.close()

    def plan(self, *plans: Planned, withdraw: bool = False) -> None:
        """Write how these schedules stand. `withdraw`: what was due and not tried yet is not to be."""
        with self._transaction():
            self._plan(plans)
            if withdraw:
                drop = "DELETE FROM firings WHERE uid = ? AND attempts = 0"
                self._db.executemany(drop, [(each.uid,) for each in plans])

    def planned(self, uid: str) -> Planned | None:
        """How a schedule stands."""
        row = self._db.execute(f"{_SELECT_PLANNED} WHERE uid = ?", (uid,)).fetchone()
        return Planned(*row) if row else None

    def uids(self) -> set[str]:
        """Of all schedules."""
        return {row[0] for row in self._db.execute("SELECT uid FROM schedules")}

    def uids_below(self, beginning: str) -> set[str]:
        """Of what is planned for targets of rules, those that begin so (`uid/time/`)."""
        end = beginning[:-1] + chr(ord(beginning[-1]) + 1)
        return {
            row[0]
            for row in self._db.execute("SELECT uid FROM schedules WHERE uid >= ? AND uid < ?", (beginning, end))
        }

    def forget(self, *uids: str) -> None:
        """Schedules that are no more, and what was under way for them; with a rule go its targets (`uid/...`)."""
        with self._transaction():
            for table in ("schedules", "firings", "outcomes"):
                self._db.executemany(f"DELETE FROM {table} WHERE {_OF_ONE}", [(uid,) * 3 for uid in uids])  # noqa: S608

    def publish(self, what: Sequence[Published]) -> None:
        """Write down events for the targets that get them: all, or none."""
        events = {each.event.id: each.event for each in what}
        with self._transaction():
            self._db.executemany(
                "INSERT OR IGNORE INTO events (id, namespace, bytes, body) VALUES (?,?,?,?)",
                [(each.id, each.namespace, each.size, each.body) for each in events.values()],
            )
            self._db.executemany(_PLAN_ANEW, {each.plan.uid: each.plan for each in what}.values())
            self._db.executemany(_ADD_FIRING, [(*each.firing, each.event.id) for each in what])

    def full(self, uids: Iterable[str]) -> set[str]:
        """Those targets of rules for which no more events may wait."""
        over = "SELECT 1 FROM firings WHERE uid = ? LIMIT 1 OFFSET ?"
        return {uid for uid in uids if self._db.execute(over, (uid, MOST_WAITING - 1)).fetchone() is not None}

    def has_room(self, namespace: str, what: Sequence[Published]) -> bool:
        """Whether these may wait, too."""
        row = self._db.execute("SELECT bytes FROM rooms WHERE namespace = ?", (namespace,)).fetchone()
        size = sum(each.size for each in {each.event.id: each.event for each in what}.values())
        return (row[0] if row else 0) + size + len(what) * FIRING_BYTES <= MOST_WAITING_BYTES

    def event_of(self, firing: Firing) -> str:
        """The event that it is about; empty for a due time."""
        joined = "SELECT body FROM firings f JOIN events e ON e.id = f.event WHERE f.id = ?"
        row = self._db.execute(joined, (firing.id,)).fetchone()
        return str(row[0]) if row else ""

    def fire(self, now: float, limit: int, move: Callable[[Planned], Moved | None]) -> int:
        """Move on the schedules that are due, in the order of that time, as `move` says: in one transaction, so that
        none is written over that was planned anew meanwhile. One it says None of is set aside: until it is planned
        anew, or the process starts anew, it is not due. Returns how many were due.
        """
        where = "WHERE due IS NOT NULL AND due <= ? AND NOT aside ORDER BY due LIMIT ?"
        with self._transaction():
            plans = [Planned(*row) for row in self._db.execute(f"{_SELECT_PLANNED} {where}", (now, limit))]
            for plan in plans:
                self._move(plan, move(plan))
        return len(plans)

    def fire_now(self, firing: Firing, *, alone: bool) -> bool:
        """Beside its times. `alone`: not while another one of that schedule is under way. Returns whether it is to
        be; not of a schedule that nobody planned.
        """
        with self._transaction():
            if self.planned(firing.uid) is None or (alone and self.has_firings(firing.uid)):
                return False
            self._add([firing])
        return True

    def has_firings(self, uid: str) -> bool:
        """Whether something of that schedule is under way."""
        return self._db.execute("SELECT 1 FROM firings WHERE uid = ? LIMIT 1", (uid,)).fetchone() is not None

    def waiting(
        self, now: float, limit: int, busy: Collection[str] = (), full: Collection[str] = ()
    ) -> list[tuple[Firing, Planned]]:
        """Firings to be tried now with their schedules, in the order of their due times, but for those of schedules
        that are `busy`, and of namespaces that are `full`.
        """
        others = f"f.uid NOT IN ({_marks(busy)}) AND s.namespace NOT IN ({_marks(full)})"
        order = f"WHERE next_attempt <= ? AND {others} ORDER BY next_attempt, f.due LIMIT ?"
        rows = self._db.execute(f"{_SELECT_BOTH} {order}", (now, *busy, *full, limit))
        found = [(Firing(*row[:8]), Planned(*row[8:])) for row in rows]
        return sorted(found, key=lambda each: (each[0].due, each[0].fires, each[0].id))

    def firings(self, uid: str) -> list[Firing]:
        """What is under way for a schedule."""
        return [Firing(*row) for row in self._db.execute(f"{_SELECT_FIRING} WHERE uid = ? ORDER BY due", (uid,))]

    def note(self, notes: Iterable[tuple[Firing, float | None]]) -> list[Planned]:
        """How attempts went: each firing as it stands after one, and when it ended, None where it goes on. Returns
        the schedules that are never due again and have none left.
        """
        over = []
        with self._transaction():
            for firing, ended in notes:
                if ended is None:
                    self._go_on(firing)
                    continue
                plan = self.planned(firing.uid)
                self._end(firing, ended, is_known=plan is not None)
                if plan is not None and plan.due is None and not self.has_firings(firing.uid):
                    over.append(plan)
        return over

    def outcomes(self, uid: str) -> list[Ended]:
        """How the last firings of a schedule ended, the newest first."""
        order = "SELECT id, due, ended, attempts, fault FROM outcomes WHERE uid = ? ORDER BY number DESC"
        return [Ended(*row) for row in self._db.execute(order, (uid,))]

    def next_time(self, now: float) -> float | None:
        """When a schedule is due next, or a firing is tried that is not to be tried yet."""
        first = self._db.execute(_FIRST_DUE).fetchone()
        again = self._db.execute("SELECT min(next_attempt) FROM firings WHERE next_attempt > ?", (now,)).fetchone()[0]
        return min((each for each in (first and first[0], again) if each is not None), default=None)

    def counts(self) -> tuple[int, int]:
        """Schedules, and firings that are under way."""
        return (
            self._db.execute("SELECT count(*) FROM schedules").fetchone()[0],
            self._db.execute("SELECT count(*) FROM firings").fetchone()[0],
        )

    def _move(self, plan: Planned, moved: Moved | None) -> None:
        if moved is None:
            self._db.execute("UPDATE schedules SET aside = 1 WHERE uid = ?", (plan.uid,))
            return
        if moved.replaces:
            self._db.execute("DELETE FROM firings WHERE uid = ?", (plan.uid,))
        self._add(moved.firings)
        self._db.execute("UPDATE schedules SET due = ? WHERE uid = ?", (moved.due, plan.uid))

    def _add(self, firings: Iterable[Firing]) -> None:
        """Of due times, which are about no event."""
        self._db.executemany(_ADD_FIRING, [(*each, "") for each in firings])

    def _go_on(self, firing: Firing) -> None:
        self._db.execute(
            "UPDATE firings SET attempts = ?, next_attempt = ?, fault = ?, exhausted = ? WHERE id = ?",
            (firing.attempts, firing.next_attempt, firing.fault, firing.exhausted, firing.id),
        )

    def _end(self, firing: Firing, now: float, *, is_known: bool) -> None:
        self._db.execute("DELETE FROM firings WHERE id = ?", (firing.id,))
        if not is_known:
            return  # it was forgotten during the attempt
        number = self._db.execute("SELECT max(number) FROM outcomes WHERE uid = ?", (firing.uid,)).fetchone()[0]
        number = (number or 0) + 1
        self._db.execute(
            "INSERT INTO outcomes (uid, number, id, due, ended, attempts, fault) VALUES (?,?,?,?,?,?,?)",
            (firing.uid, number, firing.id, firing.due, now, firing.attempts, firing.fault),
        )
        self._db.execute("DELETE FROM outcomes WHERE uid = ? AND number <= ?", (firing.uid, number - OUTCOMES_KEPT))

    def _plan(self, plans: Iterable[Planned]) -> None:
        self._db.executemany(
            "INSERT OR REPLACE INTO schedules (uid, generation, namespace, spec, made, due) VALUES (?,?,?,?,?,?)",
            plans,
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _marks(values: Collection[str]) -> str:
    return ",".join("?" * len(values))


_OF_ONE = "uid = ? OR (uid >= ? || '/' AND uid < ? || '0')"
_ADD_FIRING = (
    "INSERT OR IGNORE INTO firings (id, uid, due, fires, attempts, next_attempt, fault, exhausted, event)"
    " VALUES (?,?,?,?,?,?,?,?,?)"
)
_PLAN_ANEW = (
    "INSERT INTO schedules (uid, generation, namespace, spec, made, due) VALUES (?,?,?,?,?,?) ON CONFLICT (uid)"
    " DO UPDATE SET generation = excluded.generation, spec = excluded.spec WHERE generation <> excluded.generation"
)
_FIRST_DUE = "SELECT due FROM schedules WHERE due IS NOT NULL AND NOT aside ORDER BY due LIMIT 1"
_SELECT_PLANNED = "SELECT uid, generation, namespace, spec, made, due FROM schedules"
_SELECT_FIRING = "SELECT id, uid, due, fires, attempts, next_attempt, fault, exhausted FROM firings"
_SELECT_BOTH = (
    "SELECT f.id, f.uid, f.due, fires, attempts, next_attempt, fault, exhausted,"
    " s.uid, generation, namespace, spec, made, s.due"
    " FROM firings f JOIN schedules s ON s.uid = f.uid"
)
