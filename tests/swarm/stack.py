"""The whole product on a real Swarm, deployed as people do it: `make swarm-up`, then the printed line elsewhere."""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from swarm.cluster import Cluster
from swarm.node import INNER_SOCKET, Node, run, until

REPOSITORY = Path(__file__).parents[2]
PORT = 7443
# Made once for all runs: twenty seconds of unpacking Debian packages say nothing about us.
BASE_TAR = Path(sys.prefix) / "base-bookworm.tar"


@dataclass
class Deployed:
    """One cloud on a cluster. `said` is what `make swarm-up` printed; `folder` holds the admin's certificate."""

    made: Cluster
    folder: Path
    said: str = ""
    seconds: float = 0.0
    joined: dict[str, float] = field(default_factory=dict)

    @property
    def manager(self) -> Node:
        return self.made.manager

    @property
    def url(self) -> str:
        return f"https://{self.manager.address}:{PORT}"

    @property
    def join_line(self) -> str:
        found = re.search(r"^\s*(f=\$\(mktemp\).*)$", self.said, re.MULTILINE)
        assert found, self.said
        return found[1]

    def conductor(self) -> str:
        """The container's id."""
        name = "label=com.docker.swarm.service.name=aerekos_conductor"
        return self.manager.docker("ps", "-q", "--filter", name).split()[0]

    def do(self, *arguments: str, timeout: float = 60) -> str:
        """`aerekos <arguments>` inside the conductor, as its admin."""
        return self.manager.docker("exec", "-i", self.conductor(), "aerekos", *arguments, timeout=timeout)

    def http(self) -> httpx.Client:
        """The API as the cloud's admin, wherever the manager is now. Close it."""
        tls = self.folder / "tls"
        trust = ssl.create_default_context(cafile=str(tls / "ca.crt"))
        trust.check_hostname = False  # the machine's address may be another one now
        trust.load_cert_chain(tls / "admin.crt", tls / "admin.key")
        return httpx.Client(base_url=self.url, verify=trust, timeout=5, trust_env=False)

    def get(self, plural: str, name: str = "") -> dict[str, Any]:
        """One resource of ours, or the list. Raises OSError when nobody answers."""
        room = "namespaces/default/" if plural == "services" else ""
        try:
            with self.http() as api:
                answer = api.get(f"/apis/aerekos.cloud/v1/{room}{plural}{f'/{name}' if name else ''}")
                return dict(answer.raise_for_status().json())
        except httpx.HTTPError as lost:
            raise OSError(str(lost)) from lost

    def apply(self, **documents: Any) -> None:
        """Service documents by name: `apply(web={...spec})`."""
        items = [
            {"apiVersion": "aerekos.cloud/v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
            for name, spec in documents.items()
        ]
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        command = ["docker", "-H", self.manager.url, "exec", "-i", self.conductor(), "aerekos", "apply", "-f", "-"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr + done.stdout

    def is_ready(self) -> bool:
        """Whether the API answers, and the conductor has looked at everything."""
        try:
            with self.http() as api:
                return api.get("/ready").status_code == 200
        except httpx.HTTPError:
            return False

    def ready(self, service: str) -> str:
        """`2/3`, as the table shows it."""
        return str(self.get("services", service)["status"].get("ready", ""))

    def until_ready(self, service: str, count: int) -> None:
        wanted = f"{count}/{count}"
        until(lambda: self.ready(service) == wanted, f"{service} is {wanted}")

    def push(self, image: str) -> None:
        """To the cloud's own registry, from the first machine, as its admin."""
        password = re.search(r"Login \(shown once\): +admin / (\S+)", self.said)
        assert password, self.said
        command = ["docker", "--config", str(self.folder / "docker"), "-H", self.manager.url]
        login = [*command, "login", "-u", "admin", "--password-stdin", image.partition("/")[0]]
        done = subprocess.run(login, input=password[1], text=True, check=False, capture_output=True, timeout=30)
        assert done.returncode == 0, done.stderr
        run(*command, "push", "-q", image)

    def workers(self) -> dict[str, dict[str, Any]]:
        return {each["metadata"]["name"]: each for each in self.get("workers")["items"]}

    def ready_workers(self) -> set[str]:
        return {name for name, each in self.workers().items() if each["status"].get("phase") == "Ready"}

    def join(self, node: Node, line: str = "") -> None:
        """Run the printed line on that machine; `joined` has the seconds until its worker is Ready."""
        began = time.monotonic()
        env = ["env", f"DOCKER_HOST={node.url}", f"AEREKOS_DOCKER_SOCKET={INNER_SOCKET}"]
        node.inside(*env, "sh", "-c", line or self.do("token", "create").splitlines()[-1].strip())
        until(lambda: node.name in self.ready_workers(), f"{node.name} is a Ready worker")
        self.joined[node.name] = time.monotonic() - began


def deploy(made: Cluster, folder: Path) -> Deployed:
    """`make swarm-up` on the first node. Raises AssertionError with everything it said."""
    began = time.monotonic()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AEREKOS_", "AWS_", "DOCKER_"))}
    env = kept | {
        "DOCKER_HOST": made.manager.url,
        "AEREKOS_DOCKER_SOCKET": INNER_SOCKET,
        "AEREKOS_ADDRESS": made.manager.address,
        "AEREKOS_BASE_TAR": str(BASE_TAR),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "AEREKOS_HOME": str(folder / "home"),
        "PYTHON": sys.executable,
    }
    done = subprocess.run(
        ["sh", "images/swarm-up.sh"],
        cwd=REPOSITORY,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    deployed = Deployed(made, folder, done.stdout, time.monotonic() - began)
    tls = folder / "tls"
    tls.mkdir(parents=True, exist_ok=True)
    for name in ("ca.crt", "admin.crt", "admin.key"):
        run("docker", "-H", made.manager.url, "cp", f"{deployed.conductor()}:/data/tls/{name}", str(tls / name))
    return deployed
