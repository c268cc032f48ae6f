"""The gateway process beside HAProxy (one thread) and the upstream alone, asked in turn by the same client.

`python bench/gateway.py [seconds]`. Clients speak TLS; HAProxy goes to the same upstreams by the same sockets, with
nothing to judge. The gateway verifies signatures or tokens, asks what the caller may, and reports each request. The
conductor is bench/stub_conductor.py; small requests are answered by a second HAProxy, bodies by bench/origin.py; the
client is wrk. CPU per request (user and system of the process) is what a busy machine changes least.
Without `wrk` and `haproxy` (Debian packages) these lines are left out.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import wrk
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cloud import a_port
from stub_conductor import LARGE, SMALL
from verdicts import Verdict, limit, ratio, table
from wrk import Load, Request

ROUNDS, BUSY, IDLE = 3, 64, 1000
BODY = b'{"KeyId": "1234abcd-12ab-34cd-56ef-1234567890ab", "KeySpec": "AES_256"}'
HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Peer:
    """One of those that are asked: where, and the process whose CPU counts."""

    port: int
    process: psutil.Process

    @property
    def cpu(self) -> float:
        """Seconds of CPU it has used."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    @property
    def resident(self) -> float:
        """Its memory, in MiB."""
        return float(self.process.memory_info().rss) / 2**20


@dataclass(frozen=True, slots=True)
class Measured:
    """Loads of the same request, and the microseconds of CPU one of them took."""

    load: Load
    cpu: float

    @property
    def megabytes(self) -> float:
        return self.load.bytes_per_second / 1e6


class Setup:
    """Everything that runs: gateway, HAProxy before the same upstreams, and the upstreams."""

    def __init__(self, gateway: Peer, haproxy: Peer, small: Peer, large: Peer, told: dict[str, str]) -> None:
        self.gateway, self.haproxy, self.small, self.large = gateway, haproxy, small, large
        self._told, self._host = told, f"localhost:{gateway.port}"

    def kms(self) -> Request:
        """A small call, its signature good for a quarter of an hour."""
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "TrentService.GenerateDataKey"}
        return self._signed("kms", "POST", "/", headers, BODY)

    def s3(self, method: str, path: str, mebibytes: int = 0) -> Request:
        """An object's read or write, its body not signed."""
        made = self._signed("s3", method, path, {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}, b"")
        return Request(made.method, made.path, made.host, made.headers, mebibytes * 2**20)

    def bearer(self) -> Request:
        """A small request to a container."""
        headers = {"Authorization": f"Bearer {self._told['token']}"}
        return Request("GET", "/services/origin/b/0", self._host, headers)

    def _signed(self, service: str, method: str, path: str, headers: dict[str, str], body: bytes) -> Request:
        credentials = Credentials(self._told["access_key"], self._told["secret"])
        made = AWSRequest(method, f"https://{self._host}{path}", data=body, headers={"Host": self._host, **headers})
        (S3SigV4Auth if service == "s3" else SigV4Auth)(credentials, service, "us-east-1").add_auth(made)
        signed = {name: str(value) for name, value in made.headers.items() if name.lower() != "host"}
        return Request(method, path, self._host, signed, body=body)


def can_run() -> bool:
    """Whether the programs it compares with are there."""
    return wrk.is_there() and shutil.which("haproxy") is not None


def once(peer: Peer, request: Request, seconds: float, connections: int = BUSY) -> Measured:
    """One run."""
    before = peer.cpu
    load = wrk.driven(peer.port, request, seconds, connections)
    return Measured(load, (peer.cpu - before) / load.requests * 1e6)


