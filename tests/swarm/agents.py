"""A real conductor and real agents as plain processes on the machines of a cluster: what tests of the agent need.

The conductor believes that it is part of a stack, but nothing of a stack is deployed: no image is built here, so
managed services are left out. Agents run outside the Swarm, each in its machine's network.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from swarm.node import Node, until

from services.sdk.discovery import managed_services

REPOSITORY = Path(__file__).parents[2]
PORT = 7443
PATIENCE = 3.0
# The agent's own main, less patient than people need it.
RUN = f"""
import agent.swarm.membership as membership, agent.swarm.node as node
membership.REJOIN_AFTER_SECONDS, node.POLL_SECONDS, node.MEASURE_SECONDS = {PATIENCE}, 0.5, 1.0
from agent.main import main
main()
"""


@dataclass
class Running:
    """A process in a machine's network; `log` is what it wrote so far."""

    process: subprocess.Popen[bytes]
    file: Path

    @property
    def log(self) -> list[dict[str, Any]]:
        lines = self.file.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def said(self, event: str) -> list[dict[str, Any]]:
        return [each for each in self.log if each["event"] == event]

    def text(self) -> str:
        return self.file.read_text()

    def stop(self, number: int = signal.SIGKILL) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(60)


@dataclass
class Conductor:
    """On the first machine, which manages the Swarm."""

    node: Node
    home: Path
    secret: str
    running: Running | None = None
    agents: list[Running] = field(default_factory=list)

    @property
    def cloud(self) -> Path:
        """Its own folder: a home of a cloud holds nothing else when it is founded."""
        return self.home / "cloud"

    @property
    def url(self) -> str:
        return f"https://{self.node.address}:{PORT}"

    @property
    def token(self) -> str:
        """As `stack.yml` gives it to agents: without a pin, so the conductor must prove itself."""
        return f"agents.{self.secret}"

    def start(self) -> None:
        env = {
            "AEREKOS_HOME": str(self.cloud),
            "AEREKOS_HOST": "0.0.0.0",
            "AEREKOS_RUNTIME": "swarm",
            "AEREKOS_STACK": "aerekos",
            "AEREKOS_PUBLISHED_PORT": str(PORT),
            "AEREKOS_AGENT_TOKEN_FILE": str(self.home / "agent-token"),
            "AEREKOS_IMAGE_SERVICES": "none:1",
            "AEREKOS_IMAGE_AGENT": "none:1",
            "AEREKOS_REGISTRY_CA_FILE": "/nowhere/ca.crt",
            "DOCKER_HOST": self.node.url,
        }
        command = [sys.executable, "-m", "cli.main", "up", "--foreground"]
        self.running = begin(self.node, command, self.home / "conductor.out", **env)
        until(self._is_ready, "the conductor is ready", 30)

    def _is_ready(self) -> bool:
        assert self.running is not None
        assert self.running.process.poll() is None, self.running.text()[-3000:]
        if not (self.cloud / "tls" / "admin.key").exists():
            return False
        try:
            with self.http() as client:
                return client.get("/ready").status_code == 200
        except httpx.HTTPError:
            return False

    def http(self) -> httpx.Client:
        """As the admin of this home."""
        tls = self.cloud / "tls"
        trust = ssl.create_default_context(cafile=str(tls / "ca.crt"))
        trust.load_cert_chain(tls / "admin.crt", tls / "admin.key")
        return httpx.Client(base_url=self.url, verify=trust, trust_env=False, timeout=10)

    def get(self, path: str) -> dict[str, Any]:
        with self.http() as client:
            return dict(client.get(path).raise_for_status().json())

    def post(self, path: str, body: Any) -> None:
        with self.http() as client:
            answer = client.post(path, json=body)
            assert answer.is_success, answer.text

    def delete(self, path: str) -> None:
        with self.http() as client:
            client.delete(path)

    def worker(self, name: str) -> dict[str, Any]:
        with self.http() as client:
            answer = client.get(f"/apis/aerekos.cloud/v1/workers/{name}")
            return dict(answer.json()) if answer.is_success else {}

    def condition(self, name: str, kind: str) -> dict[str, Any]:
        listed = self.worker(name).get("status", {}).get("conditions", [])
        return next((dict(each) for each in listed if each["type"] == kind), {})

    def is_ready(self, name: str) -> bool:
        return self.condition(name, "Ready").get("status") == "True"

    def service(self, name: str) -> dict[str, Any]:
        return self.get(f"/apis/aerekos.cloud/v1/namespaces/default/services/{name}").get("status", {})

    def apply(self, name: str, **spec: Any) -> None:
        body = {"apiVersion": "aerekos.cloud/v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
        self.post("/apis/aerekos.cloud/v1/namespaces/default/services", body)

    def new_token(self, **spec: Any) -> str:
        """As `aerekos token create` makes it: with a pin."""
        name, secret = f"t{secrets.token_hex(3)}", secrets.token_hex(20)
        until_ = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        digest = hashlib.sha256(secret.encode()).hexdigest()
        body = {"metadata": {"name": name}, "spec": {"secretSha256": digest, "expiresAt": until_, "uses": 1, **spec}}
        kind = {"apiVersion": "aerekos.cloud/v1", "kind": "JoinToken"}
        self.post("/apis/aerekos.cloud/v1/jointokens", {**kind, **body})
        der = ssl.PEM_cert_to_DER_cert((self.cloud / "tls" / "ca.crt").read_text())
        return f"{name}.{secret}.{hashlib.sha256(der).hexdigest()}"

    def agent(self, node: Node, *arguments: str, **env: str) -> Running:
        """Started; its home outlives it."""
        home = self.home / node.name
        home.mkdir(exist_ok=True)
        given = {"API": self.url, "DOCKER": node.url, "HOME": str(home), "NAME": node.name}
        own = {f"AEREKOS_AGENT_{name}": value for name, value in {**given, **env}.items()}
        file = home / f"agent-{len(self.agents)}.out"
        made = begin(node, [sys.executable, "-c", RUN, *arguments], file, **own)
        self.agents.append(made)
        return made

    def join(self, node: Node, *arguments: str, **env: str) -> Running:
        """`aerekos-agent join`, until it has ended."""
        made = self.agent(node, "join", *arguments, **env)
        made.process.wait(60)
        return made

    def stop(self) -> None:
        for each in [*self.agents, *([self.running] if self.running else [])]:
            each.stop()


def begin(node: Node, command: list[str], file: Path, *, net: str = "", **env: str) -> Running:
    """In the machine's network, or in the one at `net`; names nobody knows are refused at once there."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AEREKOS_", "AWS_", "DOCKER_"))}
    resolver = env.pop("resolver", "127.0.0.1")
    names = node.folder / f"resolv-{resolver}.conf"
    names.write_text(f"nameserver {resolver}\noptions ndots:0\n")
    bound = f'mount --bind "{names}" "$(readlink -f /etc/resolv.conf)"; exec "$@"'
    where = f"--net={net or f'/run/netns/{node.namespace}'}"
    with file.open("ab") as log:
        process = subprocess.Popen(
            ["nsenter", where, "unshare", "-m", "sh", "-ec", bound, "sh", *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**kept, "PYTHONUNBUFFERED": "1", **env},
            cwd=REPOSITORY,
            start_new_session=True,
        )
    return Running(process, file)


@contextmanager
def conducted(node: Node, home: Path) -> Iterator[Conductor]:
    """A conductor on that machine, which manages a Swarm already."""
    made = Conductor(node, home, secrets.token_hex(24))
    (home / "agent-token").write_text(made.token)
    try:
        made.start()
        for each in managed_services():  # their images are not here
            made.delete(f"/apis/aerekos.cloud/v1/namespaces/default/services/{each.service_name}")
        yield made
    finally:
        made.stop()
