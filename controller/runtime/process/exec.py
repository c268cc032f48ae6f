"""Running a command beside an instance: in its environment and data folder, with pipes or a terminal.

The command is given with its walls around it (see `sandboxing`). It ends with its caller.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import anyio.abc

from controller.runtime.driver import DriverError, Execution, OutputSink

_BLOCK = 64 * 1024
_LAST_WORDS_SECONDS = 0.5


@asynccontextmanager
async def executing(
    command: Sequence[str], env: Mapping[str, str], folder: Path, *, tty: bool
) -> AsyncIterator[Execution]:
    """Raises DriverError when the command cannot be started."""
    try:
        running = await (_InTerminal.start if tty else _Piped.start)(command, env, folder)
    except (OSError, ValueError) as refused:
        raise DriverError(f"{command[0]} cannot be started: {refused}", retryable=False) from refused
    try:
        yield running
    finally:
        running.end()


class _Piped:
    """Standard output and error apart."""

    def __init__(self, process: anyio.abc.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, command: Sequence[str], env: Mapping[str, str], folder: Path) -> _Piped:
        process = await anyio.open_process(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            cwd=folder,
            start_new_session=True,
        )
        return cls(process)

    async def run(self, told: OutputSink) -> int:
        async with anyio.create_task_group() as tasks:
            for channel, stream in ((1, self._process.stdout), (2, self._process.stderr)):
                tasks.start_soon(self._pass_on, channel, stream, told)
            code = await self._process.wait()
            # What it started in the background may hold the pipes open: it is not waited for.
            tasks.cancel_scope.deadline = anyio.current_time() + _LAST_WORDS_SECONDS
        return code

    async def _pass_on(self, channel: int, stream: anyio.abc.ByteReceiveStream | None, told: OutputSink) -> None:
        assert stream is not None
        with suppress(anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            while True:
                await told(channel, await stream.receive(_BLOCK))

    async def write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            if data:
                await self._process.stdin.send(data)
            else:
                await self._process.stdin.aclose()

    def resize(self, columns: int, rows: int) -> None:
        """Pipes have no size."""

    def end(self) -> None:
        """End the command with all it left in its group, which nobody would end any more."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


class _InTerminal:
    """Both outputs come as one, as a terminal shows them."""

    def __init__(self, process: asyncio.subprocess.Process, terminal: int) -> None:
        self._process, self._terminal = process, terminal

    @classmethod
    async def start(cls, command: Sequence[str], env: Mapping[str, str], folder: Path) -> _InTerminal:
        ours, theirs = pty.openpty()
        os.set_blocking(ours, False)
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                env={"TERM": "xterm-256color", **env},
                cwd=folder,
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                preexec_fn=lambda: _own_terminal(theirs),
            )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        return cls(process, ours)

    async def run(self, told: OutputSink) -> int:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._pass_on, told)
            code = await self._process.wait()
            tasks.cancel_scope.deadline = anyio.current_time() + _LAST_WORDS_SECONDS
        return code

    async def _pass_on(self, told: OutputSink) -> None:
        with suppress(OSError):  # a terminal nobody holds any more answers with EIO
            while True:
                await anyio.wait_readable(self._terminal)
                await told(1, os.read(self._terminal, _BLOCK))

    async def write(self, data: bytes) -> None:
        data = data or b"\x04"  # end of input, as a terminal knows it
        with suppress(OSError):
            while data:
                await anyio.wait_writable(self._terminal)
                data = data[os.write(self._terminal, data) :]

    def resize(self, columns: int, rows: int) -> None:
        with suppress(OSError):
            fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def end(self) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        os.close(self._terminal)


def _own_terminal(terminal: int) -> None:
    """In the child: a session of its own, which this terminal controls, so that Ctrl-C reaches it."""
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
