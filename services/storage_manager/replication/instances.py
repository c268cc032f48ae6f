"""Whether one process alone has a data folder open to write: what follows asks any of them, and each knows only of
those that asked it. Each holds a shared lock as long as it lives.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Instances:
    """Of the data folder whose lock file is `path`."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def alone(self) -> bool:
        """Whether nobody else has it open now."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            fcntl.flock(self._file, fcntl.LOCK_SH)  # the lock that was there is lost in either case
        return True

    def close(self) -> None:
        """It has it open no more."""
        os.close(self._file)
