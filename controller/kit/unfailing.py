"""Logs on a disk that takes nothing more: what cannot be written is counted, and nobody ends because of it.

A log call stands in the middle of other work. Raised there, "no space left on device" would end a request or a whole
task group, and whoever logs the failure fails again.
"""

from __future__ import annotations

import json
from typing import TextIO, cast


class Unfailing:
    """A stream for loggers. Once there is room again it says how many writes were lost, in a JSON line of its own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost = 0
        """Writes lost since the last that arrived."""
        self._because = ""

    def write(self, text: str) -> int:
        """Written through at once: what waits in a buffer fails later, in somebody else's hands."""
        try:
            self._stream.write(self._confession() + text)
            self._stream.flush()
        except (OSError, ValueError) as error:  # ValueError: a stream that was closed
            self.lost += 1
            self._because = getattr(error, "strerror", None) or str(error)
        else:
            self.lost = 0
        return len(text)

    def flush(self) -> None:
        """Nothing waits."""

    def _confession(self) -> str:
        if not self.lost:
            return ""
        told = {"level": "warning", "event": "log lines were lost", "count": self.lost, "because": self._because}
        # The newline first: the last write before may have stopped in the middle of its line.
        return f"\n{json.dumps(told)}\n"


def unfailing(stream: TextIO) -> TextIO:
    """That stream, for whoever wants a file."""
    return cast(TextIO, Unfailing(stream))
