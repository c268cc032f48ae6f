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
_MOVE = "UPDATE messages SET number=?, queue=?, due=?, origin=? WHERE number=?"
_SEND_BACK = """UPDATE messages SET number=?, queue=?, id=?, sent=?, due=?, receives=0, received=0, taken=0,
  receipt=0, origin='' WHERE number=?"""
_DEDUPLICATE = "INSERT OR REPLACE INTO deduplications (queue, grp, dedup, id, number, at) VALUES (?,?,?,?,?,?)"


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


def insert(db: sqlite3.Connection, rows: Sequence[NewRow]) -> None:
    """Messages, and what FIFO queues remember of them."""
    db.executemany(_INSERT, [_values(each) for each in rows])
    remembered = [
        (each.queue, each.scope, each.draft.deduplication, each.id, each.number, each.sent)
        for each in rows
        if each.draft.deduplication
    ]
    if remembered:
        db.executemany(_DEDUPLICATE, remembered)


def receive(db: sqlite3.Connection, rows: Sequence[TakenRow], moved: Sequence[MovedRow]) -> list[Received]:
    """Those messages, with what is in them; and those that were received too often, elsewhere."""
    found = []
    for each in rows:
        row = db.execute(_RECEIVE, (each.until, each.taken, each.receipt, each.taken, each.number)).fetchone()
        if row is not None:
            found.append(_received(row))
    move(db, moved)
    return found


def move(db: sqlite3.Connection, rows: Iterable[MovedRow]) -> None:
    db.executemany(_MOVE, [(each.number, each.queue, each.due, each.origin, each.before) for each in rows])


def origins(db: sqlite3.Connection, numbers: Iterable[int]) -> dict[int, str]:
    """The ARN of the queue each of those failed in; empty for one that was sent here."""
    wanted = "SELECT origin FROM messages WHERE number=?"
    return {each: str(db.execute(wanted, (each,)).fetchone()[0]) for each in numbers}


def send_back(db: sqlite3.Connection, rows: Iterable[MovedRow]) -> None:
    """As new messages: with another id, sent now, received never."""
    db.executemany(_SEND_BACK, [(r.number, r.queue, str(uuid4()), r.due, r.due, r.before) for r in rows])


def delete(db: sqlite3.Connection, numbers: Iterable[int]) -> None:
    db.executemany("DELETE FROM messages WHERE number=?", [(each,) for each in numbers])


def postpone(db: sqlite3.Connection, number: int, until: int) -> None:
    db.execute("UPDATE messages SET due=? WHERE number=?", (until, number))


def forget_deduplications(db: sqlite3.Connection, keys: Iterable[tuple[int, str, str, int]]) -> None:
    """keys: queue, group, id, and when it was sent; a newer one stays."""
    db.executemany("DELETE FROM deduplications WHERE queue=? AND grp=? AND dedup=? AND at=?", keys)


def add_queue(db: sqlite3.Connection, number: int, uid: str, fifo: bool) -> None:
    db.execute("INSERT OR IGNORE INTO queues (number, uid, fifo) VALUES (?,?,?)", (number, uid, int(fifo)))


def drop_queue(db: sqlite3.Connection, number: int) -> None:
    """Whatever is left of it."""
    db.execute("DELETE FROM deduplications WHERE queue=?", (number,))
    db.execute("DELETE FROM queues WHERE number=?", (number,))


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
