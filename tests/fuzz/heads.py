"""`make fuzz`: broken requests over raw TLS sockets; no answer may be a 5xx, none may hang, nothing may grow.

Runs against a real cloud in a temporary home. Every request begins as a good one and is then bent in one to three
places: framing, line ends, targets, signatures, chunks. Exit code 0 when nothing was found; a finding is printed with
the bytes that caused it, and the seed that makes the same run again.
"""

from __future__ import annotations

import os
import random
import re
import socket
import ssl
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
from clouds import Cloud, a_port

REQUESTS = int(os.environ.get("AEREKOS_FUZZ_REQUESTS", "3000"))
ANSWER_SECONDS = 30.0  # the edge ends a head that does not come after 10
AT_ONCE = 24
GROWTH_BYTES = 150 * 2**20
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_SIGNED = (
    b"AWS4-HMAC-SHA256 Credential=AKIAAAAAAAAAAAAAAAAA/20260102/us-east-1/s3/aws4_request, "
    b"SignedHeaders=host;x-amz-date, Signature=" + b"0" * 64
)
_TARGETS = (
    b"/api/v1/namespaces",
    b"/apis/aerekos.cloud/v1/namespaces/default/services?watch=false&labelSelector=a%3Db",
    b"/services/key-manager/x",
    b"/auth/login",
    b"/v2/token",
    b"/bucket/key?list-type=2&X-Amz-Credential=AKIA%2F20260102%2Fus-east-1%2Fs3%2Faws4_request",
    b"/agents/heartbeat",
    b"/",
)
_PIECES = (
    b"\r\n", b"\n", b"\r", b"\x00", b" ", b"\t", b",", b";", b"=", b'"', b"\\", b"%00", b"%2e%2e%2f", b"%", b"/../",
    b"\xff\xfe", b"\xf4\x8f\xbf\xbf", b"chunked", b"identity", b"-1", b"+5", b"0x10", b"9" * 40, b"a" * 9000,
    b"HTTP/1.1", b"HTTP/9.9", b"Host: b", b"Content-Length: 3", b"Transfer-Encoding: chunked", b"Upgrade: websocket",
    b"Connection: upgrade", b"Expect: 100-continue", b"Authorization: ", _SIGNED, b"Bearer " + b"e30." * 300,
)  # fmt: skip

Bend = Callable[[random.Random, bytes], bytes]


def good(rng: random.Random) -> bytes:
    """A request that could be somebody's."""
    method = rng.choice((b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"HEAD", b"OPTIONS"))
    body = rng.choice((b"", b"{}", b'{"a":[1,2]}', b"<a/>", rng.randbytes(40)))
    sort = rng.choice((b"application/json", b"text/xml", b"application/yaml"))
    headers = [b"Host: localhost", b"Content-Type: " + sort]
    if rng.random() < 0.4:
        headers += [b"Authorization: " + _SIGNED, b"X-Amz-Date: 20260102T030405Z"]
    if rng.random() < 0.3:
        headers.append(b"Transfer-Encoding: chunked")
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    else:
        headers.append(b"Content-Length: %d" % len(body))
    return b"%b %b HTTP/1.1\r\n%b\r\n\r\n%b" % (method, rng.choice(_TARGETS), b"\r\n".join(headers), body)


def _insert(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(_PIECES) + data[at:]


def _cut(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at + rng.randrange(1, 30) :]


def _repeat(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    part = data[at : at + rng.randrange(1, 60)]
    return data[:at] + part * rng.randrange(2, 40) + data[at:]


def _flip(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]


def _swap_lines(rng: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\r\n")
    rng.shuffle(lines)
    return b"\r\n".join(lines)


BENDS: tuple[Bend, ...] = (_insert, _cut, _repeat, _flip, _swap_lines)


def bent(rng: random.Random) -> bytes:
    """A good request with one to three faults; now and then a good one behind it on the same connection."""
    data = good(rng)
    for _ in range(rng.randrange(1, 4)):
        data = rng.choice(BENDS)(rng, data) or b"\r\n"
    return data + good(rng) if rng.random() < 0.2 else data


def answers_to(trust: ssl.SSLContext, port: int, data: bytes) -> bytes | None:
    """What came back until the other side ended or fell silent after an answer; None when neither came in time."""
    ends, received = time.monotonic() + ANSWER_SECONDS, b""
    plain = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS)
    with plain, trust.wrap_socket(plain, server_hostname="localhost") as connection:
        connection.sendall(data)
        connection.settimeout(1.0)
        while time.monotonic() < ends:
            try:
                part = connection.recv(65536)
            except TimeoutError:
                if _STATUS.search(received):
                    return received  # answered, and kept for the next request
                continue
            if not part:
                return received
            received += part
    return None


def fault_of(trust: ssl.SSLContext, port: int, data: bytes) -> str:
    """What is wrong with how that request was met; empty when nothing is."""
    try:
        received = answers_to(trust, port, data)
    except (ConnectionError, ssl.SSLError, BrokenPipeError):
        return ""  # broken off: an answer as good as a 400
    if received is None:
        return f"no answer and no end in {ANSWER_SECONDS:g} s"
    wrong = [code.decode() for code in _STATUS.findall(received) if code.startswith(b"5")]
    return f"answered {', '.join(wrong)}" if wrong else ""


def main() -> None:
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.SystemRandom().randrange(2**32)
    rng = random.Random(seed)
    print(f"{REQUESTS} broken requests, seed {seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        cloud = Cloud(Path(folder) / "home", a_port())
        cloud.do("up")
        try:
            found = run(cloud, rng)
        finally:
            cloud.do("down")
    print("\n".join(found) or "nothing found")
    sys.exit(1 if found else 0)


def run(cloud: Cloud, rng: random.Random) -> list[str]:
    """What was found, in words."""
    trust = ssl.create_default_context(cafile=str(cloud.home / "tls" / "ca.crt"))
    conductor = psutil.Process(cloud.conductor_pid())
    faults(trust, cloud.port, [bent(rng) for _ in range(REQUESTS // 10)])  # what is filled once is no growth
    before = conductor.memory_info().rss
    found = faults(trust, cloud.port, [bent(rng) for _ in range(REQUESTS)])
    if not conductor.is_running():
        return [*found, "the conductor ended"]
    grown = conductor.memory_info().rss - before
    return [*found, *([f"the conductor grew by {grown / 2**20:.0f} MiB"] if grown > GROWTH_BYTES else [])]


def faults(trust: ssl.SSLContext, port: int, requests: list[bytes]) -> list[str]:
    """Several at once: half a head is waited for until its time is over."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        told = pool.map(lambda data: fault_of(trust, port, data), requests)
        return [f"{fault}: {data[:2000]!r}" for fault, data in zip(told, requests, strict=True) if fault]


if __name__ == "__main__":
    main()
