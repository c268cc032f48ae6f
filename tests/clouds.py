"""A real cloud for a test: started by the command people use, in a home and on a port of its own."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import httpx
from keeper import ends_with_pytest

import cli.main

REPOSITORY = Path(__file__).parents[1]
# How long something may take before a test calls it never. No test says how fast: `make bench` does.
PATIENCE_SECONDS = 60.0
T = TypeVar("T")
FORGET = """
import sys
from pathlib import Path

import anyio
from controller.kit.clock import SystemClock
from controller.kit.threads import Threads
from controller.store.sealing import Sealing
from controller.store.sql import open_store

async def forget():
    file = Path(sys.argv[1])
    sealing = Sealing(file.parent.parent / "secrets" / "store-key", ())
    store = await open_store(f"sqlite:///{file}", threads=Threads(2), clock=SystemClock(), sealing=sealing)
    await store.compact(keep_after=store.revision)
    await store.close()

anyio.run(forget)
"""


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Cloud:
    """One home and port. Commands run as a person's would, in a process of their own. `code`: what runs."""

    home: Path
    port: int
    code: Path = REPOSITORY

    def __post_init__(self) -> None:
        ends_with_pytest(self.home)

    @property
    def env(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AEREKOS_", "AWS_"))}
        own = {
            "AEREKOS_HOME": str(self.home),
            "AEREKOS_PORT": str(self.port),
            "AEREKOS_RUNTIME": "process",  # a Swarm that this machine manages is somebody else's
            "XDG_CONFIG_HOME": f"{self.home}-config",
        }
        return kept | own | ({"PYTHONPATH": str(self.code)} if self.code != REPOSITORY else {})

    def command(self, *arguments: str, text: str | None = None, timeout: float = 90, **env: str) -> Said:
        """Whatever comes of `aerekos <arguments>`."""
        return run([sys.executable, "-m", "cli.main", *arguments], {**self.env, **env}, text, timeout, self.code)

    def do(self, *arguments: str, text: str | None = None) -> str:
        """What a successful `aerekos <arguments>` prints."""
        said = self.command(*arguments, text=text)
        assert said.code == 0, f"aerekos {' '.join(arguments)} → {said}"
        return said.out

    def look(self, *arguments: str) -> str:
        """What a successful `aerekos <arguments>` prints, asked in this very process: a test looks again and again,
        and a new interpreter for each look would take most of its time."""
        if self.code != REPOSITORY:
            return self.do(*arguments)
        printed = io.StringIO()
        with patch.dict(os.environ, self.env, clear=True), redirect_stdout(printed), redirect_stderr(printed):
            code = cli.main.run([*arguments])
        assert code == 0, f"aerekos {' '.join(arguments)} → {code}: {printed.getvalue()}"
        return printed.getvalue()

    def get(self, *arguments: str) -> dict[str, Any]:
        """One `aerekos get ... -o json`."""
        return dict(json.loads(self.look("get", *arguments, "-o", "json")))

    def aws_env(self) -> dict[str, str]:
        return {**self.env, **json.loads(self.look("env", "--format", "json"))}

    def aws(self, *arguments: str, timeout: float = 120, **env: str) -> Said:
        """The unmodified aws CLI."""
        program = Path(sys.executable).with_name("aws")
        return run([str(program), *arguments], {**self.aws_env(), **env}, None, timeout)

    def kms(self, *arguments: str) -> dict[str, Any]:
        said = self.aws("kms", *arguments, "--output", "json")
        assert said.code == 0, said
        return dict(json.loads(said.out or "{}"))

    def boto3(
        self,
        service: str,
        key: str,
        secret: str,
        token: str | None = None,
        *,
        region: str = "us-east-1",
        **config: Any,
    ) -> Any:
        """A client of an AWS SDK that signs with that key. `token`: of temporary credentials; `config`: as botocore's
        Config has it.
        """
        import boto3
        from botocore.config import Config

        return boto3.client(
            service,
            endpoint_url=f"https://127.0.0.1:{self.port}",
            region_name=region,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            verify=str(self.home / "tls" / "ca.crt"),
            config=Config(**config),
        )

    def http(self, *, admin: bool = True) -> httpx.Client:
        """A client of the API: the local admin, or nobody. Close it."""
        trust = ssl.create_default_context(cafile=str(self.home / "tls" / "ca.crt"))
        if admin:
            trust.load_cert_chain(self.home / "tls" / "admin.crt", self.home / "tls" / "admin.key")
        return httpx.Client(base_url=f"https://127.0.0.1:{self.port}", verify=trust, trust_env=False)

    def conductor_pid(self) -> int:
        return int(json.loads((self.home / "run" / "conductor.json").read_text())["pid"])

    def instances(self) -> dict[str, int]:
        """Name → pid of every service process this home has a record of."""
        files = sorted((self.home / "run" / "instances").glob("*.json"))
        records = [json.loads(file.read_text()) for file in files]
        return {record["instance"]: record["pid"] for record in records}

    def processes(self) -> list[int]:
        """Every living process that was told of this home, however it was started."""
        mark = str(self.home).encode()
        numbers = [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()]
        return [pid for pid in numbers if mark in environment(pid)]

    def events(self, reason: str) -> list[str]:
        items = self.get("events", "-A")["items"]
        return [each["message"] for each in items if each["reason"] == reason]

    def condition(self, service: str, kind: str) -> dict[str, Any]:
        conditions = self.get("services", service).get("status", {}).get("conditions", [])
        return next((dict(each) for each in conditions if each["type"] == kind), {})

    def is_ready(self, service: str) -> bool:
        return self.condition(service, "Ready").get("status") == "True"


def environment(pid: int) -> bytes:
    """Its environment block; empty for a zombie and for this very test."""
    if pid == os.getpid():
        return b""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def run(command: list[str], env: dict[str, str], text: str | None, timeout: float, folder: Path = REPOSITORY) -> Said:
    done = subprocess.run(
        command, env=env, cwd=folder, input=text, capture_output=True, text=True, timeout=timeout, check=False
    )
    return Said(done.returncode, done.stdout, done.stderr)


def eventually(look: Callable[[], T], what: str) -> T:
    """The first truthy answer of `look`; other processes are at work, so it is asked again and again, less and less
    often: whoever looks all the time takes the processors from those who work."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    pause = 0.02
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS:g} s: {what}"
        time.sleep(pause)
        pause = min(pause * 1.5, 0.3)


def forget_history(cloud: Cloud) -> None:
    """Compacts the store of a cloud that is down, up to its newest revision."""
    file = cloud.home / "store" / "records.db"
    subprocess.run([sys.executable, "-c", FORGET, str(file)], cwd=REPOSITORY, check=True, timeout=30)


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    os.kill(pid, number)


def a_port() -> int:
    """One that is free, and that the kernel gives to nobody's outgoing connection meanwhile.

    Source: ip(7), ip_local_port_range: 32768 and above.
    """
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
