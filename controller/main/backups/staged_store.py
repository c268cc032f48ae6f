"""The store of a backup in a folder of its own, whether a cloud is made of it or it is only read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from controller.backup.errors import Refused
from controller.backup.manifest import Manifest
from controller.backup.repository import Repository
from controller.kit.clock import SystemClock
from controller.kit.threads import Threads
from controller.main.backups.choosing import Moment
from controller.main.backups.creating import STORE
from controller.main.components import kind_upgrades, sealed_kinds
from controller.store import dump
from controller.store.records import Store
from controller.store.sealing import Sealing
from controller.store.sql import open_store
from crds.managed import ManagedService
from services.sdk.discovery import catalog_of

STORE_KEY = Path("secrets") / "store-key"


def put_store(folder: Path, repository: Repository, manifest: Manifest) -> None:
    """The store of that backup into `folder`, which has none. Raises BackupError, StoreBroken, OSError."""
    (folder / STORE.parent).mkdir(exist_ok=True, mode=0o700)
    (folder / STORE).touch(mode=0o600)
    pieces = (piece for block in manifest.blocks for piece in repository.pieces(block))
    dump.load(folder / STORE, dump.Dumped(**manifest.store), pieces)


@asynccontextmanager
async def staged_store(folder: Path, services: Sequence[ManagedService]) -> AsyncIterator[Store]:
    """The one in `folder`, opened with its key, which reads all that is living. Raises StoreBroken."""
    catalog = catalog_of(tuple(services))
    store = await open_store(
        f"sqlite:///{folder / STORE}",
        threads=Threads(1),
        clock=SystemClock(),
        sealing=Sealing(folder / STORE_KEY, sealed_kinds(catalog)),
        upgrades=kind_upgrades(catalog),
    )
    try:
        yield store
    finally:
        await store.close()


async def revision_of(store: Store, moment: Moment) -> int:
    """Of that moment in that store. Raises Refused."""
    if moment.at is None:
        return moment.revision
    found = await store.revision_at(moment.at)
    if not found:
        raise Refused(f"there was nothing yet at {moment}, or it is no longer kept")
    return found
