"""A process group as the kernel knows it: does it live, when did it end and how, signals.

Works for our own children and for adopted ones (children of an earlier conductor). A pid alone is never
trusted: it is compared with the start time, and held by a pidfd while we look at it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import anyio
import anyio.to_thread


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of a process. Both None: it was not our child, nobody told us."""

    code: int | None = None
    signal: int | None = None

    def __str__(self) -> str:
        if self.signal is not None:
            return f"killed by {_signal_name(self.signal)}"
        if self.code is None:
            return "ended (how is unknown: what started it is gone)"
        hint = {126: " (command not executable)", 127: " (command not found)"}.get(self.code, "")
        return f"exit code {self.code}{hint}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@cache
def boot_id() -> str:
    """Changes at each boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_ticks(pid: int) -> int | None:
    """Start time of that process in clock ticks since boot; None when it is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The command's name stands in parentheses and may contain anything; what follows the last one is plain.
    fields = stat.rpartition(b")")[2].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def leader_writing_to(file: Path) -> int | None:
    """The leader of a session whose standard output is that file; None when there is none we may look at."""
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        with contextlib.suppress(OSError):
            if (folder / "fd" / "1").samefile(file) and os.getsid(pid) == pid:
                return pid
    return None


def lives(pid: int, ticks: int) -> bool:
    """Whether this very process still runs."""
    return start_ticks(pid) == ticks


def signal_group(group: int, number: int) -> bool:
    """False when there is no such group any more."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def signal_leader(group: int, number: int) -> bool:
    """To its first process alone. False when there is none any more."""
    try:
        os.kill(group, number)
    except ProcessLookupError:
        return False
    return True


class Process:
    """The leader of a process group, held by a pidfd. Close it; closing does not end the process.

    `reap`: the wait status of one that is another process's child, None when nobody knows it; it may block.
    """

    def __init__(self, pid: int, reap: Callable[[], int | None] | None = None) -> None:
        """Raises ProcessLookupError when it is gone."""
        self.pid, self._reap = pid, reap
        self._pidfd = os.pidfd_open(pid)
        self._ended = False

    async def wait(self) -> Exit:
        """Wait until the leader ends; what it left behind in its group is killed, because it holds port and data."""
        await anyio.wait_readable(self._pidfd)
        # Before reaping: as long as the leader is a zombie nobody else can get its number.
        signal_group(self.pid, signal.SIGKILL)
        self._ended = True
        if self._reap is None:
            return reap(self.pid)
        return exit_of(await anyio.to_thread.run_sync(self._reap))

    def kill(self) -> None:
        """End the group, and wait until it has: nobody waits for it otherwise. Blocks."""
        signal_group(self.pid, signal.SIGKILL)
        select.select([self._pidfd], [], [])
        self._ended = True
        if self._reap is None:
            reap(self.pid)
        else:
            self._reap()

    def signal(self, number: int) -> None:
        """Send a signal to the whole group. No error when it is gone."""
        if not self._ended:
            signal_group(self.pid, number)

    def signal_leader(self, number: int) -> None:
        """Send a signal to the leader alone, which tells the others itself. No error when it is gone."""
        if not self._ended:
            signal_leader(self.pid, number)

    def close(self) -> None:
        """Let go of it."""
        if self._pidfd >= 0:
            with contextlib.suppress(OSError):
                os.close(self._pidfd)
        self._pidfd = -1


def reap(pid: int) -> Exit:
    """The exit of an ended child, or an unknown one when it is not ours."""
    try:
        gone, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return Exit()
    return exit_of(status if gone else None)


def exit_of(status: int | None) -> Exit:
    """The exit of that wait status; None is an unknown one."""
    if status is None:
        return Exit()
    code = os.waitstatus_to_exitcode(status)
    return Exit(code=code) if code >= 0 else Exit(signal=-code)
