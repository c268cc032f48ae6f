"""What is due in a backup: the one file it is in. Calls that were due since the backup are made once more."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from services.schedule_manager.schedule_store import OWN
from services.sdk.backup import BackupHooks, DataSnapshot, check_database, copy_database

FILE = "schedules.db"


class ScheduleBackup:
    """As `BackupHooks`."""

    format = OWN.oldest_reader

    def snapshot(self, data: Path, scratch: Path) -> DataSnapshot:
        copied = copy_database(data, FILE, scratch)
        return DataSnapshot([], {}) if copied is None else DataSnapshot([copied], _counts(scratch / FILE))

    def restored(self, data: Path) -> dict[str, int]:
        if not (data / FILE).exists():
            return {}
        check_database(data / FILE)
        return _counts(data / FILE)


def _counts(file: Path) -> dict[str, int]:
    with closing(sqlite3.connect(file)) as db:
        both = "SELECT (SELECT count(*) FROM schedules), (SELECT count(*) FROM firings)"
        schedules, firings = db.execute(both).fetchone()
    return {"schedules": schedules, "firings": firings}


HOOKS: BackupHooks = ScheduleBackup()
