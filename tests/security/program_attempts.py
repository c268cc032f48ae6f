"""What an attacker would try from inside a program of their own. Run by `test_programs` in a real sandbox:
`python program_attempts.py <facts as JSON>`; prints attempt -> "ok" or the name of the error.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

FACTS: dict[str, Any] = json.loads(sys.argv[1])


def fork_bomb() -> None:
    """Ends with what a system says that gives no more; the children are sent home."""
    children = []
    try:
        for _ in range(FACTS["bomb"]):
            if (child := os.fork()) == 0:
                signal.pause()
            children.append(child)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def listen(port: int, kind: int = socket.SOCK_STREAM) -> None:
    with socket.socket(socket.AF_INET, kind) as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        door.bind(("127.0.0.1", port))
        door.listen()


def leave_the_group() -> None:
    before = os.getpgrp()
    child = subprocess.Popen(["sleep", "5"], start_new_session=True)
    try:
        if os.getpgid(child.pid) == before:
            raise PermissionError(errno.EPERM, "still in its group")
    finally:
        child.kill()
        child.wait()


def run_own() -> None:
    Path("own").write_text("#!/bin/sh\nexit 0\n")
    Path("own").chmod(0o755)
    subprocess.run(["./own"], check=True)


def change_a_file() -> None:
    Path(FACTS["file"]).chmod(0o600)
    Path(FACTS["file"]).write_text("changed")


def become_a_setuid_program() -> None:
    done = subprocess.run(["su", "-c", "true"], capture_output=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise PermissionError(errno.EPERM, "su")


ATTEMPTS: dict[str, Callable[[], object]] = {
    **{f"read {path}": (lambda path=path: Path(path).read_bytes()) for path in FACTS["secret"]},
    **{f"list {path}": (lambda path=path: os.listdir(path)) for path in FACTS["folders"]},
    **{f"kill {pid}": (lambda pid=pid: os.kill(pid, signal.SIGTERM)) for pid in FACTS["others"]},
    **{
        f"look at {name} of {pid}": (lambda pid=pid, name=name: Path(f"/proc/{pid}/{name}").read_bytes())
        for pid in FACTS["others"]
        for name in ("environ", "cmdline", "mem", "maps")
    },
    **{
        f"link to {name} of {pid}": (lambda pid=pid, name=name: os.listdir(f"/proc/{pid}/{name}"))
        for pid in FACTS["others"]
        for name in ("root", "cwd", "fd")
    },
    "import the cloud": lambda: __import__("controller"),
    "connect to the machine's sockets": lambda: socket.socket(socket.AF_UNIX).connect(FACTS["named_socket"]),
    "connect to an abstract socket": lambda: socket.socket(socket.AF_UNIX).connect(FACTS["abstract_socket"]),
    "listen on the conductor's port": lambda: listen(FACTS["conductor_port"]),
    "listen on any port": lambda: listen(0),
    "listen on its port": lambda: listen(FACTS["port"]),
    "fork bomb": fork_bomb,
    "leave its group": leave_the_group,
    "become root by a program": become_a_setuid_program,
    "change its file": change_a_file,
    "list the folder of its file": lambda: os.listdir(os.path.dirname(FACTS["file"])),
    "read its file": lambda: Path(FACTS["file"]).read_bytes(),
    "keep something": lambda: Path(FACTS["volume"], "kept").write_text("x"),
    "keep something for now": lambda: Path("kept").write_text("x"),
    "share memory": lambda: Path("/dev/shm/x").write_text("x"),
    "write a temporary file": lambda: Path("/tmp/x").write_text("x"),
    "run what it wrote": run_own,
}


def outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    except ImportError:
        return "ImportError"
    return "ok"


def main() -> None:
    seen: dict[str, Any] = {name: outcome(attempt) for name, attempt in ATTEMPTS.items()}
    seen["is"] = {"user": os.getuid(), "folder": str(Path.cwd()), "environment": dict(os.environ)}
    print(json.dumps(seen))


main()
