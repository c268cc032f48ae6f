"""The samples in a backup: the one file they are in."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from services.metrics_manager.store.tables import FILE, OWN
from services.sdk.backup import BackupHooks, DataSnapshot, check_database, copy_database


class MetricsBackup:
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
        return {"series": db.execute("SELECT count(*) FROM series").fetchone()[0]}


HOOKS: BackupHooks = MetricsBackup()
