"""Sandboxes of managed services: which folders of our code they run, what they import, what they have in common."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import controller
import crds
import services
from controller.kit.clock import Clock
from controller.runtime.forking.client import ForkServer
from controller.runtime.process.sandboxing import Sandbox
from controller.runtime.process.spawning import inherited_environment
from crds.managed import ManagedService
from services.sdk.common_modules import COMMON_MODULES
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


def fork_server_of(clock: Clock) -> ForkServer:
    """The fork server of all managed services. It is begun with what every one of them inherits, and nothing more."""
    return ForkServer(COMMON_MODULES, inherited_environment(), clock)
