"""Ends what an instance has left behind: processes in sessions of their own, which outlive the first one.

A server like PostgreSQL gives each connection such a process. One that is busy, or was stopped (SIGSTOP), goes on
after its first process was killed: it may still write to the data that the next start recovers, and hold a client for
ever. They are known by the folder they work in, which is looked up as the kernel has it (within walls it has another
name), by its owner, whose processes they are, and by having no terminal: somebody who looks around in that folder has
one. Blocking.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_DEPTH = 2
"""Volumes, and a folder for each version in them."""


def end_leftovers(folder: Path) -> list[int]:
    """Kill every process that works in that folder, or not far below it. The numbers of those that were killed."""
    places = set(_places(folder, _DEPTH))
    if not places:
        return []
    found = [pid for pid in _processes() if _works_in(pid) in places and _is_servers(pid)]
    for each in found:
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
    return found


def _places(folder: Path, depth: int) -> Iterator[tuple[int, int]]:
    with suppress(OSError), os.scandir(folder) as entries:
        about = folder.stat()
        yield about.st_dev, about.st_ino
        for entry in entries if depth else ():
            if entry.is_dir(follow_symlinks=False):
                yield from _places(Path(entry.path), depth - 1)


def _processes() -> Iterator[int]:
    """All but this one."""
    return (int(each.name) for each in Path("/proc").glob("[0-9]*") if each.name != str(os.getpid()))


def _works_in(pid: int) -> tuple[int, int] | None:
    """None for one that is gone, or not ours to see."""
    try:
        about = Path(f"/proc/{pid}/cwd").stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino


def _is_servers(pid: int) -> bool:
    """Whether it belongs to the owner of the folder it works in, and has no terminal (proc(5): stat, field 7)."""
    process = Path(f"/proc/{pid}")
    try:
        terminal = int((process / "stat").read_bytes().rpartition(b")")[2].split()[4])
        lines = (process / "status").read_bytes().splitlines()
        owner = next(int(line.split()[1]) for line in lines if line.startswith(b"Uid:"))
        return terminal == 0 and owner == (process / "cwd").stat().st_uid
    except OSError:
        return False
