"""What a change of the messages is in SQL: functions for the committer's thread, each part of one transaction."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import uuid4

import orjson

from services.queue_manager.message import Draft, Received

_COLUMNS = (
    "number, queue, id, body, sent, due, receives, received, taken, receipt, "
    "grp, dedup, sender, attributes, trace, origin"
)
_INSERT = f"INSERT INTO messages ({_COLUMNS}) VALUES ({','.join('?' * 16)})"  # noqa: S608 - no value of anybody's
_RECEIVE = """UPDATE messages SET due=?, taken=?, receipt=?, receives=receives+1,
  received=CASE received WHEN 0 THEN ? ELSE received END WHERE number=?
  RETURNING id, number, receipt, body, attributes, trace, grp, dedup, sender, sent, receives, received, origin"""
_LOOK = """SELECT number, id, substr(body, 1, ?), length(CAST(body AS BLOB)), sent, grp, sender, attributes, origin
  FROM messages WHERE number=?"""
_MOVE = "UPDATE messages SET number=?, queue=?, due=?, origin=? WHERE number=?"
_SEND_BACK = """UPDATE messages SET number=?, queue=?, id=?, sent=?, due=?, receives=0, received=0, taken=0,
  receipt=0, origin='' WHERE number=?"""
_DEDUPLICATE = "INSERT OR REPLACE INTO deduplications (queue, grp, dedup, id, number, at) VALUES (?,?,?,?,?,?)"


class QueueRow(NamedTuple):
    """A queue, by the number its messages have, and the uid of its resource. Written with what is put into it: a
    message without its queue is lost, whichever commits the disk refused before.
    """

    number: int
    uid: str
    fifo: bool


class NewRow(NamedTuple):
    """A message to be written. `scope`: the group its deduplication id is unique in, empty for the whole queue."""

    number: int
    queue: int
    id: str
    draft: Draft
    sent: int
    due: int
    scope: str = ""
    origin: str = ""


class TakenRow(NamedTuple):
    """A message that somebody gets: until when it is theirs, since when, and the number of this receive."""

    number: int
    until: int
    taken: int
    receipt: int


class MovedRow(NamedTuple):
    """A message that goes to another queue, with a number of its own there. `origin`: the ARN of where it failed."""

    before: int
    number: int
    queue: int
    due: int
    origin: str


class BackRow(NamedTuple):
    """A dead letter that goes back as another message, with a number of its own."""

    before: int
    number: int


class Seen(NamedTuple):
    """A message that somebody looks at. `body`: its beginning; `size`: bytes of the whole of it."""

    number: int
    id: str
    body: str
    size: int
    sent: int
    group: str
    sender: str
    attributes: dict[str, Any]
    origin: str


def look(db: sqlite3.Connection, numbers: Iterable[int], most: int) -> list[Seen]:
    """Those that are there, each with so many characters of its body. Changes nothing."""
    rows = (db.execute(_LOOK, (most, each)).fetchone() for each in numbers)
    return [_seen(row) for row in rows if row is not None]


def failures(db: sqlite3.Connection, numbers: Iterable[int]) -> list[tuple[str, str, int]]:
    """Of each that is there: the ARN of the queue it failed in, the `ERROR_CODE` it came with, and when it was sent;
    empty where there is none. Changes nothing.
    """
    wanted = "SELECT origin, attributes, sent FROM messages WHERE number=?"
    rows = (db.execute(wanted, (each,)).fetchone() for each in numbers)
    return [(row[0], _error_code(row[1]), row[2]) for row in rows if row is not None]


def _seen(row: tuple[Any, ...]) -> Seen:
    number, id, body, size, sent, group, sender, attributes, origin = row
    return Seen(number, id, body, size, sent, group, sender, _unpacked(attributes), origin)


def _error_code(attributes: str) -> str:
    return str(_unpacked(attributes).get("ERROR_CODE", {}).get("StringValue", ""))[:128]


def insert(db: sqlite3.Connection, rows: Sequence[NewRow], queues: Iterable[QueueRow]) -> None:
    """Messages, and what FIFO queues remember of them."""
    _add_queues(db, queues)
    db.executemany(_INSERT, [_values(each) for each in rows])
    remembered = [
        (each.queue, each.scope, each.draft.deduplication, each.id, each.number, each.sent)
        for each in rows
        if each.draft.deduplication
    ]
    if remembered:
        db.executemany(_DEDUPLICATE, remembered)


def receive(
    db: sqlite3.Connection, rows: Sequence[TakenRow], moved: Sequence[MovedRow], queues: Iterable[QueueRow]
) -> list[Received]:
    """Those messages, with what is in them; and those that were received too often, elsewhere."""
    _add_queues(db, queues)
    found = []
    for each in rows:
        row = db.execute(_RECEIVE, (each.until, each.taken, each.receipt, each.taken, each.number)).fetchone()
        if row is not None:
            found.append(_received(row))
    move(db, moved)
    return found


def move(db: sqlite3.Connection, rows: Iterable[MovedRow]) -> None:
    db.executemany(_MOVE, [(each.number, each.queue, each.due, each.origin, each.before) for each in rows])


def send_back(
    db: sqlite3.Connection,
    rows: Sequence[BackRow],
    targets: Mapping[str, QueueRow],
    everywhere: QueueRow | None,
    now: int,
) -> list[MovedRow] | None:
    """As new messages: with another id, sent now, received never. Each goes to the target of the ARN it failed in, or
    all go `everywhere`. Returns those that are still there; None where one has no target: then nothing is changed.
    """
    known = [(each, origin) for each in rows if (origin := _origin(db, each.before)) is not None]
    found = [(each, everywhere or targets.get(origin)) for each, origin in known]
    moved = [MovedRow(each.before, each.number, to.number, now, "") for each, to in found if to is not None]
    if len(moved) < len(found):
        return None
    _add_queues(db, {to for _, to in found if to is not None})
    db.executemany(_SEND_BACK, [(r.number, r.queue, str(uuid4()), r.due, r.due, r.before) for r in moved])
    return moved


def delete(db: sqlite3.Connection, numbers: Iterable[int]) -> None:
    db.executemany("DELETE FROM messages WHERE number=?", [(each,) for each in numbers])


def postpone(db: sqlite3.Connection, number: int, until: int) -> None:
    db.execute("UPDATE messages SET due=? WHERE number=?", (until, number))


def forget_deduplications(db: sqlite3.Connection, keys: Iterable[tuple[int, str, str, int]]) -> None:
    """keys: queue, group, id, and when it was sent; a newer one stays."""
    db.executemany("DELETE FROM deduplications WHERE queue=? AND grp=? AND dedup=? AND at=?", keys)


def forget_gone(db: sqlite3.Connection, queue: int, before: int) -> None:
    """What a queue remembers of messages with numbers below `before` that are not in it any more."""
    db.execute(
        "DELETE FROM deduplications WHERE queue=? AND number<?"
        " AND number NOT IN (SELECT number FROM messages WHERE queue=?)",
        (queue, before, queue),
    )


def drop_queue(db: sqlite3.Connection, number: int) -> None:
    """Whatever is left of it."""
    db.execute("DELETE FROM messages WHERE queue=?", (number,))
    db.execute("DELETE FROM deduplications WHERE queue=?", (number,))
    db.execute("DELETE FROM queues WHERE number=?", (number,))


def drop_orphans(db: sqlite3.Connection) -> None:
    """What queues left behind that are not there any more: before a number could belong to another one."""
    db.execute("DELETE FROM messages WHERE queue NOT IN (SELECT number FROM queues)")
    db.execute("DELETE FROM deduplications WHERE queue NOT IN (SELECT number FROM queues)")


def _add_queues(db: sqlite3.Connection, queues: Iterable[QueueRow]) -> None:
    db.executemany("INSERT OR IGNORE INTO queues (number, uid, fifo) VALUES (?,?,?)", queues)


def _origin(db: sqlite3.Connection, number: int) -> str | None:
    """The ARN of the queue it failed in; empty for one that was sent here. None for a message that has gone."""
    row = db.execute("SELECT origin FROM messages WHERE number=?", (number,)).fetchone()
    return None if row is None else str(row[0])


def _values(row: NewRow) -> tuple[Any, ...]:
    draft = row.draft
    return (
        row.number, row.queue, row.id, draft.body, row.sent, row.due, 0, 0, 0, 0,
        draft.group, draft.deduplication, draft.sender, _packed(draft.attributes), draft.trace, row.origin,
    )  # fmt: skip


def _received(row: tuple[Any, ...]) -> Received:
    id, number, receipt, body, attributes, *rest = row
    return Received(id, number, receipt, body, _unpacked(attributes), *rest)


def _packed(attributes: Mapping[str, Mapping[str, Any]]) -> str:
    """JSON; bytes in base64, of those whose type says that they are bytes."""
    if not attributes:
        return ""
    return orjson.dumps({name: _with(each, _as_text) for name, each in attributes.items()}).decode()


def _unpacked(text: str) -> dict[str, Any]:
    if not text:
        return {}
    return {name: _with(each, base64.b64decode) for name, each in orjson.loads(text).items()}


def _with(attribute: Mapping[str, Any], change: Any) -> dict[str, Any]:
    kept = {name: value for name, value in attribute.items() if name in ("DataType", "StringValue")}
    if "BinaryValue" in attribute:
        kept["BinaryValue"] = change(attribute["BinaryValue"])
    return kept


def _as_text(content: bytes) -> str:
    return base64.b64encode(content).decode()
