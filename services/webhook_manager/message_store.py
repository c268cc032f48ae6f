"""Messages on disk, and what changes of them are in SQL: functions for the committer's thread, each part of one
transaction.

`messages`: what waits, and for a while what ended; one of an id for each receiver, so that what is sent twice is kept
once: `asked` tells whether it is the same. `attempts`: the last of each receiver. `health`: of endpoints that fail or
are disabled. `cursors`: up to where something was read. Times are seconds since 1970; statements name their columns:
a newer version may have added some.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from enum import Enum
from pathlib import Path

import orjson

from crds.formats import FormatVersion
from services.sdk.sqlite_file import SqliteFile
from services.sdk.sqlite_schema import Migrations, add_column
from services.webhook_manager.message import HEALTHY, Amount, Attempt, Draft, Due, Health, Listed, Message, State

OWN = FormatVersion(version=2, oldest_reader=1)
FILE, LOCK = "webhooks.db", "webhooks.lock"
ATTEMPTS_KEPT, ENDED_KEPT, ENDED_BYTES_KEPT = 1_000, 50_000, 256 << 20
_STEP = 500
_TABLES = """
CREATE TABLE messages (number INTEGER PRIMARY KEY, receiver TEXT NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL,
  headers TEXT NOT NULL, content BLOB NOT NULL, made REAL NOT NULL, state INTEGER NOT NULL, due REAL NOT NULL,
  attempts INTEGER NOT NULL, ended REAL, fault TEXT NOT NULL);
CREATE UNIQUE INDEX by_id ON messages (receiver, id);
CREATE INDEX waiting ON messages (receiver, due) WHERE state = 0;
CREATE INDEX by_state ON messages (receiver, state, ended);
CREATE TABLE attempts (number INTEGER PRIMARY KEY, receiver TEXT NOT NULL, id TEXT NOT NULL, at REAL NOT NULL,
  status INTEGER NOT NULL, seconds REAL NOT NULL, fault TEXT NOT NULL);
