"""Objects over S3 through the gateway, against an emulator that keeps everything in memory.

`python bench/objects.py [seconds]`. PUT, GET, HEAD, LIST and DELETE at 4 KiB, 1 MiB and 64 MiB, with 1 and 16 clients
(64 MiB: 4). Both sides are asked in turn by the same client with requests signed before the clock starts. Ours speaks
TLS, passes two processes, encrypts, and answers a PUT when it is on the disk; the peer does none of that. What the
service's own process spends on a small request is a row of its own. Without the peer (`.venv/peers`), ours alone.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

import psutil
import uvloop
from aws import PEERS, Side, an_emulator, exports
from botocore.credentials import Credentials
from cloud import Cloud, a_cloud
from load import driven
from verdicts import Verdict, ratio, table

KIB, MIB = 1024, 1024 * 1024
ROUNDS, LISTED, DELETED = 3, 1000, 400
# Size, how it is called, and with how many clients.
SIZES = ((4 * KIB, "4 KiB", (1, 16)), (MIB, "1 MiB", (1, 16)), (64 * MIB, "64 MiB", (1, 4)))
TARGETS = {("PUT", "4 KiB", 16): 1.4, ("GET", "4 KiB", 16): 2.5, ("HEAD", "4 KiB", 16): 2.5}
Requests = Sequence[Callable[[], bytes]]


@dataclass
class Store:
    """One of both, with a bucket of its own."""

    side: Side
    bucket: str = field(default_factory=lambda: f"/bench-{time.time_ns()}")

    async def prepare(self) -> None:
        """A bucket, and what is listed."""
        put = [self.request("PUT", f"listed/{number:04}", b"x" * 100) for number in range(LISTED)]
        await self.all_of([self.side.signed("s3", "PUT", self.bucket, b"")], 1)
        await self.all_of(put, 16)

    def request(self, method: str, key: str, body: bytes = b"") -> bytes:
        """The bytes of one request."""
        return self.side.signed("s3", method, f"{self.bucket}/{key}", body)

    async def all_of(self, requests: Sequence[bytes], clients: int) -> float:
        """Answers per second, until all of those have been asked."""
        connections = [await self.side.connect() for _ in range(clients)]
        waiting, began = iter(requests), time.perf_counter()

        async def drive(connection: object) -> None:
            for each in waiting:
                await connection.ask(each)  # type: ignore[attr-defined]

        await asyncio.gather(*map(drive, connections))
        for each in connections:
            each.close()
        return len(requests) / (time.perf_counter() - began)

    async def rate(self, requests: Requests, seconds: float) -> float:
        """Answers per second, each client asking as fast as it is answered."""
        return await driven([await self.side.connect() for _ in requests], requests, seconds)

    def puts(self, body: bytes, clients: int) -> Requests:
        """Each client writes eight keys again and again."""
        return [self._turns(client, body) for client in range(clients)]

    def _turns(self, client: int, body: bytes) -> Callable[[], bytes]:
        keys = [f"{len(body)}/{client}-{number}" for number in range(8 if len(body) < MIB else 1)]
        requests = itertools.cycle([self.request("PUT", key, body) for key in keys])
        return lambda: next(requests)

    def again(self, method: str, key: str, clients: int) -> Requests:
        """The same request, by each."""
        made = self.request(method, key)
        return [lambda: made] * clients

    def listing(self, clients: int) -> Requests:
        """A thousand keys."""
        made = self.side.signed("s3", "GET", f"{self.bucket}?list-type=2&prefix=listed%2F", b"")
        return [lambda: made] * clients


Measured = tuple[str, str, int, Callable[[Store], Requests]]


def rows() -> Iterator[Measured]:
    """Operation, size, clients and what they ask; written before it is read."""
    for size, called, numbers in SIZES:
        body, key = os.urandom(size), f"{size}/0-0"
        yield from (("PUT", called, clients, _puts(body, clients)) for clients in numbers)
        yield from (("GET", called, clients, _again("GET", key, clients)) for clients in numbers)
        if size == 4 * KIB:
            yield from (("HEAD", called, clients, _again("HEAD", key, clients)) for clients in numbers)
    yield from (("LIST", f"{LISTED} keys", clients, _listing(clients)) for clients in (1, 16))


def _puts(body: bytes, clients: int) -> Callable[[Store], Requests]:
    return lambda store: store.puts(body, clients)


def _again(method: str, key: str, clients: int) -> Callable[[Store], Requests]:
    return lambda store: store.again(method, key, clients)


def _listing(clients: int) -> Callable[[Store], Requests]:
    return lambda store: store.listing(clients)


class Meter:
    """CPU of the service's process."""

    def __init__(self, cloud: Cloud) -> None:
        records = [
            json.loads(each.read_text()) for each in (cloud.home / "run" / "instances").glob("storage-manager*.json")
        ]
        self._processes = [psutil.Process(each["pid"]) for each in records]

    def seconds(self) -> float:
        """Spent so far."""
        return sum(sum(each.cpu_times()[:2]) for each in self._processes)

    @property
    def megabytes(self) -> float:
        """Resident now."""
        return sum(each.memory_info().rss for each in self._processes) / MIB