def in_turn(peers: list[Peer], request: Request, seconds: float, connections: int = BUSY) -> list[Measured]:
    """Each of them several times, one after the other; the run in the middle of each."""
    runs = [[once(each, request, seconds, connections) for each in peers] for _ in range(ROUNDS)]
    return [sorted(mine, key=lambda run: run.load.rate)[ROUNDS // 2] for mine in zip(*runs, strict=True)]


def small_requests(setup: Setup, seconds: float) -> list[Verdict]:
    """Requests per second, CPU of each, and what is added to the delay of one alone."""
    peers, request = [setup.gateway, setup.haproxy], setup.kms()
    for each in peers:
        once(each, request, 2)  # connections and caches are warm before the clock starts
    ours, theirs = in_turn(peers, request, seconds)
    [bearer] = in_turn([setup.gateway], setup.bearer(), seconds)
    alone = in_turn([*peers, setup.small], request, seconds / 2, connections=1)
    added, theirs_added = (each.load.p50 - alone[2].load.p50 for each in alone[:2])
    return [
        at_least("gateway, small signed requests, 64 connections", ours.load.rate, 8000, "/s"),
        ratio("the same, against HAProxy with one thread", ours.load.rate, theirs.load.rate, target=0.6),
        known("the same, CPU of one request", ours.cpu, theirs.cpu, " us"),
        known("gateway, requests with a token, CPU of one", bearer.cpu, None, " us"),
        limit("gateway, added to the p50 of a small request alone", added, 0.3, " ms"),
        known("HAProxy, added to the same", theirs_added, None, " ms"),
    ]


def bodies(setup: Setup, seconds: float) -> list[Verdict]:
    """Both ways, through each and straight to the upstream."""
    verdicts = []
    for mebibytes, connections, least in ((1, 8, 0.0), (64, 2, 8.0)):
        for method, what in (("GET", "down"), ("PUT", "up")):
            request = setup.s3(method, f"/b/{mebibytes}", mebibytes if method == "PUT" else 0)
            peers = [setup.gateway, setup.haproxy, setup.large]
            ours, theirs, raw = (each.megabytes for each in in_turn(peers, request, max(seconds, least), connections))
            name = f"bodies of {mebibytes} MiB {what}, against "
            verdicts += [
                ratio(f"{name}the upstream alone", ours, raw, target=0.7, unit=" MB/s"),
                ratio(f"{name}HAProxy", ours, theirs, unit=" MB/s"),
            ]
    return verdicts


def crowded(setup: Setup, seconds: float) -> list[Verdict]:
    """The same small requests while many connections do nothing."""
    request = setup.kms()
    with ExitStack() as stack:
        for each in (setup.gateway, setup.haproxy):
            stack.enter_context(idle_connections(each.port, IDLE, request))
        ours, theirs = in_turn([setup.gateway, setup.haproxy], request, seconds)
        name = f"gateway, {IDLE:,} idle and {BUSY} busy connections"
        return [
            ratio(f"{name}, against HAProxy", ours.load.rate, theirs.load.rate, target=0.6),
            limit(f"{name}, memory", setup.gateway.resident, 60, " MiB"),
        ]


@contextmanager
def idle_connections(port: int, count: int, request: Request) -> Iterator[None]:
    """Connections that have asked once, so that they may stay, and say nothing more."""
    tls = ssl._create_unverified_context()
    with ExitStack() as stack:
        for _ in range(count):
            plain = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            secured = stack.enter_context(tls.wrap_socket(plain, server_hostname="localhost"))
            secured.sendall(request.raw())
            if not secured.recv(65536).startswith(b"HTTP/1.1 200"):
                raise wrk.Failed("an idle connection was not let in")
        yield


def at_least(what: str, value: float, target: float, unit: str) -> Verdict:
    """Something that should be large."""
    return Verdict(what, value, target, True, f"{value:,.0f}{unit}", unit=unit)


def known(what: str, value: float, against: float | None, unit: str) -> Verdict:
    """Something to know only."""
    shown = f"{value:.2f}{unit}" if unit == " ms" else f"{value:.0f}{unit}"
    if against is None:
        return Verdict(what, value, None, False, shown)
    return Verdict(what, value / against, None, False, shown, f"{against:.0f}{unit}")


def measure(seconds: float = 4.0) -> list[Verdict]:
    """Small requests, bodies, and a crowd. Nothing where wrk or HAProxy is not there."""
    if not can_run():
        return []
    with a_setup() as setup:
        before = setup.gateway.resident
        told = [*small_requests(setup, seconds), *crowded(setup, seconds), *bodies(setup, seconds)]
        return [*told, known("gateway, memory before all this", before, None, " MiB")]


@contextmanager
def a_setup() -> Iterator[Setup]:
    """All processes, ended afterwards."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("AEREKOS_BENCH_DIR")) as folder, ExitStack() as stack:
        home, programs = Path(folder), Programs(stack)
        port, front, small, large, container = (a_port() for _ in range(5))
        sockets = {name: f"{home}/{name}.sock" for name in (SMALL, LARGE)}
        addresses = [
            f"127.0.0.1:{small}@{sockets[SMALL]}",
            f"127.0.0.1:{large}@{sockets[LARGE]}",
            f"127.0.0.1:{container}",
        ]
        # It makes the certificates of all others.
        told = programs.python("stub_conductor.py", str(home), *addresses)
        origin = programs.python("origin.py", str(home / "tls"), str(large), str(container), sockets[LARGE])
        upstream = programs.haproxy(home / "upstream.cfg", upstream_config(home / "tls", small, sockets[SMALL]))
        proxy = programs.haproxy(home / "proxy.cfg", proxy_config(home / "tls", front, sockets))
        gateway = programs.start([sys.executable, "-m", "api.gateway", "--home", str(home), "--port", str(port)])
        for each in (port, front, small):
            wait_until_open(each)
        yield Setup(
            Peer(port, gateway), Peer(front, proxy), Peer(small, upstream), Peer(large, origin.process), told.said
        )


@dataclass(frozen=True, slots=True)
class Started:
    """A program that has said that it is ready, and what it said."""

    process: psutil.Process
    said: dict[str, str]


class Programs:
    """Programs that are ended with `stack`."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def start(self, command: list[str]) -> psutil.Process:
        """Run it from here on."""
        return psutil.Process(self._run(command).pid)

    def python(self, file: str, *arguments: str) -> Started:
        """One of ours beside this one, once it has said its line of JSON."""
        running = self._run([sys.executable, str(HERE / file), *arguments])
        assert running.stdout is not None
        return Started(psutil.Process(running.pid), json.loads(running.stdout.readline()))

    def haproxy(self, config: Path, text: str) -> psutil.Process:
        """HAProxy with that configuration."""
        config.write_text(text)
        return self.start(["haproxy", "-db", "-q", "-f", str(config)])

    def _run(self, command: list[str]) -> subprocess.Popen[str]:
        quiet = {**os.environ, "PYTHONPATH": str(HERE.parent)}
        running = subprocess.Popen(command, env=quiet, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self._stack.callback(running.wait)
        self._stack.callback(running.terminate)
        return running


_HAPROXY = """global
  nbthread 1
  maxconn 8000
  ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
  mode http
  timeout connect 5s
  timeout client 120s
  timeout server 120s
  timeout http-keep-alive 120s
"""


def upstream_config(tls: Path, port: int, path: str) -> str:
    """Answers every request at once, as an instance of key-manager: at its port, and at the socket of its own."""
    return f"""{_HAPROXY}
frontend small
  bind 127.0.0.1:{port} ssl crt {tls}/{SMALL}.pem ca-file {tls}/ca.crt verify optional
  bind unix@{path}
  http-request return status 200 content-type application/x-amz-json-1.1 string "{{'Plaintext': '{"x" * 64}'}}"
"""


def proxy_config(tls: Path, port: int, sockets: dict[str, str]) -> str:
    """In front of the same upstreams, at the same sockets."""

    def server(service: str) -> str:
        return f"backend {service}\n  http-reuse always\n  server one unix@{sockets[service]}\n"

    return f"""{_HAPROXY}
frontend front
  bind 127.0.0.1:{port} ssl crt {tls}/server.pem
  use_backend {LARGE} if {{ path_beg /b/ }}
  default_backend {SMALL}
{server(SMALL)}{server(LARGE)}"""


def wait_until_open(port: int) -> None:
    """Returns once somebody listens there."""
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def main() -> None:
    if not can_run():
        sys.exit("install wrk and haproxy (Debian packages of those names) to measure the gateway")
    print(table(measure(float(sys.argv[1]) if len(sys.argv) > 1 else 4.0)))


if __name__ == "__main__":
    main()
