"""Backing up a home, beside its conductor or without one: `create_backup`.

The order is what makes it one cloud: data of services first, then the store. Whatever the data name (buckets, keys)
is then in the store; what came in between lacks data at most. The files of keys are read before the store and after
it, and the store again when they differ: rows must find the key that opens them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from controller.backup.errors import Damaged, Refused
from controller.backup.manifest import Entry, Head, Manifest, ServiceData
from controller.backup.repository import MANIFESTS, Repository, heads, new_id
from controller.kit.version import version
from controller.main.backups.files import names_below, put_file
from controller.main.backups.scratch import scratch_folder
from controller.store import dump
from controller.store.tables import from_microseconds
from crds.kinds.service import SERVICE
from crds.managed import ManagedService
from services.sdk.backup import BackupHooks
from services.sdk.discovery import load

STORE = Path("store") / "records.db"
KEPT_FOLDERS = ("secrets", "tls")
KEPT_FILES = ("settings.toml", "run/founded")
ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Job:
    """What is backed up. `cloud`: what people call it. `mark`: eight hex digits, the same when it is tried again.
    `store`: the URL of its store, where that is no file in the home.
    """

    home: Path
    cloud: str
    services: Sequence[ManagedService]
    mark: str
    made_at: datetime
    store: str = ""

    @property
    def store_url(self) -> str:
        """As `dump.reading` takes it."""
        return self.store or f"sqlite:///{self.home / STORE}"


def create_backup(job: Job, repository: Repository, now: Callable[[], datetime]) -> Head:
    """The head of the backup, which is whole when this returns. One that is there already is left as it is.

    Raises BackupError, StoreBroken for a store that cannot be read, OSError for a file that cannot.
    """
    id = new_id(job.made_at, job.mark)
    if repository.location.read(MANIFESTS + id) is not None:
        return repository.manifest(id).head
    if not job.store and not (job.home / STORE).is_file():
        raise Refused(f"there is no cloud in {job.home}")
    before = _before(repository, job.cloud)
    services = {
        each.service_name: found
        for each in job.services
        if (found := _service_data(job.home, each, repository, before)) is not None
    }
    core = _store_and_keys(job, repository)
    entries = [*core.files, *core.blocks, *(file for each in services.values() for file in each.files)]
    head = Head(
        id=id,
        cloud=job.cloud,
        made_at=job.made_at,
        program=version(),
        revision=core.dumped.revision,
        oldest=core.dumped.compacted,
        oldest_at=from_microseconds(core.oldest_at),
        resources=core.dumped.living,
        size=sum(each.size for each in entries),
    )
    elsewhere = {name: workers for name, workers in core.data_on.items() if name not in services}
    repository.commit(Manifest(head, core.dumped.wire(), core.blocks, core.files, services, elsewhere), now())
    return head


def _before(repository: Repository, cloud: str) -> Manifest | None:
    """The newest backup of this cloud that can be read: what has not changed since is not read again."""
    for head in reversed(heads(repository.location)):
        with suppress(Damaged):
            if head.cloud == cloud:
                return repository.manifest(head.id)
    return None


def _service_data(
    home: Path, service: ManagedService, repository: Repository, before: Manifest | None
) -> ServiceData | None:
    """None for a service without a data folder, or one that keeps nothing in it."""
    folder = home / "data" / service.service_name
    if not service.backup or not folder.is_dir():
        return None
    hooks: BackupHooks = load(service.backup)
    found = before.services.get(service.service_name) if before else None
    known = {each.name: each for each in found.files} if found else {}
    for left in reversed(range(ATTEMPTS)):
        try:
            return _snapshot(home, folder, hooks, repository, known)
        except FileNotFoundError:  # erased since the snapshot: the next one does without it
            if not left:
                raise
        except (ValueError, sqlite3.Error) as odd:
            raise Refused(f"the data of {service.service_name} cannot be read: {odd}") from odd
    raise AssertionError("unreachable")


def _snapshot(
    home: Path, folder: Path, hooks: BackupHooks, repository: Repository, known: dict[str, Entry]
) -> ServiceData:
    """`known` is added to. One file that was erased ends it after all others were read: to read a big store takes
    longer than a blob stays that nobody names any more, and the next snapshot then has what is new alone to read.
    """
    files, erased = list[Entry](), list[FileNotFoundError]()
    with scratch_folder(home / "run", "backup-") as scratch:
        found = hooks.snapshot(folder, scratch)
        for each in found.files:
            try:
                files.append(put_file(repository, each.root, each.name, known.get(each.name)))
            except FileNotFoundError as gone:
                erased.append(gone)
                continue
            if each.root != scratch:  # a copy is made anew each time
                known[each.name] = files[-1]
    if erased:
        raise erased[0]
    return ServiceData(hooks.format, found.counts, tuple(files))


class _Core(NamedTuple):
    files: tuple[Entry, ...]
    blocks: tuple[Entry, ...]
    dumped: dump.Dumped
    oldest_at: int
    data_on: dict[str, list[str]]


def _store_and_keys(job: Job, repository: Repository) -> _Core:
    home = job.home
    files = _kept_files(home, repository)
    for _ in range(ATTEMPTS):
        with dump.reading(job.store_url) as store:
            data_on = _data_on(store, job.services)
            blocks = tuple(repository.put_entry(f"{each.number:012d}", each.pieces) for each in store.blocks())
        found, files = files, _kept_files(home, repository)
        if [(each.name, each.chunks) for each in found] == [(each.name, each.chunks) for each in files]:
            return _Core(files, blocks, store.dumped, store.oldest_at, data_on)
    raise Refused("the keys of this cloud are changed all the time: wait until their rotation is over")


def _data_on(store: dump.StoreReader, services: Sequence[ManagedService]) -> dict[str, list[str]]:
    """Managed services that have run, and the workers that keep their data."""
    names, found = {each.name: each.service_name for each in services if each.backup}, dict[str, list[str]]()
    for each in store.living(SERVICE.group, SERVICE.plural):
        name, workers = names.get(each["spec"].get("managed")), each.get("status", {}).get("dataOn")
        if name and workers:
            found[name] = [workers] if isinstance(workers, str) else sorted({*workers, *found.get(name, ())})
    return found


def _kept_files(home: Path, repository: Repository) -> tuple[Entry, ...]:
    names = [name for folder in KEPT_FOLDERS for name in names_below(home, folder)]
    names += [name for name in KEPT_FILES if (home / name).is_file()]
    return tuple(put_file(repository, home, name) for name in names)
