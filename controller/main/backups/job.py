"""`python -m controller.main.backups.job`: one order of a Backup or BackupSchedule, in a process of its own: the
conductor neither waits for it nor carries its memory.

Reads one JSON object from stdin, writes lines of JSON to stdout: `{"read", "new"}` while it is at work, at last
`{"result"}` or `{"failure"}`. The passphrase is the first line of a file of the home: Secrets can be read by editors,
who could then read all there is.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from controller.backup.errors import BackupError, Refused
from controller.backup.locations import Folder, open_location
from controller.backup.repository import Repository, heads, open_or_make, open_repository
from controller.kit.modes import PRIVATE_UMASK
from controller.main.backups.choosing import chosen
from controller.main.backups.creating import Job, create_backup
from controller.main.backups.restoring import restore_backup
from controller.main.backups.scratch import scratch_folder
from controller.store.records import StoreError
from crds.formats import NewerFormat
from services.sdk.discovery import managed_services, use_folders

ESCROW_FILE = "escrow-passphrase"
TOLD_EVERY_BYTES = 16 << 20


def main() -> None:
    os.umask(PRIVATE_UMASK)
    order = json.load(sys.stdin)
    try:
        use_folders(order["servicesPath"])
        tell(result={"create": create, "check": check, "forget": forget}[order["action"]](order, opened(order)))
    except (BackupError, StoreError, NewerFormat, OSError) as refused:
        tell(failure=str(refused))


def create(order: dict[str, Any], repository: Repository) -> dict[str, Any]:
    made_at = datetime.fromisoformat(order["madeAt"])
    job = Job(Path(order["home"]), order["cloud"], managed_services(), order["mark"], made_at, order["store"])
    head = create_backup(job, repository, lambda: datetime.now(UTC))
    tell(read=repository.read_bytes, new=repository.new_bytes)
    elsewhere = ", ".join(sorted(repository.manifest(head.id).elsewhere))
    return {"id": head.id, "revision": head.revision, "resources": head.resources, "elsewhere": elsewhere}


def check(order: dict[str, Any], repository: Repository) -> dict[str, Any]:
    """The newest of this cloud, restored beside the home: on its disk, which has room for a cloud."""
    location = repository.location
    manifest = repository.manifest(chosen(heads(location), None, location.name, order["cloud"]).id)
    with scratch_folder(Path(order["home"]) / "run", "drill-") as folder:
        restored = restore_backup(repository, manifest, folder / "home", managed_services(), dry_run=True)
    counts = [f"{count} {what}" for each in restored.services.values() for what, count in each.items() if count]
    return {"id": restored.backup, "resources": sum(restored.kinds.values()), "counts": ", ".join(counts)}


def forget(order: dict[str, Any], repository: Repository) -> dict[str, Any]:
    return {"removed": repository.forget([order["id"]], datetime.now(UTC))}


def opened(order: dict[str, Any]) -> Repository:
    """A folder must be there already: who may write resources does not make folders on this machine."""
    location = open_location(order["to"])
    if isinstance(location, Folder) and not location.root.is_dir():
        raise Refused(f"there is no folder {location.name} on the conductor's machine: make it first")
    opening = open_or_make if order["action"] == "create" else open_repository
    repository, last = opening(location, passphrase(Path(order["home"]))), 0

    def told(read: int, new: int) -> None:
        nonlocal last
        if read - last >= TOLD_EVERY_BYTES:
            last = read
            tell(read=read, new=new)

    repository.told = told
    return repository


def passphrase(home: Path) -> str:
    """Raises Refused where the file is missing or empty."""
    file = home / "secrets" / ESCROW_FILE
    line = file.read_text(encoding="utf-8").split("\n", 1)[0].strip() if file.is_file() else ""
    if not line:
        raise Refused(f"{file} is missing or empty: put the escrow passphrase there")
    return line


def tell(**line: Any) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