CREATE INDEX attempts_of ON attempts (receiver, number);
CREATE TABLE health (receiver TEXT PRIMARY KEY, failing_since REAL, failed_at REAL, disabled_at REAL,
  because TEXT NOT NULL, generation INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE cursors (name TEXT PRIMARY KEY, revision INTEGER NOT NULL) WITHOUT ROWID
"""


def _create(db: sqlite3.Connection) -> None:
    for statement in _TABLES.split(";"):
        db.execute(statement)


def _keep_what_was_asked(db: sqlite3.Connection) -> None:
    add_column(db, "messages", "asked", "TEXT NOT NULL DEFAULT ''")


MIGRATIONS: Migrations = {1: _create, 2: _keep_what_was_asked}


def open_messages(folder: Path) -> SqliteFile:
    """Raises AlreadyServed, and NewerFormat for a file that only a newer version reads."""
    return SqliteFile(folder / FILE, folder / LOCK, OWN, MIGRATIONS)


class Taken(Enum):
    """What became of a draft."""

    ADDED = "added"
    KNOWN = "known"
    """The same message is there already."""
    OTHER = "other"
    """Another message of that id is there."""


def add(db: sqlite3.Connection, drafts: Sequence[Draft], now: float, *, whole: bool) -> list[Taken]:
    """Write messages that are to be sent now; `whole`: none, where one has the id of another message."""
    found = [_known(db, each) for each in drafts]
    if whole and Taken.OTHER in found:
        return found
    for each, known in zip(drafts, found, strict=True):
        if known is Taken.ADDED:
            _insert(db, each, now)
    return found


def waiting(db: sqlite3.Connection, receiver: str, now: float, limit: int, busy: Collection[int] = ()) -> list[Due]:
    """What is to be sent now, in the order of those times, but for what is `busy`."""
    rows = db.execute(
        "SELECT number, id FROM messages"
        " WHERE receiver = ? AND state = 0 AND due <= ? AND number NOT IN (SELECT value FROM json_each(?))"
        " ORDER BY due, number LIMIT ?",
        (receiver, now, _list(busy), limit),
    )
    return [Due(*row) for row in rows]


def message(db: sqlite3.Connection, due: Due) -> Message | None:
    """None for one that does not wait any more."""
    row = db.execute(
        "SELECT number, receiver, id, type, headers, content, made, attempts FROM messages"
        " WHERE number = ? AND id = ? AND state = 0",
        due,
    ).fetchone()
    return None if row is None else Message(*row)._replace(headers=orjson.loads(row[4]))


def next_due(db: sqlite3.Connection, receiver: str, busy: Collection[int] = ()) -> float | None:
    """When something is to be sent next, but for what is `busy`; None where nothing waits."""
    row = db.execute(
        "SELECT due FROM messages WHERE receiver = ? AND state = 0"
        " AND number NOT IN (SELECT value FROM json_each(?)) ORDER BY due LIMIT 1",
        (receiver, _list(busy)),
    ).fetchone()
    return None if row is None else float(row[0])


def note(
    db: sqlite3.Connection, message: Message, attempt: Attempt, state: State, due: float, health: Health | None
) -> None:
    """How an attempt went. `due`: of the next one, where it still waits. `health`: of the receiver, where it changed.
    Of a message that was forgotten meanwhile nothing is kept.
    """
    ended = None if state is State.WAITING else attempt.at + attempt.seconds
    found = db.execute(
        "UPDATE messages SET attempts = ?, state = ?, due = ?, ended = ?, fault = ? WHERE number = ? AND id = ?",
        (message.attempts + 1, state, due, ended, attempt.fault, message.number, message.id),
    )
    if not found.rowcount:
        return
    db.execute(
        "INSERT INTO attempts (receiver, id, at, status, seconds, fault) VALUES (?,?,?,?,?,?)",
        (message.to, *attempt),
    )
    _trim_attempts(db, message.to)
    if health is not None:
        set_health(db, message.to, health)


def postpone(db: sqlite3.Connection, number: int, due: float) -> None:
    """No attempt was made: it is looked at again then."""
    db.execute("UPDATE messages SET due = ? WHERE number = ? AND state = 0", (due, number))


def set_health(db: sqlite3.Connection, receiver: str, health: Health) -> None:
    if health == HEALTHY:
        db.execute("DELETE FROM health WHERE receiver = ?", (receiver,))
        return
    db.execute(
        "INSERT OR REPLACE INTO health (receiver, failing_since, failed_at, disabled_at, because, generation)"
        " VALUES (?,?,?,?,?,?)",
        (receiver, *health),
    )


def enable(db: sqlite3.Connection, receiver: str, now: float) -> None:
    """It has never failed, and what waits for it is due."""
    set_health(db, receiver, HEALTHY)
    db.execute("UPDATE messages SET due = ? WHERE receiver = ? AND state = 0 AND due > ?", (now, receiver, now))


def read_health(db: sqlite3.Connection) -> dict[str, Health]:
    """Of all that are not healthy."""
    rows = db.execute("SELECT receiver, failing_since, failed_at, disabled_at, because, generation FROM health")
    return {row[0]: Health(*row[1:]) for row in rows}


def receivers(db: sqlite3.Connection) -> set[str]:
    """All for whom anything is kept."""
    everywhere = "SELECT receiver FROM messages UNION SELECT receiver FROM attempts UNION SELECT receiver FROM health"
    return {row[0] for row in db.execute(everywhere)}


def receivers_waiting(db: sqlite3.Connection) -> set[str]:
    return {row[0] for row in db.execute("SELECT DISTINCT receiver FROM messages WHERE state = 0")}


def forget(db: sqlite3.Connection, gone: Iterable[str]) -> None:
    """Receivers that are no more, and everything for them."""
    for receiver in gone:
        db.execute("DELETE FROM messages WHERE receiver = ?", (receiver,))
        db.execute("DELETE FROM attempts WHERE receiver = ?", (receiver,))
        db.execute("DELETE FROM health WHERE receiver = ?", (receiver,))


def counts(db: sqlite3.Connection, receiver: str) -> dict[State, int]:
    rows = db.execute("SELECT state, count(*) FROM messages WHERE receiver = ? GROUP BY state", (receiver,))
    return dict.fromkeys(State, 0) | {State(state): number for state, number in rows}


def waits(db: sqlite3.Connection, receivers: Iterable[str]) -> dict[str, Amount]:
    """What waits for those of them for whom something does."""
    rows = db.execute(
        "SELECT receiver, count(*), sum(length(content)) FROM messages"
        " WHERE state = 0 AND receiver IN (SELECT value FROM json_each(?)) GROUP BY receiver",
        (orjson.dumps(list(receivers)).decode(),),
    )
    return {receiver: Amount(number, size) for receiver, number, size in rows}


def waiting_count(db: sqlite3.Connection) -> int:
    """Of all receivers."""
    return int(db.execute("SELECT count(*) FROM messages WHERE state = 0").fetchone()[0])


def listed(
    db: sqlite3.Connection, receiver: str, states: Sequence[State], before: int, limit: int, id: str = ""
) -> list[Listed]:
    """The newest first, those with a number below `before`; `id`: that one alone."""
    rows = db.execute(
        "SELECT number, id, type, length(content), made, state, due, attempts, ended, fault FROM messages"
        " WHERE receiver = ? AND state IN (SELECT value FROM json_each(?)) AND number < ? AND (id = ? OR ? = '')"
        " ORDER BY number DESC LIMIT ?",
        (receiver, _list(states), before, id, id, limit),
    )
    return [Listed(*row)._replace(state=State(row[5])) for row in rows]


def content(db: sqlite3.Connection, receiver: str, id: str) -> bytes | None:
    """What is, or was, sent under that id; None where it is not kept."""
    row = db.execute("SELECT content FROM messages WHERE receiver = ? AND id = ?", (receiver, id)).fetchone()
    return None if row is None else bytes(row[0])


def attempts(db: sqlite3.Connection, receiver: str, id: str, limit: int) -> list[Attempt]:
    """The newest first; `id`: those of that message alone."""
    rows = db.execute(
        "SELECT id, at, status, seconds, fault FROM attempts WHERE receiver = ? AND (id = ? OR ? = '')"
        " ORDER BY number DESC LIMIT ?",
        (receiver, id, id, limit),
    )
    return [Attempt(*row) for row in rows]


def ended(db: sqlite3.Connection, receiver: str, ids: Iterable[str]) -> Amount:
    """Of those messages what `replay_ids` would have wait again."""
    row = db.execute(
        "SELECT count(*), ifnull(sum(length(content)), 0) FROM messages"
        " WHERE receiver = ? AND state > 0 AND id IN (SELECT value FROM json_each(?))",
        (receiver, orjson.dumps(list(ids)).decode()),
    ).fetchone()
    return Amount(*row)


def ended_in(db: sqlite3.Connection, receiver: str, states: Sequence[State], since: float, until: float) -> Amount:
    """As `ended`, of `replay_range`."""
    row = db.execute(
        "SELECT count(*), ifnull(sum(length(content)), 0) FROM messages WHERE receiver = ? AND state > 0"
        " AND state IN (SELECT value FROM json_each(?)) AND made >= ? AND made < ?",
        (receiver, _list(states), since, until),
    ).fetchone()
    return Amount(*row)


def replay_ids(db: sqlite3.Connection, receiver: str, ids: Iterable[str], now: float) -> int:
    """Those messages are to be sent now, from their first attempt on. Returns how many there are."""
    again = "UPDATE messages SET state = 0, due = ?, attempts = 0, ended = NULL WHERE receiver = ? AND id = ?"
    return sum(db.execute(again, (now, receiver, id)).rowcount for id in dict.fromkeys(ids))


def replay_range(
    db: sqlite3.Connection, receiver: str, states: Sequence[State], since: float, until: float, now: float
) -> int:
    """As `replay_ids`, those that were made in [since, until) and stand so."""
    found = db.execute(
        "UPDATE messages SET state = 0, due = ?, attempts = 0, ended = NULL"
        " WHERE receiver = ? AND state IN (SELECT value FROM json_each(?)) AND made >= ? AND made < ?",
        (now, receiver, _list(states), since, until),
    )
    return found.rowcount


def expire(db: sqlite3.Connection, receiver: str, before: float) -> bool:
    """Delete some of what ended before that time, or is more than is kept. Returns whether there may be more."""
    old = db.execute(
        "DELETE FROM messages WHERE number IN"
        " (SELECT number FROM messages WHERE receiver = ? AND state > 0 AND ended < ? LIMIT ?)",
        (receiver, before, _STEP),
    )
    over = db.execute(
        "DELETE FROM messages WHERE number IN"
        " (SELECT number FROM messages WHERE receiver = ? AND state > 0 ORDER BY number DESC LIMIT ? OFFSET ?)",
        (receiver, _STEP, ENDED_KEPT),
    )
    large = db.execute(
        "DELETE FROM messages WHERE number IN (SELECT number FROM"
        " (SELECT number, sum(length(content)) OVER (ORDER BY number DESC) AS size FROM messages"
        " WHERE receiver = ? AND state > 0) WHERE size > ? ORDER BY number LIMIT ?)",
        (receiver, ENDED_BYTES_KEPT, _STEP),
    )
    return max(old.rowcount, over.rowcount, large.rowcount) >= _STEP


def give_up(db: sqlite3.Connection, receiver: str, before: float, now: float, fault: str) -> int:
    """What was made before that time and still waits has failed. Returns how many."""
    sql = "UPDATE messages SET state = 2, ended = ?, fault = ? WHERE receiver = ? AND state = 0 AND made < ?"
    return db.execute(sql, (now, fault, receiver, before)).rowcount


def cursor(db: sqlite3.Connection, name: str) -> int | None:
    row = db.execute("SELECT revision FROM cursors WHERE name = ?", (name,)).fetchone()
    return None if row is None else int(row[0])


def set_cursor(db: sqlite3.Connection, name: str, revision: int | None) -> None:
    """None: it is read from the present on."""
    db.execute("DELETE FROM cursors WHERE name = ?", (name,))
    if revision is not None:
        db.execute("INSERT INTO cursors (name, revision) VALUES (?,?)", (name, revision))


def _known(db: sqlite3.Connection, draft: Draft) -> Taken:
    known = "SELECT asked FROM messages WHERE receiver = ? AND id = ?"
    row = db.execute(known, (draft.to, draft.id)).fetchone()
    if row is None:
        return Taken.ADDED
    return Taken.KNOWN if row[0] == _asked(draft) else Taken.OTHER


def _asked(draft: Draft) -> str:
    return draft.asked or hashlib.sha256(draft.content).hexdigest()


def _insert(db: sqlite3.Connection, draft: Draft, now: float) -> None:
    """Of two that are alike in one call the first counts."""
    db.execute(
        "INSERT OR IGNORE INTO messages"
        " (receiver, id, asked, type, headers, content, made, state, due, attempts, fault)"
        " VALUES (?,?,?,?,?,?,?,0,?,0,'')",
        (draft.to, draft.id, _asked(draft), draft.type, _json(draft.headers), draft.content, now, now),
    )


def _list(values: Iterable[int]) -> str:
    return orjson.dumps([int(each) for each in values]).decode()


def _json(headers: dict[str, str]) -> str:
    return orjson.dumps(headers, option=orjson.OPT_SORT_KEYS).decode()


def _trim_attempts(db: sqlite3.Connection, receiver: str) -> None:
    last = "SELECT number FROM attempts WHERE receiver = ? ORDER BY number DESC LIMIT 1 OFFSET ?"
    row = db.execute(last, (receiver, ATTEMPTS_KEPT)).fetchone()
    if row is not None:
        db.execute("DELETE FROM attempts WHERE receiver = ? AND number <= ?", (receiver, row[0]))
