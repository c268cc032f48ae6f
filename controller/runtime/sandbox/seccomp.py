"""A seccomp filter that refuses, with EPERM, the system calls no service needs and attackers like.

A deny list: it takes the kernel's largest and least-used interfaces away (tracing, mounting, namespaces, keys, BPF,
modules, io_uring, clocks), and is no allow list of what is left. Written in classic BPF by hand; numbers are those of
the kernel's tables for x86_64 and aarch64. Other machines get no filter, which `abilities` tells.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from controller.runtime.sandbox.calls import PR_SET_SECCOMP, prctl

_MODE_FILTER = 2
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCH, _FIRST, _SECOND = 0, 4, 16, 24  # offsets in struct seccomp_data; arguments' low halves
_X32 = 0x40000000
_NAMESPACES = 0x7E020000  # every CLONE_NEW* flag that clone(2) takes
_TYPES_INTO_TERMINALS = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX
# AF_PACKET, AF_RDS, AF_TIPC, AF_BLUETOOTH, AF_ALG, AF_VSOCK, AF_XDP: large parts of the kernel that nobody needs.
_FAMILIES = (17, 21, 30, 31, 38, 40, 44)

# Those above 424 have one number everywhere.
_EVERYWHERE = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429,
    "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "pidfd_getfd": 438, "process_madvise": 440,
    "mount_setattr": 442, "quotactl_fd": 443, "process_mrelease": 448, "open_tree_attr": 467,
}  # fmt: skip
DENIED = {
    "x86_64": {
        "ptrace": 101, "syslog": 103, "uselib": 134, "personality": 135, "vhangup": 153, "modify_ldt": 154,
        "pivot_root": 155, "_sysctl": 156, "adjtimex": 159, "chroot": 161, "acct": 163, "settimeofday": 164,
        "mount": 165, "umount2": 166, "swapon": 167, "swapoff": 168, "reboot": 169, "sethostname": 170,
        "setdomainname": 171, "iopl": 172, "ioperm": 173, "create_module": 174, "init_module": 175,
        "delete_module": 176, "quotactl": 179, "nfsservctl": 180, "lookup_dcookie": 212, "clock_settime": 227,
        "kexec_load": 246, "add_key": 248, "request_key": 249, "keyctl": 250, "migrate_pages": 256, "unshare": 272,
        "vmsplice": 278, "move_pages": 279, "perf_event_open": 298, "fanotify_init": 300, "name_to_handle_at": 303,
        "open_by_handle_at": 304, "clock_adjtime": 305, "setns": 308, "process_vm_readv": 310,
        "process_vm_writev": 311, "kcmp": 312, "finit_module": 313, "kexec_file_load": 320, "bpf": 321,
        "userfaultfd": 323, **_EVERYWHERE,
    },
    "aarch64": {
        "lookup_dcookie": 18, "umount2": 39, "mount": 40, "pivot_root": 41, "nfsservctl": 42, "chroot": 51,
        "vhangup": 58, "quotactl": 60, "vmsplice": 75, "acct": 89, "personality": 92, "unshare": 97,
        "kexec_load": 104, "init_module": 105, "delete_module": 106, "clock_settime": 112, "syslog": 116,
        "ptrace": 117, "reboot": 142, "sethostname": 161, "setdomainname": 162, "settimeofday": 170, "adjtimex": 171,
        "add_key": 217, "request_key": 218, "keyctl": 219, "swapon": 224, "swapoff": 225, "migrate_pages": 238,
        "move_pages": 239, "perf_event_open": 241, "fanotify_init": 262, "name_to_handle_at": 264,
        "open_by_handle_at": 265, "clock_adjtime": 266, "setns": 268, "process_vm_readv": 270,
        "process_vm_writev": 271, "kcmp": 272, "finit_module": 273, "bpf": 280, "userfaultfd": 282,
        "kexec_file_load": 294, **_EVERYWHERE,
    },
}  # fmt: skip
_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_LEAVES = {"x86_64": (109, 112), "aarch64": (154, 157)}  # setpgid, setsid
_CLONE, _CLONE3 = {"x86_64": 56, "aarch64": 220}, 435
_SOCKET, _IOCTL = {"x86_64": 41, "aarch64": 198}, {"x86_64": 16, "aarch64": 29}


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def is_known(machine: str | None = None) -> bool:
    """Whether there is a filter for this architecture."""
    return (machine or os.uname().machine) in DENIED


def program(machine: str, *, group: bool = False) -> bytes:
    """The filter. With `group`, a process that asks for a session or a process group of its own hears that it has one
    (some give up on a refusal), and stays in the group that is ended as a whole. Raises KeyError for an unknown
    architecture.
    """
    refuse = _refuse(errno.EPERM)
    steps = [_step(_LOAD, _ARCH), _step(_EQUAL, _ARCHITECTURE[machine], 1, 0), refuse, _step(_LOAD, _NUMBER)]
    if machine == "x86_64":  # the same calls by their second numbers
        steps += [_step(_AT_LEAST, _X32, 0, 1), refuse]
    for number in sorted(DENIED[machine].values()):
        steps += [_step(_EQUAL, number, 0, 1), refuse]
    for number in _LEAVES[machine] if group else ():
        steps += [_step(_EQUAL, number, 0, 1), _refuse(0)]
    # Its flags lie in memory, where no filter can look. Libraries go back to clone when it "does not exist".
    steps += [_step(_EQUAL, _CLONE3, 0, 1), _refuse(errno.ENOSYS)]
    steps += _when(_CLONE[machine], [_step(_LOAD, _FIRST), _step(_ANY_BIT, _NAMESPACES, 0, 1), refuse])
    steps += _when(_SOCKET[machine], _any_of(_FIRST, _FAMILIES, refuse))
    steps += _when(_IOCTL[machine], _any_of(_SECOND, _TYPES_INTO_TERMINALS, refuse))
    return b"".join([*steps, _step(_RETURN, _ALLOW)])


def enter(*, group: bool = False) -> None:
    """Enforce the filter from here on, for this thread and all it starts. Needs no_new_privs. Raises OSError,
    KeyError.
    """
    code = program(os.uname().machine, group=group)
    buffer = ctypes.create_string_buffer(code, len(code))
    filter_ = _Program(len(code) // 8, ctypes.addressof(buffer))
    prctl("seccomp", PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(filter_))


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _refuse(number: int) -> bytes:
    return _step(_RETURN, _ERRNO | number)


def _when(number: int, then: list[bytes]) -> list[bytes]:
    """`then`, for that call alone; whatever it does not refuse goes on, with the call's number loaded again."""
    inner = [*then, _step(_LOAD, _NUMBER)]
    return [_step(_EQUAL, number, 0, len(inner)), *inner]


def _any_of(argument: int, values: tuple[int, ...], refuse: bytes) -> list[bytes]:
    steps = [_step(_LOAD, argument)]
    for value in values:
        steps += [_step(_EQUAL, value, 0, 1), refuse]
    return steps
