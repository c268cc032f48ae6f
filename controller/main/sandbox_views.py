"""Sandboxes of managed services: which folders of our code they run, and what they import."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import controller
import crds
import services
from controller.runtime.process.sandboxing import Sandbox
from crds.managed import ManagedService
from services.sdk.discovery import folder_elsewhere

# What a service's process runs of ours; the API, the CLI and the agent are none of its business.
_PACKAGES = (controller, crds, services)
_ENTRY = "services.sdk.run"


def sandbox_of(home: Path, managed: Iterable[ManagedService]) -> Sandbox:
    """The sandbox of all managed services of that home."""
    managed = tuple(managed)
    named = (each.create.partition(":")[0] for each in managed)
    folders = [Path(str(each.__file__)).parent for each in _PACKAGES]
    folders += filter(None, (folder_elsewhere(each.name) for each in managed))
    return Sandbox(home, folders, (_ENTRY, *dict.fromkeys(named)))
