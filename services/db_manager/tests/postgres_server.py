"""A PostgreSQL server of the tests, which asks for SCRAM as an engine's does."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.db_manager.kinds import Endpoint

FOLDERS = [str(each) for each in Path("/usr/lib/postgresql").glob("*/bin")]
INITDB = shutil.which("initdb", path=os.pathsep.join([os.environ.get("PATH", ""), *FOLDERS]))
SUPERUSER = "super's-\\password"


@pytest.fixture(scope="session")
def endpoint() -> Iterator[Endpoint]:
    """PostgreSQL refuses to run as root."""
    if INITDB is None:
        pytest.skip("no PostgreSQL: aerekos engine install postgresql")
    root = os.geteuid() == 0
    who: dict[str, Any] = {"user": "nobody", "group": "nogroup"} if root else {}
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        folder, data = Path(name), str(Path(name) / "data")
        password = folder / "password"
        password.write_text(SUPERUSER)
        for each in (folder, password) if root else ():
            shutil.chown(each, "nobody", "nogroup")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        init = [INITDB, "-D", data, "-U", "postgres", "-A", "scram-sha-256", f"--pwfile={password}", "-N"]
        subprocess.run(init, check=True, capture_output=True, cwd=folder, **who)
        control = str(Path(INITDB).resolve().parent / "pg_ctl")
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories='' -c fsync=off"
        start = [control, "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start"]
        subprocess.run(start, check=True, capture_output=True, cwd=folder, **who)
        yield Endpoint(host="127.0.0.1", port=port)
        stop = [control, "-D", data, "-m", "immediate", "stop"]
        subprocess.run(stop, check=False, capture_output=True, cwd=folder, **who)
