"""Files that are either whole or not there, even when the power goes."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path


def write_whole(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Replace `path` by `content`, durably: other readers see the old file or the new one, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def write_private(path: Path, content: bytes) -> None:
    """As `write_whole`, readable by its owner only."""
    write_whole(path, content, mode=0o600)


def write_new(path: Path, content: bytes) -> bool:
    """As `write_private`, for one of several writers: False where there is such a file already, which is left as it
    is. A file system without hard links lets the last of two win that write at the same moment.
    """
    if path.exists():
        return False
    whole = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    write_private(whole, content)
    try:
        os.link(whole, path)
    except FileExistsError:
        return False
    except OSError as refused:
        if refused.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
            raise
        write_private(path, content)
    finally:
        whole.unlink(missing_ok=True)
    _sync_folder(path.parent)
    return True


def keep_secret(path: Path, size: int = 32) -> bytes:
    """The random bytes kept in that file; made at the first call. Raises OSError when it holds another number."""
    if not path.exists():
        write_private(path, secrets.token_bytes(size))
    kept = path.read_bytes()
    if len(kept) != size:  # a guessable secret is worse than none
        raise OSError(
            errno.EINVAL, f"holds {len(kept)} bytes in place of {size}; put a backup in its place", str(path)
        )
    return kept


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
