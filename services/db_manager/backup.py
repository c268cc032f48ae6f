"""What db_manager keeps itself, in a backup of the cloud: the backups of Databases that have no bucket. Their files
never change, and their key is a Secret.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from services.db_manager.backups.places import FOLDER
from services.sdk.backup import BackupHooks, DataSnapshot, SnapshotFile


class DatabaseArchiveBackup:
    """As `BackupHooks`."""

    format = 1

    def snapshot(self, data: Path, scratch: Path) -> DataSnapshot:
        files = [SnapshotFile(each.relative_to(data).as_posix(), data) for each in _files(data)]
        return DataSnapshot(files, {"objects": len(files)})

    def restored(self, data: Path) -> dict[str, int]:
        return {"objects": sum(1 for _ in _files(data))}


def _files(data: Path) -> Iterator[Path]:
    """Without what is being written."""
    found = (data / FOLDER).rglob("*")
    return (each for each in found if each.is_file() and not each.is_symlink() and not each.name.startswith("."))


HOOKS: BackupHooks = DatabaseArchiveBackup()
