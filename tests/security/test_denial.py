"""A whole cloud with few descriptors, while strangers hold its port: it goes on, for everybody who is known.

Bounded here: the conductor's memory, and heartbeats missed (none). Started as `ulimit -n 1024` leaves it.
"""

from __future__ import annotations

import json
import resource
import shutil
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from clouds import Cloud, a_port, eventually, run

DESCRIPTORS = 1024
HALF = b"GET /version HTTP/1.1\r\nHost: localhost\r\n"
SIGNED = (
    b"PUT /bucket/key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\nX-Amz-Date: 20260101T000000Z\r\n"
    b"X-Amz-Content-Sha256: UNSIGNED-PAYLOAD\r\nAuthorization: AWS4-HMAC-SHA256 "
    b"Credential=AKIAEXAMPLE/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00\r\n\r\n"
)
MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    running = Cloud(tmp_path_factory.mktemp("denial") / "home", a_port())
    started = run(
        ["sh", "-c", f"ulimit -n {DESCRIPTORS} && exec {sys.executable} -m cli.main up"], running.env, None, 120
    )
    assert started.code == 0, started
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    yield running
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    running.command("down")
    shutil.rmtree(running.home, ignore_errors=True)


@contextmanager
def held(cloud: Cloud, count: int, sent: bytes) -> Iterator[list[ssl.SSLSocket]]:
    """So many connections that have sent that much and wait. Those the cloud ends at once are ended."""
    trust = ssl.create_default_context(cafile=str(cloud.home / "tls" / "ca.crt"))
    with ExitStack() as open_ones:
        held: list[ssl.SSLSocket] = []
        for _ in range(count):
            plain = open_ones.enter_context(socket.create_connection(("127.0.0.1", cloud.port), timeout=10))
            with suppress(OSError):
                stream = open_ones.enter_context(trust.wrap_socket(plain, server_hostname="localhost"))
                stream.sendall(sent)
                held.append(stream)
        yield held


def conductor(cloud: Cloud) -> psutil.Process:
    return psutil.Process(cloud.conductor_pid())


def assert_serves(cloud: Cloud) -> None:
    """The known are served: the API, S3 and KMS; and the worker's lease is fresh."""
    with cloud.http() as client:
        for _ in range(5):
            assert client.get("/api/v1/namespaces").status_code == 200
        [lease] = client.get("/agents/leases").json()["leases"]
        assert lease["ageSeconds"] < 10
    assert cloud.aws("s3", "ls").code == 0
    assert cloud.kms("list-keys")["Keys"] is not None


def missed_heartbeats(cloud: Cloud) -> list[str]:
    return [each for each in cloud.events("WorkerNotReady") if "no heartbeat" in each]


@pytest.mark.parametrize(("count", "sent"), [(1100, HALF), (520, SIGNED), (700, b"")])
def test_strangers_who_hold_the_port_keep_nobody_out(cloud: Cloud, count: int, sent: bytes) -> None:
    before = conductor(cloud)
    pid, memory = before.pid, before.memory_info().rss
    assert_serves(cloud)
    with held(cloud, count, sent):
        assert_serves(cloud)
        assert before.num_fds() < DESCRIPTORS - 64
        assert before.memory_info().rss - memory < 150 * MEBIBYTE
    assert cloud.conductor_pid() == pid and before.is_running()
    eventually(lambda: before.num_fds() < 300, "the strangers' descriptors come back")
    assert not missed_heartbeats(cloud)


def test_the_port_survives_a_flood_of_connections_that_say_nothing(cloud: Cloud) -> None:
    pid = cloud.conductor_pid()
    for _ in range(3000):
        socket.create_connection(("127.0.0.1", cloud.port), timeout=10).close()
    assert_serves(cloud)
    assert cloud.conductor_pid() == pid


def test_the_log_tells_of_no_task_that_failed(cloud: Cloud) -> None:
    lines = [line for line in (cloud.home / "logs" / "conductor.log").read_text().splitlines() if "{" in line]
    told = [json.loads(line) for line in lines if line.startswith("{")]
    assert not [each for each in told if each.get("event") == "a task failed; it begins again"]
    assert Path(cloud.home / "store" / "records.db").exists()
