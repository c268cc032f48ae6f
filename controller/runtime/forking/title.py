"""The command line and the environment that `ps` and /proc show of a process: the memory it was started with.

The fork server is started with more of both than it needs, to make room for those of its children.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from pathlib import Path

ROOM = "." * 255
"""An argument that makes room for titles."""
ENVIRONMENT_ROOM = {"AEREKOS_ROOM": "." * 16_384}
# Fields of /proc/<pid>/stat, from 1; see proc(5).
_ARG_START, _ARG_END, _ENV_START, _ENV_END = 48, 49, 50, 51
_STATE = 3


def set_title(text: str) -> None:
    """Replace the command line, cut to the room there is. Raises OSError."""
    start, end = _area(_ARG_START, _ARG_END)
    # The kernel takes a last byte that is not NUL for a title that ends at the first NUL: no padding is seen.
    title = text.encode()[: end - start - 2] + b"\0"
    ctypes.memmove(start, title.ljust(end - start, b"."), end - start)


def show_environment(env: Mapping[str, str]) -> None:
    """Show that one, cut to whole variables that fit. Call it when nothing uses the old one any more. Raises
    OSError.
    """
    start, end = _area(_ENV_START, _ENV_END)
    shown = b""
    for pair in (f"{name}={text}\0".encode() for name, text in env.items()):
        shown += pair if len(shown) + len(pair) <= end - start else b""
    ctypes.memmove(start, shown.ljust(end - start, b"\0"), end - start)


def _area(first: int, last: int) -> tuple[int, int]:
    # The command's name stands in parentheses and may contain anything; what follows the last one is plain.
    fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    return int(fields[first - _STATE]), int(fields[last - _STATE])
