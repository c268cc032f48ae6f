"""What is due in a backup: the one file it is in. Calls that were due since the backup are made once more."""

from __future__ import annotations

from services.schedule_manager.schedule_store import FILE, OWN
from services.sdk.backup import BackupHooks, SqliteBackup

HOOKS: BackupHooks = SqliteBackup(
    format=OWN.oldest_reader,
    file=FILE,
    counted={"schedules": "SELECT count(*) FROM schedules", "firings": "SELECT count(*) FROM firings"},
)
