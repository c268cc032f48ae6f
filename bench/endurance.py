"""`make bench-load`: S3 and KMS at full speed for ten minutes, and what the resource API does meanwhile.

`python bench/endurance.py [seconds]`. Two gateways, 16 clients that sign keys, objects and listings; at the same time
100 watchers at 20 writes per second, and 50 machines that beat once a second: no beat may be missed, and the 99th
percentile of the watch delay may be 50 ms. Then the clients go on while a gateway is killed (SIGKILL) every few
seconds, and after that one of two instances of key-manager: one call in a thousand, and in two hundred, may fail at
most for a client that tries as often as every AWS tool does, and whatever was acknowledged must be there at the end.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import quote

import agents
import uvloop
from aws import Side, exports, prepared, start_secrets
from botocore.credentials import Credentials
from cloud import Cloud, a_cloud
from load import Connection, Refused
from verdicts import Verdict, limit, table
from watching import delays_of

from controller.main.gateway_records import read_gateways
from controller.runtime.process import state_files

CLIENTS, WATCHERS, WRITES, MACHINES = 16, 100, 20, 50
KILLS, BETWEEN_KILLS = 4, 5.0
KEYS = "key-manager"
ATTEMPTS = 3
"""As the standard retry mode of AWS SDKs has it."""
BODY = b"x" * 1000
_KEY = re.compile(rb"<Key>([^<]+)</Key>")
_NEXT = re.compile(rb"<NextContinuationToken>([^<]+)</NextContinuationToken>")


@dataclass
class Calls:
    """What became of the calls. `broken`: attempts without an answer; `stored`: names of the objects whose write was
    acknowledged.
    """

    done: int = 0
    failed: int = 0
    broken: list[str] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)


class Client:
    """Calls as fast as it is answered, on one connection at a time."""

    def __init__(self, side: Side, calls: Calls, make: Callable[[], tuple[bytes, str]]) -> None:
        self._side, self._calls, self._make = side, calls, make
        self._connection: Connection | None = None

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            call, stores = self._make()
            for _ in range(ATTEMPTS):
                if await self._attempted(call):
                    self._calls.done += 1
                    self._calls.stored += [stores] if stores else []
                    break
            else:
                self._calls.failed += 1

    async def _attempted(self, call: bytes) -> bool:
        try:
            if self._connection is None:
                self._connection = await self._side.connect()
            await self._connection.ask(call)
        except (Refused, OSError) as failed:
            self._calls.broken.append(str(failed)[:200])
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            return False
        return True


def calls_to_make(side: Side, asked: dict[str, bytes], bucket: str) -> list[Callable[[], tuple[bytes, str]]]:
    """What each client asks for: most the same again and again, some write a new object with each call."""
    numbers = itertools.count()

    def store() -> tuple[bytes, str]:
        name = f"object-{next(numbers)}"
        return side.signed("s3", "PUT", f"{bucket}/{name}", BODY), name

    same = itertools.islice(itertools.cycle(asked.values()), CLIENTS)
    return [store if n % 8 == 0 else partial(_again, call) for n, call in enumerate(same)]


def _again(call: bytes) -> tuple[bytes, str]:
    return call, ""


async def lost(side: Side, bucket: str, stored: list[str]) -> list[str]:
    """Which of those are not in the bucket."""
    connection, found, after = await side.connect(), set[str](), ""
    while True:
        listing = await connection.ask(side.signed("s3", "GET", f"{bucket}?list-type=2{after}", b""))
        found |= {each.decode() for each in _KEY.findall(listing)}
        if not (more := _NEXT.search(listing)):
            break
        after = f"&continuation-token={quote(more[1].decode(), safe='')}"
    connection.close()
    return sorted(set(stored) - found)


async def beat(cloud: Cloud, join: str) -> None:
    """Machines that beat once a second from their registration on, until cancelled."""
    turn = asyncio.Semaphore(agents.AT_ONCE)

    async def live(number: int) -> None:
        machine = await agents.registered(cloud, number, join, turn)
        await agents.beat(machine, time.monotonic() + 1, float("inf"))

    await asyncio.gather(*map(live, range(MACHINES)))


def missed(cloud: Cloud) -> list[str]:
    """Machines that were not Ready at any time."""
    told = [each for each in cloud.do("get", "events", "-A").splitlines() if "WorkerNotReady" in each]
    workers = json.loads(cloud.do("get", "workers", "-o", "json"))["items"]
    return told + [each["metadata"]["name"] for each in workers if each["status"]["phase"] != "Ready"]


async def kill_in_turn(cloud: Cloud) -> None:
    """SIGKILL to one gateway after the other; each has a successor before the next one's turn."""
    for _ in range(KILLS):
        await asyncio.sleep(BETWEEN_KILLS)
        oldest = read_gateways(cloud.home)[0]
        os.kill(oldest.pid, signal.SIGKILL)
    await asyncio.sleep(BETWEEN_KILLS)


