"""A whole cloud in a test, of real processes: started by the command people use, in a home of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx

T = TypeVar("T")
PATIENCE_SECONDS = 90.0


@dataclass(frozen=True)
class RunningCloud:
    """It runs services in the process runtime."""

    home: Path
    port: int
    services_path: str = ""

    @property
    def env(self) -> dict[str, str]:
        """What tells a command of this cloud and of no other."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AEREKOS_", "AWS_"))}
        own = {
            "AEREKOS_HOME": str(self.home),
            "AEREKOS_PORT": str(self.port),
            "AEREKOS_RUNTIME": "process",
            "AEREKOS_SERVICES_PATH": self.services_path,
            "XDG_CONFIG_HOME": f"{self.home}-config",
        }
        return kept | {name: value for name, value in own.items() if value}

    def aerekos(self, *arguments: str) -> str:
        """What that command prints. Raises CalledProcessError, with what it said as a note."""
        command = [sys.executable, "-m", "cli.main", *arguments]
        done = subprocess.run(
            command, env=self.env, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )
        if done.returncode:
            failed = subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
            failed.add_note(f"{done.stdout}{done.stderr}")
            raise failed
        return done.stdout

    def http(self) -> httpx.Client:
        """A client of its port, as the admin. Close it."""
        trust = ssl.create_default_context(cafile=str(self.home / "tls" / "ca.crt"))
        trust.load_cert_chain(self.home / "tls" / "admin.crt", self.home / "tls" / "admin.key")
        return httpx.Client(base_url=f"https://127.0.0.1:{self.port}", verify=trust, trust_env=False)

    def instances(self) -> dict[str, int]:
        """The process id of each instance, by its name."""
        files = sorted((self.home / "run" / "instances").glob("*.json"))
        records = [json.loads(file.read_text()) for file in files]
        return {str(record["instance"]): int(record["pid"]) for record in records}

    def eventually(self, look: Callable[[], T], what: str) -> T:
        """The first truthy answer of `look`: other processes are at work. Raises AssertionError, after 90 s."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (seen := look()):
            assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS:g} s: {what}"
            time.sleep(0.02)
        return seen


@contextmanager
def cloud(*, services_path: Path | None = None) -> Iterator[RunningCloud]:
    """A cloud that ends with the block, and all it kept. `services_path`: a folder with services of one's own."""
    folder = Path(tempfile.mkdtemp(prefix="aerekos-"))
    running = RunningCloud(folder / "home", _free_port(), str(services_path or ""))
    try:
        running.aerekos("up")
        yield running
    finally:
        pids = running.instances().values()
        with suppress(subprocess.SubprocessError):
            running.aerekos("down")
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
