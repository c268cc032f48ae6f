"""A lock on an open file, as long as it is open: of the processes of a data folder, one does what it guards."""

from __future__ import annotations

import fcntl


def is_locked(file: int) -> bool:
    """Whether this process has it alone now. `file`: its descriptor."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
