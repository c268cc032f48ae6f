"""System calls the standard library does not have, by ctypes. Every failure is an OSError that names the call."""

from __future__ import annotations

import ctypes
import os
from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, PR_CAP_AMBIENT = 23, 24, 38, 22, 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWIPC = 0x00020000, 0x10000000, 0x08000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND = 1, 2, 4, 8, 32, 4096
MS_MOVE, MS_REC, MS_PRIVATE, MNT_DETACH = 8192, 16384, 1 << 18, 2
MS_NOATIME, MS_NODIRATIME, MS_RELATIME = 1024, 2048, 1 << 21
_CAPSET_VERSION = 0x20080522


def syscall(what: str, number: int, *arguments: Any) -> int:
    """Make a system call and return its result. Raises OSError."""
    return _checked(what, int(_libc.syscall(ctypes.c_long(number), *arguments)))


def prctl(what: str, *arguments: int | Any) -> int:
    """Call prctl and return its result. Raises OSError."""
    filled = [ctypes.c_ulong(each) if isinstance(each, int) else each for each in arguments]
    return _checked(what, int(_libc.prctl(*filled, *[ctypes.c_ulong(0)] * (5 - len(filled)))))


def unshare(flags: int) -> None:
    """New namespaces for this process. Raises OSError."""
    _checked("unshare", int(_libc.unshare(ctypes.c_int(flags))))


def mount(source: str, target: str, sort: str, flags: int, options: str = "") -> None:
    """As mount(2). Raises OSError."""
    said = [text.encode() if text else None for text in (source, target, sort)]
    done = _libc.mount(*said, ctypes.c_ulong(flags), options.encode() or None)
    _checked(f"mount on {target}", int(done))


def unmount(target: str) -> None:
    """Unmount at once for us, for others when they let go. Raises OSError."""
    _checked(f"umount {target}", int(_libc.umount2(target.encode(), MNT_DETACH)))


def lower_the_bound() -> None:
    """Lower the bounding set: no program started from here on can bring a capability back. Without the right to,
    nothing is to be lowered.
    """
    for number in range(64):
        try:
            if prctl("capability", PR_CAPBSET_READ, number) == 1:
                prctl("dropping a capability", PR_CAPBSET_DROP, number)
        except OSError:
            return


def drop_capabilities() -> None:
    """All this process has. Raises OSError."""
    prctl("ambient capabilities", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = (ctypes.c_uint32 * 2)(_CAPSET_VERSION, 0)
    nothing = (ctypes.c_uint32 * 6)()
    _checked("capset", int(_libc.capset(header, nothing)))


def _checked(what: str, result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result
