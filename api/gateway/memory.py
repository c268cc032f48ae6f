"""Memory of connections that have ended goes back to the system.

A connection of TLS has buffers of 256 KiB, mostly untouched. Once some were freed, glibc would take such from its
heap and keep them; a crowd that came and went would stay. With a fixed threshold each has pages of its own. What is
smaller comes from the heap: parts of bodies with fresh pages each cost more than all else that is done with them.
Source: mallopt(3), M_MMAP_THRESHOLD, M_TRIM_THRESHOLD.
"""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_BYTES = 256 * 1024
_KEPT = 4 * 1024 * 1024


def return_memory() -> bool:
    """Have the allocator do so from now on. False where it is another one than glibc's."""
    try:
        tune = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(tune(_MMAP_THRESHOLD, _BYTES) and tune(_TRIM_THRESHOLD, _KEPT))
