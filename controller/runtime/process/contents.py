"""Files and variables of programs, in memory only: what may be secret never lies on the disk.

Each instance's are kept in an anonymous file of the conductor, which the launcher opens by its place in /proc while
it is still what the conductor is: its user, its machine's view.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping

from controller.runtime.process.programs import MOST_FILE_BYTES
from controller.runtime.sandbox.walls import packed


class Contents:
    """Called from several threads."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[bytes, int]] = {}
        self._lock = threading.Lock()

    def keep(self, instance: str, files: Mapping[str, bytes], env: Mapping[str, str]) -> tuple[str, int]:
        """Where they can be read, and the inode that must be there: a number that was given back may be another's by
        the time it is opened. Raises OSError.
        """
        size = sum(map(len, files.values()))
        if size > MOST_FILE_BYTES:
            raise OSError(f"its files have {size} bytes, and {MOST_FILE_BYTES} at most are kept in memory")
        content = packed(files, env)
        with self._lock:
            known = self._kept.get(instance)
            if known is None or known[0] != content:
                self._close(instance)
                self._kept[instance] = (content, _in_memory(content))
            descriptor = self._kept[instance][1]
            return f"/proc/{os.getpid()}/fd/{descriptor}", os.fstat(descriptor).st_ino

    def drop(self, instance: str) -> None:
        """Drop contents that are not needed any more."""
        with self._lock:
            self._close(instance)

    def _close(self, instance: str) -> None:
        if (known := self._kept.pop(instance, None)) is not None:
            os.close(known[1])


def _in_memory(content: bytes) -> int:
    descriptor = os.memfd_create("files", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(content)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
