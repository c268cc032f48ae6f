"""The version of the database's schema: told in a table of its own, brought up to date when the store is opened.

A file without that table is of version 1: it is older than the table. Version 2 seals the bodies of secret kinds,
which code of version 1 cannot open. Version 3 notes the format of each body; code of version 2 leaves the column out,
which then says the first format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Column, Connection, Integer, Table, insert, inspect, select, text, update

from controller.store import tables
from crds.formats import FIRST, FormatVersion, versions_due

OWN = FormatVersion(version=3, oldest_reader=2)
# What leads to a version from the one before, in the transaction that notes it. Version 2 needs nothing here: sealing
# goes by each record (`controller.store.resealing`).
MIGRATIONS: Mapping[int, Callable[[Connection], None]] = {
    2: lambda connection: None,
    3: lambda connection: _add_format(connection),
}

schema_version = Table(
    "schema_version",
    tables.metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("oldest_reader", Integer, nullable=False),
)


def upgrade(connection: Connection, name: str) -> None:
    """Make missing tables and run the migrations that are due, all within this transaction.

    A newer database that this code may read stays as it is. Raises NewerFormat for one it may not read, before
    anything is changed.
    """
    due = versions_due(name, _found(connection), OWN)
    tables.metadata.create_all(connection)
    noted = _noted(connection)
    for version in due:
        MIGRATIONS[version](connection)
    if noted is None:
        connection.execute(insert(schema_version).values(id=1, **OWN._asdict()))
    elif due:
        connection.execute(update(schema_version).values(OWN._asdict()))


def _add_format(connection: Connection) -> None:
    connection.execute(text("ALTER TABLE records ADD COLUMN format INTEGER DEFAULT 1 NOT NULL"))


def _found(connection: Connection) -> FormatVersion:
    present = inspect(connection)
    if not present.has_table(tables.records.name):
        return OWN
    return (_noted(connection) if present.has_table(schema_version.name) else None) or FIRST


def _noted(connection: Connection) -> FormatVersion | None:
    row = connection.execute(select(schema_version.c.version, schema_version.c.oldest_reader)).first()
    return FormatVersion(*row) if row else None
