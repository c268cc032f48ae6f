"""What managed services cost: the start of one, its memory, the start of the cloud, and thirty that sleep.

`python bench/managed.py`. The thirty are folders of their own, made for this run (AEREKOS_SERVICES_PATH), on demand.
Memory is what nobody else has (private), or a fair share of it (Pss), as the kernel counts it.
"""

from __future__ import annotations

import json
import ssl
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
from cloud import Cloud, a_cloud
from verdicts import Verdict, limit, table

ROUNDS, SLEEPERS = 3, 30
PATIENCE_SECONDS, LOOK_SECONDS = 60.0, 0.01
SETTLE_SECONDS = 5.0
MIB = 2**20
PRIVATE_MIB, SLEEPERS_MIB, FIRST_ANSWER_SECONDS, UP_SECONDS = 25.0, 60.0, 1.0, 3.0
SERVICES = "/apis/aerekos.cloud/v1/namespaces/default/services"
MANIFEST = """
from crds.managed import ManagedService

MANIFEST = ManagedService("{name}", "A sleeper", "Sleeps.", "services.{name}.app:create")
"""
APP = """
from services.sdk.routes import route
from services.sdk.service import Service


class Routes:
    @route("GET", "/hello", permission=None)
    async def hello(self, request):
        return {"hello": "there"}


def create(context):
    return Service(routes=[Routes()])
"""


def measure() -> list[Verdict]:
    """In clouds of their own."""
    with tempfile.TemporaryDirectory() as folder:
        names = [_make(Path(folder), number) for number in range(SLEEPERS)]
        with a_cloud(AEREKOS_SERVICES_PATH=folder) as cloud:
            return [*_warm_starts(cloud), _private(cloud), *_sleepers(cloud, names)]


def _make(folder: Path, number: int) -> str:
    """The folder of one that sleeps; the name of its Service."""
    name = f"sleeper{number}_manager"
    (folder / name).mkdir()
    for file, text in (("__init__", ""), ("manifest", MANIFEST.format(name=name)), ("app", APP)):
        (folder / name / f"{file}.py").write_text(text)
    return name.replace("_", "-")


def _warm_starts(cloud: Cloud) -> list[Verdict]:
    took = []
    for _ in range(ROUNDS):
        cloud.do("down")
        began = time.monotonic()
        cloud.do("up")
        took.append(time.monotonic() - began)
    return [limit("`aerekos up`, warm", statistics.median(took), UP_SECONDS, " s")]


def _private(cloud: Cloud) -> Verdict:
    records = [json.loads(each.read_bytes()) for each in (cloud.home / "run" / "instances").glob("*.json")]
    most = max(_kept(int(each["pid"]), "Private_") for each in records)
    return limit("private memory of a managed service, the largest", most, PRIVATE_MIB, " MiB")


def _sleepers(cloud: Cloud, names: list[str]) -> list[Verdict]:
    with _client(cloud) as client:
        time.sleep(SETTLE_SECONDS)
        before = _of_the_cloud(cloud)
        for name in names:
            spec = {"managed": name.replace("-", "_"), "activation": "onDemand"}
            body = {"apiVersion": "aerekos.cloud/v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
            client.post(SERVICES, json=body).raise_for_status()
        _await(lambda: all(_phase(client, name) == "ScaledToZero" for name in names), "all sleep")
        time.sleep(SETTLE_SECONDS)
        cost = _of_the_cloud(cloud) - before + _fork_server(cloud)
        took = [_first_answer(client, name) for name in names[:ROUNDS]]
    return [
        limit(f"{SLEEPERS} services on demand at rest, with the fork server", cost, SLEEPERS_MIB, " MiB"),
        limit("first answer of a service that sleeps", statistics.median(took), FIRST_ANSWER_SECONDS, " s"),
    ]


def _first_answer(client: httpx.Client, name: str) -> float:
    began = time.monotonic()
    client.get(f"/services/{name}/hello").raise_for_status()
    return time.monotonic() - began


def _phase(client: httpx.Client, name: str) -> str:
    answer: dict[str, Any] = client.get(f"{SERVICES}/{name}").raise_for_status().json()
    return str(answer["status"].get("phase"))


def _of_the_cloud(cloud: Cloud) -> float:
    """Conductor, gateways, fork server and what they started, by fair shares."""
    conductor = psutil.Process(cloud.pid)
    return sum(_kept(each.pid, "Pss:") for each in (conductor, *conductor.children(recursive=True)))


def _fork_server(cloud: Cloud) -> float:
    """Its heap. Libraries it has mapped, the conductor has as well."""
    ours = [each for each in psutil.Process(cloud.pid).children() if "forking.server" in " ".join(each.cmdline())]
    return sum(_kept(each.pid, "Anonymous:") for each in ours)


def _kept(pid: int, what: str) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(each.split()[1]) for each in lines if each.startswith(what)) * 1024 / MIB


@contextmanager
def _client(cloud: Cloud) -> Iterator[httpx.Client]:
    trust = ssl.create_default_context(cafile=str(cloud.ca))
    trust.load_cert_chain(cloud.home / "tls" / "admin.crt", cloud.home / "tls" / "admin.key")
    with httpx.Client(
        base_url=f"https://127.0.0.1:{cloud.port}", verify=trust, trust_env=False, timeout=PATIENCE_SECONDS
    ) as client:
        yield client


def _await(holds: Any, what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {PATIENCE_SECONDS:g} s: {what}")
        time.sleep(LOOK_SECONDS)


def main() -> None:
    print(table(measure()))


if __name__ == "__main__":
    main()
