"""Notifications of a process to systemd: that it is ready, that it still lives, that it stops.

Source: sd_notify(3), systemd.service(5) (`Type=notify`, `WatchdogSec=`). Without a `NOTIFY_SOCKET` nothing happens.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

import anyio

MICROSECONDS = 1_000_000


class Notifier:
    """Takes the variables out of the environment it is given: children speak for themselves, or not at all."""

    def __init__(self, env: MutableMapping[str, str] = os.environ) -> None:
        self._address = env.pop("NOTIFY_SOCKET", "")
        microseconds, pid = env.pop("WATCHDOG_USEC", ""), env.pop("WATCHDOG_PID", "")
        meant = pid in ("", str(os.getpid()))
        self.watchdog_seconds = int(microseconds) / MICROSECONDS if microseconds.isdigit() and meant else 0.0

    def ready(self) -> None:
        """The service is up."""
        self._send("READY=1")

    def stopping(self) -> None:
        """The service ends, and that is no failure."""
        self._send("STOPPING=1")

    async def keep_alive(self) -> None:
        """Tell it twice in each time that systemd grants, until cancelled. A loop that hangs falls silent."""
        while self.watchdog_seconds:
            self._send("WATCHDOG=1")
            await anyio.sleep(self.watchdog_seconds / 2)

    def _send(self, state: str) -> None:
        """Never waits and never fails: who does not listen is not told."""
        if not self._address:
            return
        # An address that begins with @ is in the abstract namespace (unix(7)).
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as told:
                told.sendto(state.encode(), address)
        except OSError:
            return
