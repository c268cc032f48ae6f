"""What a backup holds of one namespace: `read_namespace`. Nothing of it becomes a cloud."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio

from controller.backup.errors import Damaged
from controller.backup.manifest import Manifest
from controller.backup.repository import Repository
from controller.kit.clock import SystemClock
from controller.kit.threads import Threads
from controller.main.backups.choosing import Moment
from controller.main.backups.creating import STORE
from controller.main.backups.files import write_entry
from controller.main.backups.restoring import revision_of
from controller.main.components import sealed_kinds
from controller.store import dump
from controller.store.memory_index import EVERY_KIND
from controller.store.records import Record
from controller.store.sealing import Sealing
from controller.store.sql import open_store
from crds.kinds.namespace import NAMESPACE
from crds.managed import ManagedService
from services.sdk.discovery import catalog_of

_STORE_KEY = Path("secrets") / "store-key"


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
    entry = next((each for each in manifest.files if each.name == str(_STORE_KEY)), None)
    if entry is None:
        raise Damaged(f"backup {manifest.head.id} has no {_STORE_KEY}")
    write_entry(folder, entry.name, repository.pieces(entry))
    (folder / STORE.parent).mkdir(mode=0o700)
    (folder / STORE).touch(mode=0o600)
    pieces = (piece for block in manifest.blocks for piece in repository.pieces(block))
    dump.load(folder / STORE, dump.Dumped(**manifest.store), pieces)
    return anyio.run(_records, folder, services, namespace, moment)


async def _records(
    folder: Path, services: Sequence[ManagedService], namespace: str, moment: Moment | None
) -> list[Record]:
    catalog = catalog_of(tuple(services))
    sealing = Sealing(folder / _STORE_KEY, sealed_kinds(catalog))
    upgrades = {(each.group, each.plural): each.upgrades for each in catalog}
    url = f"sqlite:///{folder / STORE}"
    store = await open_store(url, threads=Threads(1), clock=SystemClock(), sealing=sealing, upgrades=upgrades)
    try:
        at = store.revision if moment is None else await revision_of(store, moment)
        itself = await store.get_at(NAMESPACE.key(namespace), at)
        inside = (await store.list_at(*EVERY_KIND, namespace, at)).records
        return [*([itself] if itself is not None and itself.verb != "deleted" else ()), *inside]
    finally:
        await store.close()
