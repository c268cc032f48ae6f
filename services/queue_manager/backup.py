"""The messages in a backup: the one file they are in. What was delivered since the backup is delivered once more.
And the key that messages of topics are signed with, which receivers know.
"""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

from services.queue_manager.database import FILE, OWN
from services.queue_manager.sns_signing import FILE as SIGNING_KEY
from services.sdk.backup import BackupHooks, DataSnapshot, SnapshotFile, check_database, copy_database


class QueueBackup:
    """As `BackupHooks`."""

    format = OWN.oldest_reader

    def snapshot(self, data: Path, scratch: Path) -> DataSnapshot:
        copied = copy_database(data, FILE, scratch)
        keys = [SnapshotFile(SIGNING_KEY, data)] if _is_file(data / SIGNING_KEY) else []
        return DataSnapshot(keys, {}) if copied is None else DataSnapshot([copied, *keys], _counts(scratch / FILE))

    def restored(self, data: Path) -> dict[str, int]:
        if not (data / FILE).exists():
            return {}
        check_database(data / FILE)
        return _counts(data / FILE)


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def _counts(file: Path) -> dict[str, int]:
    with closing(sqlite3.connect(file)) as db:
        queues, messages = db.execute(
            "SELECT (SELECT count(*) FROM queues), (SELECT count(*) FROM messages)"
        ).fetchone()
    return {"queues": queues, "messages": messages}


HOOKS: BackupHooks = QueueBackup()
