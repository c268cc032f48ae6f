"""The title of a process: what `ps` shows as its command line. Written over the arguments it was started with."""

from __future__ import annotations

import ctypes
from pathlib import Path

ROOM = "." * 255
"""An argument that makes room for titles."""
_ARG_START, _ARG_END = 47, 48  # in /proc/<pid>/stat, from 0; see proc(5)


def set_title(text: str) -> None:
    """Replace this process's command line, cut to the room there is. Raises OSError."""
    stat = Path("/proc/self/stat").read_bytes()
    fields = stat.rpartition(b")")[2].split()
    start, end = (int(fields[number - 2]) for number in (_ARG_START, _ARG_END))
    room = end - start
    # The kernel takes a last byte that is not NUL for a title that ends at the first NUL: no padding is seen.
    title = text.encode()[: room - 2] + b"\0"
    ctypes.memmove(start, title.ljust(room, b"."), room)
