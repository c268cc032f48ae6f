"""The process that evaluates CEL, as whoever asks sees it: an answer within the time given, or an error.

It is started when the first policy is asked for. One that takes too long, or too much memory, is ended; the next
question starts another.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import Any

from controller.kit.libraries import library_path

SECONDS = 0.5
START_SECONDS = 20.0
_ROOT = Path(__file__).parents[2]


class TooExpensive(Exception):
    """The expression gave no answer in time, or within the memory there is."""


class Evaluator:
    """Blocks while it waits: a policy is part of the write it judges. Asked from one thread only."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, question: dict[str, Any]) -> Any:
        """The answer. Raises TooExpensive."""
        process = self._running()
        try:
            return self._answer(process, json.dumps(question).encode() + b"\n", self._seconds)
        except (OSError, TooExpensive, ValueError) as error:
            self.close()
            if isinstance(error, TooExpensive):
                raise
            raise TooExpensive(f"the evaluation ended: {error}") from error

    def close(self) -> None:
        """End the process, if one runs."""
        if self._process is not None:
            _end(self._process)
            self._process = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            # Isolated from the user's own modules, and without our environment: there are secrets' paths in it.
            command = [sys.executable, "-P", "-m", "controller.admission.cel"]
            environment = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(_ROOT), **library_path()}
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                cwd="/",
            )
            weakref.finalize(self, _end, self._process)
            try:
                self._answer(self._process, b"", START_SECONDS)
            except (OSError, TooExpensive, ValueError):
                self.close()
                raise TooExpensive("the process that evaluates expressions does not start") from None
        return self._process

    def _answer(self, process: subprocess.Popen[bytes], line: bytes, seconds: float) -> Any:
        assert process.stdin is not None and process.stdout is not None
        out, into = process.stdout.fileno(), process.stdin.fileno()
        os.set_blocking(into, False)
        deadline, answer = time.monotonic() + seconds, bytearray()
        while not answer.endswith(b"\n"):
            left = deadline - time.monotonic()
            ready, free, _ = select.select([out], [into] if line else [], [], max(left, 0))
            if not ready and not free:
                raise TooExpensive(f"the evaluation takes longer than {seconds:g} s")
            if free:
                with contextlib.suppress(BlockingIOError):
                    line = line[os.write(into, line) :]
            if ready:
                part = os.read(out, 1 << 16)
                if not part:
                    raise TooExpensive("the evaluation needs more memory than it may have")
                answer += part
        return json.loads(answer)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    process.wait()
