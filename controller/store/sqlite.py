"""SQLite alone: its pragmas, and transactions that begin when we say so."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, event

# WAL: readers never wait for the writer. FULL: a commit is on disk before it returns.
# 5 s: another process's batch or backup takes far less; longer means something is stuck.
PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA busy_timeout=5000",
)

# At once: waiting for another process's write here is cheaper than failing in the middle.
BEGIN_WRITING = "BEGIN IMMEDIATE"


def prepare(engine: Engine) -> None:
    """Set the pragmas on every connection of that engine."""
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)


def _on_connect(connection: Any, _record: Any) -> None:
    # The driver would begin transactions only before writes; several reads must share one snapshot too.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _on_begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
