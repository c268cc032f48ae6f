"""The messages in a backup: the one file they are in. What was delivered since the backup is delivered once more,
under the same id.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from services.sdk.backup import BackupHooks, DataSnapshot, check_database, copy_database
from services.webhook_manager.message_store import FILE, OWN


class WebhookBackup:
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
        messages, waiting = db.execute(
            "SELECT (SELECT count(*) FROM messages), (SELECT count(*) FROM messages WHERE state = 0)"
        ).fetchone()
    return {"messages": messages, "waiting": waiting}


HOOKS: BackupHooks = WebhookBackup()
