"""The three tables, and how a row becomes a Record. Plain SQL types only: any SQLAlchemy database will do.

`records` is only ever appended to (compaction takes away, nothing changes a row). Its `previous` column is
the optimistic lock: two records can not replace the same one. A creation reports `Record.previous == 0`, but
the row of a re-creation holds the revision of the deletion it follows, so that a name can live twice without
breaking UNIQUE. `body` comes last: scans that want no bodies never read their pages.

`format` is that of the body, by the code that wrote it (`controller.store.upgrading`); rows from before there was one
have the first.

`heads` says which record is the newest of each key. Keys whose newest record is a deletion stay, marked
`living = false`, until compaction forgets the deletion: a re-creation finds its predecessor there.

`clock` has one row. Whoever moves `revision` holds the row until commit, so commit order is revision order.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

from controller.store.records import Record
from crds.meta import ObjectKey

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# SQLite makes only a plain INTEGER key the row's own number, which saves an index.
_Revision = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData()

records = Table(
    "records",
    metadata,
    Column("revision", _Revision, primary_key=True, autoincrement=False),
    Column("api_group", String, nullable=False),
    Column("plural", String, nullable=False),
    Column("namespace", String, nullable=False),
    Column("name", String, nullable=False),
    Column("uid", String, nullable=False),
    Column("verb", String, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("previous", BigInteger, nullable=False),
    Column("written_at", BigInteger, nullable=False),  # microseconds since 1970, UTC
    Column("written_by", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("format", Integer, nullable=False, server_default="1"),
    UniqueConstraint("api_group", "plural", "namespace", "name", "previous"),
)

heads = Table(
    "heads",
    metadata,
    Column("api_group", String, primary_key=True),
    Column("plural", String, primary_key=True),
    Column("namespace", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("living", Boolean(create_constraint=False), nullable=False),
    sqlite_with_rowid=False,
)

clock = Table(
    "clock",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False),
    Column("compacted", BigInteger, nullable=False),
    Column("compacted_at", BigInteger, nullable=False),  # microseconds; when `compacted` was written
)


class ClockRow(NamedTuple):
    """The columns of the clock row."""

    revision: int
    compacted: int
    compacted_at: int


def to_microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970."""
    return (moment - EPOCH) // _MICROSECOND


def from_microseconds(count: int) -> datetime:
    """The same moment, UTC."""
    return EPOCH + timedelta(microseconds=count)


def to_record(row: Any) -> Record:
    """A row of `records`, all columns in their order."""
    revision, group, plural, namespace, name, uid, verb, generation, previous, at, by, body, _ = row
    return Record(
        revision=revision,
        key=ObjectKey(group, plural, namespace, name),
        uid=uid,
        verb=verb,
        generation=generation,
        body=bytes(body),
        previous=0 if verb == "created" else previous,
        written_at=from_microseconds(at),
        written_by=by,
    )
