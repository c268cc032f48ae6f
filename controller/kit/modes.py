"""A folder nobody else may read: every file in it 0600 (or less), every folder 0700, whatever they were before."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

_OTHERS = 0o077
PRIVATE_UMASK = 0o077


def tighten(home: Path, apart: frozenset[str] = frozenset()) -> list[str]:
    """Take everything from group and others; what was open, in words. `apart`: folders below `home` whose folders are
    closed, but not looked into: what is there belongs to somebody else, who could put a link in its place meanwhile.

    Links are left alone. Raises OSError when a mode cannot be changed: somebody else owns it, and what it holds.
    """
    found = list(_open(home, apart))
    for path, mode in found:
        path.chmod(mode & ~_OTHERS)
    return [f"{path} was {mode:04o}" for path, mode in found]


def _open(home: Path, apart: frozenset[str]) -> Iterator[tuple[Path, int]]:
    yield from _if_open(home)
    for folder, folders, files in os.walk(home):
        here = Path(folder)
        for name in (*folders, *files):
            yield from _if_open(here / name)
        if here.relative_to(home).as_posix() in apart:
            folders.clear()


def _if_open(path: Path) -> Iterator[tuple[Path, int]]:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:  # a log was rotated meanwhile
        return
    if mode & _OTHERS and not stat.S_ISLNK(mode):
        yield path, stat.S_IMODE(mode)
