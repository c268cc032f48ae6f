"""Requests per second of the resource API, against a bare FastAPI route on the same server and transport.

`python bench/asking.py [seconds]`. Both servers run in processes of their own, over TLS, and are asked in turn by the
same client (load.py) with the same number of keep-alive connections. Our side checks the caller's token and rights,
and a PATCH is validated, written to disk and synced before it is answered; the bare side does none of that.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import uvloop
from cloud import Cloud, a_cloud, a_port
from load import Requests, connect, rate, request
from verdicts import Verdict, ratio, table

READERS, WRITERS = 16, 64
ROUNDS = 3
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
MERGE = "application/merge-patch+json"
Measure = Callable[[], Awaitable[float]]


@contextmanager
def bare_server(cloud: Cloud) -> Iterator[int]:
    """Its port, once it answers."""
    port = a_port()
    command = [sys.executable, str(Path(__file__).with_name("bare.py")), str(port), str(cloud.home / "tls")]
    child = subprocess.Popen(command)
    try:
        asyncio.run(_until_open(port, cloud.ca))
        yield port
    finally:
        child.terminate()
        child.wait()


async def _until_open(port: int, ca: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            (await connect(port, ca)).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)


def getting(path: str, token: str) -> Requests:
    """The same GET again and again."""
    prepared = request("GET", path, token)
    return lambda: prepared


def patching(path: str, token: str) -> Requests:
    """PATCHes that each change something."""
    turn = itertools.count()
    return lambda: request("PATCH", path, token, b'{"data":{"turn":"%09d"}}' % next(turn), MERGE)


async def _fill(cloud: Cloud, bare: int, token: str) -> None:
    """The same resources on both sides: the bare one gets what ours answers."""
    ours, theirs = await connect(cloud.port, cloud.ca), await connect(bare, cloud.ca)
    for n in range(WRITERS):
        made = {"metadata": {"name": f"row-{n}"}, "data": {"turn": "0", "text": "x" * 600}}
        answer = await ours.ask(request("POST", CONFIG_MAPS, token, json.dumps(made).encode()))
        await theirs.ask(request("PUT", f"/rows/row-{n}", token, answer.partition(b"\r\n\r\n")[2]))
    ours.close()
    theirs.close()


async def compared(ours: Measure, theirs: Measure) -> tuple[float, float]:
    """Medians of rounds taken in turn, so that whatever else the machine does hits both alike."""
    pairs = [(await ours(), await theirs()) for _ in range(ROUNDS)]
    return median(each for each, _ in pairs), median(each for _, each in pairs)


async def _measured(cloud: Cloud, bare: int, token: str, seconds: float) -> list[Verdict]:
    await _fill(cloud, bare, token)
    reads = [getting(f"{CONFIG_MAPS}/row-0", token)] * READERS
    bare_reads = [getting("/rows/row-0", token)] * READERS
    writes = [patching(f"{CONFIG_MAPS}/row-{n}", token) for n in range(WRITERS)]
    bare_writes = [patching(f"/rows/row-{n}", token) for n in range(WRITERS)]

    def asking(port: int, requests: list[Requests]) -> Measure:
        return lambda: rate(port, cloud.ca, requests, seconds)

    got = await compared(asking(cloud.port, reads), asking(bare, bare_reads))
    patched = await compared(asking(cloud.port, writes), asking(bare, bare_writes))
    return [
        ratio(f"API GET, {READERS} connections, against a bare route", *got, target=0.50),
        ratio(f"API durable PATCH, {WRITERS} connections, against a bare route", *patched, target=0.20),
    ]


def measure(cloud: Cloud, seconds: float = 4.0) -> list[Verdict]:
    """GET and durable merge PATCH."""
    with bare_server(cloud) as bare:
        return uvloop.run(_measured(cloud, bare, cloud.token(), seconds))


def main() -> None:
    with a_cloud() as cloud:
        print(table(measure(cloud, float(sys.argv[1]) if len(sys.argv) > 1 else 4.0)))


if __name__ == "__main__":
    main()