async def _measured(ours: Store, theirs: Store | None, meter: Meter, seconds: float) -> list[Verdict]:
    for each in (ours, theirs):
        if each is not None:
            await each.prepare()
    verdicts, spent = [], []
    for operation, size, clients, asked in rows():
        what = f"S3 {operation} of {size}, {clients} client{'s' * (clients > 1)}"
        pairs = []
        for _ in range(ROUNDS if clients > 1 else 1):
            before = meter.seconds()
            mine = await ours.rate(asked(ours), seconds)
            used = meter.seconds() - before
            pairs.append((mine, await theirs.rate(asked(theirs), seconds) if theirs else 0.0))
        verdicts.append(_verdict(what, pairs, TARGETS.get((operation, size, clients))))
        if size == "4 KiB" and clients > 1:
            micros = 1e6 * used / (mine * seconds)
            spent.append(Verdict(f"{what}: CPU of the service's process", micros, None, False, f"{micros:,.0f} us"))
    pairs = [(await _deleted(ours), await _deleted(theirs) if theirs else 0.0) for _ in range(ROUNDS)]
    verdicts.append(_verdict("S3 DELETE of 4 KiB, 16 clients", pairs, None))
    memory = Verdict(
        "storage: resident after all that", meter.megabytes, 150, False, f"{meter.megabytes:,.0f} MiB", unit=" MiB"
    )
    return [*verdicts, *spent, memory]


async def _deleted(store: Store) -> float:
    keys = [f"deleted/{number}" for number in range(DELETED)]
    await store.all_of([store.request("PUT", key, b"x" * 4 * KIB) for key in keys], 16)
    return await store.all_of([store.request("DELETE", key) for key in keys], 16)


def _verdict(what: str, pairs: Sequence[tuple[float, float]], target: float | None) -> Verdict:
    mine, peers = median(each for each, _ in pairs), median(each for _, each in pairs)
    if peers:
        return ratio(f"{what}, against an emulator in memory", mine, peers, target=target)
    return Verdict(what, mine, None, True, f"{mine:,.0f}/s")


def measure(cloud: Cloud, seconds: float = 2.0) -> list[Verdict]:
    """All rows; beside the peer, where there is one."""
    told = dict(line.removeprefix("export ").rstrip(";").split("=", 1) for line in exports(cloud.do("env")))
    own = Credentials(told["AWS_ACCESS_KEY_ID"], told["AWS_SECRET_ACCESS_KEY"].strip("'\""))
    ours, meter = Store(Side(cloud.port, own, cloud.ca)), Meter(cloud)
    if not PEERS.exists():
        return uvloop.run(_measured(ours, None, meter, seconds))
    with an_emulator() as peer:
        return uvloop.run(_measured(ours, Store(peer), meter, seconds))


def main() -> None:
    with a_cloud() as cloud:
        print(table(measure(cloud, float(sys.argv[1]) if len(sys.argv) > 1 else 2.0)))


if __name__ == "__main__":
    main()