async def kill_replicas(cloud: Cloud) -> None:
    """SIGKILL to one instance of key-manager after the other; each has a successor before the next one's turn."""
    for turn in range(KILLS):
        await asyncio.sleep(BETWEEN_KILLS)
        running = [each for each in state_files.read_all(cloud.home) if each.instance.startswith(KEYS)]
        os.kill(running[turn % len(running)].pid, signal.SIGKILL)
    await asyncio.sleep(BETWEEN_KILLS)


async def ended(*tasks: asyncio.Task[None]) -> None:
    """Cancel them. Raises what one of them has failed with."""
    for each in tasks:
        each.cancel()
    for each in tasks:
        with suppress(asyncio.CancelledError):
            await each


@dataclass(frozen=True)
class Failed:
    """How many of so many calls failed, and how many attempts broke off that another one made good."""

    calls: int
    failed: int
    broken: int

    def verdicts(self, what: str, most: float) -> list[Verdict]:
        """`most`: the percentage that may fail."""
        share = 100 * self.failed / (self.calls + self.failed)
        name = f"{what}, failed of {self.calls:,} calls"
        return [
            Verdict(name, share, most, False, f"{share:.3f} %", unit=" %"),
            Verdict("the same, attempts that broke off", self.broken, None, False, str(self.broken)),
        ]


async def share_of_failed(calls: Calls, kills: Coroutine[Any, Any, None]) -> Failed:
    """What became of the calls meanwhile."""
    calls.done, calls.failed, calls.broken = 0, 0, []
    await kills
    return Failed(calls.done, calls.failed, len(calls.broken))


async def _measured(cloud: Cloud, side: Side, token: str, join: str, seconds: float) -> list[Verdict]:
    asked, calls = await prepared(side), Calls()
    bucket = f"/endurance-{time.time_ns()}"
    connection = await side.connect()
    await connection.ask(side.signed("s3", "PUT", bucket, b""))
    connection.close()
    began = time.monotonic()
    clients = [asyncio.create_task(Client(side, calls, make).run()) for make in calls_to_make(side, asked, bucket)]
    beating = asyncio.create_task(beat(cloud, join))
    delays = await delays_of(cloud, token, seconds, (WATCHERS, WRITES))
    rate, failed = calls.done / (time.monotonic() - began), list(calls.broken)
    lapses = await asyncio.to_thread(missed, cloud)  # they go on beating meanwhile
    await ended(beating)
    gateways = await share_of_failed(calls, kill_in_turn(cloud))
    replicas = await share_of_failed(calls, kill_replicas(cloud))
    await ended(*clients)
    gone = await lost(side, bucket, calls.stored)
    if lapses or gone or failed:
        raise RuntimeError(f"missed beats: {lapses[:3]}; lost objects: {gone[:3]}; failed calls: {failed[:3]}")
    p99 = delays[len(delays) * 99 // 100]
    what = f"{seconds:.0f} s of signed calls ({rate:,.0f}/s)"
    return [
        limit(f"{what}, watch delay, {WATCHERS} watchers, {WRITES} writes/s, p99", p99, 50, " ms"),
        limit(f"{what}, missed heartbeats of {MACHINES} machines", len(lapses), 0, ""),
        *gateways.verdicts(f"{KILLS} gateways killed", 0.1),
        *replicas.verdicts(f"{KILLS} instances of {KEYS} killed, of two", 0.5),
        limit(f"in all of this, lost of {len(calls.stored):,} acknowledged objects", len(gone), 0, ""),
    ]


def measure(cloud: Cloud, seconds: float = 600.0) -> list[Verdict]:
    """Raises RuntimeError for a missed beat, a lost object or event, and calls that fail while nothing is killed."""
    told = dict(line.removeprefix("export ").rstrip(";").split("=", 1) for line in exports(cloud.do("env")))
    access_key, secret = (told[name].strip("'\"") for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
    side, token = Side(cloud.port, Credentials(access_key, secret), cloud.ca), cloud.token()
    join = cloud.do("token", "create", "--uses", "0").split()[0]
    return uvloop.run(_measured(cloud, side, token, join, seconds))


def main() -> None:
    with a_cloud(AEREKOS_GATEWAYS="2") as cloud:
        start_secrets(cloud)
        cloud.do("scale", KEYS, "2")
        cloud.do("wait", "service", KEYS, "--for", "condition=Ready")
        print(table(measure(cloud, float(sys.argv[1]) if len(sys.argv) > 1 else 600.0)))


if __name__ == "__main__":
    main()
