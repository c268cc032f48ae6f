"""What a thousand agents cost the conductor: each joined, registered and beating once a second.

`python bench/agents.py [seconds]`. The agents are simulated by this process, one TLS connection each, with identities
of their own; to the conductor they are a thousand machines. Afterwards every worker must be Ready, and none may have
been NotReady in between.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from typing import Any

import psutil
import uvloop
from cloud import Cloud, a_cloud
from idle import MIB, percent_of_a_core
from load import Connection, connect, request
from verdicts import Verdict, limit, table

AGENTS, AT_ONCE, SETTLE_SECONDS, RENEW_SECONDS = 1000, 8, 8.0, 240.0
FACTS = {"capacity": {"cpu": "4", "memory": "8Gi", "disk": "100Gi"}, "addresses": [], "labels": {}}
BEAT = {"usage": {"cpu": 0.5, "memory": 2**30, "disk": 2**33, "networkReceived": 1, "networkSent": 1}}


async def _ask(connection: Connection, path: str, body: dict[str, Any], token: str = "") -> dict[str, Any]:
    answer = await connection.ask(request("POST", path, token, json.dumps(body).encode()))
    return dict(json.loads(answer.partition(b"\r\n\r\n")[2]))


@dataclass(frozen=True)
class Machine:
    """One that has joined."""

    connection: Connection
    secret: dict[str, str]

    async def token(self) -> str:
        """An access token, good for some minutes."""
        return str((await _ask(self.connection, "/auth/token", self.secret))["accessToken"])


async def registered(cloud: Cloud, number: int, join: str, turn: asyncio.Semaphore) -> Machine:
    """A machine, once it is registered."""
    async with turn:
        connection = await connect(cloud.port, cloud.ca)
        made = await _ask(connection, "/auth/join", {"token": join, "name": f"machine-{number}"})
        machine = Machine(connection, {name: made[name] for name in ("clientId", "clientSecret")})
        token = await machine.token()
        await _ask(connection, "/agents/register", FACTS, token)
        await _ask(connection, "/agents/heartbeat", BEAT, token)
    return machine


async def beat(machine: Machine, first: float, until: float) -> None:
    """Beat once a second from `first` on; with another token now and then, as agents do."""
    due = first
    while due < until:
        said = request("POST", "/agents/heartbeat", await machine.token(), json.dumps(BEAT).encode())
        renewed = due + RENEW_SECONDS
        while due < min(renewed, until):
            await asyncio.sleep(due - time.monotonic())
            await machine.connection.ask(said)
            due += 1.0


async def _measured(cloud: Cloud, join: str, seconds: float) -> tuple[float, float]:
    turn = asyncio.Semaphore(AT_ONCE)
    beating: list[asyncio.Task[None]] = []
    until = time.monotonic() + 3600
    connections = []
    for made in asyncio.as_completed([registered(cloud, n, join, turn) for n in range(AGENTS)]):
        machine = await made
        connections.append(machine.connection)
        beating.append(asyncio.create_task(beat(machine, time.monotonic() + 1, until)))
    await asyncio.sleep(SETTLE_SECONDS)
    process = psutil.Process(cloud.pid)
    (busy,) = await asyncio.to_thread(percent_of_a_core, [process], seconds)
    memory = process.memory_info().rss / MIB
    await asyncio.to_thread(_require_all_ready, cloud)  # they go on beating meanwhile
    broken = [each for each in beating if each.done()]
    for each in beating:
        each.cancel()
    await asyncio.gather(*beating, return_exceptions=True)
    assert not broken, broken[0].exception()
    for each in connections:
        each.close()
    return busy, memory


def _require_all_ready(cloud: Cloud) -> None:
    """Raises RuntimeError when a heartbeat was missed."""
    workers = json.loads(cloud.do("get", "workers", "-o", "json"))["items"]
    lost = [each["metadata"]["name"] for each in workers if each["status"]["phase"] != "Ready"]
    told = [each for each in cloud.do("get", "events", "-A").splitlines() if "WorkerNotReady" in each]
    if lost or told or len(workers) <= AGENTS:
        raise RuntimeError(f"{len(workers)} workers, not Ready: {lost[:5]}, told: {told[:5]}")


def measure(cloud: Cloud, seconds: float = 60.0) -> list[Verdict]:
    """CPU over that time and memory at its end. Raises RuntimeError when a worker was not Ready throughout."""
    join = cloud.do("token", "create", "--uses", "0").split()[0]
    busy, memory = uvloop.run(_measured(cloud, join, seconds))
    what = f"conductor with {AGENTS:,} agents"
    return [limit(f"{what}, CPU", busy, 60, " % of a core"), limit(f"{what}, memory", memory, 400, " MiB")]


def main() -> None:
    with a_cloud() as cloud:
        print(table(measure(cloud, float(sys.argv[1]) if len(sys.argv) > 1 else 60.0)))


if __name__ == "__main__":
    main()
