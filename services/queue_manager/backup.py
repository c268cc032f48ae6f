"""The messages in a backup: the one file they are in. What was delivered since the backup is delivered once more.
And the key that messages of topics are signed with, which receivers know.
"""

from __future__ import annotations

from services.queue_manager.database import FILE, OWN
from services.queue_manager.sns_signing import FILE as SIGNING_KEY
from services.sdk.backup import BackupHooks, SqliteBackup

HOOKS: BackupHooks = SqliteBackup(
    format=OWN.oldest_reader,
    file=FILE,
    counted={"queues": "SELECT count(*) FROM queues", "messages": "SELECT count(*) FROM messages"},
    beside=(SIGNING_KEY,),
)
