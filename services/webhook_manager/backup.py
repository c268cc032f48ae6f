"""The messages in a backup: the one file they are in. What was delivered since the backup is delivered once more,
under the same id.
"""

from __future__ import annotations

from services.sdk.backup import BackupHooks, SqliteBackup
from services.webhook_manager.message_store import FILE, OWN

HOOKS: BackupHooks = SqliteBackup(
    format=OWN.oldest_reader,
    file=FILE,
    counted={
        "messages": "SELECT count(*) FROM messages",
        "waiting": "SELECT count(*) FROM messages WHERE state = 0",
    },
)
