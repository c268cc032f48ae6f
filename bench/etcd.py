"""Durable puts and watch delays beside etcd, the store of Kubernetes, with the same load client over the same TLS.

`python bench/etcd.py [seconds]`. etcd is Debian's (`etcd-server`), one node on the same disk with its defaults, asked
through its JSON gateway. Its put writes a key; ours is a merge patch that is also authorized, validated against its
kind and given a new version. Without etcd on this machine there is nothing to compare, and it says so.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvloop
from asking import compared, patching
from cloud import Cloud, a_cloud, a_port
from load import Refused, Requests, connect, rate, request
from verdicts import Verdict, ratio, table
from watching import CONFIG_MAPS, MERGE, Read, Watcher, applied, arrived, open_watchers, write_on_time

CLIENTS, WATCHERS, WRITERS, WRITES_PER_SECOND = 64, 100, 32, 200
Write = Callable[[int, int], bytes]
VALUE = b"x" * 500
_VALUE = re.compile(rb'"value":"([A-Za-z0-9+/=]+)"')


@contextmanager
def etcd_server(cloud: Cloud) -> Iterator[int]:
    """Its port, once it answers. The cloud's certificate is its certificate too."""
    port, peer = a_port(), a_port()
    with tempfile.TemporaryDirectory(dir=cloud.home) as folder:
        tls = cloud.home / "tls"
        command = ["etcd", "--data-dir", folder, "--log-level", "error"]
        command += ["--listen-client-urls", f"https://127.0.0.1:{port}"]
        command += ["--advertise-client-urls", f"https://127.0.0.1:{port}"]
        command += ["--listen-peer-urls", f"http://127.0.0.1:{peer}"]
        command += ["--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}"]
        command += ["--initial-cluster", f"default=http://127.0.0.1:{peer}"]
        command += ["--cert-file", str(tls / "server.crt"), "--key-file", str(tls / "server.key")]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            asyncio.run(_until_it_puts(port, cloud))
            yield port
        finally:
            child.terminate()
            child.wait()


async def _until_it_puts(port: int, cloud: Cloud) -> None:
    for _ in range(300):
        try:
            connection = await connect(port, cloud.ca)
            await asyncio.wait_for(connection.ask(put("first", VALUE)), 5)
            connection.close()
            return
        except (OSError, TimeoutError, Refused):
            await asyncio.sleep(0.1)
    raise RuntimeError("etcd does not answer")


def put(key: str, value: bytes) -> bytes:
    """One put through the JSON gateway."""
    body = {"key": base64.b64encode(key.encode()).decode(), "value": base64.b64encode(value).decode()}
    return request("POST", "/v3/kv/put", "", json.dumps(body).encode())


def putting(key: str) -> Requests:
    """The same put again and again."""
    prepared = put(key, VALUE)
    return lambda: prepared


def sent_times(lines: bytes) -> list[int]:
    """As `watching.sent_times`, of etcd's base64 values."""
    return [int(base64.b64decode(value)) for value in _VALUE.findall(lines)]


async def _puts(cloud: Cloud, port: int, token: str, seconds: float) -> Verdict:
    connection = await connect(cloud.port, cloud.ca)
    for n in range(CLIENTS):
        await connection.ask(applied(f"etcd-{n}", VALUE.decode(), token))
    connection.close()
    patches = [patching(f"{CONFIG_MAPS}/etcd-{n}", token) for n in range(CLIENTS)]
    puts = [putting(f"etcd-{n}") for n in range(CLIENTS)]
    # In turn: on a machine that others share, one window each says more about the moment than about the two.
    both = await compared(
        lambda: rate(cloud.port, cloud.ca, patches, seconds / 2), lambda: rate(port, cloud.ca, puts, seconds / 2)
    )
    return ratio(f"durable puts, {CLIENTS} clients, against etcd", *both, target=0.5)


async def _p99(port: int, cloud: Cloud, watch: bytes, read: Read, write: Write, seconds: float) -> float:
    watchers = await open_watchers(WATCHERS, port, cloud.ca, lambda: Watcher(watch, read))
    connections = [await connect(port, cloud.ca) for _ in range(WRITERS)]
    written = await write_on_time(connections, WRITES_PER_SECOND, seconds, write)
    delays = await arrived(watchers, written)
    for each in (*watchers, *connections):
        each.close()
    return delays[len(delays) * 99 // 100]


async def _watches(cloud: Cloud, port: int, token: str, seconds: float) -> Verdict:
    from watching import sent_times as ours_read

    connection = await connect(cloud.port, cloud.ca)
    listed = await connection.ask(request("GET", f"{CONFIG_MAPS}?limit=1", token))
    connection.close()
    revision = json.loads(listed.partition(b"\r\n\r\n")[2])["metadata"]["resourceVersion"]
    watch = request("GET", f"{CONFIG_MAPS}?watch=true&resourceVersion={revision}", token)

    def patch(which: int, due: int) -> bytes:
        return request("PATCH", f"{CONFIG_MAPS}/etcd-{which}", token, b'{"data":{"sent":"%d"}}' % due, MERGE)

    ours = await _p99(cloud.port, cloud, watch, ours_read, patch, seconds)
    prefix = {"key": base64.b64encode(b"w/").decode(), "range_end": base64.b64encode(b"w0").decode()}
    etcd_watch = request("POST", "/v3/watch", "", json.dumps({"create_request": prefix}).encode())
    theirs = await _p99(port, cloud, etcd_watch, sent_times, lambda n, due: put(f"w/{n}", b"%d" % due), seconds)
    what = f"watch p99, {WATCHERS} watchers, {WRITES_PER_SECOND} writes/s, times etcd's"
    return Verdict(what, ours / theirs, 2.0, False, f"{ours:.1f} ms", f"{theirs:.1f} ms")


async def _measured(cloud: Cloud, port: int, token: str, seconds: float) -> list[Verdict]:
    return [await _puts(cloud, port, token, seconds), await _watches(cloud, port, token, seconds)]


def measure(cloud: Cloud, seconds: float = 8.0) -> list[Verdict]:
    """Both ratios; nothing where there is no etcd."""
    if shutil.which("etcd") is None:
        print("etcd is not installed, so there is no comparison with it (Debian: apt install etcd-server)")
        return []
    with etcd_server(cloud) as port:
        return uvloop.run(_measured(cloud, port, cloud.token(), seconds))


def main() -> None:
    with a_cloud() as cloud:
        print(table(measure(cloud, float(sys.argv[1]) if len(sys.argv) > 1 else 8.0)))


if __name__ == "__main__":
    main()
