"""`aerekos backup`: of the home on this machine, by whoever owns it. No cloud has to answer."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from cli.output import Progress, as_json, as_yaml, complain
from cli.tables import grid
from controller.backup.errors import BackupError
from controller.backup.locations import open_location
from controller.backup.manifest import Head, Manifest
from controller.backup.repository import Repository, heads, ids, open_or_make, open_repository
from controller.health.machine import human
from controller.main.backups.choosing import chosen
from controller.main.backups.creating import Job, create_backup
from controller.main.backups.restoring import Restored, restore_backup
from controller.main.backups.scratch import scratch_folder
from controller.main.errors import Misuse, UserError
from controller.main.settings import Settings
from controller.store.records import StoreError
from crds.formats import NewerFormat
from crds.model import rfc3339
from services.sdk.discovery import ServiceFolderError, managed_services, use_folders


def create(settings: Settings, to: str, passphrase_file: Path) -> str:
    """What was backed up, in words. Raises UserError."""
    with refusals(), Progress("reading the backups that are there") as progress:
        use_folders(settings.services_path)
        repository = open_or_make(open_location(to), read_passphrase(passphrase_file))
        follow(repository, progress, "backing up")
        now = datetime.now(UTC)
        job = Job(settings.home, settings.name, managed_services(), secrets.token_hex(4), now, settings.store)
        head = create_backup(job, repository, lambda: datetime.now(UTC))
        manifest = repository.manifest(head.id)
    complain_of_gaps(manifest)
    size = f"{human(head.size)} ({human(repository.new_bytes)} new)"
    held = "".join(f"; {name}: {words}" for name, each in manifest.services.items() if (words := told(each.counts)))
    return f"backup {head.id}: {head.resources} resources, {size}, in {repository.location.name}{held}"


def listed(place: str, output: str) -> str:
    """The backups of that place, oldest first. Raises UserError."""
    if output not in ("table", "json", "yaml"):
        raise Misuse(f'-o: "{output}" is not known', hint="one of table, json, yaml")
    with refusals():
        found = heads(opened := open_location(place))
        if damaged := sorted(set(ids(opened)) - {each.id for each in found}):
            complain(f"cannot be read, and are no backups any more: {', '.join(damaged)}")
    if output != "table":
        told = [_told(each) for each in found]
        return as_json(told) if output == "json" else as_yaml(told)
    if not found:
        return f"no backup in {place}"
    rows = [
        [each.id, each.cloud, rfc3339(each.made_at), rfc3339(each.oldest_at), str(each.resources), human(each.size)]
        for each in found
    ]
    return grid(["BACKUP", "CLOUD", "MADE", "AS-OF BACK TO", "RESOURCES", "SIZE"], rows)


def check(settings: Settings, place: str, passphrase_file: Path, cloud: str) -> str:
    """Try the newest backup of that cloud; it may be left empty where there is one. Raises UserError for one that
    could not be restored.
    """
    with refusals(), Progress("reading the backups") as progress:
        use_folders(settings.services_path)
        repository = open_repository(open_location(place), read_passphrase(passphrase_file))
        follow(repository, progress, "restoring into a folder of its own")
        manifest = repository.manifest(chosen(heads(repository.location), None, place, cloud).id)
        with scratch_folder(Path(tempfile.gettempdir()), "aerekos-check-") as folder:
            found = restore_backup(repository, manifest, folder / "home", managed_services(), dry_run=True)
    complain_of_gaps(manifest)
    return f"backup {found.backup} is whole: {counted(found)}"


def delete(place: str, passphrase_file: Path, named: Sequence[str]) -> str:
    """What went, in words; damaged ones may go. Raises UserError, before anything does, for an id that is none."""
    with refusals():
        repository = open_repository(location := open_location(place), read_passphrase(passphrase_file))
        if unknown := sorted(set(named) - set(ids(location))):
            raise UserError(f"there is no backup {', '.join(unknown)} in {place}", hint="aerekos backup list")
        gone = repository.forget(named, datetime.now(UTC))
    return f"{', '.join(named)} deleted; {gone} chunks that nothing had named for a day are gone"


def complain_of_gaps(manifest: Manifest) -> None:
    """Name what is not in that backup, though it should be."""
    for name, workers in sorted(manifest.elsewhere.items()):
        complain(f"the data of {name} are NOT in backup {manifest.head.id}: they lie on {', '.join(workers)}")
    for name, each in sorted(manifest.services.items()):
        if missing := each.counts.get("missing"):
            complain(f"{name} has lost {missing} of its files itself: they are not in backup {manifest.head.id}")


def told(counts: dict[str, int]) -> str:
    """Counts of a service, in words; empty where it holds nothing."""
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def read_passphrase(file: Path) -> str:
    """The first line of that file. Raises UserError for one that others may read, or without any."""
    try:
        if file.stat().st_mode & 0o077 and file.is_file():
            raise UserError(f"{file} can be read by others", hint=f"chmod 600 {file}")
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as odd:
        raise UserError(
            f"--passphrase-file {file}: {odd}", hint="a file with the passphrase in its first line"
        ) from odd
    line = text.split("\n", 1)[0].rstrip("\r")
    if not line:
        raise UserError(
            f"--passphrase-file {file}: its first line is empty", hint=f"openssl rand -base64 24 > {file}"
        )
    return line


def follow(repository: Repository, progress: Progress, doing: str) -> None:
    """Tell what is read, every 16 MiB."""
    last = 0

    def note(read: int, new: int) -> None:
        nonlocal last
        if read - last >= 16 << 20:
            last = read
            progress.now(f"{doing}: {human(read)} read" + (f", {human(new)} new" if new else ""))

    progress.now(doing)
    repository.told = note


def counted(found: Restored) -> str:
    """What a restore counted, in words."""
    parts = [f"{sum(found.kinds.values())} resources at revision {found.revision}"]
    for name, counts in sorted(found.services.items()):
        parts += [f"{name}: {', '.join(f'{count} {what}' for what, count in counts.items() if count)}"]
    return "; ".join(parts)


@contextmanager
def refusals() -> Iterator[None]:
    """What goes wrong inside is told as a UserError."""
    try:
        yield
    except (BackupError, StoreError, NewerFormat, ServiceFolderError) as refused:
        raise UserError(str(refused)) from refused
    except PermissionError as refused:
        raise UserError(
            f"{refused.filename}: {refused.strerror}", hint=f"as its owner; you are user {os.geteuid()}"
        ) from refused
    except OSError as refused:
        raise UserError(f"{refused.filename or ''} {refused.strerror or refused}".strip()) from refused


def _told(head: Head) -> dict[str, object]:
    return {
        "id": head.id,
        "cloud": head.cloud,
        "madeAt": rfc3339(head.made_at),
        "asOfBackTo": rfc3339(head.oldest_at),
        "program": head.program,
        "revision": head.revision,
        "oldestRevision": head.oldest,
        "resources": head.resources,
        "bytes": head.size,
    }
