"""What is killed comes back, what was acknowledged stays, and nothing runs twice."""

from __future__ import annotations

import base64
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest
from clouds import PATIENCE_SECONDS, REPOSITORY, Cloud, environment, eventually, kill


def test_a_killed_service_is_ready_again_and_an_event_says_why(cloud: Cloud) -> None:
    pid = a_child(cloud, "key-manager")
    before = Counter(cloud.events("Recovered"))
    ended(cloud, "key-manager", pid)
    (crashed,) = [each for each in cloud.events("Crashed") if f"(pid {pid})" in each]
    assert crashed.endswith("killed by SIGKILL")
    (recovered,) = eventually(lambda: Counter(cloud.events("Recovered")) - before, "that it recovered is told")
    assert re.fullmatch(r"key-manager-0 is ready again after \d+\.\d\d s", recovered)


def a_child(cloud: Cloud, service: str) -> int:
    """The process of its first copy, started by this conductor: how an adopted one ends, none is told."""
    pid = cloud.instances()[f"{service}-0"]
    if cloud.conductor_pid() not in (each.pid for each in psutil.Process(pid).parents()):
        ended(cloud, service, pid)
    return cloud.instances()[f"{service}-0"]


def ended(cloud: Cloud, service: str, pid: int) -> None:
    """Killed, until there is another one, which is ready."""
    kill(pid)
    eventually(lambda: cloud.instances().get(f"{service}-0") not in (None, pid), "a new process")
    eventually(lambda: cloud.is_ready(service), f"{service} is Ready again")


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
    kill(before["storage-manager-0"])
    eventually(lambda: cloud.instances().get("storage-manager-0") not in (None, before["storage-manager-0"]), "anew")
    eventually(lambda: cloud.is_ready("storage-manager"), "what was adopted is healed like its own")
    assert zombies(cloud.conductor_pid()) == []
    opened = cloud.kms("decrypt", "--ciphertext-blob", f"fileb://{sealed}")["Plaintext"]
    assert base64.b64decode(opened) == plain.read_bytes()
    assert key in cloud.do("get", "keys", "-o", "name")


def zombies(parent: int) -> list[str]:
    """What that process has started and never asked how it ended. Source: proc(5)."""
    found = []
    for each in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            name, _, rest = each.read_text().rpartition(")")
            state, ppid, *_ = rest.split()
            if state == "Z" and int(ppid) == parent:
                found.append(name)
    return found


def test_when_everything_is_killed_at_once_a_start_brings_all_of_it_back(cloud: Cloud, tmp_path: Path) -> None:
    """As a power loss does, but for what the disk had not written yet."""
    (tmp_path / "kept").write_bytes(random.Random(1).randbytes(3 << 20))
    key = cloud.kms("create-key")["KeyMetadata"]["KeyId"]
    for words in (["mb", "s3://kept"], ["cp", "--only-show-errors", str(tmp_path / "kept"), "s3://kept/a"]):
        assert cloud.aws("s3", *words).code == 0
    services = services_running(cloud)
    while alive := cloud.processes():
        for pid in alive:
            with suppress(ProcessLookupError):
                kill(pid)
    cloud.do("up")
    assert services_running(cloud) == services
    assert cloud.kms("describe-key", "--key-id", key)["KeyMetadata"]["KeyState"] == "Enabled"
    assert cloud.aws("s3", "cp", "--only-show-errors", "s3://kept/a", str(tmp_path / "back")).code == 0
    assert (tmp_path / "back").read_bytes() == (tmp_path / "kept").read_bytes()


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


def test_down_in_the_middle_of_an_upload_leaves_no_half_object(new_cloud: Callable[..., Cloud]) -> None:
    cloud, go_on, said = new_cloud(), threading.Event(), list[object]()
    cloud.do("up")
    assert cloud.aws("s3", "mb", "s3://half").code == 0

    def body() -> Iterator[bytes]:
        yield b"x" * (2 << 20)
        go_on.wait(PATIENCE_SECONDS)
        yield b"x"

    def upload() -> None:
        with cloud.http() as client:
            try:
                said.append(client.put("/services/storage-manager/half/object", content=body()).status_code)
            except httpx.HTTPError as broken:
                said.append(broken)

    uploading = threading.Thread(target=upload)
    uploading.start()
    eventually(lambda: parts_of_uploads(cloud), "some of it is on the disk")
    cloud.do("down")
    assert cloud.processes() == []
    go_on.set()
    uploading.join(PATIENCE_SECONDS)
    assert not uploading.is_alive() and said[0] not in (200, 201), "nobody was told that it is kept"
    cloud.do("up")
    assert cloud.aws("s3", "ls", "s3://half").out == ""
    assert cloud.aws("s3", "rb", "s3://half").code == 0, "and nothing holds the bucket"


def parts_of_uploads(cloud: Cloud) -> list[Path]:
    """What storage-manager has of objects that are not whole."""
    return [each for each in (cloud.home / "data").rglob("*") if each.is_file() and each.stat().st_size >= 1 << 20]
