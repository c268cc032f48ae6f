"""The version of the database's schema: told in a table of its own, brought up to date when the store is opened.

A file without that table is of version 1: it is older than the table. Version 2 seals the bodies of secret kinds,
which code of version 1 cannot open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Column, Connection, Integer, Table, insert, inspect, select, update

from controller.store import tables
from crds.formats import FormatVersion, require_readable

OWN = FormatVersion(version=2, oldest_reader=2)
_FIRST = FormatVersion(version=1, oldest_reader=1)
# What leads to a version from the one before, in the transaction that notes it. Version 2 needs nothing here: sealing
# goes by each record (`controller.store.resealing`).
MIGRATIONS: Mapping[int, Callable[[Connection], None]] = {2: lambda connection: None}

schema_version = Table(
    "schema_version",
    tables.metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("oldest_reader", Integer, nullable=False),
)


def upgrade(connection: Connection, name: str) -> FormatVersion:
    """Make missing tables and run the migrations that are due, all within this transaction; the version found.

    A newer database that this code may read stays as it is. Raises NewerFormat for one it may not read, before
    anything is changed.
    """
    found = _found(connection)
    require_readable(name, found, OWN)
    tables.metadata.create_all(connection)
    noted = _noted(connection)
    if noted is not None and found.version >= OWN.version:
        return found
    for version in range(found.version + 1, OWN.version + 1):
        MIGRATIONS[version](connection)
    note = update(schema_version) if noted else insert(schema_version).values(id=1)
    connection.execute(note.values(OWN._asdict()))
    return found


def _found(connection: Connection) -> FormatVersion:
    present = inspect(connection)
    if not present.has_table(tables.records.name):
        return OWN
    return (_noted(connection) if present.has_table(schema_version.name) else None) or _FIRST


def _noted(connection: Connection) -> FormatVersion | None:
    row = connection.execute(select(schema_version.c.version, schema_version.c.oldest_reader)).first()
    return FormatVersion(*row) if row else None
