"""One process of a fork server, as the conductor holds it: its socket, its end, its children."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from controller.runtime.forking import messages
from controller.runtime.forking.title import ENVIRONMENT_ROOM, ROOM

MODULE = "controller.runtime.forking.server"
# It imports for half a second; a machine that starts thirty things at once takes longer.
LOAD_SECONDS, ANSWER_SECONDS, END_SECONDS = 30.0, 10.0, 2.0


def server_command(control: int) -> tuple[str, ...]:
    """What starts a server that is asked at that descriptor."""
    return (sys.executable, "-P", "-m", MODULE, str(control), ROOM)


class ServerLost(Exception):
    """The fork server did not answer, and is gone."""


class RunningServer:
    """Several threads may ask it; they wait for each other, never for another server. It ends when the socket is
    closed, so never outlives its conductor.
    """

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket) -> None:
        self._process, self._control = process, control
        self._lock = threading.RLock()
        self.children: set[int] = set()
        self.retired = False

    @classmethod
    def begin(cls, modules: Sequence[str], env: Mapping[str, str]) -> RunningServer:
        """One that has loaded `modules`. Blocks. Raises ServerLost, OSError."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                server_command(theirs.fileno()),
                env={**env, **ENVIRONMENT_ROOM},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        server = cls(process, ours)
        server.ask({"modules": list(modules)}, seconds=LOAD_SECONDS)
        return server

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> str:
        """How it ended, in words; empty while it lives."""
        code = self._process.poll()
        return "" if code is None else f"exit code {code}"

    def open_pidfd(self) -> int:
        """Readable when it ends; whoever opens it closes it. Raises OSError when it is gone."""
        if self.ended:
            raise ProcessLookupError(self.ended)
        return os.pidfd_open(self.pid)

    def ask(
        self, message: dict[str, Any], descriptors: Sequence[int] = (), seconds: float = ANSWER_SECONDS
    ) -> dict[str, Any]:
        """Its answer. One that does not answer in time is ended: what it says later would answer something else.
        Raises ServerLost.
        """
        with self._lock:
            try:
                self._control.settimeout(seconds)
                messages.send(self._control, message, descriptors)
                return messages.receive(self._control)[0]
            except (OSError, EOFError, ValueError) as lost:
                self.end(kill=not isinstance(lost, EOFError))
                raise ServerLost(f"{str(lost) or type(lost).__name__} ({self.ended})") from lost

    def retire(self) -> None:
        """End it as soon as nobody can ask about a child of it any more."""
        with self._lock:
            self.retired = True
            if not self.children:
                self.end()

    def reap(self, pid: int) -> int | None:
        """Wait status of an ended child; None when it cannot be known."""
        with self._lock:
            self.children.discard(pid)
            try:
                status: int | None = self.ask({"reap": pid})["status"]
            except ServerLost:
                return None
            if self.retired and not self.children:
                self.end()
            return status

    def end(self, *, kill: bool = False) -> None:
        """End it; its children stay."""
        self._control.close()
        if kill:
            self._process.kill()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
