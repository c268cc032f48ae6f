"""How long people miss what breaks on one machine, and how long a cloud takes to start again.

`python bench/healing.py`. A managed service, with the probes every one of them has, is killed and is stopped
(SIGSTOP); the conductor is killed and started again. For real machines that break, see swarm_recovery.py.
"""

from __future__ import annotations

import json
import os
import signal
import ssl
import statistics
import time
from typing import Any

import httpx
from cloud import Cloud, a_cloud
from verdicts import Verdict, limit, table

from crds.managed import default_probes

ROUNDS = 3
PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 0.01
VICTIM = "key-manager"
KILLED_SECONDS = 0.4
STARTED_SECONDS = 5.0


def measure(cloud: Cloud, rounds: int = ROUNDS) -> list[Verdict]:
    """Medians. The cloud is well afterwards."""
    trust = ssl.create_default_context(cafile=str(cloud.ca))
    trust.load_cert_chain(cloud.home / "tls" / "admin.crt", cloud.home / "tls" / "admin.key")
    url = f"https://127.0.0.1:{cloud.port}/apis/aerekos.cloud/v1/namespaces/default/services/{VICTIM}"
    killed: list[float] = []
    hung: list[float] = []
    started: list[float] = []
    with httpx.Client(base_url=url, verify=trust, trust_env=False) as client:
        for _ in range(rounds):
            for number, took in ((signal.SIGKILL, killed), (signal.SIGSTOP, hung)):
                # A new conductor has not seen it fail: what fails soon again waits longer, as a crash loop should.
                started.append(_started_again(cloud))
                took.append(_healed(cloud, client, number))
    return [
        limit("a killed service is Ready again", statistics.median(killed), KILLED_SECONDS, " s"),
        limit("a hung service is Ready again", statistics.median(hung), _hung_seconds(), " s"),
        limit("`aerekos up` after a kill of the conductor", statistics.median(started), STARTED_SECONDS, " s"),
    ]


def _hung_seconds() -> float:
    """As long as the probes need to be sure, and then as after a kill."""
    probe = default_probes().liveness
    assert probe
    sure = (probe.period_seconds + probe.timeout_seconds) * probe.failure_threshold + probe.period_seconds
    return sure + KILLED_SECONDS


def _healed(cloud: Cloud, client: httpx.Client, number: signal.Signals) -> float:
    """Seconds from the signal until the successor is Ready. Raises RuntimeError when it never is."""
    before = _instance(client)["restarts"]
    record = cloud.home / "run" / "instances" / f"{VICTIM}-0.json"
    began = time.monotonic()
    os.kill(int(json.loads(record.read_text())["pid"]), number)
    while time.monotonic() - began < PATIENCE_SECONDS:
        now = _instance(client)
        if now["restarts"] > before and now["ready"]:
            return time.monotonic() - began
        time.sleep(LOOK_SECONDS)
    raise RuntimeError(f"{VICTIM} was not Ready {PATIENCE_SECONDS:g} s after {number.name}")


def _instance(client: httpx.Client) -> dict[str, Any]:
    answer = client.get("")
    answer.raise_for_status()
    (only,) = answer.json()["status"]["instances"]
    return dict(only)


def _started_again(cloud: Cloud) -> float:
    """The services run on meanwhile and are adopted."""
    os.kill(cloud.pid, signal.SIGKILL)
    began = time.monotonic()
    cloud.do("up")
    return time.monotonic() - began


def main() -> None:
    with a_cloud() as cloud:
        print(table(measure(cloud)))


if __name__ == "__main__":
    main()
