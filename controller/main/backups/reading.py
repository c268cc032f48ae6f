"""What a backup holds of one namespace: `read_namespace`. Nothing of it becomes a cloud."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio

from controller.backup.errors import Damaged
from controller.backup.manifest import Manifest
from controller.backup.repository import Repository
from controller.main.backups.choosing import Moment
from controller.main.backups.files import write_entry
from controller.main.backups.staged_store import STORE_KEY, put_store, revision_of, staged_store
from controller.store.memory_index import EVERY_KIND
from controller.store.records import Record
from crds.kinds.namespace import NAMESPACE
from crds.managed import ManagedService


def read_namespace(
    repository: Repository,
    manifest: Manifest,
    folder: Path,
    services: Sequence[ManagedService],
    namespace: str,
    moment: Moment | None,
) -> list[Record]:
    """The namespace and all in it, as in that backup or at that moment, bodies opened. Only the store and its key are
    put into `folder`, which is empty and nobody else's. Raises BackupError, StoreBroken, OSError.
    """
    entry = next((each for each in manifest.files if each.name == str(STORE_KEY)), None)
    if entry is None:
        raise Damaged(f"backup {manifest.head.id} has no {STORE_KEY}")
    write_entry(folder, entry.name, repository.pieces(entry))
    put_store(folder, repository, manifest)
    return anyio.run(_records, folder, services, namespace, moment)


async def _records(
    folder: Path, services: Sequence[ManagedService], namespace: str, moment: Moment | None
) -> list[Record]:
    async with staged_store(folder, services) as store:
        at = store.revision if moment is None else await revision_of(store, moment)
        itself = await store.get_at(NAMESPACE.key(namespace), at)
        inside = (await store.list_at(*EVERY_KIND, namespace, at)).records
        return [*([itself] if itself is not None and itself.verb != "deleted" else ()), *inside]
