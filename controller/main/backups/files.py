"""Reading files that somebody else may move meanwhile, and writing those that come back.

A managed service owns its data folder, and as root we read it: no link is followed, whoever put it there, or one that
was broken into could have the cloud's secrets copied into its own data.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from controller.backup.errors import Damaged, Refused
from controller.backup.manifest import Entry
from controller.backup.repository import CHUNK_BYTES, Repository
from controller.kit.modes import PRIVATE_UMASK

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def opened_inside(root: Path, name: str) -> Iterator[int]:
    """A descriptor of the plain file `name` below `root`. Raises OSError for links, and whatever else is no file."""
    *folders, last = _parts(name)
    here = os.open(root, _FOLDER)
    try:
        for each in folders:
            below = os.open(each, _FOLDER, dir_fd=here)
            os.close(here)
            here = below
        file = os.open(last, _FILE, dir_fd=here)
    finally:
        os.close(here)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(f"{root / name} is no plain file")
        yield file
    finally:
        os.close(file)


def put_file(repository: Repository, root: Path, name: str, before: Entry | None = None) -> Entry:
    """The file as an entry. One that has the size and the time of `before` is not read again."""
    with opened_inside(root, name) as file:
        seen = os.fstat(file)
        is_same = before is not None and (before.size, before.modified) == (seen.st_size, seen.st_mtime_ns)
        if before is not None and is_same and repository.has(before):
            return before
        return repository.put_entry(name, _pieces(file), seen.st_mtime_ns)


def names_below(root: Path, folder: str) -> list[str]:
    """All plain files in `folder` of `root`, by their paths from `root`; none where it is not there. A dot begins the
    names of half-written ones. Raises Refused for a link, which a backup would do without; OSError.
    """
    found = list[str]()
    _refuse_link(root / folder)
    for here, folders, files in os.walk(root / folder, onerror=_tell):
        for each in (Path(here) / name for name in (*folders, *files) if not name.startswith(".")):
            _refuse_link(each)
            found += [str(each.relative_to(root))] if each.is_file() else []
    return sorted(found)


def _refuse_link(path: Path) -> None:
    if path.is_symlink():
        raise Refused(f"{path} is a link, which is not followed: put what it leads to in its place")


def _tell(odd: OSError) -> None:
    """`os.walk` would leave it out silently."""
    if not isinstance(odd, FileNotFoundError):
        raise odd


def write_entry(root: Path, name: str, pieces: Iterable[bytes]) -> None:
    """A file of mode 0600 below `root`, on the disk when it returns. Raises Damaged for a name that leads out."""
    try:
        path = root.joinpath(*_parts(name))
    except OSError as odd:
        raise Damaged(str(odd)) from odd
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o777 & ~PRIVATE_UMASK)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
        for each in pieces:
            file.write(each)
        file.flush()
        os.fsync(file.fileno())


def _parts(name: str) -> list[str]:
    parts = name.split("/")
    if any(each in ("", ".", "..") or "\x00" in each for each in parts):
        raise OSError(f"{name!r} is no path inside a folder")
    return parts


def _pieces(file: int) -> Iterator[bytes]:
    while piece := _whole(file):
        yield piece


def _whole(file: int) -> bytes:
    """CHUNK_BYTES, fewer at the end alone: `read` may give less."""
    parts, wanted = list[bytes](), CHUNK_BYTES
    while wanted and (part := os.read(file, wanted)):
        parts.append(part)
        wanted -= len(part)
    return b"".join(parts)
