"""How long a change needs to reach those who watch: 200 watchers at 200 writes per second, 1,000 watchers at 20.

`python bench/watching.py [seconds]`. A delay begins when the client sends the write (so validation and the disk are
in it) and ends when the line of that change has arrived at one watcher. Writes leave on time, whether earlier ones
were answered or not: a slow server cannot make its own load smaller.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import uvloop
from cloud import Cloud, a_cloud
from load import Connection, connect, request
from verdicts import Verdict, limit, table

WRITERS = 32
CROWDS = ((200, 200), (1000, 20))  # watchers, writes per second
Read = Callable[[bytes], list[int]]
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
_SENT = re.compile(rb'"sent":"(\d+)"')


def sent_times(lines: bytes) -> list[int]:
    """When each change in these lines was sent, in nanoseconds of the monotonic clock."""
    return [int(sent) for sent in _SENT.findall(lines)]


class Watcher(asyncio.Protocol):
    """Notes how old each change is when it arrives. Chunks may cut a line: the rest waits for its other half."""

    def __init__(self, ask: bytes, read: Read = sent_times) -> None:
        self._ask, self._read, self._rest = ask, read, b""
        self.delays: list[int] = []
        self.open: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.complete: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wanted = sys.maxsize

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._transport.write(self._ask)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        if not self.open.done():
            self.open.set_result(data[9:12])
        whole, _, self._rest = (self._rest + data).rpartition(b"\n")
        self.delays += [now - sent for sent in self._read(whole)]
        self.wants(self._wanted)

    def wants(self, events: int) -> None:
        """`complete` is done when that many have come."""
        self._wanted = events
        if len(self.delays) >= events and not self.complete.done():
            self.complete.set_result(None)

    def close(self) -> None:
        self._transport.abort()


async def open_watchers(count: int, port: int, ca: Path, make: Callable[[], Watcher]) -> list[Watcher]:
    """All answered with 200. Raises AssertionError otherwise."""
    context = ssl.create_default_context(cafile=str(ca))
    loop, made = asyncio.get_running_loop(), []
    for _ in range(count):
        _, watcher = await loop.create_connection(make, "127.0.0.1", port, ssl=context, server_hostname="localhost")
        made.append(watcher)
    codes = {await each.open for each in made}
    assert codes == {b"200"}, codes
    return made


def applied(name: str, text: str, token: str) -> bytes:
    """Makes that ConfigMap, or leaves it as it is."""
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"text": text}}
    path = f"{CONFIG_MAPS}/{name}?fieldManager=bench&force=true"
    return request("PATCH", path, token, json.dumps(body).encode(), APPLY)


async def _newest(ca: Path, port: int, token: str) -> str:
    """Makes what will be changed, and says which revision the collection is at then."""
    connection = await connect(port, ca)
    for n in range(WRITERS):
        await connection.ask(applied(f"watched-{n}", "x" * 200, token))
    listed = await connection.ask(request("GET", f"{CONFIG_MAPS}?limit=1", token))
    connection.close()
    return str(json.loads(listed.partition(b"\r\n\r\n")[2])["metadata"]["resourceVersion"])


async def write_on_time(
    connections: Sequence[Connection], per_second: float, seconds: float, write: Callable[[int, int], bytes]
) -> int:
    """How many writes were made. `write(which, due)` is the request of that connection, due at those nanoseconds."""
    began, total = time.monotonic(), int(seconds * per_second)

    async def writer(which: int) -> None:
        for turn in range(which, total, len(connections)):
            await asyncio.sleep(began + turn / per_second - time.monotonic())
            await connections[which].ask(write(which, int((began + turn / per_second) * 1e9)))

    await asyncio.gather(*(writer(which) for which in range(len(connections))))
    return total


async def arrived(watchers: Sequence[Watcher], written: int) -> list[float]:
    """All delays in ms, sorted, once everybody has seen everything. Raises RuntimeError after 10 s without."""
    for each in watchers:
        each.wants(written)
    try:
        await asyncio.wait_for(asyncio.gather(*(each.complete for each in watchers)), 10)
    except TimeoutError:
        missing = sum(written - len(each.delays) for each in watchers)
        raise RuntimeError(f"{missing} of {written * len(watchers)} events did not arrive within 10 s") from None
    return sorted(delay / 1e6 for each in watchers for delay in each.delays)


async def delays_of(cloud: Cloud, token: str, seconds: float, crowd: tuple[int, int]) -> list[float]:
    """All delays in ms, sorted. Raises RuntimeError for an event that is lost."""
    count, per_second = crowd
    revision = await _newest(cloud.ca, cloud.port, token)
    ask = request("GET", f"{CONFIG_MAPS}?watch=true&resourceVersion={revision}", token)
    watchers = await open_watchers(count, cloud.port, cloud.ca, lambda: Watcher(ask))
    connections = [await connect(cloud.port, cloud.ca) for _ in range(WRITERS)]

    def write(which: int, due: int) -> bytes:
        return request("PATCH", f"{CONFIG_MAPS}/watched-{which}", token, b'{"data":{"sent":"%d"}}' % due, MERGE)

    delays = await arrived(watchers, await write_on_time(connections, per_second, seconds, write))
    for each in (*watchers, *connections):
        each.close()
    return delays


async def _measured(cloud: Cloud, token: str, seconds: float, crowd: tuple[int, int]) -> list[Verdict]:
    delays = await delays_of(cloud, token, seconds, crowd)
    count, per_second = crowd
    what = f"watch delay, {count:,} watchers, {per_second} writes/s"
    p50, p99 = delays[len(delays) // 2], delays[len(delays) * 99 // 100]
    return [limit(f"{what}, p50", p50, 50, " ms"), limit(f"{what}, p99", p99, 50, " ms")]


def measure(cloud: Cloud, seconds: float = 10.0) -> list[Verdict]:
    """Median and 99th percentile over all events at all watchers. Raises RuntimeError when one is lost."""
    measured = [uvloop.run(_measured(cloud, cloud.token(), seconds, crowd)) for crowd in CROWDS]
    return [verdict for verdicts in measured for verdict in verdicts]


def main() -> None:
    with a_cloud() as cloud:
        print(table(measure(cloud, float(sys.argv[1]) if len(sys.argv) > 1 else 10.0)))


if __name__ == "__main__":
    main()
