"""CPU of one durable put: what conductor, gateway and client spend on a merge patch of a config map.

`python bench/put_cpu.py [batches]`. 64 connections patch through a gateway process, as in `bench/etcd.py`, in batches
of two thousand puts. After each batch the kernel is asked how long each process ran, less what it runs by itself in
that time. The least of all batches is told: what others take from the clock is no CPU of ours, and a batch in which
they emptied the caches is not the least.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence

import psutil
import uvloop
from asking import patching
from cloud import Cloud, a_cloud
from load import Connection, Requests, connect
from watching import CONFIG_MAPS, applied

CLIENTS, PUTS, BATCHES, IDLE_SECONDS = 64, 2000, 10, 5.0
_SCHEDULED = 2  # CPUCLOCK_SCHED of Linux: what the scheduler counted, to the nanosecond
Spent = dict[str, float]


def ran(pids: dict[str, int]) -> Spent:
    """Seconds of CPU of each process, threads that are gone included: clock_getcpuclockid(3)."""
    return {name: time.clock_gettime((~pid << 3) | _SCHEDULED) for name, pid in pids.items()}


def processes(cloud: Cloud) -> dict[str, int]:
    """The process ids of the conductor, its first gateway and this client."""
    children = psutil.Process(cloud.pid).children()
    gateways = [each.pid for each in children if "api.gateway" in each.cmdline()]
    return {"conductor": cloud.pid, "gateway": gateways[0], "client": os.getpid()}


async def put(connections: Sequence[Connection], requests: Sequence[Requests], count: int) -> None:
    """That many puts, one at a time on each connection."""
    left = count

    async def drive(connection: Connection, make: Requests) -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await connection.ask(make())

    await asyncio.gather(*(drive(*pair) for pair in zip(connections, requests, strict=True)))


async def _by_itself(pids: dict[str, int]) -> Spent:
    """Seconds of CPU that each takes per second when nobody asks."""
    before = ran(pids)
    await asyncio.sleep(IDLE_SECONDS)
    return {name: (spent - before[name]) / IDLE_SECONDS for name, spent in ran(pids).items()}


async def _measured(cloud: Cloud, token: str, batches: int) -> Spent:
    connections = [await connect(cloud.port, cloud.ca) for _ in range(CLIENTS)]
    for n in range(CLIENTS):
        await connections[0].ask(applied(f"put-{n}", "x" * 500, token))
    requests = [patching(f"{CONFIG_MAPS}/put-{n}", token) for n in range(CLIENTS)]
    await put(connections, requests, PUTS)  # what is remembered is there before the first batch
    pids = processes(cloud)
    idle, least = await _by_itself(pids), dict.fromkeys(pids, float("inf"))
    for _ in range(batches):
        before, began = ran(pids), time.perf_counter()
        await put(connections, requests, PUTS)
        taken = time.perf_counter() - began
        for name, spent in ran(pids).items():
            least[name] = min(least[name], (spent - before[name] - idle[name] * taken) / PUTS)
    for each in connections:
        each.close()
    return least


def measure(cloud: Cloud, batches: int = BATCHES) -> Spent:
    """Seconds of CPU per put, by process."""
    return uvloop.run(_measured(cloud, cloud.token(), batches))


def main() -> None:
    with a_cloud() as cloud:
        for name, spent in measure(cloud, int(sys.argv[1]) if len(sys.argv) > 1 else BATCHES).items():
            print(f"{name:10}{spent * 1e6:6.0f} us per put")


if __name__ == "__main__":
    main()
