"""Landlock: which files a process may open and which port it may listen on, for itself and all it starts.

Rights follow the ABI this kernel speaks (asked at run time, 0: none). Not covered by any ABI: stat, chmod, chown and
the attributes of files one can name, and connecting to named sockets: the mount view (`view`) hides those.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct

from controller.runtime.sandbox.calls import syscall

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_PATH_BENEATH, _NET_PORT, _VERSION = 1, 2, 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_FIRST_ABI = (1 << 13) - 1
_OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
_MAKE_DEVICES = (1 << 6) | (1 << 11)
_BIND_TCP = 1 << 0
_ABSTRACT_SOCKETS, _SIGNALS = 1 << 0, 1 << 1

READ = READ_FILE | READ_DIR
RUN = READ | EXECUTE
CHANGE = (_FIRST_ABI | REFER | TRUNCATE) & ~(EXECUTE | _MAKE_DEVICES)
DEVICE = READ_FILE | WRITE_FILE | IOCTL_DEV


def abi() -> int:
    """The version this kernel speaks; 0 when it has none, or it is switched off."""
    try:
        return syscall("landlock", _CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    except OSError:
        return 0


def handled_files(version: int) -> int:
    """Every right on files that this ABI can take away."""
    rights = _FIRST_ABI
    for since, right in ((2, REFER), (3, TRUNCATE), (5, IOCTL_DEV)):
        rights |= right if version >= since else 0
    return rights


class Domain:
    """Rules are added, then `enter` makes them hold for good. Whatever no rule allows is refused with EACCES."""

    def __init__(self, version: int) -> None:
        """Raises OSError."""
        self._handled = handled_files(version)
        self._ports = _BIND_TCP if version >= 4 else 0
        scoped = (_ABSTRACT_SOCKETS | _SIGNALS) if version >= 6 else 0
        attributes = struct.pack("=QQQ", self._handled, self._ports, scoped)
        size = 8 if version < 4 else 16 if version < 6 else 24
        self._ruleset = syscall(
            "landlock_create_ruleset", _CREATE_RULESET, attributes, ctypes.c_size_t(size), ctypes.c_uint32(0)
        )

    def allow(self, path: str, rights: int) -> None:
        """Allow access to that file, or to everything below that folder. What is not there needs no rule. Raises
        OSError.
        """
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            if not stat.S_ISDIR(os.fstat(place).st_mode):
                rights &= _OF_FILES
            self._add(f"landlock rule for {path}", _PATH_BENEATH, struct.pack("=Qi", rights & self._handled, place))
        finally:
            os.close(place)

    def allow_listening(self, port: int) -> None:
        """Raises OSError."""
        if self._ports:
            self._add("landlock rule for a port", _NET_PORT, struct.pack("=QQ", _BIND_TCP, port))

    def enter(self) -> None:
        """Enforce the rules from here on, for this thread and all it starts. Needs no_new_privs. Raises OSError."""
        syscall("landlock_restrict_self", _RESTRICT_SELF, ctypes.c_int(self._ruleset), ctypes.c_uint32(0))
        os.close(self._ruleset)

    def _add(self, what: str, sort: int, rule: bytes) -> None:
        syscall(what, _ADD_RULE, ctypes.c_int(self._ruleset), ctypes.c_int(sort), rule, ctypes.c_uint32(0))
