"""The samples in a backup: the one file they are in."""

from __future__ import annotations

from services.metrics_manager.store.tables import FILE, OWN
from services.sdk.backup import BackupHooks, SqliteBackup

HOOKS: BackupHooks = SqliteBackup(
    format=OWN.oldest_reader, file=FILE, counted={"series": "SELECT count(*) FROM series"}
)
