"""How long a change needs to reach those who watch: 200 watchers, 200 writes per second.

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
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import uvloop
from cloud import Cloud, a_cloud
from load import Connection, connect, request
from verdicts import Verdict, limit, table

WATCHERS, WRITES_PER_SECOND, WRITERS = 200, 200, 32
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
MERGE = "application/merge-patch+json"
_SENT = re.compile(rb'"sent":"(\d+)"')


class Watcher(asyncio.Protocol):
    """Notes how old each change is when it arrives. Chunks may cut a line: the rest waits for its other half."""

    def __init__(self, ask: bytes) -> None:
        self._ask, self._rest = ask, b""
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
        self.delays += [now - int(sent) for sent in _SENT.findall(whole)]
        self.wants(self._wanted)

    def wants(self, events: int) -> None:
        """`complete` is done when that many have come."""
        self._wanted = events
        if len(self.delays) >= events and not self.complete.done():
            self.complete.set_result(None)

    def close(self) -> None:
        self._transport.abort()


async def _watchers(cloud: Cloud, token: str, revision: str) -> list[Watcher]:
    context = ssl.create_default_context(cafile=str(cloud.ca))
    ask = request("GET", f"{CONFIG_MAPS}?watch=true&resourceVersion={revision}", token)
    loop, made = asyncio.get_running_loop(), []
    for _ in range(WATCHERS):
        _, watcher = await loop.create_connection(
            lambda: Watcher(ask), "127.0.0.1", cloud.port, ssl=context, server_hostname="localhost"
        )
        made.append(watcher)
    codes = {await each.open for each in made}
    assert codes == {b"200"}, codes
    return made


async def _newest(ca: Path, port: int, token: str) -> str:
    """Makes what will be changed, and says which revision the collection is at then."""
    connection = await connect(port, ca)
    for n in range(WRITERS):
        made = {"metadata": {"name": f"watched-{n}"}, "data": {"text": "x" * 200}}
        await connection.ask(request("POST", CONFIG_MAPS, token, json.dumps(made).encode()))
    listed = await connection.ask(request("GET", f"{CONFIG_MAPS}?limit=1", token))
    connection.close()
    return str(json.loads(listed.partition(b"\r\n\r\n")[2])["metadata"]["resourceVersion"])


async def _write(connections: Sequence[Connection], token: str, seconds: float) -> int:
    """How many writes were made."""
    began, total = time.monotonic(), int(seconds * WRITES_PER_SECOND)

    async def writer(which: int) -> None:
        for turn in range(which, total, WRITERS):
            await asyncio.sleep(began + turn / WRITES_PER_SECOND - time.monotonic())
            due = int((began + turn / WRITES_PER_SECOND) * 1e9)
            body = b'{"data":{"sent":"%d"}}' % due
            await connections[which].ask(request("PATCH", f"{CONFIG_MAPS}/watched-{which}", token, body, MERGE))

    await asyncio.gather(*(writer(which) for which in range(WRITERS)))
    return total


async def _arrived(watchers: Sequence[Watcher], written: int) -> None:
    """Until everybody has seen everything. Raises RuntimeError when that takes more than 10 s."""
    for each in watchers:
        each.wants(written)
    try:
        await asyncio.wait_for(asyncio.gather(*(each.complete for each in watchers)), 10)
    except TimeoutError:
        missing = sum(written - len(each.delays) for each in watchers)
        raise RuntimeError(f"{missing} of {written * WATCHERS} events did not arrive within 10 s") from None


async def _measured(cloud: Cloud, token: str, seconds: float) -> list[Verdict]:
    watchers = await _watchers(cloud, token, await _newest(cloud.ca, cloud.port, token))
    connections = [await connect(cloud.port, cloud.ca) for _ in range(WRITERS)]
    written = await _write(connections, token, seconds)
    await _arrived(watchers, written)
    delays = sorted(delay / 1e6 for each in watchers for delay in each.delays)
    for watcher in watchers:
        watcher.close()
    for connection in connections:
        connection.close()
    what = f"watch delay, {WATCHERS} watchers, {WRITES_PER_SECOND} writes/s"
    return [
        limit(f"{what}, p50", delays[len(delays) // 2], 50, " ms"),
        limit(f"{what}, p99", delays[len(delays) * 99 // 100], 50, " ms"),
    ]


def measure(cloud: Cloud, seconds: float = 10.0) -> list[Verdict]:
    """Median and 99th percentile over all events at all watchers. Raises RuntimeError when one is lost."""
    return uvloop.run(_measured(cloud, cloud.token(), seconds))


def main() -> None:
    with a_cloud() as cloud:
        print(table(measure(cloud, float(sys.argv[1]) if len(sys.argv) > 1 else 10.0)))


if __name__ == "__main__":
    main()
