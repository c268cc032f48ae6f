"""`wrk` (Debian package of that name) as a load client: C, one thread, so that it takes little from the servers.

It does not look at certificates. Answers that are no 2xx or 3xx, and broken connections, are counted: a run with one
of them is no measurement.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field

_REPORT = """
done = function(summary, latency, requests)
  local e = summary.errors
  print(string.format('{"requests": %d, "micros": %d, "bytes": %d, "p50": %d, "p99": %d, "errors": %d}',
    summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, sent again and again. `host`: what its Host header says."""

    method: str
    path: str
    host: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body_bytes: int = 0
    body: bytes = b""

    def raw(self) -> bytes:
        """As it goes over the wire; only one whose body is given."""
        lines = [f"{name}: {value}" for name, value in self.headers.items()]
        head = [f"{self.method} {self.path} HTTP/1.1", f"host: {self.host}", *lines]
        return "\r\n".join([*head, f"content-length: {len(self.body)}", "", ""]).encode() + self.body

    def script(self) -> str:
        """As wrk wants it."""
        lines = [f'wrk.headers["{name}"] = {json.dumps(value)}' for name, value in self.headers.items()]
        body = f'string.rep("x", {self.body_bytes})' if self.body_bytes else json.dumps(self.body.decode())
        lines += [f'wrk.headers["Host"] = "{self.host}"', f'wrk.method = "{self.method}"']
        return "\n".join([*lines, f"wrk.body = {body}" if self.body_bytes or self.body else "", _REPORT])


@dataclass(frozen=True, slots=True)
class Load:
    """The outcome of a run. Delays in ms."""

    requests: int
    rate: float
    bytes_per_second: float
    p50: float
    p99: float


class Failed(Exception):
    """Not every request was answered as it should be."""


def is_there() -> bool:
    """Whether this machine has it."""
    return shutil.which("wrk") is not None


def driven(port: int, request: Request, seconds: float, connections: int = 64) -> Load:
    """That request over TLS for so long. Raises Failed."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(request.script())
        script.flush()
        url = f"https://127.0.0.1:{port}{request.path}"
        options = ["-t", "1", "-c", str(connections), "-d", f"{seconds:.0f}s", "--timeout", "30s", "-s", script.name]
        done = subprocess.run(["wrk", *options, url], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout.strip().splitlines()[-1])
    if told["errors"] or not told["requests"]:
        raise Failed(f"{request.method} {request.path}: {done.stdout}")
    wall = told["micros"] / 1e6
    sent = told["requests"] * (request.body_bytes or len(request.body))
    volume = max(told["bytes"], sent)
    return Load(told["requests"], told["requests"] / wall, volume / wall, told["p50"] / 1e3, told["p99"] / 1e3)
