"""The store as it was at one moment, as blocks of rows, and a store made of such blocks: for backups.

A block holds the rows of BLOCK_REVISIONS revisions, always the same ones: as history is only appended to, and thinned
out by compaction, a block of the past is the same in every dump, or smaller. A row is a line of JSON (the columns but
`body`, then its length), the body, and a newline. Bodies stay sealed as they are on disk.

Reading takes one snapshot of the store, beside a conductor that goes on writing. Blocking.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, func, insert, inspect, select, update
from sqlalchemy.exc import SQLAlchemyError

from controller.store import schema
from controller.store.backend import SqlBackend, read_clock_row
from controller.store.records import StoreBroken
from controller.store.tables import clock, heads, records

BLOCK_REVISIONS = 256
PIECE_BYTES = 1 << 20
_COLUMNS = [each for each in records.c.keys() if each != "body"]  # noqa: SIM118 - not a mapping
_KEY = ("api_group", "plural", "namespace", "name")
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Dumped:
    """The numbers of a dump. `revision`: the newest; `compacted`: the oldest that can be asked for, and when that was
    (microseconds since 1970). `rows`: records in all; `living`: resources. `schema`: version of the database.
    """

    revision: int
    compacted: int
    compacted_at: int
    rows: int
    living: int
    schema: int

    def wire(self) -> dict[str, int]:
        return asdict(self)


class Block(NamedTuple):
    """`number`: of its first revision, over BLOCK_REVISIONS. `pieces`: its rows, PIECE_BYTES at a time or one row."""

    number: int
    pieces: Sequence[bytes]


class StoreReader:
    """One snapshot of a store. `oldest_at`: the earliest moment it knows, in microseconds since 1970.

    Raises StoreBroken where it cannot be read.
    """

    def __init__(self, connection: Connection, name: str) -> None:
        found = connection.execute(select(schema.schema_version.c.version)).scalar()
        if found != schema.OWN.version:
            raise StoreBroken(f"{name} has schema {found}, this version {schema.OWN.version}: start the cloud once")
        row = read_clock_row(connection)
        rows = connection.execute(select(func.count()).select_from(records)).scalar() or 0
        living = connection.execute(select(func.count()).select_from(heads).where(heads.c.living)).scalar() or 0
        first = connection.execute(select(records.c.written_at).order_by(records.c.revision).limit(1)).scalar() or 0
        self.oldest_at = row.compacted_at if row.compacted else first
        self.dumped = Dumped(row.revision, row.compacted, row.compacted_at, rows, living, schema.OWN.version)
        self._connection = connection

    def living(self, group: str, plural: str) -> Iterator[dict[str, Any]]:
        """The resources of a kind that is not sealed, as they are stored."""
        whose = (heads.c.living, heads.c.api_group == group, heads.c.plural == plural)
        newest = select(records.c.body).join(heads, heads.c.revision == records.c.revision).where(*whose)
        yield from (orjson.loads(row.body) for row in self._connection.execute(newest))

    def heads(self) -> Iterator[tuple[Any, ...]]:
        """Which record is the newest of each key, and whether it lives."""
        yield from (
            tuple(row)
            for row in self._connection.execute(
                select(*(heads.c[name] for name in _KEY), heads.c.revision, heads.c.living)
            )
        )

    def blocks(self) -> Iterator[Block]:
        """All rows, in the order of their revisions."""
        number, pieces, piece = -1, list[bytes](), list[bytes]()
        size = 0
        for row in self._connection.execute(select(records).order_by(records.c.revision)).yield_per(_AT_ONCE):
            if (due := row.revision // BLOCK_REVISIONS) != number:
                if piece:
                    yield Block(number, [*pieces, b"".join(piece)])
                number, pieces, piece, size = due, [], [], 0
            elif size >= PIECE_BYTES:
                pieces, piece, size = [*pieces, b"".join(piece)], [], 0
            piece.append(_line(row))
            size += len(piece[-1])
        if piece:
            yield Block(number, [*pieces, b"".join(piece)])


def is_there(url: str) -> bool:
    """Whether that database has a store in it. Raises StoreBroken; StoreAway without its server."""
    with _reading(url) as (_, connection):
        return connection is not None and inspect(connection).has_table(clock.name)


@contextmanager
def reading(url: str) -> Iterator[StoreReader]:
    """The store as it is now, whatever is written meanwhile. Raises StoreBroken; StoreAway without its server."""
    with _reading(url) as (name, connection):
        if connection is None:
            raise StoreBroken(f"there is no store {name}")
        yield StoreReader(connection, name)


@contextmanager
def _reading(url: str) -> Iterator[tuple[str, Connection | None]]:
    """What people call it, and a snapshot; none of a file that is not there, which connecting would make."""
    with closing(SqlBackend(url)) as disk:
        if disk.sharing is None and not Path(disk.name).is_file():
            yield disk.name, None
            return
        try:
            with disk.reading() as connection:
                yield disk.name, connection
        except SQLAlchemyError as error:
            raise disk.broken("read", error) from error


def load(file: Path, dumped: Dumped, pieces: Iterable[bytes]) -> None:
    """Make the store of that dump, in a file that is not there yet. Raises StoreBroken for what is not that dump."""
    if dumped.schema > schema.OWN.version:
        raise StoreBroken(f"the backup's store has schema {dumped.schema}; this version knows {schema.OWN.version}")
    fill(f"sqlite:///{file}", dumped, pieces)


def fill(url: str, dumped: Dumped, pieces: Iterable[bytes]) -> None:
    """Put that dump into a store that has nothing in it, whole or not at all. Raises StoreBroken."""
    with closing(SqlBackend(url)) as disk:
        try:
            disk.create()
            with disk.engine.begin() as connection:
                if disk.sharing is not None:
                    disk.sharing.hold_to_lead(connection)
                if (there := read_clock_row(connection).revision) != 0:
                    raise StoreBroken(f"{disk.name} is not empty: it stands at revision {there}")
                _fill(connection, dumped, pieces)
        except SQLAlchemyError as error:
            raise disk.broken("write", error) from error


def _fill(connection: Connection, dumped: Dumped, pieces: Iterable[bytes]) -> None:
    count, newest = 0, dict[tuple[str, ...], dict[str, Any]]()
    for piece in pieces:
        rows = list(_rows(piece))
        connection.execute(insert(records), rows)
        count += len(rows)
        for row in rows:
            key = tuple(row[each] for each in _KEY)
            newest[key] = {"revision": row["revision"], "living": row["verb"] != "deleted"}
    found = [{**dict(zip(_KEY, key, strict=True)), **head} for key, head in newest.items()]
    if found:
        connection.execute(insert(heads), found)
    living = sum(each["living"] for each in found)
    if (count, living) != (dumped.rows, dumped.living):
        raise StoreBroken(f"{count} records of {living} resources in place of {dumped.rows} of {dumped.living}")
    values = {"revision": dumped.revision, "compacted": dumped.compacted, "compacted_at": dumped.compacted_at}
    connection.execute(update(clock).values(**values))


def _line(row: Any) -> bytes:
    told = [getattr(row, each) for each in _COLUMNS]
    return b"\n".join((orjson.dumps([*told, len(row.body)]), row.body, b""))


def _rows(piece: bytes) -> Iterator[dict[str, Any]]:
    """Raises StoreBroken."""
    place = 0
    while place < len(piece):
        end = piece.index(b"\n", place)
        *values, length = orjson.loads(piece[place:end])
        place = end + 2 + length
        if place > len(piece):
            raise StoreBroken("a row of the backup's store is cut off")
        yield {**dict(zip(_COLUMNS, values, strict=True)), "body": piece[end + 1 : place - 1]}
