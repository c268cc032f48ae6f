"""A cloud to measure: started by the command people use, in a home and on a port of its own."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from load import connect, request


@dataclass(frozen=True)
class Cloud:
    """A running conductor."""

    home: Path
    port: int
    env: dict[str, str]

    @property
    def ca(self) -> Path:
        return self.home / "tls" / "ca.crt"

    @property
    def pid(self) -> int:
        return int(json.loads((self.home / "run" / "conductor.json").read_text())["pid"])

    def do(self, *arguments: str) -> str:
        """What `aerekos <arguments>` prints. Raises CalledProcessError when it fails."""
        command = [sys.executable, "-m", "cli.main", *arguments]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise RuntimeError(f"aerekos {' '.join(arguments)} failed: {done.stdout}{done.stderr}")
        return done.stdout

    def token(self) -> str:
        """An access token of the admin, good for a quarter of an hour."""
        return asyncio.run(self._logged_in())

    async def _logged_in(self) -> str:
        login = {"username": "admin", "password": self.env["AEREKOS_ADMIN_PASSWORD"]}
        connection = await connect(self.port, self.ca)
        answer = await connection.ask(request("POST", "/auth/login", "", json.dumps(login).encode()))
        connection.close()
        return str(json.loads(answer.partition(b"\r\n\r\n")[2])["accessToken"])


@contextmanager
def a_cloud(**settings: str) -> Iterator[Cloud]:
    """A fresh one with those settings, gone afterwards with everything it kept."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("AEREKOS_BENCH_DIR")) as folder:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AEREKOS_", "AWS_"))}
        port = a_port()
        own = {
            "AEREKOS_HOME": f"{folder}/home",
            "AEREKOS_PORT": str(port),
            "AEREKOS_RUNTIME": "process",
            "AEREKOS_REQUESTS_PER_SECOND": "1000000",  # one user asks for all of them here
            "AEREKOS_WATCHES_PER_USER": "10000",
            "AEREKOS_ADMIN_PASSWORD": secrets.token_urlsafe(16),
            "XDG_CONFIG_HOME": f"{folder}/config",
            **settings,
        }
        cloud = Cloud(Path(folder) / "home", port, kept | own)
        try:
            cloud.do("up")
            yield cloud
        finally:
            cloud.do("down")


def a_port() -> int:
    """One that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
