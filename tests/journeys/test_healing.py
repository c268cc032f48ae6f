"""What is killed comes back, what was acknowledged stays, and nothing runs twice."""

from __future__ import annotations

import base64
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from clouds import REPOSITORY, Cloud, environment, eventually, kill


def test_a_killed_service_is_ready_again_and_an_event_says_why(cloud: Cloud) -> None:
    pid = cloud.instances()["key-manager-0"]
    kill(pid)
    eventually(lambda: cloud.instances().get("key-manager-0") not in (None, pid), "a new process")
    eventually(lambda: cloud.is_ready("key-manager"), "key-manager is Ready again")
    assert cloud.events("Crashed")[-1].endswith("killed by SIGKILL")
    (recovered,) = cloud.events("Recovered")
    assert re.fullmatch(r"key-manager-0 is ready again after \d+\.\d\d s", recovered)


def test_a_hung_service_is_found_by_its_probe_and_replaced(cloud: Cloud) -> None:
    before = len(cloud.events("Recovered"))
    pid = cloud.instances()["key-manager-0"]
    kill(pid, signal.SIGSTOP)
    eventually(lambda: len(cloud.events("Recovered")) > before, "the hung process was replaced")
    assert "liveness failed" in cloud.events("LivenessFailed")[-1]
    assert cloud.instances()["key-manager-0"] != pid


def test_a_new_conductor_adopts_what_runs_and_forgets_nothing(cloud: Cloud, tmp_path: Path) -> None:
    key = cloud.kms("create-key")["KeyMetadata"]["KeyId"]
    plain, sealed = tmp_path / "plain", tmp_path / "sealed"
    plain.write_bytes(b"attack at dawn")
    blob = cloud.kms("encrypt", "--key-id", key, "--plaintext", f"fileb://{plain}")["CiphertextBlob"]
    sealed.write_bytes(base64.b64decode(blob))
    before = cloud.instances()
    kill(cloud.conductor_pid())
    cloud.do("up")
    assert cloud.instances() == before
    opened = cloud.kms("decrypt", "--ciphertext-blob", f"fileb://{sealed}")["Plaintext"]
    assert base64.b64decode(opened) == plain.read_bytes()
    assert key in cloud.do("get", "keys", "-o", "name")


WRITER = """
import itertools, ssl, sys
import httpx

home, port, prefix = sys.argv[1:]
trust = ssl.create_default_context(cafile=f"{home}/tls/ca.crt")
trust.load_cert_chain(f"{home}/tls/admin.crt", f"{home}/tls/admin.key")
client = httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=trust, trust_env=False)
for number in itertools.count():
    name = f"{prefix}-{number}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    if client.post("/api/v1/namespaces", json=body).status_code != 201:
        sys.exit(1)
    print(name, flush=True)
"""


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whenever_the_conductor_is_killed_every_acknowledged_write_is_there(cloud: Cloud, seed: int) -> None:
    moment = random.Random(seed).uniform(0.05, 1.0)
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(cloud.home), str(cloud.port), f"room-{seed}"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert writer.stdout
    first = writer.stdout.readline()
    time.sleep(moment)  # the moment of the kill is the experiment
    kill(cloud.conductor_pid())
    acknowledged = {line.strip() for line in [first, *writer.stdout]}
    writer.wait()
    cloud.do("up")
    kept = {each["metadata"]["name"] for each in cloud.get("namespaces")["items"]}
    assert acknowledged <= kept and len(acknowledged) > 1
    assert sorted(cloud.instances()) == services_running(cloud)


def services_running(cloud: Cloud) -> list[str]:
    """AEREKOS_INSTANCE of every service process of that home, doubles included."""
    pairs = [pair for pid in cloud.processes() for pair in environment(pid).split(b"\0")]
    return sorted(pair.partition(b"=")[2].decode() for pair in pairs if pair.startswith(b"AEREKOS_INSTANCE="))


def test_down_leaves_no_process_even_when_the_conductor_was_killed_first(new_cloud) -> None:
    cloud = new_cloud()
    cloud.do("up")
    assert len(cloud.processes()) > 1
    kill(cloud.conductor_pid())
    assert services_running(cloud)
    cloud.do("down")
    assert cloud.processes() == []
    assert "nothing runs" in cloud.do("down")
    assert not (cloud.home / "run" / "conductor.json").exists()
