"""Sockets of managed services: where the gateway of the same machine reaches an instance without TLS.

The conductor makes each one, in a folder that only its own user may enter, and hands it to the process it starts: so
the gateway knows who answers there, for nobody else was given the socket, and the instance knows who asks.
"""

from __future__ import annotations

import socket
from pathlib import Path

from controller.kit.unix_sockets import listen_on

COUNT = "AEREKOS_SOCKETS"
"""The variable that says how many listening sockets a process was handed, from descriptor 3 on."""
_PRIVATE = 0o700


class InstanceSockets:
    """The folder of them, in `home`."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "run" / "services"

    def open(self, instance: str) -> socket.socket:
        """A new one, for a process that is about to start. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=_PRIVATE)
        return listen_on(self._path(instance))

    def path(self, instance: str) -> str:
        """Where the running instance has its own; empty when an earlier version started it, without one."""
        path = self._path(instance)
        return str(path) if path.exists() else ""

    def remove(self, instance: str) -> None:
        """The instance is not wanted any more."""
        self._path(instance).unlink(missing_ok=True)

    def _path(self, instance: str) -> Path:
        return self._folder / f"{instance}.sock"
