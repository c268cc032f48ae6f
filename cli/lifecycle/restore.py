"""`aerekos restore`: a cloud from a backup, in a home that is empty or not there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cli.lifecycle.backup import complain_of_gaps, counted, follow, read_passphrase, refusals
from cli.output import Progress
from cli.resources.moments import read_time
from controller.backup.locations import open_location
from controller.backup.manifest import Manifest
from controller.backup.repository import Repository, heads, open_repository
from controller.main.backups.choosing import Moment, chosen
from controller.main.backups.restoring import require_blank, restore_backup
from controller.main.errors import Misuse
from controller.main.settings import Settings
from crds.model import rfc3339
from services.sdk.discovery import managed_services, use_folders


@dataclass(frozen=True, slots=True)
class Which:
    """The options that choose a backup; each may be empty."""

    as_of: str = ""
    backup: str = ""
    cloud: str = ""


def restore(settings: Settings, place: str, passphrase_file: Path, which: Which, *, dry_run: bool) -> str:
    """What is there now, in words. Raises UserError; nothing is changed then."""
    moment = moment_of(which.as_of)
    with refusals(), Progress("reading the backups") as progress:
        require_blank(settings.home)
        use_folders(settings.services_path)
        repository = open_repository(open_location(place), read_passphrase(passphrase_file))
        manifest = manifest_of(repository, moment, which)
        follow(repository, progress, f"restoring {manifest.head.id}")
        found = restore_backup(
            repository, manifest, settings.home, managed_services(), moment=moment, dry_run=dry_run
        )
    complain_of_gaps(manifest)
    lines = [f"backup {found.backup}, made {rfc3339(manifest.head.made_at)}: {counted(found)}"]
    if moment is not None:
        lines.append(
            f"as of {moment}: {found.changed} resources are put back; the data of services are those of the backup"
        )
    lines += [f"  {count:>7} {plural}" for plural, count in found.kinds.items()]
    lines.append(
        f"nothing was changed; without --dry-run this goes into {settings.home}"
        if dry_run
        else f"restored into {settings.home}; start it: aerekos up --home {settings.home}"
    )
    return "\n".join(lines)


def moment_of(text: str) -> Moment | None:
    """What `--as-of` means; None where it is empty. Raises Misuse."""
    if not text:
        return None
    if text.isdecimal() and int(text) > 0:
        return Moment(revision=int(text))
    at = read_time(text, "--as-of")
    if at > datetime.now(UTC):
        raise Misuse(f"--as-of: {rfc3339(at)} is still to come", hint="a moment of the past, such as 2h")
    return Moment(at)


def manifest_of(repository: Repository, moment: Moment | None, which: Which) -> Manifest:
    """The backup that is meant. Raises Refused."""
    if which.backup:
        manifest = repository.manifest(which.backup)
        chosen([manifest.head], moment, f"backup {which.backup}", which.cloud)
        return manifest
    place = repository.location
    return repository.manifest(chosen(heads(place), moment, place.name, which.cloud).id)
