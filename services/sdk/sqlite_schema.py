"""The version of a service's own SQLite file: told in a table of its own, brought up to date when the file is opened.

A file that has tables but not this one is of version 1: it is older than the table.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping

from crds.formats import FIRST, FormatVersion, versions_due

Migrations = Mapping[int, Callable[[sqlite3.Connection], None]]
_TABLE = """CREATE TABLE IF NOT EXISTS schema_version
  (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL, oldest_reader INTEGER NOT NULL)"""


def upgrade(db: sqlite3.Connection, name: str, own: FormatVersion, migrations: Migrations) -> None:
    """Run the migrations that are due, 1 (the tables themselves) first in a new file.

    Belongs into the transaction that is open on `db`. A newer file that this code may read stays as it is. Raises
    NewerFormat for one it may not read, before anything is changed.
    """
    due = versions_due(name, _found(db), own)
    if not due:
        return
    db.execute(_TABLE)
    for version in due:
        migrations[version](db)
    db.execute("INSERT OR REPLACE INTO schema_version VALUES (1,?,?)", own)


def add_column(db: sqlite3.Connection, table: str, column: str, kind: str) -> None:
    """Does nothing where it is there already."""
    known = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
    if column not in known:
        db.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")


def _found(db: sqlite3.Connection) -> FormatVersion:
    tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "schema_version" not in tables:
        return FIRST if tables else FormatVersion(0, 0)
    row = db.execute("SELECT version, oldest_reader FROM schema_version").fetchone()
    return FormatVersion(*row) if row else FIRST
