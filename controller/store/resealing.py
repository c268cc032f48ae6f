"""Resealing at each start: what secret kinds have on disk in plain, or sealed with an older key, is sealed with the
newest.

Records of the version before this one are rewritten, history included. Then the database is written anew (VACUUM) and
its log cut off, so that no page of the file holds the plain text any more. SQLite's `user_version` says whether that
is done: a start that was killed in between, or found no room for it, is made good by the next one. What the disk
itself keeps of blocks that once belonged to the file is out of our reach.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import structlog
from sqlalchemy import Connection, bindparam, select, update

from controller.store.backend import SqlBackend
from controller.store.sealing import Sealing
from controller.store.tables import records
from crds.meta import ObjectKey

log = structlog.get_logger("store")
_BATCH, _CLEAN = 500, 1
_WRITE = update(records).where(records.c.revision == bindparam("at")).values(body=bindparam("sealed"))


def reseal(disk: SqlBackend, sealing: Sealing) -> int:
    """How many records were rewritten. Raises StoreBroken when a key is missing, and the driver's errors."""
    with disk.reading() as connection:
        old = [each for kind in sorted(sealing.kinds) for each in _outdated(connection, sealing, kind)]
    sealing.keep()
    on_sqlite = disk.engine.dialect.name == "sqlite"
    if old and on_sqlite:
        _run(disk, "PRAGMA user_version=0")
    for start in range(0, len(old), _BATCH):
        _rewrite(disk, sealing, old[start : start + _BATCH])
    if on_sqlite and _run(disk, "PRAGMA user_version") != [(_CLEAN,)]:
        _forget_what_was(disk)
    sealing.settled = True
    return len(old)


def _outdated(connection: Connection, sealing: Sealing, kind: tuple[str, str]) -> Iterator[int]:
    """Every sealed record is opened once: a lost key is found before anything is written."""
    wanted = select(records).where(records.c.api_group == kind[0], records.c.plural == kind[1])
    for row in connection.execute(wanted):
        key = ObjectKey(row.api_group, row.plural, row.namespace, row.name)
        body = bytes(row.body)
        sealing.open(key, row.revision, body)
        if not sealing.is_current(body):
            yield int(row.revision)


def _rewrite(disk: SqlBackend, sealing: Sealing, revisions: list[int]) -> None:
    with disk.engine.begin() as connection:
        if disk.sharing is not None:
            disk.sharing.hold_to_lead(connection)
        found = connection.execute(select(records).where(records.c.revision.in_(revisions))).all()
        connection.execute(_WRITE, [_sealed(sealing, row) for row in found])


def _sealed(sealing: Sealing, row: Any) -> dict[str, Any]:
    key = ObjectKey(row.api_group, row.plural, row.namespace, row.name)
    plain = sealing.open(key, row.revision, bytes(row.body))
    return {"at": row.revision, "sealed": sealing.seal(key, row.revision, plain)}


def _forget_what_was(disk: SqlBackend) -> None:
    disk.engine.dispose()  # a reader's connection would hold the log
    try:
        for statement in ("PRAGMA wal_checkpoint(TRUNCATE)", "VACUUM", f"PRAGMA user_version={_CLEAN}"):
            _run(disk, statement)
    except disk.errors as error:
        log.warning("old pages of the store may still hold secrets; the next start tries again", because=str(error))
    _run(disk, "PRAGMA wal_checkpoint(TRUNCATE)")


def _run(disk: SqlBackend, statement: str) -> list[Any]:
    """Outside of any transaction, which none of these can be in."""
    raw = disk.engine.raw_connection()
    try:
        cursor = raw.cursor()
        cursor.execute(statement)
        found = list(cursor.fetchall())
        cursor.close()
        return found
    finally:
        raw.close()
