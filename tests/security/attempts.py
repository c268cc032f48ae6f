"""What an attacker would try from inside a managed service. Run by `test_isolation` in a real sandbox.

`python attempts.py <facts as JSON>`; prints one JSON object, attempt → "ok" or the name of the error.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

FACTS: dict[str, Any] = json.loads(sys.argv[1])
LIBC = ctypes.CDLL(None, use_errno=True)
HERE = os.uname().machine
NUMBERS = {
    "x86_64": {"ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "mount": 165, "umount2": 166,
               "pivot_root": 155, "chroot": 161, "keyctl": 250, "add_key": 248, "bpf": 321, "kexec_load": 246,
               "init_module": 175, "finit_module": 313, "unshare": 272, "setns": 308, "perf_event_open": 298,
               "userfaultfd": 323, "open_by_handle_at": 304, "syslog": 103, "clone": 56},
    "aarch64": {"ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "mount": 40, "umount2": 39,
                "pivot_root": 41, "chroot": 51, "keyctl": 219, "add_key": 217, "bpf": 280, "kexec_load": 104,
                "init_module": 105, "finit_module": 273, "unshare": 97, "setns": 268, "perf_event_open": 241,
                "userfaultfd": 282, "open_by_handle_at": 265, "syslog": 116, "clone": 220},
}[HERE]  # fmt: skip
NUMBERS |= {"io_uring_setup": 425, "open_tree": 428, "fsopen": 430, "mount_setattr": 442, "pidfd_getfd": 438}
NEW_USER = 0x10000000


def call(name: str, *arguments: int) -> None:
    ctypes.set_errno(0)
    result = LIBC.syscall(ctypes.c_long(NUMBERS[name]), *[ctypes.c_long(each) for each in arguments])
    if result == -1:
        raise OSError(ctypes.get_errno(), name)
    if name == "clone" and result == 0:
        os._exit(0)


def read(path: str) -> None:
    with Path(path).open("rb") as file:
        file.read(1)


def listen(port: int) -> None:
    with socket.socket() as door:
        door.bind(("127.0.0.1", port))
        door.listen()


def speak() -> None:
    with socket.create_connection(("127.0.0.1", FACTS["reachable"]), 5):
        pass


def run_own_program() -> None:
    program = Path("program")
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    subprocess.run(["./program"], check=True)


def type_into_terminal() -> None:
    fcntl.ioctl(0, 0x5412, b"x")


def thread() -> None:
    worker = threading.Thread(target=lambda: None)
    worker.start()
    worker.join()


def see_others() -> None:
    if str(FACTS["outside"]) not in os.listdir("/proc"):
        raise FileNotFoundError(errno.ENOENT, "not listed")


ATTEMPTS: dict[str, Callable[[], object]] = {
    **{f"read {path}": (lambda path=path: read(path)) for path in (*FACTS["secret"], *FACTS["own"])},
    **{f"write {path}": (lambda path=path: Path(path).write_text("x")) for path in FACTS["written"]},
    **{f"stat {path}": (lambda path=path: os.stat(path)) for path in FACTS["secret"]},
    **{f"call {name}": (lambda name=name: call(name, 0, 0, 0, 0, 0)) for name in NUMBERS if name != "clone"},
    "clone into a user namespace": lambda: call("clone", NEW_USER | 17, 0, 0, 0, 0),
    "clone3": lambda: LIBC.syscall(435, 0, 0) == -1 and _raise(ctypes.get_errno()),
    "crypto socket": lambda: socket.socket(38, socket.SOCK_SEQPACKET).close(),
    "packet socket": lambda: socket.socket(17, socket.SOCK_RAW).close(),
    "type into a terminal": type_into_terminal,
    "environment of the conductor": lambda: read(f"/proc/{FACTS['outside']}/environ"),
    "memory of the conductor": lambda: read(f"/proc/{FACTS['outside']}/mem"),
    "command line of the conductor": lambda: read(f"/proc/{FACTS['outside']}/cmdline"),
    "see other processes": see_others,
    "signal the conductor": lambda: os.kill(FACTS["outside"], 0),
    "become root": lambda: os.setuid(0),
    "run a program of its own folder": run_own_program,
    "listen on its port": lambda: listen(FACTS["port"]),
    "listen on another port": lambda: listen(FACTS["other_port"]),
    "speak to others": speak,
    "write its data": lambda: Path("kept").write_text("x"),
    "write temporary files": lambda: Path(os.environ["TMPDIR"], "x").write_text("x"),
    "start a thread": thread,
    "start a program": lambda: subprocess.run(["true"], check=True),
    "import the code": lambda: __import__("services.sdk.run"),
}


def _raise(number: int) -> None:
    raise OSError(number, os.strerror(number))


def outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    except Exception as error:
        return repr(error)
    return "ok"


def main() -> None:
    seen: dict[str, Any] = {name: outcome(attempt) for name, attempt in ATTEMPTS.items()}
    status = dict(line.split(":\t", 1) for line in _status().splitlines() if ":\t" in line)
    seen["is"] = {
        "user": os.getuid(),
        "groups": os.getgroups(),
        "capabilities": [status.get(name, "?") for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")],
        "no_new_privs": LIBC.prctl(39, 0, 0, 0, 0),
        "seccomp": LIBC.prctl(21, 0, 0, 0, 0),
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "files": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        "processes": resource.getrlimit(resource.RLIMIT_NPROC)[1],
        "umask": os.umask(0o077),
        "folder": str(Path.cwd()),
        "descriptors": sorted(int(each) for each in os.listdir("/proc/self/fd"))[:-1],
    }
    print(json.dumps(seen))


def _status() -> str:
    return Path("/proc/self/status").read_text()


main()
