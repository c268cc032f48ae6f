"""Restoring a backup into a home that is not there yet: `restore_backup`.

All of it is put together in a folder beside the home, and looked at there: every chunk is authenticated, the store
opens with its keys, what is sealed under the root key opens with it, and services count what they counted then. Only
then the folder gets its name. Whatever fails leaves nothing behind, and a restore that was killed is begun again.

Nothing of `run/` comes back but the mark that this cloud was founded: no instance, no pid and no socket is taken for
one of then. Workers and services have the identities of then, so agents and managed services of before are known.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from controller.backup.errors import Damaged, Refused
from controller.backup.manifest import Manifest, ServiceData
from controller.backup.repository import Repository
from controller.main.backups.choosing import Moment
from controller.main.backups.files import write_entry
from controller.main.backups.staged_store import put_store, revision_of, staged_store
from controller.main.errors import Misuse
from controller.main.root_key import RootKeyFile, SealedRecords
from controller.main.settings import load as load_settings
from controller.main.settings import token_key_of
from controller.store.memory_index import EVERY_KIND
from controller.store.records import Store
from controller.store.rewinding import rewind
from crds.managed import ManagedService
from services.sdk.backup import BackupHooks
from services.sdk.discovery import load

RESTORED_BY = "system:restore"
_ROOT_KEY = Path("secrets") / "root-key"


@dataclass(frozen=True, slots=True)
class Restored:
    """What is there now. `kinds`: resources by plural. `services`: what each counts. `changed`: how many resources
    were put back to an earlier moment; `revision`: of the store at the end.
    """

    backup: str
    revision: int
    kinds: dict[str, int] = field(default_factory=dict)
    services: dict[str, dict[str, int]] = field(default_factory=dict)
    changed: int = 0


def restore_backup(
    repository: Repository,
    manifest: Manifest,
    home: Path,
    services: Sequence[ManagedService],
    *,
    moment: Moment | None = None,
    dry_run: bool = False,
) -> Restored:
    """Put the cloud of that backup into `home`, which must be empty or not there. With `dry_run` all of it is done
    beside the home, and taken away again.

    Raises BackupError, StoreBroken, OSError; nothing is changed then.
    """
    require_blank(home)
    with _staged(home) as staging:
        for each in manifest.files:
            write_entry(staging, each.name, repository.pieces(each))
        counts = {
            name: _restore_service(staging, name, data, repository, services)
            for name, data in manifest.services.items()
        }
        put_store(staging, repository, manifest)
        found = anyio.run(_settle, staging, manifest, services, moment)
        restored = Restored(manifest.head.id, found.revision, found.kinds, counts, found.changed)
        if not dry_run:
            _name(staging, home)
    return restored


def require_blank(home: Path) -> None:
    """Raises Refused for a folder with something in it."""
    try:
        there = sorted(each.name for each in home.iterdir())
    except FileNotFoundError:
        return
    if there:
        raise Refused(f"{home} is not empty: it holds {', '.join(there[:3])}. Move it away, or give another --home")
    if home.is_mount():
        raise Refused(f"{home} is a disk of its own: restore into a folder on it, and set AEREKOS_HOME to that")


def _restore_service(
    staging: Path, name: str, data: ServiceData, repository: Repository, services: Sequence[ManagedService]
) -> dict[str, int]:
    service = next((each for each in services if each.service_name == name and each.backup), None)
    if service is None:
        raise Refused(f"the backup has data of {name}, which is not installed here (AEREKOS_SERVICES_PATH)")
    hooks: BackupHooks = load(service.backup)
    if data.format > hooks.format:
        raise Refused(f"data of {name} has format {data.format}; this version knows {hooks.format}: take a newer one")
    folder = staging / "data" / name
    folder.mkdir(parents=True, mode=0o700)
    for each in data.files:
        write_entry(folder, each.name, repository.pieces(each))
    try:
        counts = hooks.restored(folder)
    except (ValueError, sqlite3.Error) as odd:
        raise Damaged(f"{name}: {odd}") from odd
    if counts != data.counts:
        raise Damaged(f"{name} has {counts} in place of {data.counts}")
    return counts


async def _settle(
    staging: Path, manifest: Manifest, services: Sequence[ManagedService], moment: Moment | None
) -> Restored:
    """Open the store with its keys, which reads all that is living, and put it back to that moment."""
    async with staged_store(staging, services) as store:
        changed = 0 if moment is None else await rewind(store, await revision_of(store, moment), by=RESTORED_BY)
        _check_root_key(staging, store, services)
        living = (await store.list_at(*EVERY_KIND, None, store.revision)).records
        kinds = Counter(each.key.plural for each in living)
        if changed == 0 and sum(kinds.values()) != manifest.head.resources:
            raise Damaged(f"{sum(kinds.values())} resources in place of {manifest.head.resources}")
        return Restored(manifest.head.id, store.revision, dict(sorted(kinds.items())), {}, changed)


def _check_root_key(staging: Path, store: Store, services: Sequence[ManagedService]) -> None:
    """All that is sealed under the root key opens: a backup without its key would restore ciphertext alone."""
    kinds = [each for service in services for each in service.root_sealed]
    held = [SealedRecords(each, store.list(each.kind.group, each.kind.plural).records) for each in kinds]
    if not any(each.records for each in held):
        return
    content = _root_key(staging)
    for sealed in held:
        for record, why in zip(sealed.records, sealed.faults(content), strict=True):
            if why is not None:
                name = f"{record.key.plural} {record.key.name}"
                raise Damaged(f"{name} does not open with the root key: {why}")


def _root_key(staging: Path) -> bytes:
    """As services get it. What opens a wrapped one is said by the settings in the backup, and by the environment."""
    if not (staging / _ROOT_KEY).exists():
        raise Damaged("the backup has keys of KMS, and no root key")
    try:
        return RootKeyFile(staging / _ROOT_KEY, (), token_key_of(load_settings(home=staging))).content()
    except (OSError, Misuse) as closed:
        why = closed.message if isinstance(closed, Misuse) else closed.strerror
        raise Refused(
            f"the root key in the backup is not opened: {why}. Where a PKCS#11 token wrapped it, that "
            "token is needed here: set AEREKOS_PKCS11_MODULE, AEREKOS_PKCS11_TOKEN, AEREKOS_PKCS11_KEY and "
            "AEREKOS_PKCS11_PIN_FILE to it (docs/operations/lost-keys.md)"
        ) from closed


@contextmanager
def _staged(home: Path) -> Iterator[Path]:
    """A folder beside `home` that nobody else may read, gone at the end unless it was given its name."""
    staging = home.parent / f".{home.name}.restoring"
    home.parent.mkdir(parents=True, exist_ok=True)
    file = home.parent / f"{staging.name}.lock"
    lock = _locked(file, home)
    try:
        shutil.rmtree(staging, ignore_errors=True)  # of one that was killed
        staging.mkdir(mode=0o700)
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        file.unlink(missing_ok=True)
        os.close(lock)


def _locked(file: Path, home: Path) -> int:
    """The one lock: a file that another restore has just taken away locks out nobody, so it is made once more."""
    while True:
        lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise Refused(f"another restore into {home} is under way") from None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), file.lstat()):
                return lock
        os.close(lock)


def _name(staging: Path, home: Path) -> None:
    """All of it at once."""
    os.sync()
    staging.rename(home)
    handle = os.open(home.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
