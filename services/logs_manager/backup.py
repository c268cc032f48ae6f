"""The lines in a backup: the one file they are in."""

from __future__ import annotations

from services.logs_manager.store.tables import FILE, OWN
from services.sdk.backup import BackupHooks, SqliteBackup

HOOKS: BackupHooks = SqliteBackup(
    format=OWN.oldest_reader,
    file=FILE,
    counted={"streams": "SELECT count(*) FROM streams", "lines": "SELECT coalesce(sum(lines), 0) FROM blocks"},
)
