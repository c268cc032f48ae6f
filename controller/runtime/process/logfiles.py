"""Log files of instances: the last lines, and rotation.

Rotation copies and truncates, because the writer holds the file open and knows nothing of us (it appends,
so it goes on at the new end). Lines written between the copy and the truncation are lost: microseconds, rarely.
The copy is `<name>.0` until the file is empty, then `<name>.1`: a rotation that was killed is finished, or taken
back, by `settle`. When a rotated file was last changed is when it ended, another moment for each.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from pathlib import Path

ROTATING = threading.RLock()
"""Held while files move; whoever reads several of them as one holds it too."""
_BLOCK = 64 * 1024
_TAIL_BYTES = 4 * 1024 * 1024


def log_path(home: Path, instance: str) -> Path:
    """The current log file of that instance."""
    return home / "logs" / "services" / f"{instance}.log"


def logged_instances(home: Path, base: str) -> list[str]:
    """Instances of that workload which ever wrote, by number."""
    names = [path.stem for path in (home / "logs" / "services").glob(f"{base}-*.log")]
    ours = [name for name in names if name[len(base) + 1 :].isdigit()]
    return sorted(ours, key=lambda name: int(name.rpartition("-")[2]))


def tail_of(path: Path, lines: int) -> list[str]:
    """The last `lines` lines, oldest first; from the rotated file too when the current one has too few.

    Reads at most 4 MiB per file, whatever the lines' length.
    """
    found = _last_lines(path, lines)
    if len(found) < lines:
        found = _last_lines(old_file(path, 1), lines - len(found)) + found
    return found


def written_last(path: Path) -> float:
    """When that file was written to last, in seconds since 1970; 0 when there is none."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _last_lines(path: Path, lines: int) -> list[str]:
    if lines <= 0:
        return []
    try:
        with path.open("rb") as file:
            content = _read_back(file.fileno(), lines)
    except FileNotFoundError:
        return []
    return [line.decode(errors="replace") for line in content.splitlines()[-lines:]]


def _read_back(file: int, lines: int) -> bytes:
    at = os.fstat(file).st_size
    blocks: list[bytes] = []
    newlines = size = 0
    while at > 0 and newlines <= lines and size < _TAIL_BYTES:
        at = max(at - _BLOCK, 0) if at % _BLOCK == 0 else at - at % _BLOCK
        block = os.pread(file, _BLOCK, at)
        blocks.append(block)
        newlines += block.count(b"\n")
        size += len(block)
    return b"".join(reversed(blocks))


def rotate(path: Path, *, limit: int, keep: int) -> bool:
    """Move the content to `<name>.1` (and older ones up to `keep`) when it has more than `limit` bytes.

    On a full disk the copy fails and the content is dropped: what bounds the logs must not need space.
    """
    with ROTATING:
        settle(path, keep=keep)
        try:
            if path.stat().st_size <= limit:
                return False
        except FileNotFoundError:
            return False
        if keep:
            with contextlib.suppress(OSError):
                _copy(path, old_file(path, 0))
        os.truncate(path, 0)
        _finish(path, keep)
    return True


def settle(path: Path, *, keep: int) -> None:
    """End a rotation that was killed: take it back where the file still has what was copied."""
    with ROTATING:
        copied = old_file(path, 0)
        if not copied.exists():
            return
        if path.exists() and _begins_with(path, copied):
            copied.unlink()
        else:
            _finish(path, keep)


def _copy(path: Path, to: Path) -> None:
    try:
        shutil.copyfile(path, to)
    except OSError:
        os.truncate(to, 0)
    now = time.time_ns()  # finer than what a file system notes by itself
    os.utime(to, ns=(now, now))


def _finish(path: Path, keep: int) -> None:
    """Again where it was killed in between: a number that nobody has ends the moving."""
    if not old_file(path, 0).exists():
        return
    free = next((number for number in range(1, keep) if not old_file(path, number).exists()), keep)
    for number in range(free - 1, -1, -1):
        old_file(path, number).replace(old_file(path, number + 1))


def _begins_with(path: Path, copied: Path) -> bool:
    with path.open("rb") as file, copied.open("rb") as copy:
        while part := copy.read(_BLOCK):
            if file.read(len(part)) != part:
                return False
    return True


def old_file(path: Path, number: int) -> Path:
    """Where that content is which was moved away so many rotations ago."""
    return path.with_name(f"{path.name}.{number}")
