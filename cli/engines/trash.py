"""`aerekos engine trash`: the data of engines that were deleted, where it lies, and how it comes back."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from cli.tables import grid
from controller.runtime.process import volumes
from crds.model import rfc3339
from crds.quantity import format_bytes


def found(home: Path) -> list[dict[str, Any]]:
    """Each as JSON has it, oldest first."""
    return [
        {
            "service": each.name,
            "deletedAt": rfc3339(each.since),
            "keptUntil": rfc3339(each.until),
            "used": format_bytes(volumes.used(each.path)),
            "path": str(each.path),
            "restore": shlex.join(["mv", str(each.path), str(home / "data" / each.name)]),
        }
        for each in volumes.trashed(home)
    ]


def render(trashed: list[dict[str, Any]]) -> str:
    """A table, and the command that brings each back."""
    if not trashed:
        return "there is nothing: no engine was deleted in the last week"
    rows = [(each["service"], each["deletedAt"], each["keptUntil"], each["used"]) for each in trashed]
    table = grid(("SERVICE", "DELETED", "KEPT UNTIL", "USED"), rows)
    how = "\n".join(f"  {each['restore']}" for each in trashed)
    return f"{table}\nto have one back, before its Service is made again:\n{how}"
